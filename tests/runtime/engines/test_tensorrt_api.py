"""One TensorRT API for all versions: against the real TensorRT-RTX, and the others' names."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from deixis.runtime.engines import gpu, tensorrt_api, tensorrt_listeners, tensorrt_run
from deixis.runtime.engines.profiles import default_profile
from deixis.runtime.engines.tensorrt_api import Built, RefusedError, TensorRt, load_tensorrt
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import quantized, relu, unsupported

RTX_ONLY = {
    "CudaGraphStrategy",
    "ComputeCapability",
    "WHOLE_GRAPH_CAPTURE",
    "create_runtime_cache",
    "create_runtime_config",
    "cuda_graph_strategy",
    "deserialize",
    "num_compute_capabilities",
    "set_compute_capability",
    "set_runtime_cache",
}
NAMES = Path(__file__).with_name("tensorrt_names.json")
"""What the classes of TensorRT's published Python bindings have (dir()), by version."""


@pytest.fixture
def rtx() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")
    return load_tensorrt("tensorrt-rtx")


def build(trt: TensorRt, model: bytes, capability: tuple[int, int] = (8, 6)) -> Built:
    parsed = trt.parse(model)
    return trt.build(parsed, default_profile(parsed.inputs), capability)


def test_every_architecture_builds(rtx: TensorRt) -> None:
    capabilities = rtx.capabilities()
    assert {(8, 0), (8, 6), (8, 9), (12, 0)} <= set(capabilities)
    for capability in capabilities:
        built = build(rtx, relu(), capability)
        assert len(built.plan) > 1000
        assert built.timings == b""


def test_inputs_keep_their_symbols(rtx: TensorRt) -> None:
    (one,) = rtx.parse(relu(["N", 4])).inputs
    assert (one.name, one.shape, one.symbols) == ("x", (-1, 4), ("N", None))


def test_a_refused_node_is_named(rtx: TensorRt) -> None:
    with pytest.raises(RefusedError, match=r"node 'odd_one' \(FastGelu\)"):
        rtx.parse(unsupported())


@pytest.mark.parametrize(
    ("element", "zero_point", "builds"),
    [
        (TensorProto.INT8, 0, True),
        (TensorProto.INT8, 3, False),
        (TensorProto.UINT8, 128, False),
    ],
)
def test_only_symmetric_quantization_is_taken(
    rtx: TensorRt, element: int, zero_point: int, builds: bool
) -> None:
    model = quantized(element, zero_point)
    if builds:
        assert build(rtx, model).plan
    else:
        with pytest.raises(RefusedError, match=r"node 'quantize'.*Non-zero zero point"):
            build(rtx, model)


def test_what_is_no_model(rtx: TensorRt) -> None:
    with pytest.raises(RefusedError, match="not an ONNX model"):
        rtx.parse(b"hello there")
    with pytest.raises(RefusedError, match="refuses the model"):
        rtx.parse(relu()[:40])


def test_an_architecture_without_kernels(rtx: TensorRt) -> None:
    with pytest.raises(EngineError, match=r"no kernels for compute capability 8\.7"):
        build(rtx, relu(), (8, 7))


def test_dynamic_axes_need_a_profile(rtx: TensorRt) -> None:
    with pytest.raises(EngineError, match="'x' has dynamic axes and no profile"):
        rtx.build(rtx.parse(relu(["N", 4])), {})


def test_a_wrong_profile_is_refused(rtx: TensorRt) -> None:
    with pytest.raises(EngineError):
        rtx.build(rtx.parse(relu(["N", 4])), {"x": ((8, 4), (4, 4), (1, 4))}, (8, 6))


def test_progress_is_told_and_can_stop_a_build(rtx: TensorRt) -> None:
    heard: list[tuple[str, int, int]] = []
    parsed = rtx.parse(relu([1, 4]))
    rtx.build(parsed, {}, (8, 6), progress=lambda *told: heard.append(told))
    (name,) = {phase for phase, _, _ in heard}
    done = [n for _, n, _ in heard]
    assert name
    assert done[0] == 0
    assert done == sorted(done)
    assert done[-1] <= heard[0][2]

    def interrupt(phase: str, done: int, steps: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rtx.build(rtx.parse(relu([1, 4])), {}, (8, 6), progress=interrupt)


def test_loading_without_a_driver_says_so(rtx: TensorRt) -> None:
    try:
        gpu.find_gpu()
    except EngineError:
        plan = build(rtx, relu([1, 4])).plan
        with pytest.raises(EngineError, match=r"cannot load the engine: .*35"):
            rtx.load(plan)
    else:
        pytest.skip("this machine has a GPU")


def test_what_is_used_of_rtx_is_there(rtx: TensorRt) -> None:
    """What needs a GPU to be called is at least there, by name."""
    module = pytest.importorskip("tensorrt_rtx")
    there = set(dir(module)).union(*(dir(getattr(module, name)) for name in dir(module)))
    missing = _used(_known() | RTX_ONLY) - there
    assert not missing
    specs = {name for name in module.DataType.__members__ if name in tensorrt_api._DTYPES}
    assert specs == set(tensorrt_api._DTYPES)


@pytest.mark.parametrize("version", json.loads(NAMES.read_text()))
def test_what_is_used_is_in_every_version(version: str) -> None:
    classes = json.loads(NAMES.read_text())[version]
    there = {*classes, *(name for names in classes.values() for name in names.split())}
    used = _used(_known()) - RTX_ONLY
    assert {"execute_async_v3", "STRONGLY_TYPED", "set_timing_cache", "node_name"} <= used
    assert not used - there
    # The flags that went away in 11 would be caught here.
    assert ("EXPLICIT_BATCH" in there) == (not version.startswith("11"))


def _known() -> set[str]:
    """Names of TensorRT, in whichever version."""
    versions = json.loads(NAMES.read_text()).values()
    return {
        name
        for classes in versions
        for members in ([" ".join(classes)], classes.values())
        for names in members
        for name in names.split()
    }


def _used(known: set[str]) -> set[str]:
    """Which of these names the modules that call TensorRT use as attributes."""
    used = set()
    for module in (tensorrt_api, tensorrt_listeners, tensorrt_run):
        tree = ast.parse(Path(str(module.__file__)).read_text())
        used |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return used & known


@pytest.mark.parametrize("backend", ["tensorrt", "tensorrt-rtx"])
def test_not_installed(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    load_tensorrt.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, backend.replace("-", "_"), None)
    with pytest.raises(EngineError, match="is not installed") as caught:
        load_tensorrt(backend)
    assert "pip install" in caught.value.hint
    load_tensorrt.cache_clear()


def test_dtypes_have_numpy_counterparts() -> None:
    assert all(np.dtype(dtype).itemsize for dtype in tensorrt_api._DTYPES.values())
