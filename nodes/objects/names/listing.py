"""``deixis objects list``: what was taught, and which things are too alike.

deixis objects list --gallery gallery
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.nodes.objects.names.likeness import leave_one_out, too_alike
from deixis.nodes.objects.names.options import add_bundle, add_gallery, open_models, open_settings

HELP = "what was taught: names, colours, views, when, and what is too alike"
EXAMPLE = "deixis objects list --gallery gallery"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_gallery(parser)
    add_bundle(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    settings = open_settings(args)
    folder = settings.gallery
    index = folder.things()
    pairs: list[tuple[str, str, float]] = []
    if index:
        embedder = open_models(args)
        pairs = too_alike(leave_one_out(folder, embedder, settings.objects.naming))
        embedder.close()
    things: list[dict[str, Any]] = [
        {
            "thing": thing,
            "names": list(entry.names),
            "colour": entry.colour,
            "views": len(folder.pictures(thing)),
            "taught_at": entry.taught_at,
            "alike": [{"name": n, "probability": round(p, 3)} for t, n, p in pairs if t == thing],
        }
        for thing, entry in index.items()
    ]
    if args.json:
        print(json.dumps({"gallery": str(folder.path), "things": things}))
        return 0
    console = Console()
    if not things:
        console.print(f"nothing was taught yet in {folder.path}", markup=False, highlight=False)
        return 0
    console.print(_table(str(folder.path), things))
    for thing in things:
        for other in thing["alike"]:
            console.print(
                f"[yellow]○[/] {escape(thing['thing'])} looks much like a {escape(other['name'])} "
                f"(probability {other['probability']:.2f}): more views of both help",
                highlight=False,
            )
    return 0


def _table(title: str, things: list[dict[str, Any]]) -> Table:
    table = Table(title=escape(title), title_justify="left")
    for heading in ("thing", "name", "also", "colour"):
        table.add_column(heading)
    table.add_column("views", justify="right")
    table.add_column("last taught")
    for thing in things:
        noun, *also = thing["names"]
        when = (thing["taught_at"] or "–").replace("T", " ").removesuffix("+00:00")
        row = (thing["thing"], noun, ", ".join(also), thing["colour"] or "–")
        table.add_row(*map(escape, row), str(thing["views"]), when)
    return table
