"""The report's second picture: what each layer costs in INT8, and the time that it gains.

figure = layers(rows)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from deixis.export.report_picture import (
    BLUE,
    CARD,
    LINE,
    ORANGE,
    SOFT,
    shortened,
    style,
    tip,
)
from deixis.export.rows import ExportRow, delta_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from deixis.export.explain import LayerCost

_MOST: Final = 10
_NAME_CHARACTERS: Final = 26
_BESIDE: Final[dict[str, Any]] = {
    "xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 6.5,
    "color": SOFT, "annotation_clip": False,
}  # fmt: skip
_NO_GAIN: Final = 0.95
"""A layer that in INT8 takes this share of its time in float, or more, gains nothing."""


def layers(rows: Sequence[ExportRow]) -> Figure | None:
    """Two panels a model: a layer's cost in INT8, and its time in float and in INT8.

    Shown are the layers that cost most, and those that were left in float.

    Returns:
        The figure; None where no model's layers were looked at.
    """
    from matplotlib.figure import Figure

    shown = [(row, _picked(row.layers)) for row in rows if row.layers]
    if not shown:
        return None
    columns = min(len(shown), 2)
    lines = -(-len(shown) // columns)
    deepest = max(len(picked) for _, picked in shown)
    size_in = (7.0 * columns, lines * (0.2 * deepest + 0.95) + 0.5)
    with style():
        figure = Figure(figsize=size_in, layout="constrained")
        panels = figure.subplots(lines, 2 * columns, squeeze=False).reshape(-1, 2)
        for i, (costs, times) in enumerate(panels):
            if i >= len(shown):
                costs.set_axis_off()
                times.set_axis_off()
                continue
            row, picked = shown[i]
            _costs(costs, row, picked)
            _times(times, picked, len(row.layers) - len(picked))
            for axes in (costs, times):
                _plain(axes, deepest)
        _legend(figure, columns)
    return figure


def _noise(layer: LayerCost) -> float:
    """What a layer adds to the model's outputs, percent of the signal: more is worse."""
    return 0.0 if layer.snr_db is None else 100.0 * 10 ** (-layer.snr_db / 20)


def _picked(found: Sequence[LayerCost]) -> list[LayerCost]:
    """Those left in float and those that cost most, the costliest first."""
    order = sorted(found, key=_noise, reverse=True)
    first = sorted(order, key=lambda layer: not layer.kept_float)[:_MOST]
    return [layer for layer in order if layer in first]


def _costs(axes: Axes, row: ExportRow, picked: Sequence[LayerCost]) -> None:
    for y, layer in enumerate(picked):
        colours: dict[str, Any] = (
            {"fc": CARD, "ec": ORANGE, "hatch": "////"}
            if layer.kept_float
            else {"fc": BLUE, "ec": BLUE}
        )
        bars = axes.barh(y, _noise(layer), 0.62, lw=0.8, **colours)
        bars.patches[0].set_gid(tip(_facts(layer)))
        if layer.points is not None:
            axes.annotate(f"{delta_text(-layer.points)} points", (_noise(layer), y), **_BESIDE)
    names = [f"{shortened(layer.name, _NAME_CHARACTERS)}  {layer.op}" for layer in picked]
    axes.set_yticks(range(len(picked)), names, fontsize=6.5)
    axes.set_title(row.name, pad=5)
    axes.set_xlabel("noise by this layer alone, % of signal")


def _times(axes: Axes, picked: Sequence[LayerCost], left_out: int) -> None:
    if left_out:
        axes.set_title(
            f"{left_out} layers that cost less are not shown", loc="right", pad=5,
            fontsize=6.5, fontweight="normal", color=SOFT,
        )  # fmt: skip
    axes.set_yticks([])
    axes.set_xlabel("time, % of the float model's")
    if all(layer.time_share_float is None for layer in picked):
        axes.set_axis_off()
    for y, layer in enumerate(picked):
        before, after = layer.time_share_float, layer.time_share_int8
        colour = ORANGE if layer.kept_float else BLUE
        for offset, share, shade in ((-0.17, before, LINE), (0.17, after, colour)):
            if share is not None:
                bars = axes.barh(y + offset, 100 * share, 0.3, color=shade)
                bars.patches[0].set_gid(tip(_facts(layer)))
        if before is not None and after is not None and after >= _NO_GAIN * before:
            axes.annotate("no gain", (100 * max(before, after), y), **_BESIDE)


def _plain(axes: Axes, deepest: int) -> None:
    axes.set_ylim(deepest - 0.4, -0.6)
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.grid(axis="x", color=LINE, lw=0.5, alpha=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _facts(layer: LayerCost) -> str:
    facts = [f"{layer.name} ({layer.op})"]
    if layer.points is not None:
        facts.append(f"costs {layer.points:.2f} points")
    if layer.snr_db is not None:
        facts.append(f"{layer.snr_db:.0f} dB signal to noise")
    if layer.time_share_float is not None:
        facts.append(f"{layer.time_share_float:.1%} of the time in float")
    if layer.time_share_int8 is not None:
        facts.append(f"{layer.time_share_int8:.1%} in INT8")
    if layer.kept_float:
        facts.append(f"left in float: {layer.why}")
    return "; ".join(facts)


def _legend(figure: Figure, columns: int) -> None:
    from matplotlib.patches import Patch

    figure.legend(
        handles=[
            Patch(fc=BLUE, label="INT8"),
            Patch(fc=CARD, ec=ORANGE, hatch="////", label="left in float: what INT8 would cost"),
            Patch(fc=ORANGE, label="left in float: the time INT8 would take"),
            Patch(fc=LINE, label="time in float"),
        ],
        loc="outside upper left", ncols=2 * columns, frameon=False, fontsize=7.5,
    )  # fmt: skip
