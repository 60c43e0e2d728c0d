"""Engines on a real NVIDIA GPU against ONNX Runtime on the CPU; elsewhere skipped with the reason.

python -m pytest -rs tests/runtime/engines/test_on_gpu.py
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import DEFAULT_BACKEND, backends, cuda_memory, open_model
from deixis.runtime.engines.cuda_memory import open_cuda
from deixis.runtime.engines.gpu import find_gpu
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import relu

ELSEWHERE = [state.name for state in backends() if state.name != DEFAULT_BACKEND]
ROLES = ("hand_landmarks", "palm_detector", "crop_embedding", "gestures", "speech_letters")


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> str:
    state = next(s for s in backends() if s.name == request.param)
    if not state.usable:
        pytest.skip(f"{state.name}: {state.detail}")
    return state.name


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_memory_and_graphs() -> None:
    """A copy to the device and back, plainly and by a captured graph that is launched twice."""
    try:
        find_gpu()
        memory = open_cuda()
    except EngineError as error:
        pytest.skip(error.message)
    there, back = memory.pinned(1 << 20), memory.pinned(1 << 20)
    device = memory.device(1 << 20)

    def round_trip() -> None:
        memory.upload(device, there)
        memory.download(back, device)

    for value in (1, 2):
        there[:] = value
        back[:] = 0
        round_trip()
        memory.synchronize()
        assert (back == value).all()
    if memory.has_graphs:
        back[:] = 0
        graph = memory.capture(round_trip)
        memory.synchronize()
        assert not back.any(), "capturing must not run it"
        for value in (3, 4):
            there[:] = value
            memory.launch(graph)
            memory.synchronize()
            assert (back == value).all()
    memory.close()


@pytest.mark.slow
@pytest.mark.parametrize("backend", ELSEWHERE, indirect=True)
@pytest.mark.parametrize("role", ROLES)
def test_same_answers_as_the_cpu(bundle: Bundle, role: str, backend: str) -> None:
    path = bundle.model_path(role)
    if path.suffix != ".onnx":
        pytest.skip(f"{path.name} is not ONNX")
    reference = open_model(path)
    engine = open_model(path, backend)
    rng = np.random.default_rng(0)
    # Again and again: plainly, when it is captured, and by the graph; then other lengths.
    for length in (2, 2, 2, 2, 5, 2, 5, 5):
        inputs = {
            spec.name: rng.normal(size=[length if n is None else n for n in spec.shape]).astype(
                spec.dtype
            )
            for spec in reference.specs.inputs
        }
        wanted, got = reference.infer(inputs), engine.infer(inputs)
        for name, value in wanted.items():
            scale = max(1.0, float(np.abs(value).max()))
            # TF32 in the tensor cores: ten bits of mantissa.
            np.testing.assert_allclose(got[name] / scale, value / scale, atol=1e-2)
    engine.close()
    reference.close()


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"], indirect=True)
def test_an_engine_is_built_once(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(relu())
    x = np.array([[-1, 2, -3, 4]], np.float32)
    built: list[str] = []
    for _ in range(2):
        engine = open_model(path, backend, progress=lambda phase, *_: built.append(phase))
        first = len(built)
        assert engine.infer({"x": x})["y"].tolist() == [[0, 2, 0, 4]]
        with pytest.raises(EngineError, match="the engine was built for"):
            engine.infer({"x": np.zeros((1000, 4), np.float32)})
        engine.close()
    assert first == len(built) > 0


def test_what_is_used_of_cuda_python_is_there() -> None:
    runtime = pytest.importorskip("cuda.bindings.runtime", reason="needs deixis[tensorrt]")
    tree = ast.parse(Path(str(cuda_memory.__file__)).read_text())
    names = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    called = {name for name in names if name.startswith("cuda") and name.isalnum()}
    assert {"cudaMalloc", "cudaGraphLaunch", "cudaStreamEndCapture"} <= called
    assert not {name for name in called if not hasattr(runtime, name)}
    assert runtime.cudaStreamNonBlocking == 1
    assert runtime.cudaMemcpyKind.cudaMemcpyHostToDevice == 1
    assert runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal == 1
