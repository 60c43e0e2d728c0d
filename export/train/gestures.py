"""Train the gesture network and report how well it does on what it was not shown.

It learns from real hands (FOLDER/keypoint.csv: eight rows of ten, and one more for its confidence)
and simulated ones, and is judged
on the last tenth of the rows, on stretches of rows that a second network was not trained near, and
on simulated hands of another seed. The second takes as long as the first.

deixis train gestures --data data/hands --report bench/results/gestures.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deixis.export.train import GESTURE_WEIGHTS

if TYPE_CHECKING:
    from rich.console import Console

HELP = "train the gesture network on keypoint.csv and simulated hands"
EXAMPLE = "deixis train gestures --data data/hands --report bench/results/gestures.json"
EPOCHS, FILMS = 14, 4500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="holds keypoint.csv")
    add(
        "--out", type=Path, metavar="FILE",
        help="where the weights go (default: into the package, where `deixis export` reads them)",
    )  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="write the figures, with machine and date")
    add("--epochs", type=_count, default=EPOCHS, metavar="N", help="default: %(default)s")
    add(
        "--films", type=_count, default=FILMS, metavar="N",
        help="films of simulated hands to learn from (default: %(default)s)",
    )  # fmt: skip
    add("--seed", type=int, default=0, metavar="S", help="of everything (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Train, write the weights, print the figures."""
    import importlib.util

    from deixis.runtime.errors import MissingExtraError

    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("torch", "export")
    from rich.console import Console
    from rich.progress import Progress

    from deixis.export.models.gestures import save_gestures
    from deixis.export.train.judging import report_of
    from deixis.export.train.keypoints import FILE, load_keypoints
    from deixis.export.train.training import train

    rows = load_keypoints(args.data / FILE)
    terminal = Console(stderr=True)
    try:
        with Progress(console=terminal, transient=True, disable=not terminal.is_terminal) as bar:
            task = bar.add_task("simulating hands", total=2 * args.epochs)

            def report(what: str, epochs: int) -> None:
                bar.update(task, description=what, completed=epochs)

            trained = train(rows, args.films, args.epochs, args.seed, report)
            bar.update(task, description="judging")
            figures = report_of(trained, rows)
    except KeyboardInterrupt:
        print("interrupted: nothing was written", file=sys.stderr)
        return 1
    out: Path = args.out or GESTURE_WEIGHTS
    save_gestures(trained.net, trained.temperature, out)
    figures = {"data": args.data.resolve().name, "weights": out.name, **figures, **_facts(args)}
    if args.report is not None:
        args.report.write_text(json.dumps(figures, indent=2) + "\n")
    if args.json:
        print(json.dumps(figures))
    else:
        _show(Console(), figures, out)
    return 0


def _facts(args: argparse.Namespace) -> dict[str, Any]:
    import time

    from deixis.runtime.machine import describe_machine

    machine = describe_machine()
    return {
        "epochs": args.epochs,
        "films": args.films,
        "seed": args.seed,
        "machine": machine,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": machine["commit"],
    }


def _show(console: Console, figures: dict[str, Any], out: Path) -> None:
    from rich.table import Table

    table = Table("gesture", "shown", "recall", "precision", title_justify="left")
    for part, title in (
        ("held_out", "real hands: the tenth of the rows that is held out"),
        ("blocks", "real hands: stretches of rows, another network not trained near them"),
        ("simulated", "simulated hands of another seed"),
    ):
        table.add_section()
        table.add_row(f"[bold]{title}")
        for name, row in figures[part]["gestures"].items():
            table.add_row(name, str(row["n"]), _share(row["recall"]), _share(row["precision"]))
    console.print(table)
    palm = figures["raised_palm_simulated"]
    console.print(
        f"raised palms (simulated): {palm['in_time']} of {palm['raised']} known within "
        f"{palm['limit_ms']:g} ms; false: {palm['reaching_false']} of {palm['reaching']} reaches "
        f"for a cup, {palm['others_false']} of {palm['others']} other hands held up"
    )
    console.print(
        f"{figures['parameters']} parameters, trained in {figures['seconds']:.0f} s; "
        f"weights in {out}"
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
