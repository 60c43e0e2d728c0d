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

from deixis.export import extras, pipeline, verb
from deixis.export.compare import passes
from deixis.export.pipeline import Request, export_all
from deixis.export.recipes.catalogue import RECIPES
from deixis.export.samples import Samples, load_samples
from deixis.runtime.bundle import Bundle, MetricInfo, sha256_of
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import ExportError, MediaError, MissingExtraError, UsageError
from deixis.runtime.measured import MEASURED, read_measured

SHIPPED = "speech_encoder"  # the cheapest model to export
CHECKED = "gestures"  # the cheapest model that is compared with its original


@pytest.fixture
def copied(exported: Path, tmp_path: Path) -> Path:
    """A copy of the exported bundle that a test may change."""
    return Path(shutil.copytree(exported, tmp_path / "cpu"))


@pytest.fixture
def broken_recipe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make the comparison of a cheap model raise or measure something else."""

    def install(outcome: BaseException | MetricInfo) -> None:
        def compare(*_: object) -> tuple[MetricInfo, ...]:
            if isinstance(outcome, BaseException):
                raise outcome
            return (outcome,)

        monkeypatch.setitem(RECIPES, CHECKED, replace(RECIPES[CHECKED], parity=compare))

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
    assert list(bundle.manifest.models) == sorted(RECIPES)
    reading = read_measured(bundle)
    assert reading.note == ""
    for role, entry in bundle.manifest.models.items():
        assert entry.checks
        assert all(passes(check) for check in entry.checks)
        assert 0 < reading.models[role].p50_ms <= reading.models[role].p95_ms
        assert entry.source.licence in ("MIT", "Apache-2.0")


@pytest.mark.slow
def test_the_same_export_writes_the_same_manifest(
    exported: Path, request_: Request, tmp_path: Path
) -> None:
    roles = ("gestures", "palm_detector")
    folders = (tmp_path / "one", tmp_path / "deep" / "other")
    for out, only in zip(folders, (roles, roles[::-1]), strict=True):
        export_all(replace(request_, out=out, only=only))
    one, other = ((out / "manifest.json").read_bytes() for out in folders)
    assert one == other
    assert str(tmp_path).encode() not in one
    before = Bundle.open(exported).manifest.models
    assert Bundle.open(folders[0]).manifest.models == {role: before[role] for role in roles}


@pytest.mark.slow
def test_a_bundle_without_times_is_timed_again(copied: Path, request_: Request) -> None:
    manifest = Bundle.open(copied).manifest
    reduced = msgspec.structs.replace(manifest, models={SHIPPED: manifest.models[SHIPPED]})
    pipeline.bundles.write_manifest(copied, reduced)
    (copied / MEASURED).unlink()
    (row,) = export_all(replace(request_, out=copied, only=(SHIPPED,)))
    assert row.status == "as shipped"
    assert Bundle.open(copied).manifest.models == reduced.models
    assert read_measured(Bundle.open(copied)).note == ""


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
        "import hashlib, sys; from pathlib import Path; "
        "from deixis.export.recipes.catalogue import RECIPES; "
        "nets = [RECIPES[r].network for r in ('palm_detector', 'crop_embedding')]; "
        "made = [net.emit(net.build(Path(sys.argv[1]))) for net in nets]; "
        "print(*(hashlib.sha256(data).hexdigest() for data in made))"
    )
    env = os.environ | {"PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", code, str(wheel_folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    models = Bundle.open(exported).manifest.models
    assert done.stdout.split() == [
        models[r].file.sha256 for r in ("palm_detector", "crop_embedding")
    ]


@pytest.mark.slow
def test_second_run_does_nothing(copied: Path, request_: Request, tmp_path: Path) -> None:
    before = tree(copied)
    # Neither samples nor wheels are touched: neither is there.
    rows = export_all(
        replace(request_, out=copied, wheels=tmp_path / "no", samples=tmp_path / "no-samples")
    )
    assert {row.status for row in rows} == {"up to date"}
    assert tree(copied) == before


@pytest.mark.slow
def test_damaged_bundle_is_made_anew(
    copied: Path, request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Bundle.open(copied).model_path(SHIPPED)
    good = sha256_of(model)
    model.write_bytes(model.read_bytes()[:-1])
    # What the bundle held is what is made again: keep that to one model here.
    manifest = Bundle.open(copied).manifest
    reduced = msgspec.structs.replace(manifest, models={SHIPPED: manifest.models[SHIPPED]})
    pipeline.bundles.write_manifest(copied, reduced)
    (row,) = export_all(replace(request_, out=copied, only=(SHIPPED,)))
    assert row.status == "as shipped"
    assert sha256_of(model) == good
    assert Bundle.open(copied).verify() == 2


@pytest.mark.slow
def test_exporting_one_model_keeps_the_others(copied: Path, request_: Request) -> None:
    before = Bundle.open(copied).manifest.models
    rows = export_all(replace(request_, out=copied, only=(SHIPPED,), force=True))
    status = {row.name: row.status for row in rows}
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
    request_: Request,
    tmp_path: Path,
) -> None:
    broken_recipe(outcome)
    with pytest.raises(type(outcome)):
        export_all(
            replace(request_, out=tmp_path / "b" / "cpu", only=(CHECKED,), cache=tmp_path / "c")
        )
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.slow
def test_interrupted_export_leaves_the_old_bundle(
    broken_recipe: Any, copied: Path, request_: Request, tmp_path: Path
) -> None:
    broken_recipe(KeyboardInterrupt())
    before = tree(copied)
    with pytest.raises(KeyboardInterrupt):
        export_all(replace(request_, out=copied, only=(CHECKED,), force=True, cache=tmp_path / "c"))
    assert tree(copied) == before


@pytest.mark.parametrize(
    ("value", "better"), [(0.9, "higher"), (1.1, "lower"), (float("nan"), "lower")]
)
def test_model_below_its_floor_is_not_packed(
    value: float,
    better: str,
    broken_recipe: Any,
    request_: Request,
    tmp_path: Path,
) -> None:
    broken_recipe(MetricInfo(name="cosine", value=value, floor=1.0, better=better, n=3))
    with pytest.raises(ExportError, match=r"gestures is not its original: cosine is .* must"):
        export_all(
            replace(request_, out=tmp_path / "b" / "cpu", only=(CHECKED,), cache=tmp_path / "c")
        )
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "jetson"}, "no preset 'jetson'; there are: cpu, jetson-orin"),
        ({"preset": "cpu", "only": ("hands",)}, "no model 'hands'; there are: speech_encoder"),
        ({"preset": "cpu", "prune": 0.9}, "--prune 0.9"),
    ],
)
def test_wrong_usage(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        export_all(Request(out=tmp_path / "b", wheels=tmp_path, samples=tmp_path, **options))


def test_folder_that_is_no_bundle_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("all of it")
    with pytest.raises(ExportError, match="it is not a bundle"):
        export_all(Request("cpu", tmp_path, wheels=tmp_path, samples=tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_no_samples_is_an_error_before_anything_is_written(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    with pytest.raises(MediaError, match="no episodes to compare the models on"):
        export_all(Request("cpu", tmp_path / "cpu", wheels=tmp_path, samples=tmp_path / "none"))
    assert list(tmp_path.iterdir()) == []


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="deixis\\[export\\]"):
        export_all(Request("cpu", tmp_path / "cpu", wheels=tmp_path, samples=tmp_path))


def test_samples_without_hands_are_refused(wheel_folder: Path) -> None:
    table = Samples((np.full((480, 640, 3), 120, np.uint8),) * 3, np.zeros(32000, np.float32))
    with pytest.raises(ExportError, match="only 0 hands in 3 frames"):
        RECIPES["hand_landmarks"].inputs(wheel_folder, table)


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
    assert [m["name"] for m in summary["models"]] == list(RECIPES)
    for row in summary["models"]:
        assert row["metric"] is None or row["metric"] >= row["floor"]
