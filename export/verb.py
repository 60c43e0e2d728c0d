"""``deixis export``: prune, calibrate, emit, judge, pack.

deixis export all --preset cpu --prune 0.3 --precision int8 --out bundles/small
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deixis.export.extras import require_extra
from deixis.runtime.errors import UsageError

if TYPE_CHECKING:
    from deixis.export.pipeline import Request
    from deixis.export.rows import ExportRow

HELP = "prune, calibrate and convert the models, judge each by its task, pack a bundle"
EXAMPLE = "deixis export all --preset cpu --prune 0.3 --precision int8 --out bundles/small"
REPORT = "report"
OWN_POINTS = 1.0
"""How many points a model that the user brings may lose where nothing is said."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from deixis.export.weights.wheels import default_folder

    parser.add_argument(
        "models", nargs="+", metavar="MODEL",
        help="all, roles of models, or an ONNX file of your own (with --task)",
    )  # fmt: skip
    parser.add_argument(
        "--preset", default="cpu",
        help="the robot's kind: cpu, jetson-orin, jetson-thor, rtx, server (default: cpu)",
    )  # fmt: skip
    parser.add_argument(
        "--prune", type=float, default=0.0, metavar="RATIO",
        help="share of channels or pixels to remove, 0 to 0.75 (default: 0); 0.3 halves the work",
    )  # fmt: skip
    parser.add_argument(
        "--precision", choices=("fp32", "fp16", "int8", "auto"),
        help="auto: the fastest that keeps its floor (default: the preset's)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="the bundle's folder (default: bundles/PRESET)")
    parser.add_argument(
        "--samples", type=Path, default=Path("tests/scenes/episodes"), metavar="FOLDER",
        help="episodes: two in three to learn from, one to judge on (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--calib", type=Path, metavar="FOLDER",
        help="recorded episodes to learn from and to calibrate on; --samples then only judge",
    )  # fmt: skip
    parser.add_argument(
        "--ranges", type=Path, metavar="FOLDER",
        help="calibration tables (ROLE.json) to use instead of calibrating",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="CC[,CC…]",
        help="GPUs to build for with TensorRT-RTX, as a proof (default: the preset's)",
    )  # fmt: skip
    parser.add_argument(
        "--task", metavar="FILE.py:FUNCTION",
        help="the metric of a model of your own: function(run, files) → percent",
    )  # fmt: skip
    parser.add_argument(
        "--points", type=float, metavar="N",
        help="how many points of its metric a model may lose (default: its recipe's)",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="print the plan, write nothing")
    parser.add_argument(
        "--report", action="store_true", help="write BUNDLE/report/report.html with pictures"
    )
    parser.add_argument(
        "--explain", action="store_true", help="measure what every layer costs and gains in INT8"
    )
    parser.add_argument(
        "--no-fallback", action="store_true", help="fail where a model misses its floor"
    )
    parser.add_argument(
        "--wheels", type=Path, default=default_folder(), metavar="FOLDER",
        help="the wheels with the weights (default: $DEIXIS_WHEELS or %(default)s)",
    )  # fmt: skip
    parser.add_argument("--force", action="store_true", help="export even what is up to date")


def run(args: argparse.Namespace) -> int:
    """Export, with a progress bar on standard error and the table on standard output."""
    require_extra()
    request = _request(args)
    if args.dry_run:
        return _dry_run(args, request)
    if args.report:
        from deixis.export import report_picture

        report_picture.check()
    start_ns = time.perf_counter_ns()
    rows = _export(request)
    seconds = (time.perf_counter_ns() - start_ns) / 1e9
    if args.report:
        _write_report(rows, request)
    _print(args, request, rows, seconds)
    return 0


def _request(args: argparse.Namespace) -> Request:
    from deixis.export.own import OwnSources, own_recipe
    from deixis.export.pipeline import Request
    from deixis.export.recipes.catalogue import RECIPES

    own = [Path(name) for name in args.models if name.endswith(".onnx")]
    common: dict[str, Any] = {
        "preset": args.preset,
        "precision": args.precision,
        "prune": args.prune,
        "wheels": args.wheels,
        "samples": args.samples,
        "calib": args.calib,
        "ranges": args.ranges,
        "points": args.points,
        "targets": _targets(args.target),
        # What was tried is not in the bundle; the step cache has it at once.
        "force": args.force or args.report or args.explain,
        "fall_back": not args.no_fallback,
        "explain": args.explain or args.report,
    }
    if not own:
        out = args.out or Path("bundles") / args.preset
        only = None if "all" in args.models else tuple(args.models)
        return Request(out=out, models=RECIPES, only=only, **common)
    if len(args.models) > 1:
        raise UsageError("a model of your own is exported alone: name one file")
    if args.task is None or args.calib is None:
        raise UsageError(
            f"{own[0]} needs a metric and recorded inputs",
            hint=f"deixis export {own[0]} --task my_metric.py:metric --calib folder",
        )
    if args.prune:
        raise UsageError("an ONNX file is not pruned: prune the network that it was exported from")
    recipe = own_recipe(own[0], args.task, args.points or OWN_POINTS)
    out = args.out or Path("bundles") / recipe.role
    return Request(out=out, models={recipe.role: recipe}, own=OwnSources.of(args.calib), **common)


def _targets(text: str | None) -> tuple[tuple[int, int], ...] | None:
    if text is None:
        return None
    try:
        pairs = [part.split(".") for part in text.split(",")]
        return tuple((int(major), int(minor)) for major, minor in pairs)
    except ValueError:
        raise UsageError(f"--target {text}: compute capabilities, like 8.6 or 8.9,12.0") from None


def _export(request: Request) -> list[ExportRow]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from deixis.export.pipeline import export_all

    terminal = Console(stderr=True)
    columns = (
        TextColumn("{task.description:<34}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=terminal, transient=True, disable=not terminal.is_terminal
    ) as bar:
        roles = request.plan()
        whole = bar.add_task(f"{len(roles)} models", total=len(roles))
        now = bar.add_task("", total=1.0)

        def report(role: str, step: str, share: float) -> None:
            if step == "done":
                bar.advance(whole, role in roles)
            else:
                bar.update(now, description=f"  {role}: {step}", completed=share)

        return export_all(request, report)


def _dry_run(args: argparse.Namespace, request: Request) -> int:
    from rich.console import Console

    from deixis.export.dry_run import predict_all, table

    predictions = predict_all(request)
    if args.json:
        print(msgspec.json.encode({"models": predictions}).decode())
    else:
        Console().print(table(predictions))
    return 0


def _write_report(rows: list[ExportRow], request: Request) -> None:
    from deixis.export.bench.results import circumstances
    from deixis.export.extras import versions
    from deixis.export.report import write_report

    about = {
        "bundle": str(request.out),
        "command": shlex.join(("deixis", *sys.argv[1:])),
        "preset": request.preset,
        "versions": versions(),
        **circumstances(),
    }
    write_report(rows, request.out / REPORT, about)


def _print(
    args: argparse.Namespace, request: Request, rows: list[ExportRow], seconds: float
) -> None:
    from deixis.export.rows import as_json, table, total_mb

    changed = any(row.status != "up to date" for row in rows)
    size_mb, size_mb_fp32 = total_mb(rows)
    if args.json:
        summary = {
            "bundle": str(request.out),
            "changed": changed,
            "seconds": round(seconds, 2),
            "mb": round(size_mb, 1),
            "mb_fp32": size_mb_fp32 and round(size_mb_fp32, 1),
            "models": as_json(rows),
        }
        print(msgspec.json.encode(summary).decode())
        return
    from rich.console import Console

    console = Console()
    console.print(table(rows))
    for row in rows:
        for note in row.notes:
            console.print(f"  {row.name}: {note}", markup=False, highlight=False)
    state = "Export complete" if changed else "Up to date, nothing to do"
    console.print(f"[bold]{state}[/bold] ({seconds:.1f} s)")
    lines = [f"Bundle:  {request.out.resolve()} ({size_mb:.1f} MB, {len(rows)} models)"]
    if args.report:
        lines.append(f"Report:  {(request.out / REPORT / 'report.html').resolve()}")
    if request.own is None:
        graph = "demo" if request.preset == "cpu" else "run live"
        lines.append(f"Run:     deixis {graph} --bundle {request.out}")
    console.print("\n".join(lines), markup=False, highlight=False)
