from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from deixis.nodes.objects.find.codes import Nearest, binary_codes
from deixis.nodes.objects.find.library import Library
from deixis.nodes.objects.find.media import MediaFile
from deixis.nodes.objects.find.question import Alike, Coloured, Named
from deixis.nodes.objects.find.search import Found, joined, search
from deixis.nodes.objects.find.store import Seen, Sighting
from deixis.nodes.objects.gallery import Gallery, NamingParams
from deixis.nodes.objects.source import Box
from deixis.runtime.errors import MissingExtraError

FILM = MediaFile(Path("film.mp4"), named=True)
DIMENSIONS = 64
CUP, BALL = np.eye(2, DIMENSIONS, dtype=np.float32)


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def sighting(
    box_px: Box = (0, 0, 10, 10), start_s: float = 0, end_s: float = 0, colour: str = "red"
) -> Sighting:
    return Sighting(start_s, end_s, box_px, {colour: 0.9, "brown": 0.05}, (0, 0))


def library(*files: Sequence[tuple[Sighting, np.ndarray]]) -> Library:
    seen = []
    for pairs in files:
        vectors = np.stack([v for _, v in pairs]).astype(np.float16)
        codes = binary_codes(vectors.astype(np.float32))
        seen.append(Seen([s for s, _ in pairs], vectors, codes, Path("none")))
    names = [MediaFile(Path(f"{k}.mp4"), named=True) for k in range(len(files))]
    return Library(names, seen)


def cup(colour: str | None = None) -> Named:
    gallery = Gallery(["cup", "ball"], [CUP[None], BALL[None]], NamingParams())
    return Named("cup", frozenset(["cup"]), colour, CUP[None], gallery)


def found(box_px: Box, start_s: float, end_s: float, score: float = 0.9, row: int = 0) -> Found:
    return Found(row, FILM, score, start_s, end_s, start_s, box_px)


# --- the first look -----------------------------------------------------------------------------


def test_codes_find_what_the_cosine_finds() -> None:
    rng = np.random.default_rng(0)
    vectors = unit(rng.normal(size=(3000, DIMENSIONS)))
    wanted = unit(vectors[:5] + 0.5 * rng.normal(size=(5, DIMENSIONS)) / 8)
    best = np.argsort(-(wanted @ vectors.T), axis=1)[:, :5]
    near = Nearest(binary_codes(vectors)).find(binary_codes(wanted), 100)
    assert len(near) < 600
    assert len(set(best.ravel()) - set(near)) <= 2
    assert set(range(5)) <= set(near)


def test_without_the_library_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(MissingExtraError) as caught:
        Nearest(binary_codes(CUP[None]))
    assert caught.value.hint == "pip install 'deixis[find]'"


# --- the second look ----------------------------------------------------------------------------


def test_the_right_thing_is_found_in_the_right_file() -> None:
    everything = library(
        [(sighting(), BALL)],
        [(sighting((5, 5, 9, 9), 1, 2), BALL), (sighting((50, 50, 9, 9), 3, 4), CUP)],
    )
    (only,) = search(everything, cup(), top=10).found
    assert only.file.path.name == "1.mp4"
    assert (only.start_s, only.end_s, only.box_px) == (3, 4, (50, 50, 9, 9))


def test_a_colour_decides_between_two_alike() -> None:
    both = library([(sighting(colour="blue"), CUP), (sighting((50, 0, 10, 10)), CUP)])
    assert len(search(both, cup(), top=10).found) == 2
    (only,) = search(both, cup("red"), top=10).found
    assert only.row == 1
    (only,) = search(both, Coloured("blue", "blue"), top=10).found
    assert only.row == 0


def test_what_is_not_there_is_not_found_but_its_likeliest_score_is_told() -> None:
    answer = search(library([(sighting(), BALL)]), cup(), top=10)
    assert answer.found == []
    assert answer.best_score is not None
    assert answer.best_score < 0.2
    assert search(Library([], []), cup(), top=10).best_score is None


def test_something_alike_is_found_by_looks_and_colour() -> None:
    some = library([
        (sighting(), unit(CUP + 0.3)), (sighting((50, 0, 9, 9), colour="blue"), unit(CUP + 0.3)),
        (sighting((90, 0, 9, 9)), unit(BALL + 0.3)),
    ])  # fmt: skip
    question = Alike("like this", unit(CUP + 0.3)[None], {"red": 0.9}, some.common())
    first, second = search(some, question, top=2, min_score=0.0).found
    assert (first.row, second.row) == (0, 1)
    assert first.score > 1.5 * second.score


@pytest.mark.parametrize("colour", ["red", "blue"])
def test_a_part_of_a_known_thing_is_no_thing_unless_its_colour_differs(colour: str) -> None:
    whole, part = (0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 30.0, 30.0)
    pair = library([
        (sighting(whole, 0, 2), BALL), (sighting(part, 1, 1, colour), unit(CUP + 0.8 * BALL))
    ])  # fmt: skip
    hits = search(pair, cup(), top=10, min_score=0.3).found
    assert [hit.row for hit in hits] == ([] if colour == "red" else [1])


def test_every_row_is_read_from_its_own_file() -> None:
    rng = np.random.default_rng(2)
    vectors = unit(rng.normal(size=(7, DIMENSIONS)))
    pairs = [(sighting(), v) for v in vectors]
    parts = library(pairs[:3], pairs[3:4], pairs[4:])
    rows = np.array([6, 0, 3, 2, 5, 5])
    assert np.allclose(parts.vectors(rows), vectors[rows], atol=1e-3)
    assert [parts.file(row).path.stem for row in rows] == ["2", "0", "1", "0", "2", "2"]


# --- one result for each thing ------------------------------------------------------------------


def test_sightings_in_one_place_are_one_thing() -> None:
    hits = [found((0, 0, 10, 10), 3, 4), found((1, 1, 10, 10), 0, 2, 0.5)]
    (one,) = joined(hits)
    assert (one.start_s, one.end_s, one.score) == (0, 4, 0.9)
    assert len(joined([hits[0], found((1, 1, 10, 10), 40, 50)])) == 2


def test_the_whole_is_shown_rather_than_its_surest_part() -> None:
    part, whole = found((10, 0, 20, 20), 1, 1, 0.9), found((8, 0, 24, 90), 0, 0, 0.7, row=5)
    (one,) = joined([part, whole])
    assert (one.row, one.box_px, one.score) == (5, whole.box_px, 0.9)
    (one,) = joined([part, found((8, 0, 24, 90), 0, 0, 0.3, row=5)])
    assert one.row == 0


def test_what_moved_is_one_thing_and_what_stands_beside_it_is_another() -> None:
    moved = [found((0, 0, 10, 10), 0, 2), found((90, 0, 10, 10), 2.5, 4, 0.8)]
    (one,) = joined(moved)
    assert (one.start_s, one.end_s) == (0, 4)
    assert len(joined([found((0, 0, 10, 10), 0, 4), found((90, 0, 10, 10), 2.5, 4)])) == 2
    assert len(joined([found((0, 0, 10, 10), 0, 0), found((90, 0, 10, 10), 0, 0)])) == 2
