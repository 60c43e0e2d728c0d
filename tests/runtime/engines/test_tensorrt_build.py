"""Engines are built once, kept with a side file, and built anew when they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.runtime.engines.gpu import Gpu
from deixis.runtime.engines.tensorrt_api import TensorRt, load_tensorrt
from deixis.runtime.engines.tensorrt_build import EngineCache, cache_folder
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import relu, unsupported

GPU = Gpu("NVIDIA GeForce RTX 3060", (8, 6), (13, 0))


@pytest.fixture
def rtx() -> TensorRt:
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")
    return load_tensorrt("tensorrt-rtx")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "small.onnx"
    path.write_bytes(relu())
    return path


class Kept:
    """A cache with what it said, and how often it built."""

    def __init__(self, trt: TensorRt, folder: Path, gpu: Gpu = GPU) -> None:
        self.cache = EngineCache(trt, gpu, folder)
        self.notes: list[str] = []
        self.builds = 0

    def plan(self, model: Path, **more: object) -> bytes:
        def progress(phase: str, done: int, steps: int) -> None:
            self.builds += done == 0

        return self.cache.plan(model, self.notes.append, progress, **more)  # type: ignore[arg-type]


def test_built_once(rtx: TensorRt, model: Path, tmp_path: Path) -> None:
    kept = Kept(rtx, tmp_path / "cache")
    first = kept.plan(model)
    assert kept.plan(model) == first
    assert Kept(rtx, tmp_path / "cache").plan(model) == first
    assert (kept.builds, kept.notes) == (1, [])
    path = kept.cache.plan_path(model)
    assert path.read_bytes() == first
    assert path.parent.name == "NVIDIA-GeForce-RTX-3060-sm86"
    side = json.loads(path.with_suffix(".json").read_text())
    assert side["tensorrt"] == rtx.version
    assert side["gpu"] == "NVIDIA GeForce RTX 3060 (compute capability 8.6)"
    assert side["size_bytes"] == len(first)
    assert side["seconds"] > 0
    assert not list(path.parent.glob(".*"))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plan, side: plan.write_bytes(plan.read_bytes()[:-1]), "wrong sha256"),
        (lambda plan, side: side.unlink(), "is missing or broken"),
        (lambda plan, side: side.write_text("{"), "is missing or broken"),
        (
            lambda plan, side: side.write_text(
                side.read_text().replace('"TensorRT-RTX 1.', '"TensorRT-RTX 0.')
            ),
            "it is of TensorRT-RTX 0.",
        ),
    ],
)
def test_what_does_not_fit_is_built_anew_and_noted(
    rtx: TensorRt, model: Path, tmp_path: Path, change: object, reason: str
) -> None:
    kept = Kept(rtx, tmp_path / "cache")
    first = kept.plan(model)
    path = kept.cache.plan_path(model)
    change(path, path.with_suffix(".json"))  # type: ignore[operator]
    assert len(kept.plan(model)) == len(first)
    assert kept.builds == 2
    (note,) = kept.notes
    assert reason in note
    kept.plan(model)
    assert kept.builds == 2


def test_what_does_not_load_is_built_anew(rtx: TensorRt, model: Path, tmp_path: Path) -> None:
    kept = Kept(rtx, tmp_path / "cache")
    kept.plan(model)
    kept.plan(model, broken="it does not load")
    assert kept.builds == 2
    assert kept.notes == ["small.onnx: its engine is built anew, for it does not load"]


def test_other_shapes_other_models_other_gpus(rtx: TensorRt, model: Path, tmp_path: Path) -> None:
    kept = Kept(rtx, tmp_path / "cache")
    kept.plan(model)
    kept.plan(model, profile={"x": ((1, 4), (2, 4), (2, 4))})
    assert kept.builds == 2
    assert "other shapes are asked for" in kept.notes[0]
    first = kept.cache.plan_path(model)
    model.write_bytes(relu(["N", 8]))
    kept.plan(model)
    assert kept.builds == 3
    assert kept.cache.plan_path(model) != first
    other = Kept(rtx, tmp_path / "cache", Gpu("NVIDIA GeForce RTX 4090", (8, 9), (13, 0)))
    other.plan(model)
    assert (other.builds, other.notes) == (1, [])


def test_an_interrupted_build_leaves_nothing(rtx: TensorRt, model: Path, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    cache = EngineCache(rtx, GPU, tmp_path / "cache")
    with pytest.raises(KeyboardInterrupt):
        cache.plan(model, lambda text: None, interrupt)
    assert not cache.plan_path(model).exists()
    assert cache.plan(model, lambda text: None)


def test_errors_name_the_model(rtx: TensorRt, model: Path, tmp_path: Path) -> None:
    cache = EngineCache(rtx, GPU, tmp_path / "cache")
    model.write_bytes(unsupported())
    with pytest.raises(EngineError, match=r"^small\.onnx: .*'odd_one'"):
        cache.plan(model, lambda text: None)
    ort = model.rename(model.with_suffix(".ort"))
    with pytest.raises(EngineError, match="ONNX Runtime's own format"):
        cache.plan(ort, lambda text: None)
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(EngineError, match="cannot be kept") as caught:
        EngineCache(rtx, GPU, blocked).plan(ort.rename(model), lambda text: None)
    assert "XDG_CACHE_HOME" in caught.value.hint


def test_where_engines_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "deixis" / "engines"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/deixis/engines")
