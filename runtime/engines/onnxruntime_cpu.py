"""ONNX Runtime on the CPU: the default engine and the reference for all others.

    python -c "from deixis.runtime.engines import open_model; \
print(open_model(Path('bundles/cpu/models/hand_landmarks.onnx')).specs)"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from deixis.runtime.engines import Array, EngineSpecs, TensorSpec
from deixis.runtime.errors import EngineError

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(int8)": np.int8,
    "tensor(uint8)": np.uint8,
    "tensor(bool)": np.bool_,
}


class OnnxRuntimeCpu:
    """A model in an ONNX Runtime CPU session.

    Args:
        path: ONNX or ORT file.
        threads: Threads within one operator. Threads do not spin while idle: on a robot's few
            cores a spinning pool takes the time of the other nodes.

    Raises:
        EngineError: The file is missing or is not a model.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        self._path = path
        try:
            self._session = ort.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's errors share no base class below RuntimeError/Exception.
        except Exception as cause:
            raise EngineError(f"ONNX Runtime cannot open {path}: {cause}") from cause
        self.specs = EngineSpecs(
            inputs=tuple(_spec(i) for i in self._session.get_inputs()),
            outputs=tuple(_spec(o) for o in self._session.get_outputs()),
        )
        self._names = [o.name for o in self.specs.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        try:
            outputs = self._session.run(self._names, dict(inputs))
        except Exception as cause:
            raise EngineError(f"{self._path.name}: {cause}") from cause
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        """Release the session."""
        del self._session


def _spec(value: ort.NodeArg) -> TensorSpec:
    dtype = _DTYPES.get(value.type)
    if dtype is None:
        raise EngineError(f"tensor {value.name!r} has the type {value.type}, which is not handled")
    shape = tuple(d if isinstance(d, int) else None for d in value.shape)
    return TensorSpec(name=value.name, dtype=np.dtype(dtype), shape=shape)
