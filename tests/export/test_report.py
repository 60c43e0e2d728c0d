"""The export's table and report, on rows as a real export of ten models gives them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from rich.console import Console

from deixis.export import rows as export_rows
from deixis.export.explain import LayerCost
from deixis.export.report import write_report
from deixis.export.rows import ExportRow, Variant, as_json, label, table
from deixis.runtime.errors import ExportError

ROLES = (
    "speech_encoder", "speech_decoder", "speech_letters", "palm_detector", "hand_landmarks",
    "face_detector", "face_landmarks", "crop_embedding", "object_adapter", "gestures",
)  # fmt: skip
ABOUT = {
    "command": "deixis export all --preset cpu --prune 0.3",
    "bundle": "bundles/cpu",
    "machine": {"cpu": "some CPU", "cores": 2},
    "commit": "0123456789ab",
}


def variant(precision: str, pruned: float, metric: float, p50_ms: float | None) -> Variant:
    return Variant(
        label=label(precision, pruned), precision=precision, pruned=pruned,
        backend="onnxruntime-cpu", mb=10.9 * (1 - pruned) / (4 if precision == "int8" else 1),
        macs=int(331e6 * (1 - pruned) ** 2), metric=metric, p50_ms=p50_ms,
        p95_ms=None if p50_ms is None else 1.1 * p50_ms, held=metric >= 97.5,
    )  # fmt: skip


def row(name: str = "hand_landmarks") -> ExportRow:
    """Latencies and sizes of BlazeHand on one thread; one variant is hopeless, two are close."""
    variants = [
        variant("fp32", 0.0, 99.0, 7.96),
        variant("int8", 0.0, 98.8, 4.17),
        variant("fp32", 0.3, 98.6, 4.45),
        replace(variant("int8", 0.3, 98.1, 2.87), chosen=True, why="the fastest that holds"),
        variant("int8", 0.3, 98.0, 2.91),
        variant("fp32", 0.5, 96.2, 3.05),
        variant("int8", 0.5, 31.0, 2.44),
    ]
    layers = [
        LayerCost(
            f"node_conv2d_{i}", "Conv", 0.5 - 0.1 * i if i < 4 else None, 20.0 + 2 * i, 0.04,
            0.05 if i == 2 else 0.015,
        )
        for i in range(14)
    ]  # fmt: skip
    layers[0] = replace(layers[0], kept_float=True, why="costs most")
    layers[13] = replace(layers[13], kept_float=True, why="gains no time")
    chosen = variants[3]
    return ExportRow(
        name=name, status="converted", precision="int8", format="ONNX", pruned=0.3,
        backend="onnxruntime-cpu", timed_on="one hand", mb=chosen.mb, mb_fp32=10.9,
        macs=chosen.macs, macs_fp32=331_000_000, metric=chosen.metric,
        metric_name="landmarks within a tenth of the palm's length", metric_fp32=99.0, floor=97.5,
        p50_ms=chosen.p50_ms, p50_ms_fp32=7.96, p95_ms=chosen.p95_ms, p95_ms_fp32=8.26,
        variants=variants, layers=layers,
    )  # fmt: skip


@pytest.fixture
def rows() -> list[ExportRow]:
    rows = [row(name) for name in ROLES]
    rows[3] = replace(
        rows[3], status="fell back: no INT8 variant holds <98 %>", precision="fp32", pruned=0.0,
        mb=10.9, macs=331_000_000, metric=99.0, p50_ms=7.96, layers=[],
        variants=[
            rows[3].variants[0],
            *(replace(v, chosen=False, held=False, metric=70.0) for v in rows[3].variants[1:]),
        ],
        notes=["the layer that costs most is node_conv2d_41"],
    )  # fmt: skip
    return rows


def test_figures_follow_from_what_was_measured() -> None:
    one = row()
    assert one.speedup == pytest.approx(7.96 / 2.87)
    assert one.delta == pytest.approx(-0.9)
    assert replace(one, p50_ms=None).speedup is None
    assert label("int8", 0.3) == "INT8, pruned 30 %"
    assert label("as-shipped") == "as shipped"


def test_json_has_the_documented_keys() -> None:
    (found,) = json.loads(msgspec.json.encode(as_json([row()])))
    documented = (
        "name status precision format mb mb_fp32 macs macs_fp32 metric metric_name metric_fp32 "
        "p50_ms p50_ms_fp32 speedup p95_ms p95_ms_fp32 delta floor pruned backend timed_on notes "
        "variants layers"
    )
    assert set(found) == set(documented.split())
    assert found["variants"][3]["chosen"]
    assert found["layers"][0] == {
        "name": "node_conv2d_0", "op": "Conv", "points": 0.5, "snr_db": 20.0,
        "time_share_float": 0.04, "time_share_int8": 0.015, "kept_float": True, "why": "costs most",
    }  # fmt: skip


def test_the_table_fits_100_columns(rows: list[ExportRow]) -> None:
    text = io.StringIO()
    Console(file=text, width=100).print(table(rows))
    shown = text.getvalue()
    assert "…" not in shown
    assert "hand_landmarks ONNX INT8 −30 % converted" in shown
    assert re.search(r"palm_detector +ONNX FP32 +fell back .* 1\.0×$", shown, re.MULTILINE)
    assert "palm_detector fell back: no INT8 variant holds <98 %>" in " ".join(shown.split())
    together = 10 * 10.9 / sum(r.mb for r in rows)
    assert f"{together:.1f}×" in next(t for t in shown.splitlines() if "together" in t)


def test_a_model_that_nothing_was_measured_of() -> None:
    bare = replace(
        row(), mb_fp32=None, macs=None, macs_fp32=None, metric=None, metric_fp32=None, floor=None,
        p50_ms=None, p50_ms_fp32=None, p95_ms=None, p95_ms_fp32=None, variants=[], layers=[],
    )  # fmt: skip
    assert bare.speedup is bare.smaller is bare.delta is None
    assert bare.held
    text = io.StringIO()
    Console(file=text, width=100).print(table([row(), bare]))
    assert re.search(r"hand_landmarks ONNX INT8 −30 % converted +1\.9( +–){7}", text.getvalue())


def test_numbers_are_short() -> None:
    assert export_rows.ms_text(0.0313) == "0.031"
    assert export_rows.ms_text(12.34) == "12.3"
    assert export_rows.ms_text(None) == "–"
    assert export_rows.macs_text(1_320_000_000) == "1.3 G"
    assert export_rows.macs_text(None) == "–"
    assert export_rows.delta_text(-0.04) == "0.0"
    assert export_rows.delta_text(-1.26) == "−1.3"
    assert export_rows.delta_text(0.3) == "+0.3"


@pytest.fixture
def matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="needs deixis[export]")


@pytest.mark.usefixtures("matplotlib")
class TestReport:
    def test_the_page_needs_nothing_else(self, rows: list[ExportRow], tmp_path: Path) -> None:
        write_report(rows, tmp_path, ABOUT)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert not re.search(r"""<script|<link|@import|url\(http|(src|href)=["']http""", page)
        for name in ("pareto.png", "layers.png"):
            assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
        assert page.count("<svg ") == 2
        for picture in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
            ElementTree.fromstring(picture)
        tooltips = page.count("<title>hand_landmarks")
        assert tooltips == 7  # a variant each, and FP32

    def test_the_page_says_why(self, rows: list[ExportRow], tmp_path: Path) -> None:
        write_report(rows[3:5], tmp_path, ABOUT)
        page = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert "<b>palm_detector</b> fell back: no INT8 variant holds &lt;98 %&gt;" in page
        assert "the layer that costs most is node_conv2d_41" in page
        assert "left in float (gains no time): Conv <code>node_conv2d_13</code>" in page
        assert "<title>hand_landmarks INT8, pruned 30 %: 2.8×, −0.9 points, holds the floor" in page
        assert "below the floor" in page
        assert "machine · cpu" in page
        assert "some CPU" in page

    def test_pictures_are_the_same_every_time(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            write_report([row()], tmp_path / name, ABOUT)
        for path in (tmp_path / "a").iterdir():
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()

    @pytest.mark.parametrize("n", [1, 3, 10])
    def test_no_labels_overlap(self, rows: list[ExportRow], n: int) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        from deixis.export.report_pareto import pareto

        figure = pareto(rows[:n])
        assert figure is not None
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        n_labels = 0
        for axes in figure.axes:
            boxes = [t.get_window_extent(renderer) for t in (*axes.texts, axes.title)
                     if t.get_text() and t.get_visible() and axes.axison]  # fmt: skip
            n_labels += len(boxes)
            for one, other in combinations(boxes, 2):
                assert not one.overlaps(other)
            for box in boxes:
                assert figure.bbox.x0 <= box.x0
                assert box.x1 <= figure.bbox.x1
        assert n_labels >= 4 * n

    def test_without_latencies_the_size_stands_in(self) -> None:
        from deixis.export.report_pareto import pareto

        one = row()
        untimed = [replace(v, p50_ms=None, p95_ms=None) for v in one.variants]
        figure = pareto([replace(one, p50_ms=None, p50_ms_fp32=None, variants=untimed)])
        assert figure is not None
        assert figure.axes[0].get_xlabel() == "times smaller than FP32"
        assert pareto([replace(one, variants=[])]) is None

    def test_a_picture_without_layers_goes_away(self, tmp_path: Path) -> None:
        write_report([row()], tmp_path, ABOUT)
        assert (tmp_path / "layers.png").exists()
        write_report([replace(row(), layers=[], variants=[])], tmp_path, ABOUT)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html"]

    def test_a_page_without_figures(self, tmp_path: Path) -> None:
        bare = replace(row(), metric=None, metric_fp32=None, floor=None, mb_fp32=None)
        write_report([bare], tmp_path, {})
        assert "nearest to its floor" not in (tmp_path / "report.html").read_text(encoding="utf-8")

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("")
        with pytest.raises(ExportError, match="taken"):
            write_report([row()], tmp_path / "taken", ABOUT)

    def test_the_layers_left_in_float_are_always_shown(self) -> None:
        from deixis.export.report_layers import layers

        figure = layers([row()])
        assert figure is not None
        names = [text.get_text() for text in figure.axes[0].get_yticklabels()]
        assert names[0] == "node_conv2d_0  Conv"
        assert names[-1] == "node_conv2d_13  Conv"
        assert len(names) == 10
        assert "−0.5 points" in [text.get_text() for text in figure.axes[0].texts]
        assert "no gain" in [text.get_text() for text in figure.axes[1].texts]


def test_the_front_holds_what_no_other_beats() -> None:
    from deixis.export.report_pareto import front

    points = [(1.0, 0.0), (2.0, -0.5), (1.5, -1.0), (3.0, -0.5), (4.0, -3.0)]
    assert front(points) == [(1.0, 0.0), (3.0, -0.5), (4.0, -3.0)]
