"""Sub-commands (``deixis bench speech``, ``deixis calibrate camera``): modules like verbs.

add_subverb(parser.add_subparsers(), "camera", module); code = args.run_subverb(args)
"""

from __future__ import annotations

import argparse
from types import ModuleType
from typing import Any


def add_subverb(subparsers: Any, name: str, module: ModuleType) -> None:
    """Add a sub-command; what its module's docstring says after the first line is its description.

    Args:
        subparsers: What ``parser.add_subparsers()`` gave.
        name: Of the sub-command.
        module: With HELP, EXAMPLE, ``add_arguments`` and ``run``. ``run`` becomes
            ``args.run_subverb``.
    """
    sub = subparsers.add_parser(
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
    sub.set_defaults(run_subverb=module.run)
