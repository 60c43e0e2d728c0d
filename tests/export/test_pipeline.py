from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from deixis.export import pipeline, verb
from deixis.export.compare import passes
from deixis.export.pipeline import ExportRow, export_all
from deixis.export.recipes import RECIPES
from deixis.export.samples import Samples, load_samples
from deixis.runtime.bundle import Bundle, MetricInfo, sha256_of
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import ExportError, MediaError, MissingExtraError, UsageError

SHIPPED = "speech_encoder"  # the cheapest model to export


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported bundle that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "cpu"))


@pytest.fixture
def broken_recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the comparison of the cheapest model raise or measure something else."""

    def install(outcome: BaseException | MetricInfo) -> None:
        def compare(*_: object) -> tuple[MetricInfo, ...]:
            if isinstance(outcome, BaseException):
                raise outcome
            return (outcome,)

        monkeypatch.setitem(RECIPES, SHIPPED, replace(RECIPES[SHIPPED], compare=compare))

    return install


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p.relative_to(folder)): (p.stat().st_mtime_ns, p.stat().st_ino)
        for p in folder.rglob("*")
    }


@pytest.mark.slow
def test_bundle_is_whole_and_keeps_its_floors(exported: Path) -> None:
    bundle = Bundle.open(exported)
    assert bundle.verify() == len(RECIPES) + 1
    assert list(bundle.manifest.models) == list(RECIPES)
    for entry in bundle.manifest.models.values():
        assert entry.metric is not None
        assert passes(entry.metric)
        assert entry.latency is not None
        assert 0 < entry.latency.p50_ms <= entry.latency.p95_ms
        assert entry.source.licence in ("MIT", "Apache-2.0")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("role", "shape", "outputs"),
    [
        ("palm_detector", (1, 3, 192, 192), {"boxes": (1, 2016, 18), "scores": (1, 2016)}),
        (
            "hand_landmarks",
            (1, 3, 224, 224),
            {
                "landmarks": (1, 21, 3),
                "presence": (1,),
                "handedness": (1,),
                "world_landmarks": (1, 21, 3),
            },
        ),
        ("face_detector", (1, 3, 128, 128), {"boxes": (1, 896, 16), "scores": (1, 896)}),
        ("face_landmarks", (1, 3, 192, 192), {"landmarks": (1, 468, 3), "presence": (1,)}),
        ("crop_embedding", (1, 3, 224, 224), {"embedding": (1, 1280)}),
        ("crop_embedding", (5, 3, 224, 224), {"embedding": (5, 1280)}),
    ],
)
def test_contract_of_the_models(
    exported: Path, role: str, shape: tuple[int, ...], outputs: dict[str, tuple[int, ...]]
) -> None:
    engine = open_engine(Bundle.open(exported), role)
    got = engine.infer({"image": np.full(shape, 0.5, np.float32)})
    engine.close()
    assert {name: array.shape for name, array in got.items()} == outputs
    assert {array.dtype for array in got.values()} == {np.dtype(np.float32)}


@pytest.mark.slow
def test_onnx_holds_no_trace_of_the_machine(exported: Path) -> None:
    for path in exported.glob("models/*.onnx"):
        data = path.read_bytes()
        assert b".py" not in data
        assert os.getcwd().encode() not in data
        assert b"site-packages" not in data


@pytest.mark.slow
def test_another_process_emits_the_same_bytes(exported: Path, wheel_folder: Path) -> None:
    code = (
        "import hashlib, sys; from pathlib import Path; from deixis.export.recipes import RECIPES; "
        "print(*(hashlib.sha256(RECIPES[r].emit(Path(sys.argv[1]))).hexdigest() "
        "for r in ('palm_detector', 'crop_embedding')))"
    )
    env = os.environ | {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code, str(wheel_folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    models = Bundle.open(exported).manifest.models
    assert done.stdout.split() == [
        models[r].file.sha256 for r in ("palm_detector", "crop_embedding")
    ]


@pytest.mark.slow
def test_second_run_does_nothing(copied: Path, wheel_folder: Path, tmp_path: Path) -> None:
    before = tree(copied)
    # Neither samples nor wheels are touched: neither is there.
    rows = export_all("cpu", copied, tmp_path / "no-wheels", tmp_path / "no-samples")
    assert {row.status for row in rows} == {"up to date"}
    assert tree(copied) == before


@pytest.mark.slow
def test_damaged_bundle_is_made_anew(
    copied: Path, wheel_folder: Path, sample_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = copied / RECIPES[SHIPPED].file
    good = sha256_of(model)
    model.write_bytes(model.read_bytes()[:-1])
    # What the bundle held is what is made again: keep that to one model here.
    manifest = Bundle.open(copied).manifest
    reduced = msgspec.structs.replace(manifest, models={SHIPPED: manifest.models[SHIPPED]})
    pipeline.bundles.write_manifest(copied, reduced)
    (row,) = export_all("cpu", copied, wheel_folder, sample_folder, only=[SHIPPED])
    assert row.status == "as shipped"
    assert sha256_of(model) == good
    assert Bundle.open(copied).verify() == 2


@pytest.mark.slow
def test_exporting_one_model_keeps_the_others(
    copied: Path, wheel_folder: Path, sample_folder: Path
) -> None:
    before = Bundle.open(copied).manifest.models
    rows = export_all("cpu", copied, wheel_folder, sample_folder, only=[SHIPPED], force=True)
    status = {row.model: row.status for row in rows}
    assert status.pop(SHIPPED) == "as shipped"
    assert set(status.values()) == {"up to date"}
    bundle = Bundle.open(copied)
    assert bundle.verify() == len(RECIPES) + 1
    assert {r: m.file for r, m in bundle.manifest.models.items()} == {
        r: m.file for r, m in before.items()
    }


@pytest.mark.parametrize("outcome", [KeyboardInterrupt(), ExportError("no")])
def test_interrupted_export_leaves_nothing(
    outcome: BaseException,
    broken_recipe: Any,
    wheel_folder: Path,
    sample_folder: Path,
    tmp_path: Path,
) -> None:
    broken_recipe(outcome)
    with pytest.raises(type(outcome)):
        export_all("cpu", tmp_path / "b" / "cpu", wheel_folder, sample_folder, only=[SHIPPED])
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.slow
def test_interrupted_export_leaves_the_old_bundle(
    broken_recipe: Any, copied: Path, wheel_folder: Path, sample_folder: Path
) -> None:
    broken_recipe(KeyboardInterrupt())
    before = tree(copied.parent)
    with pytest.raises(KeyboardInterrupt):
        export_all("cpu", copied, wheel_folder, sample_folder, only=[SHIPPED], force=True)
    assert tree(copied.parent) == before


@pytest.mark.parametrize(
    ("value", "better"), [(0.9, "higher"), (1.1, "lower"), (float("nan"), "lower")]
)
def test_model_below_its_floor_is_not_packed(
    value: float,
    better: str,
    broken_recipe: Any,
    wheel_folder: Path,
    sample_folder: Path,
    tmp_path: Path,
) -> None:
    broken_recipe(MetricInfo(name="cosine", value=value, floor=1.0, better=better, n=3))
    with pytest.raises(ExportError, match=r"speech_encoder is not its original: cosine is .* must"):
        export_all("cpu", tmp_path / "b" / "cpu", wheel_folder, sample_folder, only=[SHIPPED])
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "jetson"}, "no preset 'jetson' yet; there is: cpu"),
        ({"preset": "cpu", "precision": "int8"}, "no precision 'int8' yet; there is: fp32"),
        ({"preset": "cpu", "only": ["hands"]}, "no model 'hands'; there are: speech_encoder"),
    ],
)
def test_wrong_usage(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        export_all(out=tmp_path / "b", wheel_folder=tmp_path, sample_folder=tmp_path, **options)


def test_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ExportError, match="it is not a bundle"):
        export_all("cpu", tmp_path, tmp_path, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_no_samples_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    with pytest.raises(MediaError, match="no episodes to compare the models on"):
        export_all("cpu", tmp_path / "cpu", tmp_path, tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="deixis\\[export\\]"):
        export_all("cpu", tmp_path / "cpu", tmp_path, tmp_path)


def test_samples_without_hands_are_refused(wheel_folder: Path) -> None:
    table = Samples((np.full((480, 640, 3), 120, np.uint8),) * 3, np.zeros(32000, np.float32))
    with pytest.raises(ExportError, match="only 0 hands in 3 frames"):
        RECIPES["hand_landmarks"].compare(Path("unused"), wheel_folder, table)


def test_unreadable_video(tmp_path: Path) -> None:
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "video.mp4").write_bytes(b"not a video")
    with pytest.raises(MediaError, match="cannot read any frame"):
        load_samples(tmp_path)


def run_verb(arguments: list[str], as_json: bool) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    args = parser.parse_args(arguments)
    args.json = as_json
    return verb.run(args)


@pytest.mark.slow
def test_verb_prints_the_table_and_the_next_command(
    exported: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_verb(["all", "--out", str(exported)], as_json=False) == 0
    out = capsys.readouterr().out
    assert "Up to date, nothing to do" in out
    assert "deixis demo --bundle" in out
    for role in RECIPES:
        assert role in out


@pytest.mark.slow
def test_verb_prints_one_json_object(exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_verb(["all", "--out", str(exported)], as_json=True) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["changed"] is False
    assert [m["model"] for m in summary["models"]] == list(RECIPES)
    rows = msgspec.convert(summary["models"], list[ExportRow])
    assert all(passes(row.metric) for row in rows)
