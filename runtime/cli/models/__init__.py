"""``deixis models``: what a bundle holds; verify, compare and sign it.

deixis models --bundle bundles/cpu --domain examples/domains/coffee.yaml
deixis models verify bundles/cpu --public-key robot.pub

Without a sub-command it lists.
"""

from __future__ import annotations

import argparse

from deixis.runtime.cli.models import diff, keys, listing, sign, verify
from deixis.runtime.cli.subverbs import add_subverb

HELP = "show the models of a bundle and a domain with measured figures; verify, diff and sign it"
EXAMPLE = listing.EXAMPLE
_SUBVERBS = {"list": listing, "verify": verify, "diff": diff, "sign": sign, "keys": keys}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the list, and the sub-commands with theirs."""
    listing.add_defaults(parser)
    parser.set_defaults(run_subverb=listing.run)
    subverbs = parser.add_subparsers(metavar="[list|verify|diff|sign|keys]")
    for name, module in _SUBVERBS.items():
        add_subverb(subverbs, name, module)


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    code: int = args.run_subverb(args)
    return code
