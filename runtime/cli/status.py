"""``deixis status``: what a running daemon's nodes do, receive, drop and take.

deixis status
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from deixis.runtime.cli.run import add_name
from deixis.runtime.control import Client, NodeStatus, run_dir

HELP = "show the nodes of a running daemon: state, rates, drops, CPU, fallbacks"
EXAMPLE = "deixis status --json"
_COLOURS = {"ready": "green", "failed": "red", "restarting": "yellow", "starting": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_name(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    import msgspec

    status = Client(run_dir(args.name)).status()
    if args.json:
        print(json.dumps(msgspec.to_builtins(status)))
        return 0 if status.state == "ready" else 1
    console = Console()
    console.print(
        f"[bold]{status.state}[/]  pid {status.pid}, up {status.uptime_s:.0f} s, "
        f"ready after {status.start_s or 0:.1f} s\ngraph  {status.graph}\nbundle {status.bundle}"
    )
    table = Table()
    for name in ("node", "state", "CPU %", "MB", "input", "received", "dropped", "refused"):
        table.add_column(name, justify="left" if name in ("node", "state", "input") else "right")
    for name in ("p50 ms", "p99 ms", "budget"):
        table.add_column(name, justify="right")
    for node in status.nodes:
        for row in _rows(node):
            table.add_row(*row)
        table.add_section()
    console.print(table)
    cpu = sum(n.telemetry.cpu_percent for n in status.nodes if n.telemetry)
    rss = sum(n.telemetry.rss_mb for n in status.nodes if n.telemetry)
    console.print(
        f"together: {cpu:.0f} % of a core, {rss:.0f} MB resident (shared pages counted twice)"
    )
    for node in status.nodes:
        for note in node.telemetry.notes if node.telemetry else ():
            console.print(f"[yellow]{node.node_id}: {note}[/]")
        if node.error:
            console.print(f"[red]{node.node_id}: {node.error}[/]")
    return 0 if status.state == "ready" else 1


def _rows(node: NodeStatus) -> Iterator[tuple[str, ...]]:
    """A line per input (and one for ticks); the node's own figures on the first."""
    restarts = f" ({node.restarts} restarts)" if node.restarts else ""
    state = f"[{_COLOURS.get(node.state, 'default')}]{node.state}[/]{restarts}"
    telemetry = node.telemetry
    if telemetry is None:
        yield (node.node_id, state)
        return
    first = (node.node_id, state, f"{telemetry.cpu_percent:.0f}", f"{telemetry.rss_mb:.0f}")
    for name in [*telemetry.inputs, *(["tick"] if "tick" in telemetry.timings else [])]:
        stats, timing = telemetry.inputs.get(name), telemetry.timings.get(name)
        counts = (
            (str(stats.received), str(stats.dropped), str(stats.refused)) if stats else ("",) * 3
        )
        times = (f"{timing.p50_ms:.1f}", f"{timing.p99_ms:.1f}") if timing else ("", "")
        budget = f"{node.budget_ms:.0f}" if node.budget_ms and timing else ""
        yield (*first, name, *counts, *times, budget)
        first = ("", "", "", "")
