"""Backends say whether they can be used; none of them quietly becomes another one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from deixis.runtime.engines import (
    BACKENDS,
    DEFAULT_BACKEND,
    Options,
    backends,
    onnxruntime_gpu,
    open_model,
)
from deixis.runtime.engines.profiles import default_profile
from deixis.runtime.engines.tensorrt_api import Input
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import quantized, relu


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(relu())
    return path


def options(notes: list[str]) -> Options:
    return Options(1, notes.append, lambda *_: None)


def test_every_backend_has_a_state() -> None:
    states = {state.name: state for state in backends()}
    assert list(states) == list(BACKENDS)
    assert states[DEFAULT_BACKEND].usable
    assert ort.__version__ in states[DEFAULT_BACKEND].detail
    for state in states.values():
        assert state.detail
        assert state.usable or state.hint or "no kernels" in state.detail


def test_a_backend_that_cannot_be_used_says_why_when_it_is_opened(model: Path) -> None:
    for state in backends():
        if state.usable:
            continue
        with pytest.raises(EngineError) as caught:
            open_model(model, backend=state.name)
        assert caught.value.message == state.detail


def test_unknown_backend(model: Path) -> None:
    with pytest.raises(EngineError, match="did you mean 'tensorrt'"):
        open_model(model, backend="tensort")


def test_no_file(tmp_path: Path) -> None:
    for backend in BACKENDS:
        with pytest.raises(EngineError, match="there is no model at"):
            open_model(tmp_path / "none.onnx", backend=backend)


def test_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("not a model")
    with pytest.raises(EngineError, match="cannot open"):
        open_model(path)


@pytest.mark.skipif(
    "CUDAExecutionProvider" in ort.get_available_providers(), reason="this onnxruntime has CUDA"
)
@pytest.mark.parametrize("backend", onnxruntime_gpu.PROVIDERS)
def test_a_provider_that_onnxruntime_drops_is_an_error(
    model: Path, backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """ONNX Runtime opens the session on the CPU and only warns: seen here, and refused."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.warns(UserWarning, match="not in available provider names"):
        silent = ort.InferenceSession(str(model), providers=[onnxruntime_gpu.PROVIDERS[backend]])
    assert silent.get_providers() == ["CPUExecutionProvider"]
    with (
        pytest.warns(UserWarning, match="not in available provider names"),
        pytest.raises(EngineError, match="could not be started"),
    ):
        onnxruntime_gpu.OnnxRuntimeGpu(model, backend, options([]))
    with pytest.raises(EngineError, match="was built without"):
        open_model(model, backend=backend)


def test_io_binding_gives_what_run_gives(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The GPU engine's own steps, on the CPU's memory: shapes change, inputs are strided."""
    monkeypatch.setitem(onnxruntime_gpu.PROVIDERS, "onnxruntime-cuda", "CPUExecutionProvider")
    monkeypatch.setattr(onnxruntime_gpu, "_providers", lambda *_: ["CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime_gpu, "_DEVICE", "cpu")
    notes: list[str] = []
    bound = onnxruntime_gpu.OnnxRuntimeGpu(model, "onnxruntime-cuda", options(notes))
    plain = open_model(model)
    rng = np.random.default_rng(0)
    for n in (1, 3, 3, 2, 2):
        x = rng.normal(size=(n, 8)).astype(np.float32)[:, ::2]
        np.testing.assert_array_equal(bound.infer({"x": x})["y"], plain.infer({"x": x})["y"])
    with pytest.raises(EngineError, match="not finite"):
        bound.infer({"x": np.full((1, 4), np.nan, np.float32)})
    if hasattr(ort.InferenceSession, "get_provider_graph_assignment_info"):
        assert notes == [
            "small.onnx: 1 operators have no kernel on the GPU (Relu): they run here"
        ]  # fmt: skip
    bound.close()


def test_options_of_the_tensorrt_provider(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (name, given), cuda = onnxruntime_gpu._providers(model, "onnxruntime-tensorrt")
    assert (name, cuda) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert isinstance(given, dict)
    assert given["trt_profile_min_shapes"] == "x:1x4"
    assert given["trt_profile_max_shapes"] == "x:32x4"
    assert given["trt_int8_enable"] == "0"
    assert Path(given["trt_engine_cache_path"]).is_relative_to(tmp_path)
    model.write_bytes(quantized(3, 0))
    (_, given), _ = onnxruntime_gpu._providers(model, "onnxruntime-tensorrt")
    assert isinstance(given, dict)
    assert given["trt_int8_enable"] == "1"
    assert "trt_profile_min_shapes" not in given


def test_default_profile() -> None:
    profile = default_profile(
        [
            Input("fixed", (1, 4), (None, None)),
            Input("crops", (-1, 3, 8, 8), ("N", None, None, None)),
            Input("frames", (1, -1, 288), (None, "T", None)),
            Input("other", (-1, -1), (None, "length")),
        ]
    )
    assert profile == {
        "crops": ((1, 3, 8, 8), (4, 3, 8, 8), (32, 3, 8, 8)),
        "frames": ((1, 1, 288), (1, 128, 288), (1, 512, 288)),
        "other": ((1, 1), (1, 128), (32, 1024)),
    }
