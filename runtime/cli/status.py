"""``deixis status``: what a running daemon's nodes do, receive, drop and take.

deixis status
"""

from __future__ import annotations

import argparse
import json

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
    for name in ("node", "state", "restarts", "CPU %", "MB", "inputs: received/dropped/refused"):
        table.add_column(name, justify="right" if name in ("restarts", "CPU %", "MB") else "left")
    table.add_column("handler ms: p50/p99")
    for node in status.nodes:
        table.add_row(*_row(node))
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


def _row(node: NodeStatus) -> tuple[str, ...]:
    state = (
        f"[{_COLOURS.get(node.state, '')}]{node.state}[/]" if node.state in _COLOURS else node.state
    )
    telemetry = node.telemetry
    if telemetry is None:
        return (node.node_id, state, str(node.restarts), "", "", "", "")
    inputs = "  ".join(
        f"{name} {s.received}/{s.dropped}/{s.refused}" for name, s in telemetry.inputs.items()
    )
    budget = f" of {node.budget_ms:.0f}" if node.budget_ms else ""
    timings = "  ".join(
        f"{name} {t.p50_ms:.1f}/{t.p99_ms:.1f}{budget}" for name, t in telemetry.timings.items()
    )
    return (
        node.node_id, state, str(node.restarts), f"{telemetry.cpu_percent:.0f}",
        f"{telemetry.rss_mb:.0f}", inputs, timings,
    )  # fmt: skip
