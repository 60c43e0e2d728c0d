"""How the figures of the speech benchmark look in a terminal.

show(Console(), report, published=True)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

PUBLISHED: Final[Mapping[str, Mapping[int, float]]] = {
    engine: dict(zip((6, 9, 12, 15, 18, 21, 24), values, strict=True))
    for engine, values in {
        "Rhino": (0.96, 0.97, 0.98, 0.99, 0.99, 0.99, 0.99),
        "Watson": (0.72, 0.84, 0.89, 0.93, 0.95, 0.95, 0.96),
        "LUIS": (0.86, 0.89, 0.90, 0.91, 0.92, 0.93, 0.93),
        "Lex": (0.80, 0.84, 0.85, 0.87, 0.87, 0.87, 0.88),
        "Dialogflow": (0.70, 0.78, 0.78, 0.80, 0.81, 0.82, 0.83),
    }.items()
}
"""Accuracy by SNR in dB, from Picovoice's speech-to-intent benchmark (619 recordings)."""
PUBLISHED_INTENT: Final = "orderDrink"


def show(console: Console, report: Mapping[str, Any], published: bool) -> None:
    """Print everything.

    Args:
        console: Where to.
        report: The figures.
        published: Whether the data are those of the published comparison.
    """
    console.print(_conditions(report["conditions"]))
    if published:
        console.print(_published(report["conditions"]))
    latency, premature = report["latency_ms"], report["premature"]
    estimated = f" ({n} ends of speech estimated)" if (n := premature["ends_estimated"]) else ""
    if premature["n"]:
        console.print(f"speech end → commit, ms: {_percentiles(latency)}{estimated}")
        share = _percent(premature["share"])
        console.print(f"premature commits: {premature['count']} of {premature['n']} ({share})")
    _stop(console, report["stop"])
    for kind, counts in report["false_accepts"].items():
        if counts["n"]:
            what = "other audio" if kind == "all" else escape(kind)
            console.print(
                f"accepted of {what}: {counts['accepted']} of {counts['n']} files, "
                f"{counts['per_hour']:.1f} commands an hour in {counts['hours']:.2f} h"
            )
    if times := report["word_times"]:
        console.print(
            f"times of {times['n']} deictic words, |error| p50 / p90 ms: start "
            f"{times['start_ms']['p50']:.0f} / {times['start_ms']['p90']:.0f}, end "
            f"{times['end_ms']['p50']:.0f} / {times['end_ms']['p90']:.0f}"
        )
    if report["ece"] is not None:
        error, n = report["ece"], report["ece_n"]
        console.print(f"calibration error (10 bins, {n} readings): {error:.3f}")
    if report["real_time_factor"] is not None:
        factor, behind = report["real_time_factor"], report["behind_ms_max"]
        console.print(f"real-time factor {factor:.2f}; at most {behind:.0f} ms behind the audio")
    if report["confusions"]:
        console.print(_confusions(report["confusions"]))


def show_curve(console: Console, curve: list[dict[str, Any]]) -> None:
    """Print the endpointing curve as a table."""
    table = Table(title="endpoint: silence against premature commits", title_justify="left")
    table.add_column("endpoint")
    for name in ("silences, ms", "premature", "p50 ms", "p95 ms", "right", "n"):
        table.add_column(name, justify="right")
    for point in curve:
        names = ("complete_ms", "extendable_ms", "unknown_ms", "incomplete_ms")
        silences = dict.fromkeys(f"{point[name]:.0f}" for name in names)
        table.add_row(
            point["name"],
            " / ".join(silences),
            _percent(point["premature"]),
            _number(point["latency_ms"]["p50"]),
            _number(point["latency_ms"]["p95"]),
            _percent(point["accuracy"]),
            str(point["n"]),
        )
    console.print(table)


def _conditions(conditions: list[dict[str, Any]]) -> Table:
    table = Table(title="speech: commands fully right", title_justify="left")
    table.add_column("condition")
    table.add_column("right", justify="right", style="bold")
    for name in ("false\naccepts", "word\nerrors", "silent", "twice", "early", "n"):
        table.add_column(name, justify="right")
    for condition in conditions:
        table.add_row(
            condition["name"],
            _percent(condition["accuracy"]),
            _percent(condition["false_accept_rate"]),
            _percent(condition["word_error_rate"]),
            str(condition["not_committed"]),
            str(condition["second_commands"]),
            str(condition["premature"]),
            str(condition["n"]),
        )
    table.caption = "silent: not committed; twice: a second command; early: before the end"
    table.caption_justify = "left"
    return table


def _published(conditions: list[dict[str, Any]]) -> Table:
    table = Table(title="beside the published engines", title_justify="left")
    table.add_column("condition")
    table.add_column("deixis", justify="right", style="bold")
    for name in PUBLISHED:
        table.add_column(name, justify="right", style="bright_black")
    for condition in conditions:
        theirs = (_percent(levels.get(condition["snr_db"])) for levels in PUBLISHED.values())
        table.add_row(condition["name"], _percent(condition["accuracy"]), *theirs)
    table.caption = "Picovoice's speech-to-intent benchmark, all 619 recordings, whole files"
    table.caption_justify = "left"
    return table


def _stop(console: Console, stop: Mapping[str, Any]) -> None:
    if stop["n"]:
        console.print(
            f"stop: missed {stop['missed']} of {stop['n']}; end of the word → stop, ms: "
            f"{_percentiles(stop['reaction_ms'])}"
        )
    if stop["hours_of_other_audio"]:
        console.print(
            f"false stops: {stop['false_stops']} in {stop['hours_of_other_audio']:.2f} h of other "
            f"audio ({stop['false_stops_per_hour']:.1f} an hour)"
        )


def _confusions(confusions: list[dict[str, Any]]) -> Table:
    table = Table(title="confusions that cost most", title_justify="left")
    for name in ("slot", "said", "understood"):
        table.add_column(name)
    table.add_column("files", justify="right")
    for c in confusions:
        table.add_row(*(escape(c[k]) for k in ("slot", "said", "understood")), str(c["count"]))
    return table


def _percentiles(summary: Mapping[str, Any]) -> str:
    values = (f"{name} {_number(summary[name])}" for name in ("p50", "p95", "p99", "max"))
    return f"{' · '.join(values)} (n {summary['n']})"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100.0 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"
