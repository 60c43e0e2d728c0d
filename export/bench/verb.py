"""``deixis bench``: one benchmark each for a part of deixis, on data that the user names.

deixis bench speech --data FOLDER

A benchmark is a module with HELP, EXAMPLE, ``add_arguments`` and ``run``, like a verb; it is listed
in ``BENCHMARKS``.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Final

from deixis.runtime.cli.subverbs import add_subverb

BENCHMARKS: Final = {
    "speech": "deixis.export.bench.speech",
    "hands": "deixis.export.bench.hands",
    "objects": "deixis.export.bench.objects",
    "engines": "deixis.export.bench.engines",
}
HELP = "measure a part of deixis on data of your own; one table each"
EXAMPLE = "deixis bench speech --data recordings --domain tabletop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmarks with their arguments."""
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    for name, path in BENCHMARKS.items():
        add_subverb(benchmarks, name, importlib.import_module(path))


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    code: int = args.run_subverb(args)
    return code
