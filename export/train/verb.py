"""``deixis train``: trains what is not pretrained, on data that the user names.

deixis train gestures --data data/hands

A training is a module with HELP, EXAMPLE, ``add_arguments`` and ``run``, like a verb; it is listed
in ``TRAININGS``.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Final

from deixis.runtime.cli.subverbs import add_subverb

TRAININGS: Final = {
    "gestures": "deixis.export.train.gestures",
    "objects": "deixis.export.train.objects",
}
HELP = "train a model of deixis, reproducibly from a seed"
EXAMPLE = "deixis train gestures --data data/hands"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the trainings with their arguments."""
    trainings = parser.add_subparsers(dest="training", metavar="MODEL", required=True)
    for name, path in TRAININGS.items():
        add_subverb(trainings, name, importlib.import_module(path))


def run(args: argparse.Namespace) -> int:
    """Run the training."""
    code: int = args.run_subverb(args)
    return code
