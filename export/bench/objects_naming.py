"""Naming against the number of taught views, and whether unknown things stay unknown.

For scenes the published embeddings are named by galleries with fewer views; for pictures by class
some of each class are taught and the others asked about, and the classes are held out in turn.

    naming, open_set = by_class(data, bundle, params)
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.objects_data import ObjectsData
from deixis.export.bench.objects_scoring import Named, auroc, best
from deixis.nodes.objects.embedding import CropEmbedder, cut_out, object_crop, open_embedder
from deixis.nodes.objects.gallery import Gallery, NamingParams
from deixis.nodes.objects.gallery_folder import INDEX, GalleryFolder, read_index
from deixis.runtime.bundle import Bundle
from deixis.runtime.config import convert
from deixis.runtime.errors import MediaError

Vector = NDArray[np.float32]

VIEWS: Final = (1, 3, 5)
FOLDS: Final = 5
"""So many times a share of the classes is held out."""
_SEED: Final = 0


@dataclass(frozen=True, slots=True)
class Mistake:
    """A picture that was not called what it is; an empty name is *unknown*."""

    picture: str
    name: str
    said: str
    views: int


@dataclass(frozen=True, slots=True)
class Naming:
    """What ``naming`` and ``open_set`` report, and the mistakes behind it."""

    naming: dict[str, Any] | None
    open_set: dict[str, Any] | None
    mistakes: tuple[Mistake, ...] = ()


def in_scenes(
    clear: Sequence[Named], folder: Path | None, bundle: Bundle, params: Mapping[str, Any]
) -> Naming:
    """Naming of what stood in clear view, by galleries of the first 1, 3 and 5 views of each thing.

    ``all`` is what the node itself said, with the whole gallery.

    Raises:
        ConfigError: A picture of the gallery cannot be read.
    """
    known = [one for one in clear if one.known]
    if folder is None or not known:
        return Naming(None, None)
    source = GalleryFolder(folder)
    pictures = {thing: source.pictures(thing) for thing in read_index(folder / INDEX)}
    nouns = {thing: entry.names[0] for thing, entry in read_index(folder / INDEX).items()}
    vectors = [np.frombuffer(one.embedding, "<f2").astype(np.float32) for one in known]
    views: dict[str, float | None] = {}
    with _embedder(bundle) as embedder:
        for n in VIEWS:
            enough = all(len(paths) >= n for paths in pictures.values()) and len(vectors[0]) > 0
            views[str(n)] = None
            if enough:
                chosen = {thing: paths[:n] for thing, paths in pictures.items()}
                with _gallery(chosen, nouns, embedder, params) as gallery:
                    right = [
                        best(gallery.name(v)) == one.name
                        for one, v in zip(known, vectors, strict=True)
                    ]
                views[str(n)] = _mean(right)
    views["all"] = _mean([best(one.names) == one.name for one in known])
    unknown = [one for one in clear if not one.known]
    return Naming(
        {"views": views, "n": len(known)},
        _open_set([_top(o.names) for o in known], [_top(o.names) for o in unknown]),
    )


def by_class(
    data: ObjectsData,
    bundle: Bundle,
    params: Mapping[str, Any],
    progress: Callable[[str], None] = lambda what: None,
) -> Naming:
    """Naming of pictures by class.

    Args:
        data: The classes.
        bundle: The models.
        params: Parameters of the objects node; ``naming`` counts.
        progress: Is told after each step what was done.

    Raises:
        MediaError: A picture cannot be read.
    """
    rng = np.random.default_rng(_SEED)
    order = {
        name: [paths[i] for i in rng.permutation(len(paths))]
        for name, paths in data.classes.items()
    }
    # With few pictures, one at least is asked about.
    most = min(max(VIEWS), min(len(paths) for paths in order.values()) - 1)
    nouns = {name: name.replace("_", " ") for name in order}
    views: dict[str, float | None] = {str(n): None for n in VIEWS}
    mistakes = []
    with _embedder(bundle) as embedder:
        asked = {}
        for name, paths in order.items():
            asked[name] = [(path, _embed(path, embedder)) for path in paths[most:]]
            progress(name)
        strangers = [_embed(path, embedder) for path in data.unknown]
        for n in (n for n in VIEWS if n <= most):
            taught = {name: paths[:n] for name, paths in order.items()}
            right = []
            with _gallery(taught, nouns, embedder, params) as gallery:
                for name, rows in asked.items():
                    for path, vector in rows:
                        said = best(gallery.name(vector))
                        right.append(said == nouns[name])
                        if said != nouns[name]:
                            picture = f"{path.parent.name}/{path.name}"
                            mistakes.append(Mistake(picture, nouns[name], said, n))
            views[str(n)] = _mean(right)
            progress(f"{n} views")
        known_scores: list[float] = []
        unknown_scores: list[float] = []
        for held_out in _folds(list(order), rng):
            taught = {name: p[:most] for name, p in order.items() if name not in held_out}
            with _gallery(taught, nouns, embedder, params) as gallery:
                for name, rows in asked.items():
                    scores = [_top(gallery.name(vector)) for _, vector in rows]
                    (unknown_scores if name in held_out else known_scores).extend(scores)
                unknown_scores += [_top(gallery.name(vector)) for vector in strangers]
            progress("held out " + ", ".join(held_out))
    n_asked = sum(len(rows) for rows in asked.values())
    return Naming(
        {"views": views, "n": n_asked}, _open_set(known_scores, unknown_scores), tuple(mistakes)
    )


def _open_set(known: Sequence[float], unknown: Sequence[float]) -> dict[str, Any] | None:
    if not known or not unknown:
        return None
    return {
        "auroc": auroc(known, unknown),
        "n_known": len(known),
        "n_unknown": len(unknown),
        "unknown_named": _mean([score >= 0.5 for score in unknown]),
    }


def _folds(names: Sequence[str], rng: np.random.Generator) -> list[list[str]]:
    """Shares of the classes, each held out once; at least one class stays taught."""
    shuffled = [names[i] for i in rng.permutation(len(names))]
    folds = min(FOLDS, len(names))
    return [shuffled[i::folds] for i in range(folds)]


@contextmanager
def _embedder(bundle: Bundle) -> Iterator[CropEmbedder]:
    embedder = open_embedder(bundle)
    try:
        yield embedder
    finally:
        embedder.close()


@contextmanager
def _gallery(
    pictures: Mapping[str, Sequence[Path]],
    nouns: Mapping[str, str],
    embedder: CropEmbedder,
    params: Mapping[str, Any],
) -> Iterator[Gallery]:
    """A gallery of these pictures, read as the node reads one."""
    naming = convert(dict(params.get("naming", {})), NamingParams, where="naming")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        index = {thing: {"names": [nouns[thing]]} for thing in pictures}
        (folder / INDEX).write_text(json.dumps(index))
        for thing, paths in pictures.items():
            (folder / thing).mkdir()
            for path in paths:
                shutil.copy(path, folder / thing / path.name)
        yield Gallery.load(folder, embedder, naming)


def _embed(path: Path, embedder: CropEmbedder) -> Vector:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise MediaError(f"{path} is not a picture that OpenCV can read")
    view = np.asarray(picture, np.uint8)
    vector: Vector = embedder.embed([object_crop(view, *cut_out(view))])[0]
    return vector


def _top(names: Mapping[str, float]) -> float:
    return max(names.values(), default=0.0)


def _mean(right: Sequence[bool]) -> float:
    return round(float(np.mean(right)), 4)
