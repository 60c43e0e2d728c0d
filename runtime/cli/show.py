"""How outcomes, latencies and drops look; shared by ``command``, ``demo`` and ``profile``.

show_outcome(console, outcome, zero_ns=start_ns, speech_end_ns=true_end_ns)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deixis.runtime import messages as m
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.metrics import Summary
from deixis.runtime.replay import Outcome
from deixis.runtime.trace import END_TO_END, STAGES

_COLOURS = {
    "act": "green", "stop": "red", "clarify": "yellow", "answer": "cyan", "reject": "bright_black",
}  # fmt: skip


def show_outcome(
    console: Console, outcome: Outcome, *, zero_ns: int, speech_end_ns: int | None = None
) -> None:
    """Print one utterance: heard, words, pointing, referents, action, latency.

    Args:
        console: Where to.
        outcome: What to print.
        zero_ns: The moment that times count from.
        speech_end_ns: True end of speech, where it is known.
    """
    resolution = outcome.resolution
    evidence = resolution.evidence
    colour = _COLOURS[resolution.outcome]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True)
    grid.add_column()
    # The words of a typed sentence have no duration and so no times to show.
    if any(w.end_ns > w.start_ns for w in evidence.words):
        words = (
            f"{escape(w.text)} [bright_black]{_s(w.start_ns, zero_ns)}–{_s(w.end_ns, zero_ns)}[/]"
            for w in evidence.words
        )
        grid.add_row("words (s)", "  ".join(words))
    for at in evidence.pointed_at:
        grid.add_row("pointed", _pointed(at, zero_ns))
    if evidence.object_candidates:
        grid.add_row("object", _candidates(evidence.object_candidates))
    if evidence.destination_candidates:
        grid.add_row("destination", _candidates(evidence.destination_candidates))
    grid.add_row("action", Text(_action(outcome), style=colour))
    stages = outcome.stages(speech_end_ns)
    if END_TO_END.name in stages:
        parts = " + ".join(f"{s.name} {stages[s.name]:.0f}" for s in STAGES if s.name in stages)
        total = stages[END_TO_END.name]
        grid.add_row("latency", f"[bold]{total:.0f} ms[/] after the last sample = {parts}")
    heard = f"“{escape(evidence.text or '(nothing understood)')}”"
    if resolution.outcome == "stop" and not evidence.text:
        # A raised palm: nothing was said.
        heard = escape(resolution.reason)
    console.print(f"[bold]{heard}[/]  [{colour}]{resolution.outcome}[/]")
    console.print(grid)


def outcome_json(
    outcome: Outcome, *, zero_ns: int, speech_end_ns: int | None = None
) -> dict[str, Any]:
    """One utterance as plain data: the same facts as :func:`show_outcome`."""
    resolution = outcome.resolution
    evidence = resolution.evidence
    last = outcome.feedback[-1] if outcome.feedback else None
    command = plain(resolution.command)
    if command is not None:
        kept = ("intent", "object", "destination", "side", "confidence")
        command = {name: command[name] for name in kept}
    return {
        "command_id": outcome.command_id,
        "outcome": resolution.outcome,
        "intent": resolution.intent,
        "heard": evidence.text,
        "words": [
            {
                "word": w.text,
                "start_s": round((w.start_ns - zero_ns) / NS_PER_S, 3),
                "end_s": round((w.end_ns - zero_ns) / NS_PER_S, 3),
            }
            for w in evidence.words
        ],
        "pointed_at": plain(evidence.pointed_at),
        "object_candidates": plain(evidence.object_candidates),
        "destination_candidates": plain(evidence.destination_candidates),
        "action": command,
        "question": resolution.question,
        "answer": resolution.answer,
        "reason": resolution.reason,
        "robot": {"state": last.state, "detail": last.detail} if last else None,
        "latency_ms": {k: round(v, 2) for k, v in outcome.stages(speech_end_ns).items()},
    }


def plain(value: Any) -> Any:
    """Structs as dicts with field names, all the way down (on the wire they are bare arrays)."""
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def latency_table(stages: Mapping[str, Summary], budget_ms: float | None = None) -> Table:
    """Percentiles per stage."""
    meanings = {s.name: s.meaning for s in (*STAGES, END_TO_END)}
    title = "latency, ms" + (f" (budget: p99 < {budget_ms:.0f})" if budget_ms else "")
    table = Table(title=title, title_justify="left")
    table.add_column("stage")
    for name in ("p50", "p95", "p99", "max", "n"):
        table.add_column(name, justify="right")
    table.add_column("what", style="bright_black")
    for name, summary in stages.items():
        style = "bold" if name == END_TO_END.name else ""
        values = [summary.p50, summary.p95, summary.p99, summary.max]
        cells = ["–" if v is None else f"{v:.1f}" for v in values]
        table.add_row(name, *cells, str(summary.n), meanings.get(name, ""), style=style)
    return table


def drops_text(drops: Mapping[str, int]) -> str:
    """Drops per input in one line."""
    some = [f"{name} {n}" for name, n in drops.items() if n]
    return f"drops: {', '.join(some) if some else 'none'} (of {len(drops)} inputs)"


def _s(time_ns: int, zero_ns: int) -> str:
    return f"{(time_ns - zero_ns) / NS_PER_S:.2f}"


def _pointed(at: m.PointedAt, zero_ns: int) -> str:
    import math

    hit = at.hit_base_m
    where = f"({hit[0]:.2f}, {hit[1]:.2f}) m" if hit else "off the work plane"
    if at.n_rays == 0:
        return f"“{at.word}” → {where}, given as a point"
    return (
        f"“{at.word}” at {_s(at.word_ns, zero_ns)} s → {where}, "
        f"±{math.degrees(at.sigma_rad):.1f}°, {at.n_rays} rays"
    )


def _candidates(candidates: Iterable[m.Candidate]) -> str:
    return " · ".join(
        f"[bold]{c.label}[/] {c.probability:.2f}" if i == 0 else f"{c.label} {c.probability:.2f}"
        for i, c in enumerate(candidates)
        if i == 0 or c.probability >= 0.005
    )


def _action(outcome: Outcome) -> str:
    resolution = outcome.resolution
    command = resolution.command
    if resolution.outcome == "clarify":
        return f"none; it asks: {resolution.question}"
    if resolution.outcome == "answer":
        return f"none; it answers: {resolution.answer}"
    if resolution.outcome == "reject":
        return f"none: {resolution.reason}"
    parts = [resolution.intent or ""]
    if command is not None:
        if command.object:
            parts.append(command.object.label)
        if command.destination:
            place = command.destination
            # Of an object that something is put beside, the spot beside it.
            at = place.position_base_m if place.kind == "place" else place.place_base_m
            where = f" ({at[0]:.2f}, {at[1]:.2f})" if at else ""
            relation = (place.relation or "").replace("_", " ")
            parts.append(f"→ {relation} {place.label}{where}".replace("  ", " "))
        if command.side:
            parts.append(command.side)
    states = [f.state for f in outcome.feedback]
    last = outcome.feedback[-1] if outcome.feedback else None
    end = (
        f"; robot: {last.state}{', ' + last.detail if last.detail else ''}"
        if states and last
        else ""
    )
    return " ".join(parts) + end
