"""``deixis objects forget``: takes what was taught out of the gallery, with its pictures.

deixis objects forget "red cup"
"""

from __future__ import annotations

import argparse
import json

from rich.console import Console

from deixis.nodes.objects.names.options import add_gallery, label, open_settings, things_called

HELP = "take a thing, or all things of a name, out of the gallery"
EXAMPLE = 'deixis objects forget "red cup"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("thing", metavar="NAME", help='a noun, "red cup", or an id of the list')
    add_gallery(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    folder = open_settings(args).gallery
    index = folder.things()
    things = things_called(index, args.thing, folder.path)
    folder.forget(things)
    if args.json:
        print(json.dumps({"gallery": str(folder.path), "forgotten": things}))
        return 0
    names = ", ".join(label(index[thing]) for thing in things)
    Console().print(f"forgotten: {names}", markup=False, highlight=False)
    return 0
