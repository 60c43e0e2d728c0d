"""The figures of ``deixis bench objects``: as one JSON object, and as tables.

show(console, measured)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.export.bench.objects_scoring import best
from deixis.runtime.metrics import summarise

if TYPE_CHECKING:
    from deixis.export.bench.objects import Measured

_NOTHING = "–"
_MOST_FAILURES = 12


def figures(measured: Measured) -> dict[str, Any]:
    """What ``--json`` prints; a part that does not apply is None."""
    scores = measured.scores
    coloured = [one for one in scores.clear if one.colour is not None]
    right = [best(one.colours, 0.0) == one.colour for one in coloured]
    return {
        "detection": scores.detection(),
        "naming": measured.naming.naming,
        "colour": {"n": len(right), "accuracy": round(sum(right) / len(right), 4)}
        if right
        else None,
        "open_set": measured.naming.open_set,
        "position": scores.position(),
        "identity": {"switches": scores.switches, "tracks": scores.tracks}
        if scores.tracks
        else None,
        "ms_per_frame": {
            state: _times(measured.times_ms.get(state, ()))
            for state in ("full", "settling", "still")
        }
        if measured.times_ms
        else None,
    }


def full_figures(measured: Measured) -> dict[str, Any]:
    """What a result file holds: the same, and what is behind it."""
    scores = measured.scores
    return {
        **figures(measured),
        "position_by_distance": scores.position_by_distance() if scores.looks else None,
        "detection_by": {
            key: {**counts, "recall": _share(counts), "false_per_frame": _false(counts)}
            for key, counts in sorted(scores.by.items())
        },
        "failures": [
            {
                "what": f.what, "scene": f.scene, "frame": f.frame, "detail": f.detail,
                "box_px": f.box_px,
            }
            for f in scores.failures
        ],
        "mistakes": [
            {"picture": m.picture, "name": m.name, "said": m.said, "views": m.views}
            for m in measured.naming.mistakes
        ],
    }  # fmt: skip


def show(console: Console, measured: Measured) -> None:
    """Print the figures, what the scenes were like, and what went wrong most."""
    console.print(_summary(figures(measured)))
    scores = measured.scores
    if scores.by:
        table = Table("scenes", title_justify="left")
        for name in ("pictures", "objects", "missed", "recall", "false", "a frame"):
            table.add_column(name, justify="right")
        for key, counts in sorted(scores.by.items()):
            table.add_row(
                key, str(counts["looks"]), str(counts["there"]), str(counts["missed"]),
                _percent(_share(counts)), str(counts["false"]), f"{_false(counts):.2f}",
            )  # fmt: skip
        console.print(table)
    wrong = Counter((f.what, f.detail) for f in scores.failures)
    wrong.update(("name", f"{m.name} as {m.said or 'object'}") for m in measured.naming.mistakes)
    if wrong:
        table = Table("went wrong", "what", title_justify="left")
        table.add_column("times", justify="right")
        for (what, detail), times in wrong.most_common(_MOST_FAILURES):
            table.add_row(what, escape(detail), str(times))
        console.print(table)


def _summary(found: Mapping[str, Any]) -> Table:
    table = Table("", title="objects", title_justify="left")
    table.add_column("", justify="right")
    table.add_column("n", justify="right")
    for label, value, n in _rows(found):
        table.add_row(label, value, _NOTHING if n is None else str(n))
    return table


def _rows(found: Mapping[str, Any]) -> list[tuple[str, str, int | None]]:
    rows: list[tuple[str, str, int | None]] = []
    if part := found["detection"]:
        rows.append(("found", _percent(part["recall"]), part["n"]))
        rows.append(("of what was found, is there", _percent(part["precision"]), None))
        rows.append(("false objects a frame", f"{part['false_per_frame']:.3f}", None))
    if part := found["naming"]:
        for views, accuracy in part["views"].items():
            label = (
                "named right, whole gallery" if views == "all" else f"named right, views: {views}"
            )
            rows.append((label, _percent(accuracy), part["n"]))
    if part := found["colour"]:
        rows.append(("colour right", _percent(part["accuracy"]), part["n"]))
    if part := found["open_set"]:
        rows.append(("known from unknown, AUROC", f"{part['auroc']:.3f}", part["n_known"]))
        rows.append(("unknown, and named", _percent(part["unknown_named"]), part["n_unknown"]))
    if part := found["position"]:
        for label, some in (("place", part), ("place, 0.7–0.9 m away", part["at_0_8_m"])):
            if some["n"]:
                text = f"{some['median_mm']:.1f} / {some['p95_mm']:.1f} mm"
                rows.append((f"{label}, median / p95", text, some["n"]))
    if part := found["identity"]:
        rows.append(("changes of identity", str(part["switches"]), part["tracks"]))
    for state, part in (found["ms_per_frame"] or {}).items():
        if part:
            text = " / ".join(f"{part[p]:.1f}" for p in ("p50", "p95", "p99"))
            rows.append((f"ms a frame, {state}: p50 / p95 / p99", text, part["n"]))
    return rows


def _times(times_ms: Sequence[float]) -> dict[str, Any] | None:
    if not times_ms:
        return None
    summary = summarise(times_ms)
    return {"p50": summary.p50, "p95": summary.p95, "p99": summary.p99, "n": summary.n}


def _share(counts: Mapping[str, int]) -> float | None:
    there = counts["there"]
    return round(1 - counts["missed"] / there, 4) if there else None


def _false(counts: Mapping[str, int]) -> float:
    """False objects a frame."""
    return round(counts["false"] / counts["looks"], 4)


def _percent(value: float | None) -> str:
    return _NOTHING if value is None else f"{100 * value:.1f} %"
