"""``deixis objects``: names by showing.

deixis objects teach "red cup" --image cup1.jpg cup2.jpg cup3.jpg
deixis objects list
"""

from __future__ import annotations

import argparse
from typing import Final

from deixis.nodes.objects.names import forget, listing, teach, trial
from deixis.runtime.cli.subverbs import add_subverb

HELP = "names by showing: teach, list, forget and test what things are called"
EXAMPLE = 'deixis objects teach "red cup" --image cup1.jpg cup2.jpg cup3.jpg'
_VERBS: Final = {"teach": teach, "list": listing, "forget": forget, "test": trial}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the sub-verbs with their arguments."""
    verbs = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for name, module in _VERBS.items():
        add_subverb(verbs, name, module)


def run(args: argparse.Namespace) -> int:
    """Run the sub-verb."""
    code: int = args.run_subverb(args)
    return code
