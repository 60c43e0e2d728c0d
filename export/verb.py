"""``deixis export``: from the pretrained weights to a verified bundle, with a table.

deixis export all --preset cpu --out bundles/cpu
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from rich.table import Table

    from deixis.export.pipeline import ExportRow

HELP = "convert the pretrained models, check them against their originals, pack a bundle"
EXAMPLE = "deixis export all --preset cpu --out bundles/cpu"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from deixis.export.weights.wheels import default_folder

    parser.add_argument("models", nargs="+", metavar="MODEL", help="all, or roles of models")
    parser.add_argument("--preset", default="cpu", help="the robot's kind (default: cpu)")
    parser.add_argument("--precision", help="default: the preset's")
    parser.add_argument("--out", type=Path, help="the bundle's folder (default: bundles/PRESET)")
    parser.add_argument(
        "--wheels",
        type=Path,
        default=default_folder(),
        help="folder of the wheels with the weights (default: $DEIXIS_WHEELS or %(default)s)",
    )
    parser.add_argument(
        "--samples",
        type=Path,
        default=Path("tests/scenes/episodes"),
        help="episodes that the models are compared on (default: %(default)s)",
    )
    parser.add_argument("--force", action="store_true", help="export even what is up to date")


def run(args: argparse.Namespace) -> int:
    """Export, with a progress bar on standard error and the table on standard output."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    from deixis.export.pipeline import STEPS, export_all
    from deixis.export.recipes import RECIPES

    out: Path = args.out or Path("bundles") / args.preset
    only = None if "all" in args.models else args.models
    start_ns = time.perf_counter_ns()
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn())
    terminal = Console(stderr=True)
    with Progress(
        *columns, console=terminal, transient=True, disable=not terminal.is_terminal
    ) as bar:
        tasks = {
            role: bar.add_task(role, total=len(STEPS), start=False)
            for role in (only or RECIPES)
            if role in RECIPES
        }

        def report(role: str, step: str) -> None:
            if role not in tasks:
                tasks[role] = bar.add_task(role, total=len(STEPS), start=False)
            done = len(STEPS) if step == "done" else STEPS.index(step)
            bar.start_task(tasks[role])
            text = role if step == "done" else f"{role}: {step}"
            bar.update(tasks[role], completed=done, description=text)

        rows = export_all(
            args.preset,
            out,
            args.wheels,
            args.samples,
            only=only,
            precision=args.precision,
            force=args.force,
            progress=report,
        )
    seconds = (time.perf_counter_ns() - start_ns) / 1e9
    changed = any(row.status != "up to date" for row in rows)
    size_mb = sum(row.size_mb for row in rows)
    if args.json:
        summary = {
            "bundle": str(out),
            "changed": changed,
            "seconds": round(seconds, 2),
            "size_mb": round(size_mb, 1),
            "models": rows,
        }
        print(msgspec.json.encode(summary).decode())
        return 0
    console = Console()
    console.print(_table(rows))
    state = "Export complete" if changed else "Up to date, nothing to do"
    console.print(
        f"[bold]{state}[/bold] ({seconds:.1f} s)\n"
        f"Bundle:  {out.resolve()} ({size_mb:.1f} MB, {len(rows)} models)\n"
        f"Run:     deixis demo --bundle {out}"
    )
    return 0


def _table(rows: list[ExportRow]) -> Table:
    from rich import box
    from rich.table import Table

    timed = ", ".join(row.timed_on for row in rows)
    table = Table(
        box=box.SIMPLE,
        padding=0,
        show_edge=False,
        caption=f"p50, p95: ms, one thread; {timed}",
        caption_justify="left",
    )
    for name in ("Model", "Format", "Status"):
        table.add_column(name, no_wrap=True)
    table.add_column("MB", justify="right", no_wrap=True)
    table.add_column("Worst difference (floor)")
    for name in ("p50", "p95"):
        table.add_column(name, justify="right")
    for row in rows:
        metric = row.metric
        sign = "≥" if metric.better == "higher" else "≤"
        precision = f" {row.precision}" if row.format == "ONNX" else ""
        table.add_row(
            row.model,
            row.format + precision,
            row.status,
            f"{row.size_mb:.1f}",
            f"{metric.name} {metric.value:.2g} ({sign} {metric.floor:g})",
            f"{row.latency.p50_ms:.1f}",
            f"{row.latency.p95_ms:.1f}",
        )
    return table
