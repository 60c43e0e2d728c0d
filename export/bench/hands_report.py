"""The figures of ``deixis bench hands``: as one JSON object, and as tables.

show(console, {"deixis": measured}, goldens)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from deixis.export.bench.hands_scoring import Scores
from deixis.runtime.metrics import summarise

if TYPE_CHECKING:
    from deixis.export.bench.hands import Measured
    from deixis.export.bench.hands_golden import Golden

_NOTHING = "–"


def figures(measured: Measured) -> dict[str, Any]:
    """What ``--json`` prints; a part that does not apply is None."""
    times = summarise([ms for some in measured.times_ms.values() for ms in some])
    return {
        "landmarks": measured.scores.landmarks(),
        "rays": measured.scores.rays(),
        "ms_per_frame": {"p50": times.p50, "p95": times.p95, "p99": times.p99} if times.n else None,
    }


def full_figures(measured: Measured) -> dict[str, Any]:
    """What a result file holds: the same, and every count behind it."""
    scores = measured.scores
    every_ms = [ms for some in measured.times_ms.values() for ms in some]
    return {
        **figures(measured),
        "false_hands": scores.false_hands,
        "missed_rays": scores.missed_rays,
        "within_tolerance_world": scores.within_world_tolerance(),
        "gestures": [
            {"true": true, "found": found, "n": n}
            for (true, found), n in sorted(scores.gestures.items())
        ],
        "frames_per_second": round(1000 * len(every_ms) / sum(every_ms), 1) if every_ms else None,
        "ms_per_frame_by_hands": {
            str(hands): _times(some) for hands, some in sorted(measured.times_ms.items())
        },
        "by_name": {
            name: {
                "landmarks": own.landmarks(),
                "rays": own.rays(),
                "false_hands": own.false_hands,
            }
            for name, own in measured.by_name.items()
        },
    }


def show(console: Console, columns: Mapping[str, Measured], goldens: Sequence[Golden]) -> None:
    """Print the tables: everything together, each picture or video, and the gestures."""
    frames = sum(len(g.frames) for g in goldens)
    console.print(_summary(columns, f"{len(goldens)} pictures and videos, {frames} frames"))
    if len(goldens) > 1:
        for name, measured in columns.items():
            console.print(_each(measured, name))
    for name, measured in columns.items():
        if measured.scores.gestures:
            console.print(_confusion(measured.scores, name))


def _summary(columns: Mapping[str, Measured], title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    cells = [_cells(measured) for measured in columns.values()]
    for label in dict.fromkeys(label for column in cells for label in column):
        table.add_row(label, *(column.get(label, _NOTHING) for column in cells))
    return table


def _cells(measured: Measured) -> dict[str, str]:
    full = full_figures(measured)
    landmarks, rays = full["landmarks"] or {}, full["rays"] or {}
    times = full["ms_per_frame"] or {}
    cells = {
        "landmarks": _text(landmarks.get("n"), "", 0),
        "  mean": _text(landmarks.get("mean_px"), " px"),
        "  p95": _text(landmarks.get("p95_px"), " px"),
        "  worst": _text(landmarks.get("worst_px"), " px"),
        "  within tolerance": _percent(landmarks.get("within_tolerance")),
        "  metric, mean": _text(landmarks.get("mean_world_m"), " mm", scale=1000),
        "  metric, worst": _text(landmarks.get("worst_world_m"), " mm", scale=1000),
        "  metric, within tolerance": _percent(full["within_tolerance_world"]),
        "hands missed": _text(landmarks.get("missed_hands"), "", 0),
        "hands found where none is": str(full["false_hands"]),
        "rays": _text(rays.get("n"), "", 0),
        "  median": _text(rays.get("median_deg"), "°"),
        "  p90": _text(rays.get("p90_deg"), "°"),
        "  inside the 90 % cone": _percent(rays.get("coverage_90")),
        "  pointing hands without a ray": str(full["missed_rays"]) if full["rays"] else _NOTHING,
        "ms per frame p50 / p95 / p99": " / ".join(
            _text(times.get(p), "") for p in ("p50", "p95", "p99")
        ),
    }
    cells["frames per second"] = _text(full["frames_per_second"], "", 0)
    for hands, some in full["ms_per_frame_by_hands"].items():
        cells[f"ms with {hands} hands, p50 (frames)"] = f"{_text(some['p50'], '')} ({some['n']})"
    return cells


def _each(measured: Measured, name: str) -> Table:
    table = Table(
        name, "mean px", "worst px", "missed", "false", "ray p50", "ray p90", title_justify="left"
    )
    for own_name, own in measured.by_name.items():
        landmarks, rays = own.landmarks() or {}, own.rays() or {}
        table.add_row(
            own_name,
            _text(landmarks.get("mean_px"), ""),
            _text(landmarks.get("worst_px"), ""),
            str(own.missed_hands),
            str(own.false_hands),
            _text(rays.get("median_deg"), "°"),
            _text(rays.get("p90_deg"), "°"),
        )
    return table


def _confusion(scores: Scores, name: str) -> Table:
    found = sorted({pair[1] for pair in scores.gestures})
    table = Table(f"{name}: is ↓, taken for →", *found)
    for true in sorted({pair[0] for pair in scores.gestures}):
        table.add_row(true, *(str(scores.gestures[true, other]) for other in found))
    return table


def _times(times_ms: Sequence[float]) -> dict[str, Any]:
    summary = summarise(times_ms)
    return {"p50": summary.p50, "p95": summary.p95, "p99": summary.p99, "n": summary.n}


def _text(value: float | None, unit: str, digits: int = 1, scale: float = 1.0) -> str:
    return _NOTHING if value is None else f"{value * scale:.{digits}f}{unit}"


def _percent(value: float | None) -> str:
    return _text(value, " %", scale=100)
