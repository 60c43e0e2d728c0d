"""The runner's own logic, on a simulated GPU: memory, shapes, graphs. Real engines need a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deixis.runtime.engines import EngineSpecs, open_model, tensorrt_run
from deixis.runtime.engines.gpu import Gpu, find_gpu
from deixis.runtime.engines.tensorrt_run import MOST_GRAPHS, TensorRtEngine
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import relu
from tests.runtime.engines.simulated_gpu import SPECS, STATIC, SimulatedCuda, SimulatedTensorRt


class Rig:
    """A runner on a simulated GPU."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        folder: Path,
        specs: EngineSpecs = SPECS,
        rtx: bool = False,
        has_graphs: bool = True,
    ) -> None:
        self.cuda = SimulatedCuda(has_graphs)
        self.trt = SimulatedTensorRt(self.cuda, specs, captures_graphs=rtx)
        self.notes: list[str] = []
        self.rng = np.random.default_rng(0)
        monkeypatch.setattr(tensorrt_run, "open_cuda", lambda: self.cuda)
        trt: Any = self.trt
        kept = folder / "net.engine"
        self.engine = TensorRtEngine(Path("net.onnx"), trt, trt.engine(), self.notes.append, kept)

    def run(self, n: int) -> None:
        """One call with ``n`` rows, checked."""
        x = self.rng.normal(size=(n, 8)).astype(np.float32)[:, ::2]
        k = self.rng.integers(-5, 5, size=1)
        answer = self.engine.infer({"x": x, "k": k})
        assert {name: a.dtype for name, a in answer.items()} == {"y": np.float32, "positive": bool}
        wanted = (x * k).astype(np.float32)
        np.testing.assert_array_equal(answer["y"], wanted)
        np.testing.assert_array_equal(answer["positive"], wanted > 0)


@pytest.fixture(params=["tensorrt", "rtx", "no graphs"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rig:
    kind = request.param
    return Rig(monkeypatch, tmp_path, rtx=kind == "rtx", has_graphs=kind != "no graphs")


def test_right_answers_for_changing_shapes(rig: Rig) -> None:
    for n in (1, 1, 1, 16, 3, 16, 1, 3, 3, 16, 1, 2):
        rig.run(n)
    assert not rig.notes
    rig.engine.close()


def test_nothing_is_allocated_after_the_start(rig: Rig) -> None:
    assert rig.cuda.allocations == 8
    for n in (1, 2, 2, 16, 16, 16):
        rig.run(n)
    assert rig.cuda.allocations == 8


def test_wrong_inputs_and_lengths(rig: Rig) -> None:
    k = np.ones(1, np.int64)
    with pytest.raises(EngineError, match=r"net\.onnx: input 'x' has the shape \(17, 4\)"):
        rig.engine.infer({"x": np.ones((17, 4), np.float32), "k": k})
    with pytest.raises(EngineError, match=r"net\.onnx: input 'x' is float64"):
        rig.engine.infer({"x": np.ones((1, 4)), "k": k})
    rig.run(2)


def test_the_second_call_of_a_shape_makes_its_graph(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rig = Rig(monkeypatch, tmp_path)
    launches = []
    for n in (1, 1, 1, 2, 1, 2, 2):
        rig.run(n)
        launches.append(rig.cuda.launches)
    assert launches == [0, 1, 2, 2, 3, 4, 5]
    # The common one, and one for each graph: a graph fixes the context that it came from.
    assert rig.trt.contexts == 3


def test_graphs_are_limited(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Rig(monkeypatch, tmp_path)
    for n in (*range(1, 17), *range(1, 17), *range(1, 17)):
        rig.run(n)
    assert rig.trt.contexts == 1 + MOST_GRAPHS
    assert rig.cuda.launches == 2 * MOST_GRAPHS


def test_fixed_shapes_need_one_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rig = Rig(monkeypatch, tmp_path, STATIC)
    for _ in range(4):
        rig.run(2)
    assert (rig.trt.contexts, rig.cuda.launches) == (1, 3)


def test_what_cannot_be_captured_runs_plainly_and_is_noted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rig = Rig(monkeypatch, tmp_path)
    rig.cuda.can_capture = False
    for n in (1, 1, 2, 2, 1):
        rig.run(n)
    assert rig.cuda.launches == 0
    assert rig.notes == [
        "net.onnx runs without CUDA graphs: CUDA's cudaStreamEndCapture failed"
    ]  # fmt: skip


def test_rtx_captures_by_itself_and_keeps_its_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for kept in (b"!", b"!!"):
        rig = Rig(monkeypatch, tmp_path, rtx=True)
        for _ in range(3):
            rig.run(2)
        assert (rig.cuda.launches, rig.trt.contexts) == (0, 1)
        rig.engine.close()
        assert (tmp_path / "net.kernels").read_bytes() == kept


def test_opening_builds_once_and_again_only_when_a_kept_engine_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The real TensorRT-RTX, told of a GPU that is not there: it builds, and cannot load."""
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")
    try:
        find_gpu()
    except EngineError:
        pass
    else:
        pytest.skip("this machine has a GPU")
    monkeypatch.setattr(tensorrt_run, "find_gpu", lambda: Gpu("RTX 3060", (8, 6), (13, 0)))
    monkeypatch.setattr(tensorrt_run, "binding", lambda: "cuda-python")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = tmp_path / "small.onnx"
    path.write_bytes(relu())
    notes: list[str] = []
    builds: list[int] = []

    def open_it() -> None:
        with pytest.raises(EngineError, match="cannot load the engine"):
            open_model(
                path,
                "tensorrt-rtx",
                note=notes.append,
                progress=lambda phase, done, steps: builds.append(done) if not done else None,
            )

    open_it()
    assert (len(builds), notes) == (1, [])
    open_it()
    assert len(builds) == 2
    (note,) = notes
    assert note.startswith("small.onnx: its engine is built anew, for TensorRT-RTX")
