"""``deixis objects test``: what pictures are called, or how well the gallery knows its own.

Without pictures each taught view is named by all the others; a thing's only view is left out of
the count.

deixis objects test --image table1.jpg table2.jpg
deixis objects test --json
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.nodes.objects.gallery import Gallery, view_of
from deixis.nodes.objects.names.cutting import cut, read_picture
from deixis.nodes.objects.names.likeness import Judged, leave_one_out
from deixis.nodes.objects.names.options import (
    Settings,
    add_bundle,
    add_cutting,
    add_gallery,
    choose_cutter,
    open_models,
    open_settings,
)
from deixis.runtime.errors import ConfigError, MediaError

HELP = "what pictures are called; without any, how well the gallery knows its own"
EXAMPLE = "deixis objects test --image cup4.jpg"
_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--image", type=Path, nargs="+", metavar="FILE", help="one thing on each")
    add_cutting(parser)
    add_gallery(parser)
    add_bundle(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb; 1 when a picture could not be judged."""
    settings = open_settings(args)
    if not settings.gallery.things():
        raise ConfigError(
            f"nothing was taught yet in {settings.gallery.path}",
            hint='deixis objects teach "red cup" --image cup1.jpg cup2.jpg',
        )
    refused: dict[str, str] = {}
    if args.image is None:
        embedder = open_models(args)
        judged = leave_one_out(settings.gallery, embedder, settings.objects.naming)
        embedder.close()
    else:
        judged, refused = _name(args, settings)
    counted = [one for one in judged if one.noun is not None and not one.alone]
    right = sum(one.called == one.noun for one in counted)
    report: dict[str, Any] = {
        "gallery": str(settings.gallery.path),
        "pictures": [_row(one) for one in judged],
        "refused": refused,
        "judged": len(counted),
        "accuracy": round(right / len(counted), 4) if counted else None,
        "confusion": confusion(counted),
    }
    if args.json:
        print(json.dumps(report))
    else:
        _show(Console(), report)
    return 1 if refused else 0


def confusion(judged: list[Judged]) -> dict[str, dict[str, int]]:
    """How often each noun was called what."""
    table: dict[str, Counter[str]] = {}
    for one in judged:
        table.setdefault(str(one.noun), Counter())[one.called] += 1
    return {noun: dict(row.most_common()) for noun, row in table.items()}


def _name(args: argparse.Namespace, settings: Settings) -> tuple[list[Judged], dict[str, str]]:
    embedder = open_models(args)
    gallery = Gallery.load(settings.gallery.path, embedder, settings.objects.naming)
    cutter = choose_cutter(args, settings, on_table=False)
    judged: list[Judged] = []
    refused: dict[str, str] = {}
    for path in args.image:
        picture = read_picture(path)
        try:
            view = cut(picture, cutter)
        except MediaError as error:
            refused[str(path)] = error.message
            continue
        names = gallery.name(embedder.embed([view_of(view)])[0])
        judged.append(Judged(str(path), None, None, names))
    embedder.close()
    return judged, refused


def _row(one: Judged) -> dict[str, Any]:
    names = {noun: round(p, 4) for noun, p in one.names.items()}
    row: dict[str, Any] = {"picture": one.picture, "called": one.called, "names": names}
    if one.noun is not None:
        row |= {"is": one.noun, "only_view": one.alone}
    return row


def _show(console: Console, report: dict[str, Any]) -> None:
    table = Table("called", "probabilities")
    table.add_column("picture", overflow="fold")
    for row in report["pictures"]:
        wrong = "is" in row and not row["only_view"] and row["is"] != row["called"]
        called = f"[red]{escape(row['called'])}[/]" if wrong else escape(row["called"])
        best = list(row["names"].items())[:_SHOWN]
        rest = max(0.0, 1 - sum(row["names"].values()))
        shares = [*(f"{noun} {p:.2f}" for noun, p in best), f"unknown {rest:.2f}"]
        table.add_row(called, escape(", ".join(shares)), escape(row["picture"]))
    if report["pictures"]:
        console.print(table)
    for picture, reason in report["refused"].items():
        console.print(f"[red]✗[/] {escape(picture)}: {escape(reason)}", highlight=False)
    if report["accuracy"] is not None:
        console.print(
            f"{report['accuracy']:.1%} of {report['judged']} views are called by their name when "
            "named by all the others",
            highlight=False,
        )
        for noun, row in report["confusion"].items():
            calls = ", ".join(f"{called} {n}" for called, n in row.items())
            console.print(f"  {noun}: {calls}", markup=False, highlight=False)
