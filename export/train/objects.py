"""Train the adapter of the crop embedding, by which objects are named from a few taught views.

It learns from pictures of things, FOLDER/CLASS/*.png (transparent around the thing, or on a plain
surface), many a thing or one; each is varied in light, colour of the light, sharpness, size and
outline. A fifth of the things with many pictures is held out: half of those give the temperature,
the others are reported on, with the same embedding unadapted beside. --judge names folders of other
things, to report on as they are. Where an adapter is not better, the weights are not written.

deixis train objects --data things emoji --report bench/results/object_adapter.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deixis.export.train import OBJECT_WEIGHTS
from deixis.runtime.cli.run import DEFAULT_BUNDLE

if TYPE_CHECKING:
    from rich.console import Console

HELP = "train the adapter that tells objects apart, on pictures of things by class"
EXAMPLE = "deixis train objects --data things --report bench/results/object_adapter.json"
EPOCHS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--data", type=Path, required=True, nargs="+", metavar="FOLDER", help="holds CLASS/*.png")
    add("--judge", type=Path, nargs="+", default=[], metavar="FOLDER", help="reported on only")
    add(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="bundle with the crop embedding (default: %(default)s)",
    )  # fmt: skip
    add(
        "--out", type=Path, metavar="FILE",
        help="where the weights go (default: into the package, where `deixis export` reads them)",
    )  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="write the figures, with machine and date")
    add("--epochs", type=_count, default=EPOCHS, metavar="N", help="default: %(default)s")
    add("--seed", type=int, default=0, metavar="S", help="of everything (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train, print the figures; write the weights if they are better than none."""
    import importlib.util

    from deixis.runtime.errors import MissingExtraError

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "export")
    from rich.console import Console
    from rich.progress import Progress

    from deixis.export.models.object_adapter import save_adapter
    from deixis.export.train.object_training import better, report_of, train
    from deixis.export.train.object_views import load_things
    from deixis.runtime.bundle import Bundle

    bundle = Bundle.open(args.bundle)
    things = load_things(args.data)
    others = {folder.resolve().name: load_things([folder]) for folder in args.judge}
    terminal = Console(stderr=True)
    try:
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("looking", total=None)

            def say(what: str, done: int, total: int) -> None:
                bar.update(task, description=what, completed=done, total=total)

            trained = train(things, bundle, args.epochs, args.seed, say)
            figures = report_of(trained, others, bundle, say)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 1
    out: Path = args.out or OBJECT_WEIGHTS
    good = better(figures)
    if good:
        save_adapter(trained.adapter, trained.kept, out)
    data = [folder.resolve().name for folder in args.data]
    written = out.name if good else None
    figures = {"data": data, "weights": written, **figures, **_facts(args)}
    if args.report is not None:
        args.report.write_text(json.dumps(figures, indent=2) + "\n")
    if args.json:
        print(json.dumps(figures))
    else:
        _show(Console(), figures)
    return 0 if good else 1


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    import time

    from deixis.runtime.machine import describe_machine

    machine = describe_machine()
    return {
        "epochs": args.epochs,
        "seed": args.seed,
        "machine": machine,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": machine["commit"],
    }


def _show(console: Console, figures: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("taught", "embedding", "naming", "named surely", "AUROC", "unknown named")
    for name, part in figures["judged"].items():
        table.add_section()
        table.add_row(f"[bold]{name}")
        for ways in part["adapted"]:
            for shots in part["adapted"][ways]:
                for kind in ("unadapted", "adapted"):
                    row = part[kind][ways][shots]
                    table.add_row(
                        f"{ways}, {shots}", kind, f"{row['naming']:.3f}",
                        f"{row['named_surely']:.3f}", f"{row['unknown_auroc']:.3f}",
                        f"{row['unknown_named']:.3f}",
                    )  # fmt: skip
    console.print(table)
    console.print(
        f"{figures['parameters']} parameters, {figures['things']} things, "
        f"{figures['seconds']:.0f} s; temperature {figures['temperature']}, unknown at "
        f"{figures['unknown_similarity']}"
    )
    if figures["weights"] is None:
        console.print("not better than without: no weights were written", style="red")
    else:
        console.print(f"weights in {figures['weights']}")


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
