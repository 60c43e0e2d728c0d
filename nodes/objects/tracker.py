"""Keeps the objects' identity over time: data association, smoothing, hysteresis, occlusion.

Detections are matched to tracks by distance on the work plane, nearest pair first. A track becomes
an object, with an id that never changes, when it was seen twice; it goes when its place was seen
bare for a while, and stays while something hides it, up to a deadline.

    tracker = Tracker(TrackerParams())
    pairs = tracker.update(observation, picture_size=(640, 480), stamp_ns=stamp_ns)
    scene_objects = tracker.objects(stamp_ns)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import msgspec
import numpy as np

from deixis.nodes.objects.source import Array, Box, Detection, Observation
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Cov3, SceneObject, Vec3

UNNAMED = "object"
"""Noun in the id of an object whose name is not known."""

_MEMORY_LOOKS = 6
_LOOK_AGAIN_NS = NS_PER_S
_DRIFT_M = 0.002
"""How far an object may creep between two pictures."""
_SURE = 0.5


class TrackerParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tracks live and die.

    Attributes:
        gate_m: A detection farther from a track than this is another object.
        moved_m: A clear view this far from the track means that the object was moved.
        hits_to_appear: Clear views before a track counts as an object.
        gone_s: An object goes when its place was seen bare for this long.
        hidden_s: An object that nothing was seen of for this long is forgotten.
        returns_s: An object of the same look that appears within this time is the one that went.
    """

    gate_m: float = 0.06
    moved_m: float = 0.025
    hits_to_appear: int = 2
    gone_s: float = 0.6
    hidden_s: float = 12.0
    returns_s: float = 6.0


@dataclass(slots=True, eq=False)
class Track:
    """One object over time; ``object_id`` is empty until it counts as one."""

    position_base_m: Array
    cov_m2: Array
    radius_m: float
    box_px: Box
    confidence: float
    hint: str
    last_seen_ns: int
    names: dict[str, float] = field(default_factory=dict)
    colours: dict[str, float] = field(default_factory=dict)
    object_id: str = ""
    hits: int = 0
    bare_since_ns: int | None = None
    looks: int = 0
    looked_box_px: Box | None = None
    looked_ns: int = 0

    def wants_look(self, detection: Detection, stamp_ns: int) -> bool:
        """Whether names and colours should be looked up in this picture: new, or changed."""
        if detection.clipped or detection.names:
            return False
        if self.looked_box_px is None:
            return True
        # A look costs more than all the rest: again only where it can tell something new.
        changed = _box_overlap(self.looked_box_px, detection.box_px) < 0.6
        unsure = self.looks < _MEMORY_LOOKS and not all(self.kind())
        return (changed or unsure) and stamp_ns - self.looked_ns >= _LOOK_AGAIN_NS

    def see(
        self, names: Mapping[str, float], colours: Mapping[str, float], box_px: Box, stamp_ns: int
    ) -> None:
        """Take in what one clear look says about names and colours."""
        self.looks = min(self.looks + 1, _MEMORY_LOOKS)
        self.names = _blend(self.names, names, 1 / self.looks)
        self.colours = _blend(self.colours, colours, 1 / self.looks)
        self.looked_box_px, self.looked_ns = box_px, stamp_ns

    def kind(self) -> tuple[str, str]:
        """The noun and the colour that it surely has, or empty texts."""
        return _surest(self.names), _surest(self.colours)


class Tracker:
    """All tracks of one scene.

    Args:
        params: How tracks live and die.
    """

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self._tracks: list[Track] = []
        self._gone: list[Track] = []
        self._numbers: dict[str, int] = {}

    def reset(self, *, renumber: bool) -> None:
        """Forget all tracks.

        Args:
            renumber: Ids start at 1 again; otherwise no id is ever given twice.
        """
        self._tracks, self._gone = [], []
        if renumber:
            self._numbers = {}

    def update(
        self, observation: Observation, picture_size: tuple[int, int], stamp_ns: int
    ) -> list[tuple[Track, Detection]]:
        """Take in one picture.

        Args:
            observation: Of all sources together (:func:`merge`).
            picture_size: Width and height.
            stamp_ns: Capture time.

        Returns:
            The tracks that were seen, with their detections.
        """
        pairs, unmatched = self._associate(observation.detections)
        for track, detection in pairs:
            self._refresh(track, detection, stamp_ns)
        seen = {id(track) for track, _ in pairs}
        for track in self._tracks:
            if id(track) not in seen:
                bare = observation.is_free(track.box_px, picture_size)
                # "Hidden" resets the count: only an unbroken bare view means that it is gone.
                track.bare_since_ns = (track.bare_since_ns or stamp_ns) if bare else None
        self._retire(stamp_ns)
        for detection in unmatched:
            # A part of something behind a hand is no new object.
            if not detection.clipped:
                track = _new_track(detection, stamp_ns)
                self._tracks.append(track)
                pairs.append((track, detection))
        return pairs

    def name_new(self, stamp_ns: int) -> None:
        """Give an id to each track that has become an object; call after the looks."""
        for track in self._tracks:
            if not track.object_id and track.hits >= self._params.hits_to_appear:
                track.object_id = self._returned(track, stamp_ns) or self._new_id(track)

    def objects(self, stamp_ns: int) -> tuple[SceneObject, ...]:
        """All objects known now, hidden ones included, in the order of their appearance."""
        return tuple(
            SceneObject(
                object_id=track.object_id,
                names=dict(track.names),
                colours=dict(track.colours),
                box_px=track.box_px,
                position_base_m=cast(Vec3, tuple(track.position_base_m.tolist())),
                position_cov_m2=cast(Cov3, tuple(track.cov_m2.ravel().tolist())),
                radius_m=track.radius_m,
                confidence=self._confidence(track, stamp_ns),
                last_seen_ns=track.last_seen_ns,
            )
            for track in self._tracks
            if track.object_id
        )

    def _associate(
        self, detections: Sequence[Detection]
    ) -> tuple[list[tuple[Track, Detection]], list[Detection]]:
        candidates = []
        for i, track in enumerate(self._tracks):
            for j, detection in enumerate(detections):
                if track.hint != detection.hint and track.hint and detection.hint:
                    continue
                apart = np.linalg.norm(track.position_base_m[:2] - detection.position_base_m[:2])
                same = bool(track.hint) and track.hint == detection.hint
                # What is half hidden seems to stand elsewhere: its box says more than its place.
                inside = detection.clipped and _share_inside(detection.box_px, track.box_px) > 0.7
                if same or inside or apart <= self._params.gate_m:
                    candidates.append((0.0 if same else float(apart), i, j))
        pairs, used_tracks, used = [], set(), set()
        for _, i, j in sorted(candidates):
            if i not in used_tracks and j not in used:
                used_tracks.add(i)
                used.add(j)
                pairs.append((self._tracks[i], detections[j]))
        return pairs, [d for j, d in enumerate(detections) if j not in used]

    def _refresh(self, track: Track, detection: Detection, stamp_ns: int) -> None:
        track.last_seen_ns, track.bare_since_ns = stamp_ns, None
        if detection.clipped:
            return
        track.hits += 1
        track.hint = track.hint or detection.hint
        track.box_px, track.radius_m = detection.box_px, detection.radius_m
        track.confidence += 0.5 * (detection.confidence - track.confidence)
        if detection.names:
            track.names, track.colours = dict(detection.names), dict(detection.colours)
        step = detection.position_base_m - track.position_base_m
        if np.linalg.norm(step[:2]) > self._params.moved_m:
            track.position_base_m, track.cov_m2 = (
                detection.position_base_m, detection.position_cov_m2,
            )  # fmt: skip
            return
        # Kalman filter of a point that creeps.
        prior = track.cov_m2 + np.eye(3) * _DRIFT_M**2
        gain = prior @ np.linalg.inv(prior + detection.position_cov_m2)
        track.position_base_m = track.position_base_m + gain @ step
        # The error of a fit is mostly the same in each picture: it does not average out.
        shrunk = (np.eye(3) - gain) @ prior
        track.cov_m2 = 0.5 * (shrunk + shrunk.T) + 0.5 * detection.position_cov_m2

    def _retire(self, stamp_ns: int) -> None:
        params = self._params
        keep: list[Track] = []
        for track in self._tracks:
            bare_ns = 0 if track.bare_since_ns is None else stamp_ns - track.bare_since_ns
            hidden_s = params.hidden_s if track.object_id else params.gone_s
            if bare_ns > params.gone_s * NS_PER_S:
                if track.object_id:
                    self._gone.append(track)
            elif stamp_ns - track.last_seen_ns <= hidden_s * NS_PER_S:
                keep.append(track)
        self._tracks = keep
        oldest_ns = stamp_ns - (params.returns_s + params.gone_s) * NS_PER_S
        self._gone = [t for t in self._gone if t.last_seen_ns >= oldest_ns]

    def _returned(self, track: Track, stamp_ns: int) -> str:
        """Id of the object that went a moment ago and looks like this one."""
        noun, colour = track.kind()
        missing = self._gone + [t for t in self._tracks if t.bare_since_ns is not None]
        for old in sorted(missing, key=lambda t: -t.last_seen_ns):
            alike = noun and old.kind() == (noun, colour) and old.last_seen_ns < stamp_ns
            if old.object_id and (alike or (track.hint and old.hint == track.hint)):
                self._gone = [t for t in self._gone if t is not old]
                self._tracks = [t for t in self._tracks if t is not old]
                return old.object_id
        return ""

    def _new_id(self, track: Track) -> str:
        noun = track.kind()[0] or UNNAMED
        self._numbers[noun] = self._numbers.get(noun, 0) + 1
        return f"{noun}-{self._numbers[noun]}"

    def _confidence(self, track: Track, stamp_ns: int) -> float:
        """Falls to half over the time that a hidden object is kept."""
        unseen_s = max(0, stamp_ns - track.last_seen_ns) / NS_PER_S
        return float(track.confidence * 0.5 ** (unseen_s / self._params.hidden_s))


def merge(observations: Sequence[Observation]) -> Observation:
    """One observation of several sources of the same picture.

    A detection that knows its identity (a tag) takes the place of an anonymous one of the same
    thing, and its box.
    """
    known = [d for o in observations for d in o.detections if d.hint]
    anonymous = [d for o in observations for d in o.detections if not d.hint]
    rest = []
    for detection in anonymous:
        same = next((i for i, tag in enumerate(known) if _same_thing(tag, detection)), None)
        if same is None:
            rest.append(detection)
        else:
            known[same] = replace(known[same], box_px=detection.box_px)
    free = [o.free for o in observations if o.free is not None]
    return Observation((*known, *rest), free=free[0] if free else None)


def _same_thing(tag: Detection, region: Detection) -> bool:
    apart = float(np.linalg.norm(tag.position_base_m[:2] - region.position_base_m[:2]))
    return _share_inside(tag.box_px, region.box_px) > 0.6 or apart < 0.6 * max(
        tag.radius_m, region.radius_m
    )


def _new_track(detection: Detection, stamp_ns: int) -> Track:
    return Track(
        position_base_m=detection.position_base_m,
        cov_m2=detection.position_cov_m2,
        radius_m=detection.radius_m,
        box_px=detection.box_px,
        confidence=detection.confidence,
        hint=detection.hint,
        last_seen_ns=stamp_ns,
        names=dict(detection.names),
        colours=dict(detection.colours),
        hits=1,
    )


def _surest(probabilities: Mapping[str, float]) -> str:
    best = max(probabilities, key=probabilities.__getitem__, default="")
    return best if best and probabilities[best] >= _SURE else ""


def _blend(old: Mapping[str, float], new: Mapping[str, float], weight: float) -> dict[str, float]:
    words = dict.fromkeys((*old, *new))
    mixed = {w: (1 - weight) * old.get(w, 0.0) + weight * new.get(w, 0.0) for w in words}
    return dict(sorted(mixed.items(), key=lambda item: -item[1]))


def _intersection(a: Box, b: Box) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    return max(width, 0.0) * max(height, 0.0)


def _share_inside(inner: Box, outer: Box) -> float:
    return _intersection(inner, outer) / max(inner[2] * inner[3], 1e-9)


def _box_overlap(a: Box, b: Box) -> float:
    both = _intersection(a, b)
    return both / max(a[2] * a[3] + b[2] * b[3] - both, 1e-9)
