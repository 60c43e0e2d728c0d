"""``deixis status``: what a running daemon's nodes do, receive, drop and take.

deixis status
"""

from __future__ import annotations

import argparse
import json

from rich import box
from rich.console import Console
from rich.table import Table

from deixis.runtime.cli.run import add_name
from deixis.runtime.cli.show import plain
from deixis.runtime.control import Client, Status, run_dir
from deixis.runtime.signing import signature_text

HELP = "show the nodes of a running daemon: state, rates, drops, CPU, fallbacks"
EXAMPLE = "deixis status --json"
_COLOURS = {"ready": "green", "failed": "red", "restarting": "yellow", "starting": "yellow"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_name(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    status = Client(run_dir(args.name)).status()
    if args.json:
        print(json.dumps(plain(status)))
        return 0 if status.state == "ready" else 1
    console = Console()
    console.print(
        f"[bold]{status.state}[/]  pid {status.pid}, up {status.uptime_s:.0f} s, "
        f"ready after {status.start_s or 0:.1f} s\ngraph  {status.graph}\nbundle {status.bundle}"
        f", {signature_text(status.signature)}"
    )
    console.print(_nodes_table(status))
    console.print(_inputs_table(status))
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


def _nodes_table(status: Status) -> Table:
    table = Table("node", "state", box=box.SIMPLE_HEAD)
    for name in ("restarts", "CPU %", "MB", "last report"):
        table.add_column(name, justify="right")
    for node in status.nodes:
        state = f"[{_COLOURS.get(node.state, 'default')}]{node.state}[/]"
        telemetry = node.telemetry
        load = (
            (f"{telemetry.cpu_percent:.0f}", f"{telemetry.rss_mb:.0f}") if telemetry else ("", "")
        )
        age = f"{node.age_ms:.0f} ms ago" if node.age_ms is not None else ""
        table.add_row(node.node_id, state, str(node.restarts), *load, age)
    return table


def _inputs_table(status: Status) -> Table:
    table = Table("input", box=box.SIMPLE_HEAD)
    for name in ("received", "dropped", "refused", "p50 ms", "p99 ms", "budget"):
        table.add_column(name, justify="right")
    for node in status.nodes:
        telemetry = node.telemetry
        if telemetry is None:
            continue
        for name in [*telemetry.inputs, *(["tick"] if "tick" in telemetry.timings else [])]:
            stats, timing = telemetry.inputs.get(name), telemetry.timings.get(name)
            counts = (stats.received, stats.dropped, stats.refused) if stats else ("", "", "")
            times = (f"{timing.p50_ms:.1f}", f"{timing.p99_ms:.1f}") if timing else ("", "")
            over = timing and node.budget_ms and timing.p99_ms > node.budget_ms
            budget = f"{node.budget_ms:.0f}" if node.budget_ms and timing else ""
            style = "yellow" if over else None
            cells = [f"{node.node_id}/{name}", *map(str, counts), *times, budget]
            table.add_row(*cells, style=style)
    return table
