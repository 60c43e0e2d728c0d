"""ONNX Runtime's CUDA and TensorRT providers, never quietly the CPU.

ONNX Runtime itself goes on with the CPU when a provider cannot be made; here that is an error that
says what is missing. Operators that the provider has no kernel for still run on the CPU: they are
counted and noted. Inputs are written into device memory that stays in place, by I/O binding.

Not run on a GPU yet. Tried without one: onnxruntime 1.32.0 (no such provider) and onnxruntime-gpu
1.31.1 (providers that cannot load).

    engine = open_model(Path("hand_landmarks.onnx"), backend="onnxruntime-cuda", note=print)
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from deixis.runtime.engines import Array, BackendState, Note, Options
from deixis.runtime.engines.checks import InputCheck
from deixis.runtime.engines.gpu import find_gpu
from deixis.runtime.engines.onnxruntime_cpu import session_options, specs_of
from deixis.runtime.engines.profiles import default_profile
from deixis.runtime.engines.tensorrt_api import Input, Profile
from deixis.runtime.engines.tensorrt_build import cache_folder
from deixis.runtime.errors import EngineError

PROVIDERS = {
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}
_DEVICE = "cuda"
_HINT = (
    "pip uninstall onnxruntime && pip install onnxruntime-gpu (on a Jetson: the wheel of its "
    "JetPack); both in one environment overwrite each other"
)


def state(name: str) -> BackendState:
    """Whether this ONNX Runtime has the provider and a GPU is here; libraries show at opening."""
    try:
        _check_provider(name)
        gpu = find_gpu()
    except EngineError as error:
        return BackendState(name, False, error.message, error.hint)
    return BackendState(name, True, f"onnxruntime {ort.__version__}, {gpu}")


def open_file(path: Path, backend: str, options: Options) -> OnnxRuntimeGpu:
    """Open a model; see :func:`deixis.runtime.engines.open_model`."""
    _check_provider(backend)
    find_gpu()
    return OnnxRuntimeGpu(path, backend, options)


class OnnxRuntimeGpu:
    """A model in an ONNX Runtime session on an NVIDIA GPU.

    Args:
        path: ONNX file.
        backend: a key of :data:`PROVIDERS`.
        options: threads of what stays on the CPU; who hears of it.

    Raises:
        EngineError: The file is not a model, or the provider's libraries do not load.
    """

    def __init__(self, path: Path, backend: str, options: Options) -> None:
        self._path = path
        provider = PROVIDERS[backend]
        settings = session_options(options.threads)
        settings.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        if hasattr(ort, "preload_dlls"):
            # CUDA and cuDNN from the nvidia-* wheels, where they are there.
            ort.preload_dlls()
        try:
            self._session = ort.InferenceSession(
                str(path), settings, providers=_providers(path, backend), enable_fallback=0
            )
        except Exception as cause:
            raise EngineError(f"{provider} cannot open {path}: {cause}") from cause
        if provider not in self._session.get_providers():
            raise EngineError(
                f"{provider} could not be started: its CUDA, cuDNN or TensorRT libraries do not "
                f"load, and ONNX Runtime would go on with "
                f"{', '.join(self._session.get_providers())}",
                hint="its log, just above, names the library; see "
                "https://onnxruntime.ai/docs/execution-providers/",
            )
        _note_cpu(self._session, path.name, options.note)
        self.specs = specs_of(self._session)
        self._check = InputCheck(path.name, self.specs)
        self._names = [o.name for o in self.specs.outputs]
        self._binding = self._session.io_binding()
        self._bound: dict[str, tuple[tuple[int, ...], Any]] = {}

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        self._check(inputs)
        try:
            for name, value in inputs.items():
                self._write(name, value)
            # The outputs' shapes may differ from call to call, so they are bound anew.
            for name in self._names:
                self._binding.bind_output(name, "cpu")
            self._session.run_with_iobinding(self._binding)
            outputs = self._binding.copy_outputs_to_cpu()
        except Exception as cause:
            raise EngineError(f"{self._path.name}: {cause}") from cause
        return dict(zip(self._names, outputs, strict=True))

    def close(self) -> None:
        """Release the session."""
        self._bound.clear()
        del self._binding, self._session

    def _write(self, name: str, value: Array) -> None:
        """Copy an input into the device memory that is bound for it."""
        value = np.ascontiguousarray(value)
        bound = self._bound.get(name)
        if bound is not None and bound[0] == value.shape:
            bound[1].update_inplace(value)
            return
        memory = ort.OrtValue.ortvalue_from_numpy(value, _DEVICE, 0)
        self._binding.bind_ortvalue_input(name, memory)
        self._bound[name] = (value.shape, memory)


def _check_provider(backend: str) -> None:
    provider = PROVIDERS[backend]
    if provider not in ort.get_available_providers():
        have = ", ".join(ort.get_available_providers())
        raise EngineError(
            f"onnxruntime {ort.__version__} was built without {provider} (it has {have})",
            hint=_HINT,
        )


def _providers(path: Path, backend: str) -> list[str | tuple[str, dict[str, str]]]:
    if backend == "onnxruntime-cuda":
        return ["CUDAExecutionProvider"]
    folder = cache_folder() / "onnxruntime"
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
        # Before TensorRT 11 Q/DQ pairs are obeyed only with this; others do not mind it.
        "trt_int8_enable": "1" if b"QuantizeLinear" in path.read_bytes() else "0",
        **_profile_options(default_profile(_inputs(path))),
    }
    return [("TensorrtExecutionProvider", options), "CUDAExecutionProvider"]


def _inputs(path: Path) -> list[Input]:
    """The inputs with their symbolic axes, asked of a session on the CPU."""
    session = ort.InferenceSession(
        str(path), session_options(1), providers=["CPUExecutionProvider"]
    )
    return [
        Input(
            one.name,
            tuple(n if isinstance(n, int) else -1 for n in one.shape),
            tuple(None if isinstance(n, int) else n for n in one.shape),
        )
        for one in session.get_inputs()
    ]


def _profile_options(profile: Profile) -> dict[str, str]:
    """``trt_profile_min_shapes`` and its kin: ``image:1x3x224x224,other:1x9``."""
    if not profile:
        return {}
    return {
        f"trt_profile_{which}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, shapes[i]))}" for name, shapes in profile.items()
        )
        for i, which in enumerate(("min", "opt", "max"))
    }


def _note_cpu(session: ort.InferenceSession, name: str, note: Note) -> None:
    """Note how many operators have no kernel on the GPU, where ONNX Runtime can tell (1.23 on)."""
    if not hasattr(session, "get_provider_graph_assignment_info"):
        return
    on_cpu = [
        node.op_type
        for part in session.get_provider_graph_assignment_info()
        if part.ep_name == "CPUExecutionProvider"
        for node in part.get_nodes()
    ]
    if on_cpu:
        kinds = ", ".join(sorted(set(on_cpu)))
        note(f"{name}: {len(on_cpu)} operators have no kernel on the GPU ({kinds}): they run here")
