"""Compares the objects that the node published with those that are there.

scores = Scores()
scores.add(scene, look, camera_base_m)
print(scores.detection())

An object counts as missed only when half of it or more has been in sight, on the table, for
``SETTLE_S``; one that is hidden or in a hand may be published or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.objects_data import TableScene, TrueObject
from deixis.export.bench.objects_playing import SETTLE_S, Look
from deixis.runtime.messages import SceneObject

Array = NDArray[np.float64]

MATCH_M: Final = 0.05
MATCH_IOU: Final = 0.5
IN_SIGHT: Final = 0.5
CLEAR: Final = 0.9
"""Share of an object in sight from which its position, name and colour are judged."""
NAMED: Final = 0.5
"""A name this probable is the one that the robot uses."""
DISTANCES_M: Final = (0.5, 0.7, 0.9, 1.1, 1.4)
"""Limits of the distances from the camera by which position errors are listed."""


@dataclass(frozen=True, slots=True)
class Named:
    """One clear view of an object.

    Attributes:
        name: The noun.
        known: Whether it was taught.
        names: Probability per name.
        embedding: As published.
        colour: The word for it, if one fits.
        colours: Probability per colour.
    """

    name: str
    known: bool
    names: dict[str, float]
    embedding: bytes
    colour: str | None
    colours: dict[str, float]


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that went wrong: ``missed``, ``false``, ``name``, ``colour`` or ``id``."""

    what: str
    scene: str
    frame: int
    box_px: tuple[float, float, float, float] | None
    detail: str


@dataclass
class Scores:
    """Counts and errors of many looks.

    Attributes:
        looks: How many counted.
        there: Objects in sight in them.
        missed: Of those, how many were not published.
        false: Published objects that are not there.
        switches: Changes of an object's id.
        tracks: Objects that were followed through a video.
        clear: What was published of objects in clear view.
        failures: Everything that went wrong.
        by: Looks, objects, missed and false ones by what the scene is like.
    """

    looks: int = 0
    there: int = 0
    missed: int = 0
    false: int = 0
    switches: int = 0
    tracks: int = 0
    clear: list[Named] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    by: dict[str, Counter[str]] = field(default_factory=dict)
    _errors_m: list[tuple[float, float, float]] = field(default_factory=list)
    _ids: dict[tuple[str, str], str] = field(default_factory=dict)
    _steady: dict[tuple[str, str], float] = field(default_factory=dict)
    _judged: set[tuple[str, str]] = field(default_factory=set)
    _placed: set[tuple[str, str, tuple[float, float, float]]] = field(default_factory=set)

    def add(self, scene: TableScene, look: Look, camera_base_m: Array) -> None:
        """Count one look; those of one scene come in their order."""
        known = scene.frames[look.frame]
        pairs = match(known, look.objects)
        if scene.is_video:
            self._follow(scene, look, pairs)
        waiting = self._waiting(scene, look)
        if not look.counts:
            return
        counts = {"looks": 1, "there": 0, "missed": 0, "false": 0}
        for true in known:
            if true.id in waiting:
                continue
            counts["there"] += 1
            found = pairs.get(true.id)
            if found is None:
                counts["missed"] += 1
                self._fail("missed", scene, look, true.box_px, true.name)
            elif true.visible >= CLEAR:
                self._judge(scene, look, true, found, camera_base_m)
        taken = {found.object_id for found in pairs.values()}
        # What is hidden or carried may stay where it was seen last.
        taken |= {self._ids.get((scene.name, true_id), "") for true_id in waiting}
        for found in look.objects:
            if found.object_id not in taken:
                counts["false"] += 1
                self._fail("false", scene, look, found.box_px, found.object_id)
        self.looks += 1
        self.there += counts["there"]
        self.missed += counts["missed"]
        self.false += counts["false"]
        for key in scene.about.values():
            if key:
                self.by.setdefault(key, Counter()).update(counts)

    def detection(self) -> dict[str, Any] | None:
        """Recall, precision and false objects a frame; None without looks."""
        if not self.looks:
            return None
        right = self.there - self.missed
        return {
            "n": self.there,
            "recall": _share(right, self.there),
            "precision": _share(right, right + self.false),
            "false_per_frame": round(self.false / self.looks, 4),
        }

    def position(self) -> dict[str, Any] | None:
        """Error of the centre in space, at all distances and near 0.8 m; None without any."""
        if not self._errors_m:
            return None
        return {**self._position(0.0, np.inf), "at_0_8_m": self._position(0.7, 0.9)}

    def position_by_distance(self) -> dict[str, Any]:
        """The same by distance from the camera, with the error along the plane alone."""
        bands = pairwise(DISTANCES_M)
        return {f"{low}-{high} m": self._position(low, high) for low, high in bands}

    def _position(self, low_m: float, high_m: float) -> dict[str, Any]:
        rows = np.array(self._errors_m).reshape(-1, 3)
        mm = 1000 * rows[(rows[:, 0] >= low_m) & (rows[:, 0] < high_m)]
        if not len(mm):
            return {"n": 0, "median_mm": None, "p95_mm": None, "plane_median_mm": None}
        return {
            "n": len(mm),
            "median_mm": round(float(np.median(mm[:, 1])), 2),
            "p95_mm": round(float(np.percentile(mm[:, 1], 95)), 2),
            "plane_median_mm": round(float(np.median(mm[:, 2])), 2),
        }

    def _judge(
        self, scene: TableScene, look: Look, true: TrueObject, found: SceneObject, camera_m: Array
    ) -> None:
        """Position, name and colour of an object in clear view."""
        # A thing that still stands where it stood is no new evidence.
        spot = (scene.name, true.id, true.position_base_m)
        if spot not in self._placed:
            self._placed.add(spot)
            place = np.array(true.position_base_m)
            off = np.array(found.position_base_m) - place
            away = float(np.linalg.norm(place - camera_m))
            error_m = float(np.linalg.norm(off))
            self._errors_m.append((away, error_m, float(np.linalg.norm(off[:2]))))
        # Names and colours hardly change within a video: they count once.
        if (scene.name, true.id) in self._judged:
            return
        self._judged.add((scene.name, true.id))
        self.clear.append(
            Named(true.name, true.known, found.names, found.embedding, true.colour, found.colours)
        )
        said = best(found.names)
        if said != (true.name if true.known else ""):
            self._fail("name", scene, look, true.box_px, f"{true.name} as {said or 'object'}")
        colour = best(found.colours, 0.0)
        if true.colour and colour != true.colour:
            self._fail("colour", scene, look, true.box_px, f"{true.colour} {true.name} as {colour}")

    def _follow(self, scene: TableScene, look: Look, pairs: dict[str, SceneObject]) -> None:
        for true in scene.frames[look.frame]:
            found = pairs.get(true.id)
            if found is None or true.held or true.visible < IN_SIGHT:
                continue
            key = (scene.name, true.id)
            before = self._ids.get(key)
            if before is None:
                self.tracks += 1
            elif before != found.object_id:
                self.switches += 1
                detail = f"{true.id}: {before} → {found.object_id}"
                self._fail("id", scene, look, true.box_px, detail)
            self._ids[key] = found.object_id

    def _waiting(self, scene: TableScene, look: Look) -> set[str]:
        """Ids of the objects that are hidden or carried, or were a moment ago."""
        now_s = look.frame / scene.fps
        waiting = set()
        for true in scene.frames[look.frame]:
            key = (scene.name, true.id)
            if true.held or true.visible < IN_SIGHT:
                self._steady[key] = now_s + SETTLE_S
            if now_s < self._steady.get(key, 0.0):
                waiting.add(true.id)
        return waiting

    def _fail(
        self, what: str, scene: TableScene, look: Look,
        box_px: tuple[float, float, float, float] | None, detail: str,
    ) -> None:  # fmt: skip
        self.failures.append(Failure(what, scene.name, look.frame, box_px, detail))


def match(known: Sequence[TrueObject], found: Sequence[SceneObject]) -> dict[str, SceneObject]:
    """Which published object is which true one: the nearest pairs first.

    A pair is within 5 cm on the plane, or its boxes overlap by half.
    """
    candidates = []
    for i, true in enumerate(known):
        for j, one in enumerate(found):
            off = np.subtract(one.position_base_m[:2], true.position_base_m[:2])
            apart_m = float(np.linalg.norm(off))
            overlaps = true.box_px is not None and iou(true.box_px, one.box_px) >= MATCH_IOU
            if apart_m <= MATCH_M or overlaps:
                candidates.append((apart_m, i, j))
    pairs: dict[str, SceneObject] = {}
    used: set[int] = set()
    for _, i, j in sorted(candidates):
        if known[i].id not in pairs and j not in used:
            pairs[known[i].id] = found[j]
            used.add(j)
    return pairs


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (left, top, width, height)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    both = max(width, 0.0) * max(height, 0.0)
    return both / max(a[2] * a[3] + b[2] * b[3] - both, 1e-9)


def best(probabilities: dict[str, float], least: float = NAMED) -> str:
    """The most probable word, or an empty text if none is probable enough."""
    word = max(probabilities, key=probabilities.__getitem__, default="")
    return word if word and probabilities[word] >= least else ""


def auroc(known: Sequence[float], unknown: Sequence[float]) -> float | None:
    """Probability that a known thing's score is above an unknown one's, ties counting half."""
    if not known or not unknown:
        return None
    values = np.concatenate([known, unknown])
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]
    above = ranks[: len(known)].sum() - len(known) * (len(known) + 1) / 2
    return round(float(above / (len(known) * len(unknown))), 4)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
