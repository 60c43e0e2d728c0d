"""The report's main picture: accuracy against latency, a panel a model.

figure = pareto(rows)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from deixis.export.report_picture import (
    BLUE,
    CARD,
    GOLD,
    INK,
    LINE,
    ORANGE,
    SOFT,
    shortened,
    style,
    tip,
)
from deixis.export.rows import ExportRow, Variant, delta_text, times, times_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS: Final = {"fp32": ("o", SOFT), "fp16": ("s", GOLD), "int8": ("D", BLUE)}
_OTHER_MARK: Final = ("^", ORANGE)
_ALLOWANCES: Final = 3.0
"""How far down the picture goes, in points that may be lost; what is worse stands at its edge."""
_LEAST_ALLOWANCE: Final = 0.25
_TICKS: Final = (0.25, 0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32)
_PLACES: Final = ((7, -2), (0, 6), (0, -11), (-7, -2), (6, 5), (6, -10), (-6, 5), (-6, -10))
"""Where a label may stand beside its mark, points; the first that is free."""


class _Point(NamedTuple):
    variant: Variant
    gain: float
    points: float


def pareto(rows: Sequence[ExportRow]) -> Figure | None:
    """A panel a model: points of the metric against how many times faster than FP32.

    Every variant is a mark; those that no other beats in both are joined. Where nothing could be
    timed here, the size stands in for the time. No two labels overlap: one that has no room is left
    out (in the page every mark has a tooltip).

    Returns:
        The figure; None where there is no variant to show.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    timed = any(v.p50_ms for row in rows for v in row.variants if not v.is_reference)
    shown = [(row, points) for row in rows if (points := _points(row, timed))]
    if not shown:
        return None
    columns = min(len(shown), 4)
    lines = -(-len(shown) // columns)
    with style():
        figure = Figure(figsize=(max(6.2, 3.1 * columns), 2.6 * lines + 0.6), layout="constrained")
        grid = figure.subplots(lines, columns, squeeze=False, sharex=True).ravel()
        for i, axes in enumerate(grid):
            if i >= len(shown):
                axes.set_axis_off()
                continue
            _panel(axes, *shown[i])
            if i + columns >= len(shown):
                axes.tick_params(labelbottom=True)
                axes.set_xlabel(f"times {'faster' if timed else 'smaller'} than FP32")
            if i % columns == 0:
                axes.set_ylabel("points against FP32")
        _gain_axis(grid[0], [point.gain for _, points in shown for point in points])
        _legend(figure, [p.variant.precision for _, points in shown for p in points], timed)
        # The labels are placed where there is room once everything else has its place.
        canvas: Any = FigureCanvasAgg(figure)
        canvas.draw()
        figure.set_layout_engine("none")
        for axes, (row, points) in zip(grid, shown, strict=False):
            _label_marks(axes, canvas.get_renderer(), points, _bottom(row))
    return figure


def _points(row: ExportRow, timed: bool) -> list[_Point]:
    """The variants that have a place in the picture, without the reference at (1, 0)."""
    found = []
    for variant in row.variants:
        gain = times(row.p50_ms_fp32, variant.p50_ms) if timed else times(row.mb_fp32, variant.mb)
        points = row.delta_of(variant.metric)
        if gain is not None and points is not None and not variant.is_reference:
            found.append(_Point(variant, gain, points))
    return found


def front(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of points (gain, accuracy) those that no other beats in both, by gain."""
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda p: (-p[0], -p[1])):
        if not best or y > best[-1][1]:
            best.append((x, y))
    return best[::-1]


def _bottom(row: ExportRow) -> float:
    """The least points that a panel shows."""
    return -_ALLOWANCES * max(-(row.delta_of(row.floor) or 0.0), _LEAST_ALLOWANCE)


def _panel(axes: Axes, row: ExportRow, points: Sequence[_Point]) -> None:
    bottom = _bottom(row)
    floor = row.delta_of(row.floor) or 0.0
    top = max(0.0, *(p.points for p in points))
    axes.set_ylim(bottom * 1.16, max(top * 1.35, -bottom * 0.22))
    axes.axhspan(axes.get_ylim()[0], floor, color=ORANGE, alpha=0.06, lw=0, zorder=0)
    axes.axhline(floor, color=ORANGE, lw=0.9, ls=(0, (4, 3)), zorder=1)
    best = front([(1.0, 0.0), *((p.gain, p.points) for p in points)])
    axes.step(*zip(*best, strict=True), where="pre", color=INK, lw=0.9, alpha=0.55, zorder=2)
    axes.plot(1.0, 0.0, "o", ms=5, color=INK, zorder=4, gid=tip(f"{row.name} FP32, not pruned"))
    for variant, x, y in points:
        shape, colour = _MARKS.get(variant.precision, _OTHER_MARK)
        verdict = "holds the floor" if variant.held else "below the floor"
        axes.plot(
            x, max(y, bottom), shape, ms=5.5, mec=colour, mew=1.1, zorder=5,
            mfc=colour if variant.held else CARD,
            gid=tip(
                f"{row.name} {variant.label}: {times_text(x)}, {delta_text(y)} points, {verdict}"
            ),
        )  # fmt: skip
    chosen = next((p for p in points if p.variant.chosen), None)
    place = (1.0, 0.0) if chosen is None else (chosen.gain, max(chosen.points, bottom))
    axes.plot(*place, "o", ms=12, mfc="none", mec=INK, mew=1.1, zorder=3)
    text = (
        "FP32, not pruned"
        if chosen is None
        else f"{chosen.variant.label}: {times_text(chosen.gain)}, {delta_text(chosen.points)}"
    )
    axes.set_title(row.name, pad=14)
    axes.annotate(
        shortened(text, 44), (0, 1), xycoords="axes fraction", xytext=(0, 4),
        textcoords="offset points", fontsize=7, color=SOFT, annotation_clip=False,
    )  # fmt: skip
    axes.grid(color=LINE, lw=0.5, alpha=0.7)
    axes.set_axisbelow(True)


def _gain_axis(axes: Axes, gains: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    low, high = min([1.0, *gains]) / 1.15, max([1.6, *gains]) * 1.15
    axes.set_xscale("log", base=2)
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator([t for t in _TICKS if low <= t <= high]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}×"))


def _label_marks(axes: Axes, renderer: Any, points: Sequence[_Point], bottom: float) -> None:
    """Write beside each mark how much was pruned, and how far below the picture it is."""
    marks = [axes.transData.transform((p.gain, max(p.points, bottom))) for p in points]
    inside = axes.get_window_extent(renderer)
    written: list[Any] = []
    for variant, x, y in sorted(points, key=lambda p: (not p.variant.chosen, -p.points)):
        pruned = f"−{100 * variant.pruned:.0f} %" if variant.pruned else ""
        text = f"{pruned} ↓{-y:.0f}".strip() if y < bottom else pruned
        if not text:
            continue
        for dx, dy in _PLACES:
            note = axes.annotate(
                text, (x, max(y, bottom)), xytext=(dx, dy), textcoords="offset points",
                fontsize=6, color=SOFT, ha="left" if dx > 0 else "right" if dx else "center",
                bbox={"boxstyle": "square,pad=0.05", "fc": CARD, "ec": "none", "alpha": 0.75},
            )  # fmt: skip
            box = note.get_window_extent(renderer)
            fits = inside.containsx(box.x0) and inside.containsx(box.x1)
            over = any(box.overlaps(other) for other in written)
            over = over or any(box.padded(4).contains(*mark) for mark in marks)
            if fits and not over:
                written.append(box)
                break
            note.remove()


def _legend(figure: Figure, precisions: Sequence[str], timed: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], ls="", marker="o", ms=5, color=INK, label="FP32, not pruned")]
    for precision in sorted(set(precisions)):
        shape, colour = _MARKS.get(precision, _OTHER_MARK)
        name = "FP32, pruned" if precision == "fp32" else precision.upper().replace("-", " ")
        handles.append(Line2D([], [], ls="", marker=shape, ms=5.5, color=colour, label=name))
    better = "faster" if timed else "smaller"
    handles += [
        Line2D([], [], ls="", marker="D", ms=5.5, mfc=CARD, mec=SOFT, label="hollow: below floor"),
        Line2D([], [], ls="", marker="o", ms=11, mfc="none", mec=INK, label="in the bundle"),
        Line2D([], [], color=INK, lw=0.9, alpha=0.55, label=f"no variant is {better} and better"),
        Line2D([], [], color=ORANGE, lw=0.9, ls=(0, (4, 3)), label="floor"),
        Line2D([], [], ls="", label="−30 %: pruned   ↓20: points, off the scale"),
    ]
    figure.legend(
        handles=handles, loc="outside upper left", frameon=False, fontsize=7.5,
        ncols=len(handles) if figure.get_figwidth() > 9 else 3, handletextpad=0.4,
        columnspacing=1.4,
    )  # fmt: skip
