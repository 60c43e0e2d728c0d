"""ONNX Runtime on the CPU: the default engine and the reference for all others.

    python -c "from deixis.runtime.engines import open_model; \
print(open_model(Path('bundles/cpu/models/hand_landmarks.onnx')).specs)"
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort

from deixis.runtime.engines import Array, BackendState, EngineSpecs, Options, TensorSpec
from deixis.runtime.engines.checks import InputCheck
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


def state(name: str) -> BackendState:
    """It can always be used: ONNX Runtime is a dependency of deixis."""
    return BackendState(name, True, f"onnxruntime {ort.__version__}")


def open_file(path: Path, backend: str, options: Options) -> OnnxRuntimeCpu:
    """Open a model; see :func:`deixis.runtime.engines.open_model`."""
    return OnnxRuntimeCpu(path, threads=options.threads)


class OnnxRuntimeCpu:
    """A model in an ONNX Runtime CPU session.

    Args:
        path: ONNX or ORT file.
        threads: Threads within one operator.

    Raises:
        EngineError: The file is missing or is not a model.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path = path
        try:
            self._session = ort.InferenceSession(
                str(path), session_options(threads), providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime's errors share no base class below RuntimeError/Exception.
        except Exception as cause:
            raise EngineError(f"ONNX Runtime cannot open {path}: {cause}") from cause
        self.specs = specs_of(self._session)
        self._check = InputCheck(path.name, self.specs)
        self._names = [o.name for o in self.specs.outputs]

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        self._check(inputs)
        try:
            outputs = self._session.run(self._names, dict(inputs))
        except Exception as cause:
            raise EngineError(f"{self._path.name}: {cause}") from cause
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        """Release the session."""
        del self._session


def session_options(threads: int) -> ort.SessionOptions:
    """Options that every session has.

    Threads do not spin while idle: on a robot's few cores a spinning pool takes the time of the
    other nodes.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options


def specs_of(session: ort.InferenceSession) -> EngineSpecs:
    """What goes into a session and comes out of it.

    Raises:
        EngineError: It has a tensor of a type that is not handled.
    """
    return EngineSpecs(
        inputs=tuple(_spec(i) for i in session.get_inputs()),
        outputs=tuple(_spec(o) for o in session.get_outputs()),
    )


def _spec(value: ort.NodeArg) -> TensorSpec:
    dtype = _DTYPES.get(value.type)
    if dtype is None:
        raise EngineError(f"tensor {value.name!r} has the type {value.type}, which is not handled")
    shape = tuple(d if isinstance(d, int) else None for d in value.shape)
    return TensorSpec(name=value.name, dtype=np.dtype(dtype), shape=shape)
