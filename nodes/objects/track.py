"""One object over time: where it is, what it is called, and whether two could be the same.

track = Track.begin(detection, stamp_ns)
track.see(names, colours, vector, detection.box_px, stamp_ns)
likeness(track, other)  # 0 to 1: may they be one object?
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.source import Array, Box, Detection
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import Cov3, SceneObject, Vec3

_MEMORY_LOOKS = 6
_LOOK_AGAIN_NS = NS_PER_S
_DRIFT_M = 0.002
"""How far an object may creep between two pictures."""
_SURE = 0.5
_TOLD_SHARE = 0.3
"""Weight of one more picture in what a detector calls a thing."""
_MOVING_M = 0.008
_MAX_SPEED_M_S = 1.5
_COASTING_NS = 400 * NS_PER_MS
_TINT_SIGMA = 18.0
_SIZE_SIGMA = 0.35
_OTHER_LOOK, _SAME_LOOK = 0.15, 0.5
"""Cosines of embeddings: of different things (median 0.06), of one seen twice (90 % above 0.5)."""


@dataclass(slots=True, eq=False)
class Track:
    """One object over time; ``object_id`` is empty until it counts as one.

    Attributes:
        position_base_m: Its centre, shape ``(3,)``.
        cov_m2: Covariance of the centre, shape ``(3, 3)``.
        radius_m: Half of its horizontal extent.
        height_m: Its height.
        box_px: Where it was last seen clearly.
        confidence: Probability that it is an object.
        hint: Identity that its source knows.
        last_seen_ns: Capture time of the last picture that showed it, or a part of it.
        clear_ns: Capture time of the last picture that showed all of it.
        begun_ns: Capture time of the first picture that showed it.
        velocity_m_s: How it moves on the plane, shape ``(2,)``.
        tint: Mean colour, see :class:`Detection`.
        names: Probability per name, as looked up.
        told: Probability per name, as a source says.
        colours: Probability per colour.
        embedding: Mean of its looks, length 1.
        object_id: Its id in the scene.
        hits: How many pictures showed it clearly.
        bare_since_ns: Since when its place is seen to be bare.
        looks: How many looks names and colours rest on, at most six.
        looked_box_px: Its box at the last look.
        looked_ns: Capture time of the last look.
        awaits_look: It has yet to have its first look.
    """

    position_base_m: Array
    cov_m2: Array
    radius_m: float
    height_m: float
    box_px: Box
    confidence: float
    hint: str
    last_seen_ns: int
    clear_ns: int
    begun_ns: int
    velocity_m_s: Array = field(default_factory=lambda: np.zeros(2))
    tint: Array | None = None
    names: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    colours: dict[str, float] = field(default_factory=dict)
    embedding: NDArray[np.float32] | None = None
    object_id: str = ""
    hits: int = 0
    bare_since_ns: int | None = None
    looks: int = 0
    looked_box_px: Box | None = None
    looked_ns: int = 0
    awaits_look: bool = False

    @classmethod
    def begin(cls, detection: Detection, stamp_ns: int) -> Track:
        """The track of something that is seen for the first time."""
        return cls(
            position_base_m=detection.position_base_m,
            cov_m2=detection.position_cov_m2,
            radius_m=detection.radius_m,
            height_m=detection.height_m,
            box_px=detection.box_px,
            confidence=detection.confidence,
            hint=detection.hint,
            last_seen_ns=stamp_ns,
            clear_ns=stamp_ns,
            begun_ns=stamp_ns,
            tint=detection.tint,
            told=dict(detection.names),
            colours=dict(detection.colours),
            hits=1,
        )

    def expected(self, stamp_ns: int) -> Array:
        """Where on the plane it should be, shape ``(2,)``: it coasts for a moment, then rests."""
        ahead_ns = stamp_ns - self.clear_ns
        place = self.position_base_m[:2]
        return place + self.velocity_m_s * ahead_ns / NS_PER_S if ahead_ns < _COASTING_NS else place

    def refresh(self, detection: Detection, stamp_ns: int, moved_m: float) -> None:
        """Take in one clear view.

        Args:
            detection: What was seen.
            stamp_ns: When.
            moved_m: Farther than this from its place it was moved, nearer it is noise.
        """
        elapsed_s = (stamp_ns - self.clear_ns) / NS_PER_S
        self.last_seen_ns = self.clear_ns = stamp_ns
        self.bare_since_ns = None
        self.hits += 1
        self.hint = self.hint or detection.hint
        self.box_px = detection.box_px
        self.radius_m, self.height_m = detection.radius_m, detection.height_m
        self.tint = self.tint if detection.tint is None else detection.tint
        self.confidence += 0.5 * (detection.confidence - self.confidence)
        if detection.names:
            share = 1.0 if self.hint or not self.told else _TOLD_SHARE
            self.told = blend(self.told, detection.names, share)
        if detection.colours:
            self.colours = dict(detection.colours)
        step = detection.position_base_m - self.position_base_m
        moving = float(np.linalg.norm(step[:2])) > _MOVING_M and 0 < elapsed_s < 1
        speed = step[:2] / elapsed_s if moving else np.zeros(2)
        self.velocity_m_s = np.clip(speed, -_MAX_SPEED_M_S, _MAX_SPEED_M_S)
        if np.linalg.norm(step[:2]) > moved_m:
            self.position_base_m = detection.position_base_m
            self.cov_m2 = detection.position_cov_m2
            return
        # Kalman filter of a point that creeps.
        prior = self.cov_m2 + np.eye(3) * _DRIFT_M**2
        gain = prior @ np.linalg.inv(prior + detection.position_cov_m2)
        self.position_base_m = self.position_base_m + gain @ step
        # The error of a fit is mostly the same in each picture: it does not average out.
        shrunk = (np.eye(3) - gain) @ prior
        self.cov_m2 = 0.5 * (shrunk + shrunk.T) + 0.5 * detection.position_cov_m2

    def glimpse(self, stamp_ns: int) -> None:
        """Take in that a part of it was seen: it is there, and nothing else is known."""
        self.last_seen_ns, self.bare_since_ns = stamp_ns, None

    def inherit(self, old: Track) -> None:
        """Become the object that an earlier track was: its id, and what it was known to be."""
        self.object_id = old.object_id
        self.told = self.told or old.told
        if old.looks > self.looks:
            self.names, self.colours, self.embedding = old.names, old.colours, old.embedding
            self.looks = old.looks

    def wants_look(self, detection: Detection, stamp_ns: int) -> bool:
        """Whether names and colours should be looked up in this picture: new, or changed."""
        # A tag alone looks like a tag, not like what carries it.
        if detection.clipped or (detection.hint and detection.mask is None):
            return False
        if self.looked_box_px is None:
            return True
        # A look costs more than all the rest: again only where it can tell something new.
        changed = overlap(self.looked_box_px, detection.box_px) < 0.6
        unsure = self.looks < _MEMORY_LOOKS and not all(self.kind())
        return (changed or unsure) and stamp_ns - self.looked_ns >= _LOOK_AGAIN_NS

    def see(
        self,
        names: Mapping[str, float],
        colours: Mapping[str, float],
        embedding: NDArray[np.float32] | None,
        box_px: Box,
        stamp_ns: int,
    ) -> None:
        """Take in what one clear look says about names and colours.

        Args:
            names: Probability per name.
            colours: Probability per colour.
            embedding: What it looks like, length 1, if it was embedded.
            box_px: Where it was seen.
            stamp_ns: When.
        """
        self.looks = min(self.looks + 1, _MEMORY_LOOKS)
        share = 1 / self.looks
        self.names = blend(self.names, names, share)
        self.colours = blend(self.colours, colours, share)
        if embedding is not None:
            old = embedding if self.embedding is None else self.embedding
            mean = (1 - share) * old + share * embedding
            self.embedding = np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9), np.float32)
        self.looked_box_px, self.looked_ns, self.awaits_look = box_px, stamp_ns, False

    def called(self) -> dict[str, float]:
        """Probability per name from all that is known, most probable first.

        A tag knows its object. A detector's nouns share what the taught names leave open: who
        taught this cup a name of its own means that one.
        """
        if self.hint and self.told:
            return dict(self.told)
        left = max(0.0, 1 - sum(self.names.values()))
        words = dict.fromkeys((*self.names, *self.told))
        mixed = {w: self.names.get(w, 0.0) + left * self.told.get(w, 0.0) for w in words}
        return dict(sorted(mixed.items(), key=lambda item: -item[1]))

    def kind(self) -> tuple[str, str]:
        """The noun and the colour that it surely has, or empty texts."""
        return _surest(self.called()), _surest(self.colours)

    def as_object(self, confidence: float) -> SceneObject:
        """It as the scene's message has it."""
        vector = np.zeros(0) if self.embedding is None else self.embedding
        return SceneObject(
            object_id=self.object_id,
            names=self.called(),
            colours=dict(self.colours),
            box_px=self.box_px,
            position_base_m=cast(Vec3, tuple(self.position_base_m.tolist())),
            position_cov_m2=cast(Cov3, tuple(self.cov_m2.ravel().tolist())),
            radius_m=self.radius_m,
            confidence=confidence,
            last_seen_ns=self.last_seen_ns,
            embedding=vector.astype("<f2").tobytes(),
            height_m=self.height_m,
        )


def likeness(a: Track, b: Track) -> float:
    """How alike two tracks are, 0 to 1; from a half on they may be one object.

    Names decide where both have a sure one, embeddings and colours otherwise; size always counts.
    """
    if a.hint or b.hint:
        return float(a.hint == b.hint)
    (noun, colour), (other_noun, other_colour) = a.kind(), b.kind()
    if noun and other_noun and noun != other_noun:
        return 0.0
    if colour and other_colour and colour != other_colour:
        return 0.0
    ratio = np.log([a.radius_m / b.radius_m, max(a.height_m, 0.01) / max(b.height_m, 0.01)])
    size = float(np.exp(-0.5 * ((ratio / _SIZE_SIGMA) ** 2).mean()))
    tint = 1.0 if a.tint is None or b.tint is None else float(np.exp(-0.5 * tint_off(a, b) ** 2))
    look = 1.0
    if a.embedding is not None and b.embedding is not None:
        cosine = float(a.embedding @ b.embedding)
        look = float(np.clip((cosine - _OTHER_LOOK) / (_SAME_LOOK - _OTHER_LOOK), 0, 1))
    # By name and colour they are the same already; otherwise all of it has to agree.
    known = bool(noun and other_noun and colour and other_colour)
    return 0.6 + 0.4 * size * tint * look if known else size * tint * look


def tint_off(a: Track | Detection, b: Track | Detection) -> float:
    """Difference of the mean colours in standard deviations; 0 where one is not known."""
    if a.tint is None or b.tint is None:
        return 0.0
    return float(np.linalg.norm(a.tint - b.tint)) / _TINT_SIGMA


def blend(old: Mapping[str, float], new: Mapping[str, float], weight: float) -> dict[str, float]:
    """Mean of two sets of probabilities, most probable first; ``weight`` is that of the new."""
    words = dict.fromkeys((*old, *new))
    mixed = {w: (1 - weight) * old.get(w, 0.0) + weight * new.get(w, 0.0) for w in words}
    return dict(sorted(mixed.items(), key=lambda item: -item[1]))


def _surest(probabilities: Mapping[str, float]) -> str:
    best = max(probabilities, key=probabilities.__getitem__, default="")
    return best if best and probabilities[best] >= _SURE else ""
