"""``deixis bench``: one benchmark each for a part of deixis, on data that the user names.

deixis bench speech --data FOLDER

A benchmark is a module with HELP, EXAMPLE, ``add_arguments`` and ``run``, like a verb; it is listed
in ``BENCHMARKS``.
"""

from __future__ import annotations

import argparse
import importlib
from typing import Final

BENCHMARKS: Final = {"speech": "deixis.export.bench.speech"}
HELP = "measure a part of deixis on data of your own; one table each"
EXAMPLE = "deixis bench speech --data recordings --domain tabletop"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the benchmarks with their arguments."""
    benchmarks = parser.add_subparsers(dest="benchmark", metavar="BENCHMARK", required=True)
    for name, path in BENCHMARKS.items():
        module = importlib.import_module(path)
        sub = benchmarks.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP}\n\n{(module.__doc__ or '').partition(chr(10))[2].strip()}",
            epilog=f"example:\n  {module.EXAMPLE}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # The verb has the option too; left out here, its value must stay.
        sub.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print one JSON object, nothing else",
        )
        module.add_arguments(sub)
        sub.set_defaults(run_benchmark=module.run)


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    code: int = args.run_benchmark(args)
    return code
