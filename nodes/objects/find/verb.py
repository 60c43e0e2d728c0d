"""``deixis find``: where in videos and pictures is this thing?

deixis find "red cup" recordings/
deixis find "something blue" monday.mp4 tuesday.mp4 --out found/
deixis find --image my_mug.jpg recordings/
deixis find --like red_cup recordings/

Names are those that were taught (``deixis objects teach``); colours need no teaching. The first
search of a file watches it, later ones answer at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.calibration.store import load_standing_camera
from deixis.nodes.objects.embedding import CropEmbedder
from deixis.nodes.objects.find.codes import check_installed
from deixis.nodes.objects.find.library import Library, watch_all
from deixis.nodes.objects.find.media import media_files
from deixis.nodes.objects.find.question import Alike, Question, alike, named
from deixis.nodes.objects.find.search import Answer, search
from deixis.nodes.objects.find.sheet import Result, clock, likely, write_sheet
from deixis.nodes.objects.find.store import Store, default_folder
from deixis.nodes.objects.find.watching import Finder, TabletopFinder, Watcher, propose_anywhere
from deixis.nodes.objects.gallery import Gallery
from deixis.nodes.objects.names.options import (
    Settings,
    add_bundle,
    add_gallery,
    open_models,
    open_settings,
    things_called,
)
from deixis.nodes.objects.tabletop import TabletopSource
from deixis.runtime.bundle import sha256_of
from deixis.runtime.errors import UsageError

HELP = "find a thing in videos and pictures: by name, by taught example or by picture"
EXAMPLE = 'deixis find "red cup" recordings/ --out found/'
_PACE = "every {every_s:g} s, camera {camera}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "name", metavar="NAME",
        help="a taught name, a colour, or both; left out with --image and --like",
    )  # fmt: skip
    parser.add_argument(
        "paths", nargs="*", metavar="PATH", help="folders, videos and pictures to search"
    )
    parser.add_argument(
        "--image", action="append", type=Path, metavar="FILE",
        help="look for what this picture shows: one thing on plain surroundings or cut out; "
        "may be given again for more views",
    )  # fmt: skip
    parser.add_argument("--like", metavar="THING", help="look for what was taught as this thing")
    parser.add_argument(
        "--top", type=_count, default=20, metavar="N", help="most results (default: %(default)s)"
    )
    parser.add_argument(
        "--min-score", type=_share, metavar="P",
        help="leave out results that are less sure, 0 to 1 (default: 0.4; of a colour alone, 0.6)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="write thumbnails and a contact sheet (index.html)"
    )
    parser.add_argument(
        "--every-s", type=_seconds, default=0.5, metavar="S",
        help="look at videos at least so many seconds apart (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--camera", type=Path, metavar="FILE",
        help="calibration of the camera that recorded it all: things are then looked for on its "
        "work plane, more exactly than anywhere in the picture",
    )  # fmt: skip
    parser.add_argument(
        "--cache", type=Path, metavar="DIR",
        help="where what was seen is kept (default: deixis/find in your cache folder)",
    )  # fmt: skip
    add_gallery(parser)
    add_bundle(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    text, paths = _wanted(args)
    check_installed()
    files = media_files(paths)
    settings = open_settings(args)
    embedder = open_models(args)
    try:
        # Before minutes of watching: what is asked must be answerable.
        question = _question(text, args, settings, embedder)
        console = Console(quiet=args.json)
        library, problems = watch_all(
            files, _store(args, embedder), Watcher(embedder, _finder(args, settings)),
            args.every_s, console,
        )  # fmt: skip
        if isinstance(question, Alike):
            question = replace(question, common=library.common())
        started_s = time.perf_counter()
        answer = search(library, question, args.top, args.min_score)
        took_ms = 1000 * (time.perf_counter() - started_s)
        results = _results(library, answer, _gallery(settings, embedder))
    finally:
        embedder.close()
    return _show(args, console, question, library, answer, results, problems, took_ms)


def _wanted(args: argparse.Namespace) -> tuple[str | None, list[Path]]:
    """The text, if one is asked for, and the paths."""
    if args.image and args.like:
        raise UsageError("--image and --like do not go together", hint=EXAMPLE)
    text, words = args.name, args.paths
    if args.image or args.like:
        text, words = None, [args.name, *args.paths]
    paths = [Path(word) for word in words]
    if not paths:
        raise UsageError(f"find {text!r} in what? Name folders, videos or pictures", hint=EXAMPLE)
    return text, paths


def _question(
    text: str | None, args: argparse.Namespace, settings: Settings, embedder: CropEmbedder
) -> Question:
    folder = settings.gallery
    if text is not None:
        return named(text, folder, embedder, settings.objects.naming)
    if args.image:
        return alike(f"like {', '.join(p.name for p in args.image)}", args.image, embedder)
    things = things_called(folder.things(), args.like, folder.path)
    pictures = [picture for thing in things for picture in folder.pictures(thing)]
    return alike(f"like {args.like}", pictures, embedder)


def _finder(args: argparse.Namespace, settings: Settings) -> Finder:
    if args.camera is None:
        return propose_anywhere
    objects = settings.objects
    source = TabletopSource(objects.tabletop, objects.workspace)
    return TabletopFinder(load_standing_camera(args.camera), source)


def _store(args: argparse.Namespace, embedder: CropEmbedder) -> Store:
    camera = "unknown" if args.camera is None else sha256_of(args.camera)
    manner = f"{embedder.key} {_PACE.format(every_s=args.every_s, camera=camera)}"
    return Store(args.cache or default_folder(), manner)


def _gallery(settings: Settings, embedder: CropEmbedder) -> Gallery | None:
    """What names the results; a search by colour or picture needs none."""
    if not settings.gallery.things():
        return None
    return Gallery.load(settings.gallery.path, embedder, settings.objects.naming)


def _results(library: Library, answer: Answer, gallery: Gallery | None) -> list[Result]:
    results = []
    for rank, found in enumerate(answer.found, start=1):
        sighting = library.sightings[found.row]
        names = gallery.name(library.vector(found.row)) if gallery is not None else {}
        results.append(
            Result(
                rank, found.file, found.start_s, found.end_s, found.best_s, found.score, names,
                sighting.colours, found.box_px, library.thumbnail(found.row),
            )
        )  # fmt: skip
    return results


def _show(
    args: argparse.Namespace, console: Console, question: Question, library: Library,
    answer: Answer, results: list[Result], problems: list[str], took_ms: float,
) -> int:  # fmt: skip
    searched = (
        f"{len(library.sightings)} sightings in {len(library.files)} "
        f"file{'' if len(library.files) == 1 else 's'}, {answer.looked_at} of them closely, "
        f"{took_ms:.0f} ms"
    )
    if args.out is not None:
        page = write_sheet(args.out, question.text, f"{len(results)} found; {searched}", results)
    if args.json:
        print(
            json.dumps({
                "question": question.text, "results": [_plain(r) for r in results],
                "best_score": answer.best_score, "files": len(library.files),
                "sightings": len(library.sightings), "looked_at": answer.looked_at,
                "search_ms": round(took_ms, 1), "problems": problems,
            })
        )  # fmt: skip
        return 0 if results else 1
    for problem in problems:
        print(f"note: {problem}", file=sys.stderr)
    if results:
        console.print(_table(question, results))
    else:
        best = "" if answer.best_score is None else f"; the likeliest has {answer.best_score:.2f}"
        console.print(f"not found: {question.text}{best}", markup=False, highlight=False)
    console.print(f"[bright_black]{searched}[/]", highlight=False)
    if args.out is not None:
        console.print(f"written to {page}", markup=False, highlight=False)
    return 0 if results else 1


def _table(question: Question, results: list[Result]) -> Table:
    table = Table(title=escape(question.text), title_justify="left")
    table.add_column("", justify="right")
    table.add_column("file", overflow="fold")
    table.add_column("time", no_wrap=True)
    table.add_column("score", justify="right")
    table.add_column("name")
    table.add_column("colour")
    for result in results:
        table.add_row(
            str(result.rank), escape(str(result.file.path)), result.when, f"{result.score:.2f}",
            _words(result.names), _words(result.colours),
        )  # fmt: skip
    return table


def _words(probabilities: Mapping[str, float]) -> str:
    return " ".join(f"{word} {p:.2f}" for word, p in likely(probabilities))


def _plain(result: Result) -> dict[str, Any]:
    video = result.file.is_video
    return {
        "rank": result.rank,
        "file": str(result.file.path),
        "start_s": round(result.start_s, 3) if video else None,
        "end_s": round(result.end_s, 3) if video else None,
        "best_s": round(result.best_s, 3) if video else None,
        "at": clock(result.best_s) if video else None,
        "score": round(result.score, 4),
        "box_px": list(result.box_px),
        "names": {word: round(p, 3) for word, p in result.names.items()},
        "colours": {word: round(p, 3) for word, p in result.colours.items()},
    }


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of results")
    return int(text)


def _seconds(text: str) -> float:
    return _between(text, 0.03, 3600.0, "a time in seconds, 0.03 to 3600")


def _share(text: str) -> float:
    return _between(text, 0.0, 1.0, "a score from 0 to 1")


def _between(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")
    return value
