"""``deixis objects teach``: show a thing a few times, and it has a name.

Pictures show the thing alone on plain surroundings, whole, sharp and without a hand. With the
camera's calibration (that of the graph, where it is there) the thing may stand anywhere in the
workspace. Turn it a little from view to view; three to five views are good. A running graph knows
the name a second later, and can be told it.

deixis objects teach "red cup" --image cup1.jpg cup2.jpg cup3.jpg
deixis objects teach stapler --camera
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

from deixis.calibration.footage import Footage, camera_frames, video_frames
from deixis.nodes.objects.colours import WORDS
from deixis.nodes.objects.gallery_folder import Picture, noun_and_colour
from deixis.nodes.objects.names.choosing import Chosen, choose_views
from deixis.nodes.objects.names.cutting import Cutter, cut, read_picture
from deixis.nodes.objects.names.likeness import leave_one_out, too_alike
from deixis.nodes.objects.names.options import (
    Settings,
    add_bundle,
    add_cutting,
    add_gallery,
    choose_cutter,
    label,
    open_models,
    open_settings,
)
from deixis.nodes.objects.names.sheet import write_sheet
from deixis.nodes.objects.views import measured_colour
from deixis.runtime.errors import MediaError, UsageError

HELP = "show a thing a few times, from pictures, a video or the camera"
EXAMPLE = 'deixis objects teach "red cup" --image cup1.jpg cup2.jpg cup3.jpg'
MOST_VIEWS = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("thing", metavar="NAME", help='what it is called: a noun, or "red cup"')
    add("--colour", choices=WORDS, help="its colour (default: as measured, where it is clear)")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--image", type=Path, nargs="+", metavar="FILE", help="pictures of it")
    source.add_argument(
        "--camera", nargs="?", const="", metavar="DEVICE",
        help="look at it through a camera (default: the graph's)",
    )  # fmt: skip
    source.add_argument("--video", type=Path, metavar="FILE", help="a video of it, turned")
    add_cutting(parser)
    add(
        "--views", type=_views, default=5, metavar="N",
        help="how many views to take from a camera or video (default: %(default)s)",
    )  # fmt: skip
    add(
        "--seconds", type=float, default=30.0, metavar="S",
        help="stop looking at --camera after this long (default: %(default)g)",
    )  # fmt: skip
    add_gallery(parser)
    add_bundle(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    noun, colour = noun_and_colour(args.thing, args.colour)
    settings = open_settings(args)
    embedder = open_models(args)
    cutter = choose_cutter(args, settings, on_table=args.camera is not None)
    if args.image is not None:
        views = _from_pictures(args.image, cutter)
    else:
        views = _from_footage(_footage(args, settings), cutter, args.views)
    colour = colour or measured_colour(views)
    folder = settings.gallery
    thing = folder.teach(noun, colour, views)
    entry = folder.things()[thing]
    pictures = folder.pictures(thing)
    sheet = folder.sheet(thing)
    write_sheet(sheet, label(entry), pictures)
    judged = leave_one_out(folder, embedder, settings.objects.naming)
    embedder.close()
    mine = [(t, other, p) for t, other, p in too_alike(judged) if thing == t or other == noun]
    report = {
        "thing": thing,
        "name": noun,
        "colour": colour,
        "new_views": len(views),
        "views": len(pictures),
        "gallery": str(folder.path),
        "sheet": str(sheet),
        "alike": [{"thing": t, "name": other, "probability": round(p, 3)} for t, other, p in mine],
    }
    if args.json:
        print(json.dumps(report))
    else:
        _show(Console(), report)
    return 0


def _from_pictures(paths: list[Path], cutter: Cutter) -> list[Picture]:
    """A view of each picture; one that is not good stops it all, before anything is stored."""
    if len(paths) > MOST_VIEWS:
        raise UsageError(f"{len(paths)} pictures are too many; a few teach as well", hint=EXAMPLE)
    views = []
    for path in paths:
        picture = read_picture(path)
        try:
            views.append(cut(picture, cutter))
        except MediaError as error:
            what = f"{path}: {error.message}; nothing was taught"
            raise MediaError(what, hint=error.hint) from error
    return views


def _footage(args: argparse.Namespace, settings: Settings) -> Footage:
    if args.video is not None:
        return video_frames(args.video)
    camera = settings.camera
    source = args.camera or str(camera.source)
    if source == "none":
        raise UsageError("the graph has no camera", hint="name one: --camera /dev/video0")
    return camera_frames(
        source, width=camera.width, height=camera.height, fps=camera.fps, seconds=args.seconds
    )


def _from_footage(footage: Footage, cutter: Cutter, wanted: int) -> list[Picture]:
    # What is asked of the person goes to stderr, so that --json stays one object.
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("show it", total=wanted)

        def report(chosen: Chosen) -> None:
            n = len(chosen.views)
            advice = f"{n} of {wanted}: turn it a little" if n else chosen.reason()
            progress.update(task, completed=n, description=escape(advice))

        chosen = choose_views(footage.shots, cutter, wanted, report)
    if not chosen.views:
        raise MediaError(
            f"none of {chosen.seen} pictures shows it well; mostly: {chosen.reason()}",
            hint="show it alone, whole and still, without a hand",
        )
    if len(chosen.views) < wanted:
        console.print(
            f"only {len(chosen.views)} of {wanted} views differ; turn it more to teach it better",
            markup=False,
        )
    return chosen.views


def _show(console: Console, report: dict[str, Any]) -> None:
    name = report["name"] if report["colour"] is None else f"{report['colour']} {report['name']}"
    new, views = report["new_views"], report["views"]
    console.print(
        f"[green]✓[/] {escape(name)}: {new} new view{'s'[: new != 1]}, {views} in all, "
        f"in {escape(report['gallery'])}",
        highlight=False,
    )
    console.print(f"  what was stored: {escape(report['sheet'])}", highlight=False)
    for pair in report["alike"]:
        console.print(
            f"  [yellow]○[/] {escape(pair['thing'])} is taken for a {escape(pair['name'])} "
            f"(probability {pair['probability']:.2f}): more views of both help",
            highlight=False,
        )


def _views(text: str) -> int:
    value = int(text)
    if not 1 <= value <= MOST_VIEWS:
        raise argparse.ArgumentTypeError(f"must be 1 to {MOST_VIEWS}")
    return value
