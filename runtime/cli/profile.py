"""``deixis profile``: where the time goes, from speech to action, and what the graph costs.

deixis profile --seconds 60 --out bench/results/profile.json
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from deixis.runtime.bundle import Bundle
from deixis.runtime.cli import demo, show
from deixis.runtime.control import Status
from deixis.runtime.episodes import load_episodes
from deixis.runtime.machine import describe_machine
from deixis.runtime.replay import (
    EpisodePlayer,
    all_problems,
    drops,
    latency_table,
    notes,
    running_daemon,
    scene_settings,
)
from deixis.runtime.trace import END_TO_END

HELP = "measure latency per stage, drops, CPU and memory over episodes; exit 1 over budget"
EXAMPLE = "deixis profile --seconds 120 --out bench/results/profile.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    demo.add_arguments(parser)
    parser.add_argument(
        "--seconds", type=float, metavar="S",
        help="play the episodes over and over for at least this long (default: once)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the JSON report here")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    Bundle.open(args.bundle)
    episodes = load_episodes(args.episodes, args.only)
    round_s = sum(e.truth.duration_s for e in episodes)
    rounds = max(1, -(-int(args.seconds or 0) // max(1, int(round_s))))
    console = Console(quiet=args.json)
    played = []
    settings = [*scene_settings(args.graph, args.episodes), *args.settings]
    with running_daemon(args.graph, args.bundle, settings) as client:
        before = client.status()
        cpu_before, wall_start_s = _cpu_seconds(before), time.monotonic()
        player = EpisodePlayer(client)
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("playing", total=rounds * len(episodes))
            for _ in range(rounds):
                for episode in episodes:
                    progress.update(task, description=episode.truth.name)
                    played.append(player.play(episode))
                    progress.advance(task)
        after = client.status()
        wall_s = time.monotonic() - wall_start_s
        nodes = _node_load(after, cpu_before, wall_s)
    stages = latency_table(played)
    dropped = drops(before, after)
    p99 = stages[END_TO_END.name].p99
    late = p99 is not None and p99 >= args.budget_ms
    problems = all_problems(played)
    report = {
        "machine": describe_machine(),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "graph": args.graph,
        "bundle": str(args.bundle),
        "episodes": [e.truth.name for e in episodes],
        "rounds": rounds,
        "start_s": before.start_s,
        "budget_ms": args.budget_ms,
        "within_budget": not late,
        "latency_ms": show.plain(stages[END_TO_END.name]),
        "stages": {k: show.plain(v) for k, v in stages.items() if k != END_TO_END.name},
        "drops": dropped,
        "nodes": nodes,
        "pss_mb_together": round(sum(n["pss_mb"] for n in nodes.values()), 1),
        "problems": problems,
        "notes": notes(after),
    }
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps(report, indent=2) + "\n")
    if args.json:
        print(json.dumps(report))
        return 1 if late else 0
    console.print(show.latency_table(stages, args.budget_ms))
    console.print(_load_table(report["nodes"]))
    console.print(show.drops_text(dropped))
    console.print(f"graph start {before.start_s or 0:.1f} s; {len(problems)} unexpected results")
    for problem in (*problems, *report["notes"]):
        console.print(f"  {problem}", style="yellow", markup=False)
    if args.out:
        console.print(f"written to {args.out}")
    if late:
        console.print(f"[red bold]over budget: p99 {p99:.0f} ms ≥ {args.budget_ms:.0f} ms[/]")
    return 1 if late else 0


def _cpu_seconds(status: Status) -> dict[str, float]:
    """CPU time that each node's process has used so far."""
    seconds = {}
    for node in status.nodes:
        if node.telemetry is not None:
            times = psutil.Process(node.telemetry.pid).cpu_times()
            seconds[node.node_id] = times.user + times.system
    return seconds


def _node_load(
    status: Status, cpu_before: dict[str, float], wall_s: float
) -> dict[str, dict[str, Any]]:
    """CPU over the whole run, memory and handler times per node.

    Memory is the proportional set size: pages that processes share are divided among them, so that
    the figures add up to what the graph takes.
    """
    cpu_after = _cpu_seconds(status)
    nodes: dict[str, dict[str, Any]] = {}
    for node in status.nodes:
        if node.telemetry is None:
            continue
        used_s = cpu_after[node.node_id] - cpu_before.get(node.node_id, 0.0)
        memory = psutil.Process(node.telemetry.pid).memory_full_info()
        nodes[node.node_id] = {
            "cpu_percent": round(100 * used_s / wall_s, 1),
            "pss_mb": round(memory.pss / 2**20, 1),
            "handlers_ms": {
                name: {"p50": round(t.p50_ms, 2), "p99": round(t.p99_ms, 2), "n": t.n}
                for name, t in node.telemetry.timings.items()
            },
        }
    return nodes


def _load_table(nodes: dict[str, dict[str, Any]]) -> Table:
    cpu = sum(n["cpu_percent"] for n in nodes.values())
    memory = sum(n["pss_mb"] for n in nodes.values())
    title = f"nodes: {cpu:.0f} % of a core, {memory:.0f} MB together"
    table = Table(title=title, title_justify="left")
    table.add_column("node")
    table.add_column("CPU %", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("handler ms: p50 / p99 (n)")
    for name, entry in nodes.items():
        handlers = "  ".join(
            f"{k} {v['p50']:.1f} / {v['p99']:.1f} ({v['n']})"
            for k, v in entry["handlers_ms"].items()
        )
        table.add_row(name, f"{entry['cpu_percent']:.0f}", f"{entry['pss_mb']:.0f}", handlers)
    return table
