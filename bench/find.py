"""How well and how fast things are found again in recordings, on RENDERED videos with truth.

    python -m bench.find --json
    python -m bench.find --data tests/scenes --out bench/results/find.json

The folder holds ``gallery``, ``camera.json`` and recordings (in ``episodes``, where there is that):
folders with ``truth.json`` and either ``video.mp4``, in which everything stands where it is, or
pictures with a true box for each thing. Each taught thing is asked for by name and colour, by noun,
by its taught views and by the first of them alone, with proposals from anywhere in the picture and,
with the camera's calibration, from the work plane. A result is right when what was asked for is
there: its centre inside the true box, and at least 0.3 of intersection over union. *Untaught* asks
for every thing with each other one left out of the gallery in turn: what was left out must not be
taken for it. The search's times are measured on the sightings themselves and on noisy copies.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from deixis.calibration.store import CameraCalibration, load_standing_camera
from deixis.export.bench.results import circumstances, write_result
from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.embedding import CropEmbedder, open_embedder
from deixis.nodes.objects.find.library import Library, watch_all
from deixis.nodes.objects.find.media import MediaFile, duration_s
from deixis.nodes.objects.find.question import Named, Question, alike, named
from deixis.nodes.objects.find.search import Found, candidates, search
from deixis.nodes.objects.find.store import Sighting, Store
from deixis.nodes.objects.find.watching import Finder, TabletopFinder, Watcher, propose_anywhere
from deixis.nodes.objects.gallery import Gallery, NamingParams, embed_views
from deixis.nodes.objects.gallery_folder import Entry, GalleryFolder
from deixis.nodes.objects.source import Box
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource
from deixis.nodes.objects.workspace import Workspace
from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.errors import MediaError

EVERY_S = 0.5
TOP = 50
LEAST_VISIBLE = 0.7
SAME_IOU = 0.3
PROPOSED_IOU = 0.5
SIZES = (10_000, 100_000)
NOISE = 0.005
"""Standard deviation of what is added to each number of a copied embedding of length 1."""
REPEATS = 5


class TrueThing(msgspec.Struct, frozen=True):
    """A thing on the table; where it stands all the time, if it does."""

    id: str
    kind: str
    size_m: tuple[float, float, float]
    position_base_m: tuple[float, float, float] | None = None
    yaw_rad: float = 0.0

    def box_px(self, camera: CameraCalibration) -> Box:
        """Where it is in the picture."""
        signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
        corners = signs * np.array(self.size_m) / 2
        c, s = np.cos(self.yaw_rad), np.sin(self.yaw_rad)
        turned = corners @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T
        px = camera.project(turned + np.array(self.position_base_m))
        (left, top), (right, bottom) = px.min(axis=0), px.max(axis=0)
        return float(left), float(top), float(right - left), float(bottom - top)


class SeenThing(msgspec.Struct, frozen=True):
    """A thing in one picture."""

    id: str
    box_px: Box
    visible: float


class TruePicture(msgspec.Struct, frozen=True):
    """One picture of a folder of pictures."""

    frame: int
    objects: list[SeenThing]


class Truth(msgspec.Struct, frozen=True):
    """What ``truth.json`` says, as far as it is needed."""

    objects: list[TrueThing]
    frames: list[TruePicture] = []


@dataclass(frozen=True)
class Place:
    """A true thing in a video or picture."""

    path: Path
    kind: str
    box_px: Box

    def is_at(self, found: Found) -> bool:
        """Whether a result shows it."""
        x, y, w, h = found.box_px
        left, top, width, height = self.box_px
        inside = left <= x + w / 2 <= left + width and top <= y + h / 2 <= top + height
        return (
            found.file.path == self.path
            and inside
            and overlap(found.box_px, self.box_px) >= SAME_IOU
        )


@dataclass
class Tally:
    """Results of several questions."""

    asked: int = 0
    wanted: int = 0
    shown: int = 0
    right: int = 0
    first_right: int = 0
    found: int = 0

    def add(self, results: Sequence[Found], wanted: Sequence[Place]) -> None:
        """Judge the results of one question."""
        good = [any(place.is_at(found) for place in wanted) for found in results]
        self.asked += 1
        self.wanted += len(wanted)
        self.shown += len(results)
        self.right += sum(good)
        self.first_right += bool(good and good[0])
        self.found += sum(any(place.is_at(found) for found in results) for place in wanted)

    def figures(self) -> dict[str, Any]:
        """Shares and what they are of."""
        return {
            "questions": self.asked,
            "things": self.wanted,
            "recall": round(self.found / max(self.wanted, 1), 4),
            "precision": round(self.right / max(self.shown, 1), 4),
            "first_right": round(self.first_right / max(self.asked, 1), 4),
            "results": self.shown,
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.find", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("tests/scenes"), metavar="FOLDER")
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR")
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, metavar="N")
    parser.add_argument("--out", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = measure(args.data, args.bundle, args.sizes, Console(stderr=True))
    if args.out is not None:
        write_result(args.out, figures)
    if args.json:
        print(json.dumps(figures))
    else:
        show(figures)


def measure(data: Path, bundle: Path, sizes: Sequence[int], console: Console) -> dict[str, Any]:
    """All figures on one folder.

    Raises:
        DeixisError: The folder or the bundle cannot be used.
    """
    embedder = open_embedder(Bundle.open(bundle))
    folder = GalleryFolder(data / "gallery")
    files, places = _places(data)
    finders: dict[str, Finder] = {"anywhere": propose_anywhere}
    if (data / "camera.json").is_file():
        camera = load_standing_camera(data / "camera.json")
        source = TabletopSource(TabletopParams(), Workspace())
        finders["work plane"] = TabletopFinder(camera, source)
    figures: dict[str, Any] = {**circumstances(), "data": str(data), "every_s": EVERY_S, "ways": {}}
    with tempfile.TemporaryDirectory() as cache:
        for name, finder in finders.items():
            store = Store(Path(cache), f"{embedder.key} {name}")
            started_s = time.perf_counter()
            library, _ = watch_all(files, store, Watcher(embedder, finder), EVERY_S, console)
            took_s = time.perf_counter() - started_s
            seconds = sum(duration_s(file) for file in files)
            figures["ways"][name] = {
                "files": len(files),
                "video_s": round(seconds, 1),
                "watching_s": round(took_s, 1),
                "sightings": len(library.sightings),
                "proposed": _proposed(library, places),
                **{kind: t.figures() for kind, t in _asked(library, folder, places, embedder)},
            }
            if name == "anywhere":
                figures["search"] = _timed(library, folder, embedder, sizes, Path(cache))
    embedder.close()
    return figures


def _places(data: Path) -> tuple[list[MediaFile], list[Place]]:
    """The recordings of a folder, and where in them everything is."""
    files: list[MediaFile] = []
    places: list[Place] = []
    episodes = data / "episodes"
    for path in sorted((episodes if episodes.is_dir() else data).rglob("truth.json")):
        truth = msgspec.json.decode(path.read_bytes(), type=Truth)
        video = path.with_name("video.mp4")
        if video.is_file():
            camera = load_standing_camera(data / "camera.json")
            files.append(MediaFile(video, named=True))
            places += [Place(video, thing.kind, thing.box_px(camera)) for thing in truth.objects]
            continue
        kinds = {thing.id: thing.kind for thing in truth.objects}
        for shot in truth.frames:
            picture = path.with_name(f"{shot.frame:04d}.jpg")
            files.append(MediaFile(picture, named=True))
            places += [
                Place(picture, kinds[thing.id], thing.box_px)
                for thing in shot.objects
                if thing.visible >= LEAST_VISIBLE
            ]
    if not places:
        raise MediaError(f"there is no recording with a truth.json in {data}")
    return files, places


def _proposed(library: Library, places: Sequence[Place]) -> float:
    """Share of the true things that some sighting covers well."""
    rows = range(len(library.sightings))
    boxes = [(library.file(row).path, library.sightings[row].box_px) for row in rows]
    covered = [
        any(path == p.path and overlap(box, p.box_px) >= PROPOSED_IOU for path, box in boxes)
        for p in places
    ]
    return round(sum(covered) / len(covered), 4)


def _asked(
    library: Library, folder: GalleryFolder, places: Sequence[Place], embedder: CropEmbedder
) -> Iterable[tuple[str, Tally]]:
    """All questions of each way of asking."""
    index, params, common = folder.things(), NamingParams(), library.common()

    def tally(questions: Iterable[tuple[Question, set[str]]]) -> Tally:
        result = Tally()
        for question, right in questions:
            wanted = [place for place in places if place.kind in right]
            result.add(search(library, question, TOP).found, wanted)
        return result

    of_noun: dict[str, set[str]] = {}
    for thing, entry in index.items():
        of_noun.setdefault(entry.names[0], set()).add(thing)
    yield (
        "name and colour",
        tally(
            (named(_label(entry), folder, embedder, params), {thing})
            for thing, entry in index.items()
        ),
    )
    yield (
        "noun",
        tally((named(noun, folder, embedder, params), things) for noun, things in of_noun.items()),
    )
    for way, count in (("taught views", None), ("one picture", 1)):
        asked = (
            (alike(thing, folder.pictures(thing)[:count], embedder), {thing}) for thing in index
        )
        yield way, tally((replace(question, common=common), things) for question, things in asked)
    yield "untaught", tally(_left_out(folder, index, params, embedder))


def _left_out(
    folder: GalleryFolder, index: dict[str, Entry], params: NamingParams, embedder: CropEmbedder
) -> Iterable[tuple[Question, set[str]]]:
    """Every thing asked for with every other one left out of the gallery."""
    views = dict(zip(index, embed_views(folder.path, list(index), embedder), strict=True))
    for missing in index:
        rest = [thing for thing in index if thing != missing]
        gallery = Gallery([index[t].names[0] for t in rest], [views[t] for t in rest], params)
        for thing in rest:
            entry = index[thing]
            nouns = frozenset(entry.names[:1])
            yield Named(_label(entry), nouns, entry.colour, views[thing], gallery), {thing}


def _timed(
    library: Library, folder: GalleryFolder, embedder: CropEmbedder, sizes: Sequence[int],
    cache: Path,
) -> list[dict[str, Any]]:  # fmt: skip
    """What the first look with codes saves, and what it loses."""
    questions = [
        named(_label(entry), folder, embedder, NamingParams()) for entry in folder.things().values()
    ]
    rows = []
    for size in (len(library.sightings), *sizes):
        many = library if size == len(library.sightings) else _copies(library, size, cache)
        took: dict[str, list[float]] = {"codes_ms": [], "exact_ms": []}
        looked, kept = [], []
        for question in questions:
            results: dict[str, list[int]] = {}
            for name, exact in (("codes_ms", False), ("exact_ms", True)):
                for _ in range(REPEATS if size < SIZES[0] else 1):
                    started_s = time.perf_counter()
                    answer = search(many, question, TOP, exact=exact)
                    took[name].append(1000 * (time.perf_counter() - started_s))
                results[name] = _best(many, question, exact)
                if not exact:
                    looked.append(answer.looked_at)
            kept.append(
                len(set(results["codes_ms"]) & set(results["exact_ms"])) / len(results["exact_ms"])
            )
        rows.append({
            "sightings": size, "copies": many is not library,
            **{name: round(float(np.median(values)), 1) for name, values in took.items()},
            "looked_at": round(float(np.mean(looked))),
            "best_50_kept": round(float(np.mean(kept)), 4),
        })  # fmt: skip
    return rows


def _best(library: Library, question: Question, exact: bool) -> list[int]:
    """The 50 sightings with the highest scores."""
    rows = candidates(library, question, TOP, exact)
    scores = question.scores(library.vectors(rows), [library.sightings[row] for row in rows])
    return [int(row) for row in rows[np.argsort(-scores, kind="stable")[:TOP]]]


def _copies(library: Library, size: int, cache: Path) -> Library:
    """Noisy copies of the sightings, in as many files as there are."""
    rng = np.random.default_rng(size)
    store = Store(cache, f"copies {size}")
    seen = []
    for number, (file, some) in enumerate(zip(library.files, library.seen, strict=True)):
        count = size // len(library.files) + (number < size % len(library.files))
        chosen = rng.integers(0, len(some.sightings), count)
        vectors = np.asarray(some.vectors[chosen], np.float32)
        vectors += (NOISE * rng.standard_normal(vectors.shape)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        sightings: list[Sighting] = [some.sightings[i] for i in chosen]
        store.put(store.key(file.path), sightings, vectors, b"")
        kept = store.get(store.key(file.path))
        assert kept is not None
        seen.append(kept)
    return Library(library.files, seen)


def _label(entry: Entry) -> str:
    return f"{entry.colour} {entry.names[0]}" if entry.colour else entry.names[0]


def show(figures: dict[str, Any]) -> None:
    """Print the figures as tables."""
    console = Console()
    for name, way in figures["ways"].items():
        table = Table(
            title=f"things looked for {name}: {way['files']} files, {way['video_s']:.0f} s of "
            f"video, watched in {way['watching_s']:.0f} s; {way['sightings']} sightings, "
            f"{way['proposed']:.1%} of the things among them",
            title_justify="left",
        )
        table.add_column("asked by")
        for column in ("questions", "things", "recall", "precision", "first right"):
            table.add_column(column, justify="right")
        for kind, row in way.items():
            if isinstance(row, dict):
                shares = [f"{row[k]:.1%}" for k in ("recall", "precision", "first_right")]
                table.add_row(kind, str(row["questions"]), str(row["things"]), *shares)
        console.print(table)
    table = Table(title="search times", title_justify="left")
    for column in (
        "sightings",
        "codes, then embeddings ms",
        "embeddings ms",
        "looked at",
        "best 50 kept",
    ):
        table.add_column(column, justify="right")
    for row in figures["search"]:
        table.add_row(
            f"{row['sightings']:,}{' (copies)' if row['copies'] else ''}", f"{row['codes_ms']:.0f}",
            f"{row['exact_ms']:.0f}", str(row["looked_at"]), f"{row['best_50_kept']:.1%}",
        )  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
