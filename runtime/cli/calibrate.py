"""``deixis calibrate``: one sub-command each for what has to be measured before use.

deixis calibrate camera --camera /dev/video0

A calibration is a module with HELP, EXAMPLE, ``add_arguments`` and ``run``, like a verb; packages
add theirs through the entry points ``deixis.calibrations``.
"""

from __future__ import annotations

import argparse

from deixis.runtime.cli.subverbs import add_subverb
from deixis.runtime.registry import CALIBRATIONS, modules

HELP = "measure cameras, people and delays; each with its residual, a date and a picture"
EXAMPLE = "deixis calibrate camera --camera /dev/video0"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the calibrations with their arguments."""
    calibrations = parser.add_subparsers(dest="calibration", metavar="WHAT", required=True)
    for name, module in modules(CALIBRATIONS).items():
        add_subverb(calibrations, name, module)


def run(args: argparse.Namespace) -> int:
    """Run the calibration."""
    code: int = args.run_subverb(args)
    return code
