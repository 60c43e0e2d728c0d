"""The figures of ``deixis bench engines``: as one JSON object, and as a table.

show(console, measured)
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deixis.export.bench.engines_timing import Timed, ratio
from deixis.export.rows import ms_text, times_text

if TYPE_CHECKING:
    from deixis.export.bench.engines import Measured

_NOTHING = "–"


def figures(measured: Measured) -> dict[str, Any]:
    """What was measured, as it goes into JSON."""
    return {
        "models": [_figures(timed, _base(timed, measured.timed)) for timed in measured.timed],
        "not_run": [{"what": what, "reason": why} for what, why in measured.not_run.items()],
        "notes": measured.notes,
    }


def show(console: Console, measured: Measured) -> None:
    """Print the table, what could not be run, and what the engines said."""
    table = Table(box=box.SIMPLE, padding=0, show_edge=False, caption_justify="left")
    for name in ("Model, bundle", "Precision", "Backend"):
        table.add_column(name, no_wrap=True)
    for name in ("load", "MB", "p50", "p95", "p99", "×"):
        table.add_column(name, justify="right", no_wrap=True)
    role = ""
    for timed in measured.timed:
        contender = timed.contender
        if contender.role != role:
            role = contender.role
            table.add_row(Text(role, style="bold"))
        own = _figures(timed, _base(timed, measured.timed))
        table.add_row(
            f"  {Path(contender.bundle).name if contender.bundle else 'PyTorch'}",
            contender.precision,
            contender.backend,
            _NOTHING if own["load_ms"] is None else f"{own['load_ms']:.0f}",
            _NOTHING if own["memory_mb"] is None else f"{own['memory_mb']:.0f}",
            *(ms_text(own[f"{name}_ms"]) for name in ("p50", "p95", "p99")),
            _ratio_text(own),
        )
    table.caption = (
        "load, p50, p95, p99: ms; MB: the engine's host memory\n"
        "×: how many times faster than the reference (1×), with 95 % intervals"
    )
    console.print(table)
    for what, why in measured.not_run.items():
        console.print(f"not run: {escape(what)}: {escape(why)}", style="yellow")
    for note in measured.notes:
        console.print(escape(note))


def _base(timed: Timed, everything: list[Timed]) -> Timed | None:
    """What a contender is compared with; see the benchmark's description."""
    own = [t for t in everything if t.contender.role == timed.contender.role]
    references = [t for t in own if t.contender.reference]
    if not references:
        return own[0]
    same = [t for t in references if t.contender.backend == timed.contender.backend]
    if timed.contender.bundle:
        return same[0] if same else None
    return references[0]


def _figures(timed: Timed, base: Timed | None) -> dict[str, Any]:
    contender, summary, loading = timed.contender, timed.summary, timed.loading
    speedup = low = high = None
    if base is not None and base is not timed:
        speedup, (low, high) = ratio(base.times_ms, timed.times_ms)
    return {
        "name": contender.role,
        "bundle": contender.bundle or None,
        "precision": contender.precision,
        "backend": contender.backend,
        "timed_on": _timed_on(contender.role),
        "reference": base is timed,
        "load_ms": None if loading is None else round(loading.load_ms, 1),
        "memory_mb": None if loading is None else round(loading.memory_mb, 1),
        "p50_ms": summary.p50,
        "p95_ms": summary.p95,
        "p99_ms": summary.p99,
        "n": summary.n,
        "speedup": _rounded(speedup),
        "speedup_low": _rounded(low),
        "speedup_high": _rounded(high),
    }


def _timed_on(role: str) -> str | None:
    from deixis.export.recipes.catalogue import RECIPES

    return RECIPES[role].timed_on if role in RECIPES else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _ratio_text(own: dict[str, Any]) -> str:
    if own["reference"]:
        return "1×"
    if own["speedup"] is None:
        return _NOTHING
    spread = max(own["speedup_high"] - own["speedup"], own["speedup"] - own["speedup_low"])
    return f"{times_text(own['speedup'])} ±{spread:.1f}"
