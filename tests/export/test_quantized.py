"""Exports in INT8, pruned, of one's own, for a GPU: the smallest real models through all steps."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.calibration.ranges import read_table, write_table
from deixis.export import verb
from deixis.export.pipeline import Request, export_all
from deixis.runtime.bundle import Bundle
from deixis.runtime.errors import ExportError, UsageError

ROOT = Path(__file__).resolve().parents[2]
ROW = [
    "name",
    "status",
    "precision",
    "format",
    "mb",
    "mb_fp32",
    "macs",
    "macs_fp32",
    "metric",
    "metric_name",
    "metric_fp32",
    "p50_ms",
    "p50_ms_fp32",
    "speedup",
]

pytestmark = pytest.mark.slow


@pytest.fixture
def int8(request_: Request, tmp_path: Path) -> Request:
    return replace(request_, out=tmp_path / "int8", only=("gestures",), precision="int8")


def test_an_int8_model_is_smaller_and_holds_its_metric(int8: Request) -> None:
    (row,) = export_all(int8)
    assert (row.precision, row.status) == ("int8", "converted")
    assert row.mb_fp32 is not None
    assert row.mb < row.mb_fp32 / 1.5
    entry = Bundle.open(int8.out).manifest.models["gestures"]
    assert entry.task is not None
    assert entry.task.value >= entry.task.floor == entry.task.reference - 1.0
    assert entry.calibration is not None
    table = read_table(int8.out / entry.calibration.path)
    assert len(table.inputs_sha256) == table.n > 100


def test_two_exports_give_the_same_bytes(int8: Request, tmp_path: Path) -> None:
    other = replace(int8, out=tmp_path / "other", cache=tmp_path / "other-steps")
    export_all(int8)
    export_all(other)
    for path in ("manifest.json", "models/gestures.onnx", "calibration/gestures.json"):
        assert (int8.out / path).read_bytes() == (other.out / path).read_bytes()


def test_a_second_run_does_only_what_changed(int8: Request, tmp_path: Path) -> None:
    export_all(int8)
    steps: list[str] = []
    assert [row.status for row in export_all(int8)] == ["up to date"]
    export_all(replace(int8, points=2.0), lambda role, step, share: steps.append(step))
    assert "calibrate" not in steps


def test_a_wrecked_layer_is_named_and_left_in_float(int8: Request, tmp_path: Path) -> None:
    export_all(int8)
    table = read_table(int8.out / "calibration" / "gestures.json")
    wrecked = "relu_2"
    found = table.tensors[wrecked]
    broken = {**table.tensors, wrecked: msgspec.structs.replace(found, high=400 * found.high)}
    (tmp_path / "tables").mkdir()
    write_table(
        msgspec.structs.replace(table, tensors=broken), tmp_path / "tables" / "gestures.json"
    )
    (row,) = export_all(replace(int8, ranges=tmp_path / "tables"))
    assert row.metric is not None
    assert row.floor is not None
    assert row.metric >= row.floor
    (note,) = row.notes
    assert "net.time.0" in note
    assert [layer.name for layer in row.layers if layer.kept_float] == ["net.time.0/Conv"]
    with pytest.raises(ExportError, match=r"gestures misses its floor.*net\.time\.0"):
        export_all(replace(int8, ranges=tmp_path / "tables", points=-5.0, fall_back=False))


def test_ranges_of_another_model_are_refused(int8: Request, tmp_path: Path) -> None:
    export_all(int8)
    table = read_table(int8.out / "calibration" / "gestures.json")
    (tmp_path / "tables").mkdir()
    other = msgspec.structs.replace(table, model_sha256="0" * 64)
    write_table(other, tmp_path / "tables" / "gestures.json")
    with pytest.raises(ExportError, match="the calibration is of the model 000000000000"):
        export_all(replace(int8, ranges=tmp_path / "tables"))


def test_only_what_was_asked_is_changed_in_a_bundle(int8: Request) -> None:
    both = replace(int8, only=("gestures", "object_adapter"), precision=None)
    export_all(both)
    before = Bundle.open(int8.out).manifest.models["object_adapter"]
    rows = {row.name: row.status for row in export_all(int8)}
    assert rows == {"object_adapter": "up to date", "gestures": "converted"}
    assert Bundle.open(int8.out).manifest.models["object_adapter"] == before
    with pytest.raises(UsageError, match="was made with --preset cpu"):
        export_all(replace(int8, preset="rtx"))


def test_a_gpu_preset_gives_files_that_tensorrt_builds(int8: Request) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")
    (row,) = export_all(replace(int8, preset="jetson-orin", precision=None))
    assert (row.precision, row.backend) == ("int8", "tensorrt")
    assert row.p50_ms is None
    assert Bundle.open(int8.out).manifest.models["gestures"].backend == "tensorrt"


def run_verb(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    verb.add_arguments(parser)
    args = parser.parse_args(arguments)
    args.json = True
    return verb.run(args)


def test_json_has_the_figures_of_every_model(
    int8: Request, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEIXIS_EXPORT_CACHE", str(int8.cache))
    out = str(int8.out)
    assert run_verb("gestures", "--precision", "int8", "--report", "--out", out) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["bundle"] == out
    (row,) = summary["models"]
    assert set(ROW) <= set(row)
    assert row["speedup"] == pytest.approx(row["p50_ms_fp32"] / row["p50_ms"], abs=1e-3)
    report = int8.out / "report"
    assert {p.name for p in report.iterdir()} == {"report.html", "pareto.png", "layers.png"}


def test_a_dry_run_writes_nothing(int8: Request, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("hand_landmarks", "--prune", "0.3", "--precision", "int8", "--dry-run")
    assert run_verb(*arguments, "--out", str(int8.out)) == 0
    (plan,) = json.loads(capsys.readouterr().out)["models"]
    assert plan["macs"] < 0.6 * plan["macs_fp32"]
    assert plan["mb"] < 0.2 * plan["mb_fp32"]
    assert not int8.out.exists()


def test_a_model_of_ones_own(
    exported: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEIXIS_EXPORT_CACHE", str(tmp_path / "steps"))
    model = str(exported / "models" / "crop_embedding.onnx")
    calib = str(ROOT / "tests" / "scenes" / "gallery")
    task = str(ROOT / "examples" / "own_model.py") + ":named_right"
    out = tmp_path / "mine"
    code = run_verb(
        model, "--task", task, "--calib", calib, "--precision", "int8", "--out", str(out)
    )
    assert code == 0
    (row,) = json.loads(capsys.readouterr().out)["models"]
    assert row["name"] == "crop_embedding"
    assert row["metric_name"].startswith("Views whose nearest other view")
    assert row["precision"] == "int8"
    assert Bundle.open(out).verify() == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.onnx",), "needs a metric and recorded inputs"),
        (("mine.onnx", "all"), "exported alone"),
        (("gestures", "--target", "orin"), "compute capabilities"),
    ],
)
def test_wrong_usage_of_the_verb(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_verb(*arguments)
