"""Answers a question from what was seen: codes for the first look, embeddings for the second.

for found in search(library, question, top=20): found.file.path, found.start_s, found.score
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.boxes import overlap, share_inside
from deixis.nodes.objects.find.codes import Nearest, binary_codes
from deixis.nodes.objects.find.library import Library
from deixis.nodes.objects.find.media import MediaFile
from deixis.nodes.objects.find.question import Question, may_be, shared_colour
from deixis.nodes.objects.source import Box

SHORTLIST = 400
"""Sightings that get a second look for each view, and 20 for each wanted result if that is more."""
_SAME_PLACE_IOU = 0.3
_SAME_PLACE_SHARE = 0.6
_PART_SHARE = 0.8
_SAME_COLOUR = 0.3
_NEARLY_AS_SURE = 0.5
_SAME_PLACE_S = 10.0
"""A thing that is in the same place after so long is there all the time: a hand hid it."""
_MOVED_S = 1.5
"""A thing that is gone here and there next is one that moved, within this time."""


@dataclass(slots=True)
class Found:
    """A thing that was found, over the time that it was seen.

    Attributes:
        row: Its best sighting.
        file: Where.
        score: How sure, 0 to 1.
        start_s: Its first time, seconds; 0 in a picture.
        end_s: Its last time.
        best_s: When its best sighting begins.
        box_px: x, y, width, height in the picture at that time.

    Its best sighting is the widest of those at that place that are nearly as sure as the surest.
    """

    row: int
    file: MediaFile
    score: float
    start_s: float
    end_s: float
    best_s: float
    box_px: Box


@dataclass(frozen=True, slots=True)
class Answer:
    """What a search gave.

    Attributes:
        found: The best first.
        looked_at: How many sightings got the second look.
        best_score: Of all sightings, also below the least score; None where there is none.
    """

    found: list[Found]
    looked_at: int
    best_score: float | None


def search(
    library: Library,
    question: Question,
    top: int,
    min_score: float | None = None,
    exact: bool = False,
) -> Answer:
    """The things that answer a question.

    Args:
        library: What was seen.
        question: What is looked for.
        top: How many at most.
        min_score: Least score; by default the question's own.
        exact: Give every sighting the second look; to measure what the first one costs.

    Raises:
        MissingExtraError: faiss is not installed.
    """
    rows = candidates(library, question, top, exact)
    if len(rows) == 0:
        return Answer([], 0, None)
    sightings = [library.sightings[row] for row in rows]
    scores = question.scores(library.vectors(rows), sightings)
    least = question.min_score if min_score is None else min_score
    good = np.argsort(-scores, kind="stable")
    hits = [
        Found(
            int(rows[i]), library.file(int(rows[i])), float(scores[i]), sightings[i].start_s,
            sightings[i].end_s, sightings[i].start_s, sightings[i].box_px,
        )
        for i in good
        if scores[i] >= least
    ]  # fmt: skip
    things = (thing for thing in joined(hits) if not _is_part(thing, library, question))
    return Answer(list(islice(things, top)), len(rows), float(scores.max()))


def candidates(
    library: Library, question: Question, top: int, exact: bool = False
) -> NDArray[np.int64]:
    """Rows that get the second look, ascending."""
    rows = np.flatnonzero([may_be(question, s) for s in library.sightings])
    if question.near is None or exact or len(rows) == 0:
        return rows
    nearest = Nearest(library.codes()[rows])
    return rows[nearest.find(binary_codes(question.near), max(SHORTLIST, 20 * top))]


def joined(hits: Sequence[Found]) -> list[Found]:
    """One result for each thing: sightings of it, or of parts of it, belong to its best one.

    Args:
        hits: The best first.
    """
    places = _gathered(hits, lambda a, b: _apart_s(a, b) <= _SAME_PLACE_S and _same_place(a, b))
    # A thing cannot be in two places at once; in one and then in another it can.
    return _gathered(places, lambda a, b: 0 < _apart_s(a, b) <= _MOVED_S)


def _gathered(hits: Sequence[Found], belongs: Callable[[Found, Found], bool]) -> list[Found]:
    kept: list[Found] = []
    for hit in hits:
        best = next((k for k in kept if k.file == hit.file and belongs(hit, k)), None)
        if best is None:
            kept.append(replace(hit))
        else:
            best.start_s = min(best.start_s, hit.start_s)
            best.end_s = max(best.end_s, hit.end_s)
            # Of a thing and its parts, all of which look like it, the whole is shown.
            whole = share_inside(best.box_px, hit.box_px) >= _PART_SHARE
            if whole and hit.score >= _NEARLY_AS_SURE * best.score:
                best.row, best.best_s, best.box_px = hit.row, hit.best_s, hit.box_px
    return kept


def _is_part(thing: Found, library: Library, question: Question) -> bool:
    """Whether it is a part of something else that is known, of the same colour."""
    colours = library.sightings[thing.row].colours
    around = [
        row
        for row in library.around(thing.row, _PART_SHARE)
        if shared_colour(colours, library.sightings[row].colours) >= _SAME_COLOUR
    ]
    wholes = library.vectors(np.array(around, np.int64))
    return len(around) > 0 and question.otherwise(wholes) > thing.score


def _apart_s(a: Found, b: Found) -> float:
    """Time between two sightings; 0 when they overlap."""
    return max(a.start_s - b.end_s, b.start_s - a.end_s, 0.0)


def _same_place(a: Found, b: Found) -> bool:
    return (
        overlap(a.box_px, b.box_px) >= _SAME_PLACE_IOU
        or share_inside(a.box_px, b.box_px) >= _SAME_PLACE_SHARE
        or share_inside(b.box_px, a.box_px) >= _SAME_PLACE_SHARE
    )
