"""Keeps the objects' identity over time: data association, hysteresis, occlusion, carrying.

Detections are matched to tracks all at once (:mod:`.assignment`), by the place where each track
should be now and by colour. A track becomes an object, with an id that never changes, when it was
seen twice; it goes when its place was seen bare for a while, and stays while something hides it, up
to a deadline. What appears elsewhere and looks like one that went, was carried there: it has that
one's id. While one that looks the same is hidden, nobody knows yet which of the two it is; the id
waits until that one's place is in view again.

    tracker = Tracker(TrackerParams())
    pairs = tracker.update(observation, picture_size=(640, 480), stamp_ns=stamp_ns)
    scene_objects = tracker.objects(stamp_ns)
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from deixis.nodes.objects.assignment import assign
from deixis.nodes.objects.boxes import share_inside
from deixis.nodes.objects.source import Detection, Observation
from deixis.nodes.objects.track import Track, likeness, tint_off
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import SceneObject

UNNAMED = "object"
"""Noun in the id of an object whose name is not known."""

_ALIKE = 0.5
_TOUCHING = 0.8
"""Two things are at least this share of the sum of their radii apart."""
_COVERS = 0.8
_REPLACED_SIGMA = 2.5
"""What comes out from behind a hand with a colour this far off is another object."""


class TrackerParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tracks live and die.

    Attributes:
        gate_m: A detection farther than this from where a track should be is another object.
        moved_m: A clear view this far from the track means that the object was moved.
        hits_to_appear: Clear views before a track counts as an object.
        appears_s: Time that they span, once the scene is a second old.
        appears_by_hand_s: Likewise while a hand is in view, for what was nowhere before: the hand's
            shadow makes things out of the grain of the table.
        gone_s: An object goes when its place was seen bare for this long.
        hidden_s: An object that nothing was seen of for this long is forgotten.
        returns_s: An object of the same look that appears within this time is the one that went.
        undecided_s: Longest wait for the id of something that may be one that is hidden.
    """

    gate_m: float = 0.06
    moved_m: float = 0.025
    hits_to_appear: int = 2
    appears_s: float = 0.15
    appears_by_hand_s: float = 1.0
    gone_s: float = 0.6
    hidden_s: float = 12.0
    returns_s: float = 6.0
    undecided_s: float = 2.0


class Tracker:
    """All tracks of one scene.

    Args:
        params: How tracks live and die.
    """

    def __init__(self, params: TrackerParams) -> None:
        self._params = params
        self.tracks: list[Track] = []
        self._gone: list[Track] = []
        self._numbers: dict[str, int] = {}
        self._last_ns = 0
        self._first_ns: int | None = None

    def reset(self, *, renumber: bool) -> None:
        """Forget all tracks.

        Args:
            renumber: Ids start at 1 again; otherwise no id is ever given twice.
        """
        self.tracks, self._gone = [], []
        self._last_ns, self._first_ns = 0, None
        if renumber:
            self._numbers = {}

    def update(
        self, observation: Observation, picture_size: tuple[int, int], stamp_ns: int
    ) -> list[tuple[Track, Detection]]:
        """Take in one picture.

        Args:
            observation: Of all sources together (:func:`deixis.nodes.objects.merging.merge`).
            picture_size: Width and height.
            stamp_ns: Capture time.

        Returns:
            The tracks that were seen, with their detections.
        """
        apart, seen = self._heaps(observation.detections, stamp_ns)
        pairs, unmatched = self._associate(apart, stamp_ns)
        for track, detection in pairs:
            if detection.clipped:
                track.glimpse(stamp_ns)
            else:
                track.refresh(detection, stamp_ns, self._params.moved_m)
            seen.add(id(track))
        for track in self.tracks:
            if id(track) not in seen:
                bare = observation.is_free(track.box_px, picture_size) or self._replaced(track)
                # "Hidden" resets the count: only an unbroken bare view means that it is gone.
                track.bare_since_ns = (track.bare_since_ns or stamp_ns) if bare else None
        self._retire(stamp_ns)
        for detection in unmatched:
            # A part of something behind a hand is no new object.
            if not detection.clipped:
                track = Track.begin(detection, stamp_ns)
                self.tracks.append(track)
                pairs.append((track, detection))
        self._last_ns = stamp_ns
        self._first_ns = stamp_ns if self._first_ns is None else self._first_ns
        return pairs

    def name_new(self, stamp_ns: int, *, hands: bool = False) -> None:
        """Give an id to each track that has become an object; call after the looks.

        Args:
            stamp_ns: Capture time of the picture.
            hands: Whether a hand is in view.
        """
        params = self._params
        patience_s = params.appears_by_hand_s if hands else params.appears_s
        for track in list(self.tracks):
            if track.object_id or track.awaits_look or not self._appeared(track, params.appears_s):
                continue
            old = self._carried_here(track) or self._nudged(track, stamp_ns)
            if old is not None:
                track.inherit(old)
                self._gone = [t for t in self._gone if t is not old]
                self.tracks = [t for t in self.tracks if t is not old]
            elif self._appeared(track, patience_s) and (
                self._waited(track, stamp_ns) or not self._hidden_alike(track, stamp_ns)
            ):
                track.object_id = self._new_id(track)

    def objects(self, stamp_ns: int) -> tuple[SceneObject, ...]:
        """All objects known now, hidden ones included, in the order of their appearance."""
        return tuple(
            track.as_object(self._confidence(track, stamp_ns))
            for track in self.tracks
            if track.object_id
        )

    def _heaps(
        self, detections: Sequence[Detection], stamp_ns: int
    ) -> tuple[list[Detection], set[int]]:
        """Take out what covers several objects that are known apart: they are there, unmoved.

        Returns:
            The other detections, and which tracks are in heaps (by ``id``).
        """
        single, covered = [], set()
        for detection in detections:
            inside = [
                track
                for track in self.tracks
                if track.object_id
                and not detection.hint
                and share_inside(track.box_px, detection.box_px) > _COVERS
                and share_inside(detection.box_px, track.box_px) < _COVERS
            ]
            if len(inside) < 2:
                single.append(detection)
                continue
            for track in inside:
                track.glimpse(stamp_ns)
                covered.add(id(track))
        return single, covered

    def _associate(
        self, detections: Sequence[Detection], stamp_ns: int
    ) -> tuple[list[tuple[Track, Detection]], list[Detection]]:
        cost = np.full((len(self.tracks), len(detections)), np.inf)
        # What is missing is in somebody's hand: what then appears near another is that one's.
        carried = any(track.object_id and self._missing(track) for track in self.tracks)
        for i, track in enumerate(self.tracks):
            for j, detection in enumerate(detections):
                cost[i, j] = self._cost(track, detection, stamp_ns, carried)
        matched = assign(cost, limit=1.0)
        used = {j for _, j in matched}
        rest = [d for j, d in enumerate(detections) if j not in used]
        return [(self.tracks[i], detections[j]) for i, j in matched], rest

    def _cost(self, track: Track, detection: Detection, stamp_ns: int, carried: bool) -> float:
        """How badly a detection fits a track: 0 well, 1 and above not at all."""
        if track.hint and detection.hint:
            return 0.0 if track.hint == detection.hint else np.inf
        place = detection.position_base_m[:2]
        apart = float(np.linalg.norm(track.expected(stamp_ns) - place))
        rested = float(np.linalg.norm(track.position_base_m[:2] - place))
        gate = self._params.gate_m
        if detection.clipped:
            # What is half hidden seems to stand elsewhere: its box says more than its place.
            inside = share_inside(detection.box_px, track.box_px) > 0.7
            return min(apart / gate, 0.5 if inside else np.inf)
        off = tint_off(track, detection)
        if off > _REPLACED_SIGMA and track.clear_ns < self._last_ns:
            return np.inf
        if self._missing(track):
            gate = min(gate, _TOUCHING * (track.radius_m + detection.radius_m))
        elif carried and not track.velocity_m_s.any() and rested > self._params.moved_m:
            return np.inf
        return min(apart, rested) / gate + 0.3 * min(off, 1.0)

    def _missing(self, track: Track) -> bool:
        """Whether the last picture did not show it."""
        return track.last_seen_ns < self._last_ns

    def _replaced(self, track: Track) -> bool:
        """Whether something new stands exactly where this one stood."""
        return any(
            other.begun_ns > track.last_seen_ns
            and other.hits >= self._params.hits_to_appear
            and float(np.linalg.norm(other.position_base_m[:2] - track.position_base_m[:2]))
            < 0.6 * min(other.radius_m, track.radius_m)
            for other in self.tracks
            if other is not track
        )

    def _retire(self, stamp_ns: int) -> None:
        params = self._params
        keep: list[Track] = []
        for track in self.tracks:
            bare_ns = 0 if track.bare_since_ns is None else stamp_ns - track.bare_since_ns
            hidden_s = params.hidden_s if track.object_id else params.gone_s
            if bare_ns > params.gone_s * NS_PER_S:
                if track.object_id:
                    self._gone.append(track)
            elif stamp_ns - track.last_seen_ns <= hidden_s * NS_PER_S:
                keep.append(track)
        self.tracks = keep
        oldest_ns = stamp_ns - int((params.returns_s + params.gone_s) * NS_PER_S)
        self._gone = [t for t in self._gone if t.last_seen_ns >= oldest_ns]

    def _appeared(self, track: Track, seconds: float) -> bool:
        """Whether it was seen often and long enough; in a new scene everything is new."""
        new_scene = self._last_ns - (self._first_ns or 0) < NS_PER_S
        long = track.clear_ns - track.begun_ns >= seconds * NS_PER_S
        return track.hits >= self._params.hits_to_appear and (new_scene or long)

    def _carried_here(self, track: Track) -> Track | None:
        """The object that left its place and looks most like this new one."""
        went = self._gone + [t for t in self.tracks if t.bare_since_ns is not None and t.object_id]
        alike = [(likeness(track, old), old.last_seen_ns, old) for old in went]
        best = max(alike, key=lambda item: item[:2], default=(0.0, 0, track))
        return best[2] if best[0] >= _ALIKE else None

    def _nudged(self, track: Track, stamp_ns: int) -> Track | None:
        """The one hidden object that looks like this new one, if both cannot stand there."""
        hidden = self._hidden_alike(track, stamp_ns)
        return hidden[0] if len(hidden) == 1 and _touching(track, hidden[0]) else None

    def _hidden_alike(self, track: Track, stamp_ns: int) -> list[Track]:
        """Objects that look like this one and that this picture did not show."""
        return [
            old
            for old in self.tracks
            if old.object_id and old.last_seen_ns < stamp_ns and likeness(track, old) >= _ALIKE
        ]

    def _waited(self, track: Track, stamp_ns: int) -> bool:
        return stamp_ns - track.begun_ns > self._params.undecided_s * NS_PER_S

    def _new_id(self, track: Track) -> str:
        noun = track.kind()[0] or UNNAMED
        self._numbers[noun] = self._numbers.get(noun, 0) + 1
        return f"{noun}-{self._numbers[noun]}"

    def _confidence(self, track: Track, stamp_ns: int) -> float:
        """Falls to half over the time that a hidden object is kept."""
        unseen_s = max(0, stamp_ns - track.last_seen_ns) / NS_PER_S
        return float(track.confidence * 0.5 ** (unseen_s / self._params.hidden_s))


def _touching(a: Track, b: Track) -> bool:
    """Whether two things are so close that they cannot both be there."""
    apart = float(np.linalg.norm(a.position_base_m[:2] - b.position_base_m[:2]))
    return apart < _TOUCHING * (a.radius_m + b.radius_m)
