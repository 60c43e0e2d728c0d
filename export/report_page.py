"""The page of the export's report: a table, the pictures, the reasons, the circumstances.

    html = page(rows, {"pareto": svg(figure)}, {"command": "deixis export all"})

Everything is in the one file; it needs no script and no network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from statistics import median
from typing import Any

from deixis.export.rows import (
    ExportRow,
    delta_text,
    format_text,
    macs_text,
    mb_text,
    ms_text,
    percent_text,
    times,
    times_text,
    total_mb,
)

_STYLE = """
:root { color-scheme: light dark; --ink: #1d232b; --soft: #6a7480; --page: #f4f5f7; --card: #fff;
  --rule: #d5dae0; --blue: #0072b2; --orange: #d55e00; --gold: #e69f00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --soft: #97a1ad; --page: #14171b;
  --card: #1d2127; --rule: #3a424c; --blue: #56b4e9; --orange: #f08a3c; --gold: #f0c04a; } }
* { box-sizing: border-box; margin: 0; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--page);
  padding: 32px clamp(16px, 4vw, 56px); }
body > * { max-width: 1240px; margin-inline: auto; }
h1 { font-size: 26px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 36px 0 10px; }
header p, .note { color: var(--soft); max-width: 110ch; margin-bottom: 8px; }
.facts { display: flex; flex-wrap: wrap; gap: 14px; margin-block: 20px 26px; }
.facts div { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 12px 18px; min-width: 150px; }
.facts b { display: block; font-size: 24px; letter-spacing: -0.01em; }
.facts span { color: var(--soft); font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
  padding: 14px 18px; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; color: var(--soft); font-size: 13px; }
th, td { padding: 6px 14px 6px 0; border-bottom: 1px solid var(--rule); vertical-align: baseline; }
tbody tr:last-child td { border-bottom: 0; }
.n { text-align: right; white-space: nowrap; }
small { color: var(--soft); font-size: 13px; }
td small { display: block; }
.bad { color: var(--orange); font-weight: 600; }
svg { display: block; width: 100%; height: auto; margin-inline: auto; }
ul { padding-left: 20px; }
li { margin: 4px 0; }
code { overflow-wrap: anywhere; }
details { margin-top: 8px; }
summary { cursor: pointer; padding: 4px 0; }
summary small { margin-left: 8px; }
.in { font-weight: 600; }
.about td:first-child { color: var(--soft); white-space: nowrap; width: 1%; padding-right: 28px; }
.about td { overflow-wrap: anywhere; }
@media print { body { background: none; padding: 0; } details { break-inside: avoid; } }
"""
_PARETO = (
    "Accuracy against latency",
    "Up is better, right is faster. Every mark is a variant that was made, judged on held-out "
    "input and timed in turn with the others; point at one to see what it is.",
)
_LAYERS = (
    "Layers",
    "Left: what a layer costs when it alone is quantized. Right: its time in float and in INT8, as "
    "a share of the float model's. A layer that costs much or gains nothing is left in float.",
)


def page(rows: Sequence[ExportRow], pictures: Mapping[str, str], about: Mapping[str, Any]) -> str:
    """The whole page.

    Args:
        rows: one a model.
        pictures: markup of ``pareto`` and ``layers``, as far as there are any.
        about: the circumstances.

    Returns:
        HTML.
    """
    title = escape(f"Export report: {about['bundle']}" if "bundle" in about else "Export report")
    command = f"<code>{escape(str(about['command']))}</code>" if "command" in about else ""
    parts = [
        f"<header><h1>{title}</h1><p>{command}</p></header>",
        _facts(rows),
        f'<section><div class="card">{_table(rows)}</div></section>',
        _picture(pictures.get("pareto"), *_PARETO),
        _reasons(rows),
        _picture(pictures.get("layers"), *_LAYERS),
        _variants(rows),
        f'<section><h2>How it was measured</h2><div class="card">{_about(about)}</div></section>',
    ]
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>\n{chr(10).join(part for part in parts if part)}\n</body></html>\n"
    )


def _facts(rows: Sequence[ExportRow]) -> str:
    mb, mb_fp32 = total_mb(rows)
    speedups = [row.speedup for row in rows if row.speedup is not None]
    gated = [row for row in rows if row.metric is not None and row.floor is not None]
    nearest = min(gated, key=lambda row: (row.metric or 0.0) - (row.floor or 0.0), default=None)
    fell_back = sum(row.fell_back for row in rows)
    facts = [
        (f"{mb:.1f} MB", f"all models; {times_text(times(mb_fp32, mb))} smaller than FP32"),
        (times_text(median(speedups)), "faster than FP32, the median model") if speedups else None,
        (f"{delta_text(nearest.delta)} points", f"{nearest.name}, which is nearest to its floor")
        if nearest
        else None,
        (f"{fell_back} of {len(rows)}", "models fell back from what was asked for"),
    ]
    cells = (f"<div><b>{b}</b><span>{escape(s)}</span></div>" for b, s in filter(None, facts))
    return f'<div class="facts">{"".join(cells)}</div>'


def _table(rows: Sequence[ExportRow]) -> str:
    head = ("Model", "Format", "Status", "MB", "MACs", "Metric", "Δ", "p50 ms", "p95 ms", "×")
    body = [
        (
            f"{escape(row.name)}<small>{escape(row.metric_name)}</small>",
            f"{escape(format_text(row))}<small>{escape(row.backend)}</small>",
            _bad("fell back") if row.fell_back else escape(row.status),
            f"{mb_text(row.mb)}<small>{times_text(row.smaller)} smaller</small>",
            f"{macs_text(row.macs)}<small>of {macs_text(row.macs_fp32)}</small>",
            f"{percent_text(row.metric)}<small>floor {percent_text(row.floor)}</small>",
            delta_text(row.delta) if row.held else _bad(delta_text(row.delta)),
            f"{ms_text(row.p50_ms)}<small>of {ms_text(row.p50_ms_fp32)}</small>",
            f"{ms_text(row.p95_ms)}<small>of {ms_text(row.p95_ms_fp32)}</small>",
            f"{times_text(row.speedup)}<small>{escape(row.timed_on)}</small>",
        )
        for row in rows
    ]
    return _html_table(head, body, first_number=3)


def _picture(markup: str | None, title: str, text: str) -> str:
    if markup is None:
        return ""
    return (
        f'<section><h2>{title}</h2><p class="note">{text}</p>'
        f'<div class="card">{markup}</div></section>'
    )


def _reasons(rows: Sequence[ExportRow]) -> str:
    """In words: what fell back, what was left in float, and why."""
    items = [f"<li>{text}</li>" for row in rows for text in _reasons_of(row)]
    if not items:
        items = ["<li>Every model is what was asked for; no layer was left in float.</li>"]
    return f"<section><h2>What came otherwise, and why</h2><ul>{''.join(items)}</ul></section>"


def _reasons_of(row: ExportRow) -> Iterator[str]:
    name = f"<b>{escape(row.name)}</b>"
    if row.fell_back:
        yield f"{name} {escape(row.status)}"
    for note in row.notes:
        yield f"{name}: {escape(note)}"
    kept: dict[str, list[str]] = {}
    for layer in row.layers:
        if layer.kept_float:
            text = f"{escape(layer.op)} <code>{escape(layer.name)}</code>"
            kept.setdefault(layer.why or "the recipe says so", []).append(text)
    for why, names in kept.items():
        yield f"{name}: left in float ({escape(why)}): {', '.join(names)}"


def _variants(rows: Sequence[ExportRow]) -> str:
    """A table of all variants of a model, folded."""
    parts = [_variants_of(row) for row in rows if row.variants]
    return f"<section><h2>All variants</h2>{''.join(parts)}</section>" if parts else ""


def _variants_of(row: ExportRow) -> str:
    head = ("Variant", "MB", "MACs", "Metric", "Δ", "p50 ms", "p95 ms", "×", "")
    body = [
        (
            f'<span class="{"in" if variant.chosen else ""}">{escape(variant.label)}</span>',
            mb_text(variant.mb),
            macs_text(variant.macs),
            percent_text(variant.metric),
            delta_text(row.delta_of(variant.metric)),
            ms_text(variant.p50_ms),
            ms_text(variant.p95_ms),
            times_text(times(row.p50_ms_fp32, variant.p50_ms)),
            escape(variant.why),
        )
        for variant in row.variants
    ]
    table = _html_table(head, body, first_number=1, last_number=7)
    return (
        f"<details><summary>{escape(row.name)}<small>{len(row.variants)} tried</small></summary>"
        f'<div class="card">{table}</div></details>'
    )


def _about(about: Mapping[str, Any]) -> str:
    cells = (f"<tr><td>{escape(k)}</td><td>{escape(v)}</td></tr>" for k, v in _flat(about))
    return f'<table class="about"><tbody>{"".join(cells)}</tbody></table>'


def _flat(about: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys and values as text; a mapping's keys come after its own."""
    for key, value in about.items():
        name = f"{prefix}{key}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name} · ")
        elif isinstance(value, (list, tuple)):
            yield name, ", ".join(map(str, value))
        else:
            yield name, "–" if value is None else str(value)


def _html_table(
    head: Sequence[str],
    body: Iterable[Sequence[str]],
    first_number: int,
    last_number: int | None = None,
) -> str:
    """A table whose columns ``first_number`` to ``last_number`` stand to the right."""
    last = len(head) - 1 if last_number is None else last_number

    def row(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="n"' if first_number <= i <= last else "" for i in range(len(cells)))
        inside = (f"<{tag}{k}>{c}</{tag}>" for k, c in zip(kinds, cells, strict=True))
        return f"<tr>{''.join(inside)}</tr>"

    lines = "\n".join(row("td", cells) for cells in body)
    return f"<table><thead>{row('th', head)}</thead><tbody>\n{lines}\n</tbody></table>"


def _bad(text: str) -> str:
    return f'<span class="bad">{escape(text)}</span>'
