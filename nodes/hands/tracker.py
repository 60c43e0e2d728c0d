"""Follows hands through a video: detect once, then track from the landmarks themselves.

Palm detection runs only while fewer hands are tracked than wanted, and rarely where one is tracked
or nothing moves; a tracked hand costs one run of the landmark network (the scheme of Zhang et al.,
"MediaPipe Hands", 2020, section 2), two where it has moved far in its crop. Where more hands are
seen than wanted, the nearest ones are followed: those that are largest, wholly in the picture and
certain. A hand that comes into view is an unlikely palm at first: it is looked at all the same, and
must then be the more certain for the landmark network.

    tracker = HandTracker(PalmDetector(...), HandLandmarker(...))
    hands = tracker.update(image, stamp_ns)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.clarity import visibility
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.landmarks import HandEstimate
from deixis.nodes.hands.motion import Glance, Watch
from deixis.nodes.hands.palm import LIKELY, Palm
from deixis.nodes.hands.tracks import Track, covers, rightful, same_hand
from deixis.runtime.clock import NS_PER_S

Array = NDArray[np.float64]

_REVIVE_NS = NS_PER_S // 2
"""For so long a hand that was lost gets its old number back."""
_REVIVE_WITHIN = 1.0
"""How strange it may be then (see :meth:`Track.strangeness`)."""
_LOOK_AGAIN = 0.15
"""Share of the crop's side by which a hand may be off its middle before it is looked at again."""
_LOOK_AGAIN_PRESENCE = 0.1
"""With less presence there is nothing to look at again."""

_SURE_PRESENCE = 0.9
"""Least presence of a hand whose palm is unlikely."""
_UNLIKELY_LOOKS = 2
"""So many unlikely palms are looked at in a frame in which they count everywhere, else one."""
_REFUSED_NS = NS_PER_S // 3
"""For so long a place where no hand was found is not looked at again."""


class Detector(Protocol):
    """Finds palms in a picture."""

    def detect(self, image: NDArray[np.uint8]) -> list[Palm]:
        """Palms, most certain first."""
        ...


class Landmarker(Protocol):
    """Finds the landmarks of the hand in a crop."""

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> HandEstimate:
        """The landmarks and how sure they are."""
        ...


@dataclass(frozen=True, slots=True)
class TrackedHand:
    """One hand in one frame, smoothed.

    Attributes:
        track_id: Stays the same while the hand is followed.
        handedness: Averaged over the track.
        presence: Probability in [0, 1] that this is a hand.
        landmarks_px: Image points, shape ``(21, 2)``.
        landmarks_world_m: Metric points, camera axes, shape ``(21, 3)``.
        side_px: Side of the crop it was found in.
        clarity: How well it can be seen, in (0, 1]; see :mod:`deixis.nodes.hands.clarity`.
    """

    track_id: int
    handedness: Literal["left", "right"]
    presence: float
    landmarks_px: Array
    landmarks_world_m: Array
    side_px: float
    clarity: float = 1.0

    @property
    def confidence(self) -> float:
        """How far to trust its landmarks, in [0, 1]: that it is a hand, and is seen clearly."""
        return self.presence * self.clarity


class HandTracker:
    """Detect-then-track for a few hands.

    Args:
        detector: Finds palms.
        landmarker: Finds landmarks.
        max_hands: How many hands are followed at most.
        min_presence: Below this presence a hand is lost.
        detect_every: Frames from one palm detection to the next while no hand is tracked and
            something moves.
        detect_more_every: The same while some but not all hands are tracked, or nothing moves.
        min_cutoff_hz: Smoothing of a still hand (see :class:`OneEuro`).
        beta: How fast smoothing yields to speed (Hz per crop side and second).
    """

    def __init__(
        self,
        detector: Detector,
        landmarker: Landmarker,
        *,
        max_hands: int = 2,
        min_presence: float = 0.5,
        detect_every: int = 1,
        detect_more_every: int = 10,
        min_cutoff_hz: float = 1.5,
        beta: float = 20.0,
    ) -> None:
        self._detector = detector
        self._landmarker = landmarker
        self._max_hands = max_hands
        self._min_presence = min_presence
        self._detect_every = detect_every
        self._detect_more_every = detect_more_every
        self._smoothing = (min_cutoff_hz, beta)
        self._next_id = 0
        self.reset()

    def reset(self) -> None:
        """Forget all hands (ids go on)."""
        self._tracks: list[Track] = []
        self._lost: list[Track] = []
        self._refused: list[tuple[Palm, int]] = []
        self._watch = Watch()
        self._frames_since_detection = max(self._detect_every, self._detect_more_every)
        self._frames_since_survey = self._detect_more_every

    def update(self, image: NDArray[np.uint8], stamp_ns: int) -> list[TrackedHand]:
        """Follow the hands into the next frame.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            stamp_ns: Its capture time.

        Returns:
            The hands that are tracked, longest known first.

        Raises:
            EngineError: A model failed.
        """
        before = len(self._tracks)
        self._follow(image, stamp_ns)
        self._frames_since_detection += 1
        self._frames_since_survey += 1
        if len(self._tracks) < self._max_hands:
            self._detect(image, stamp_ns, lost=len(self._tracks) < before)
        height, width = image.shape[:2]
        return [_output(track, width, height) for track in self._tracks]

    def _follow(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        found = []
        for track in self._tracks:
            estimate = self._look(image, track.next_crop(stamp_ns))
            if estimate.presence >= self._min_presence:
                found.append((track, estimate))
        kept = dict(rightful(found, stamp_ns))
        self._lost += [track for track in self._tracks if track not in kept]
        self._lost = [t for t in self._lost if stamp_ns - t.stamp_ns < _REVIVE_NS]
        self._tracks = [track for track in self._tracks if track in kept]
        for track in self._tracks:
            track.take(kept[track], stamp_ns)

    def _look(
        self, image: NDArray[np.uint8], crop: Crop, again_from: float = _LOOK_AGAIN
    ) -> HandEstimate:
        """The hand in a crop; looked at again where it is far from the crop's middle.

        The network is exact for hands in the middle only. A hand that sets off or comes to a stop
        is not where it was expected.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            crop: Where to look.
            again_from: Share of the crop's side from which it counts as far.
        """
        estimate = self._landmarker.locate(image, crop)
        if estimate.presence < _LOOK_AGAIN_PRESENCE:
            return estimate
        better = Crop.around_landmarks(estimate.landmarks_px)
        off = np.hypot(better.x_px - crop.x_px, better.y_px - crop.y_px) / crop.side_px
        if off < again_from:
            return estimate
        again = self._landmarker.locate(image, better)
        return again if again.presence >= estimate.presence else estimate

    def _detect(self, image: NDArray[np.uint8], stamp_ns: int, lost: bool) -> None:
        """Look for hands if it is time to."""
        rare = self._frames_since_detection >= self._detect_more_every
        soon = not self._tracks and self._frames_since_detection >= self._detect_every
        if not (lost or rare or soon):
            return
        glance = self._watch.glance(image)
        if not (lost or rare or glance.differs):
            return
        self._frames_since_detection = 0
        self._watch.remember(glance)
        survey = self._frames_since_survey >= self._detect_more_every
        if survey:
            self._frames_since_survey = 0
        self._find(image, stamp_ns, None if survey else glance)

    def _find(self, image: NDArray[np.uint8], stamp_ns: int, glance: Glance | None) -> None:
        for palm in self._candidates(image, stamp_ns, glance):
            if len(self._tracks) >= self._max_hands:
                break
            likely = palm.score >= LIKELY
            # The box of an unlikely palm says little of where the hand is.
            again_from = _LOOK_AGAIN if likely else 0.0
            estimate = self._look(image, Crop.around_palm(palm), again_from)
            if estimate.presence < (self._min_presence if likely else _SURE_PRESENCE):
                self._refused.append((palm, stamp_ns))
            elif not any(same_hand(track.estimate, estimate) for track in self._tracks):
                self._tracks.append(self._begin(estimate, stamp_ns))

    def _candidates(
        self, image: NDArray[np.uint8], stamp_ns: int, glance: Glance | None
    ) -> list[Palm]:
        """Palms that may be those of hands that are not tracked yet, most important first.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            stamp_ns: Its capture time.
            glance: What has changed: unlikely palms are those of hands that have just moved there,
                so the others are left out; None to take them all.
        """
        self._refused = [(p, t) for p, t in self._refused if stamp_ns - t < _REFUSED_NS]
        height, width = image.shape[:2]
        palms = [
            palm
            for palm in self._detector.detect(image)
            if not any(covers(track.estimate, palm) for track in self._tracks)
            and not any(_same_place(palm, refused) for refused, _ in self._refused)
        ]
        palms.sort(key=lambda p: _importance(p, width, height), reverse=True)
        likely = [p for p in palms if p.score >= LIKELY]
        unlikely = [
            p for p in palms
            if p.score < LIKELY and (glance is None or glance.differs_in(p.box_px))
        ]  # fmt: skip
        return likely + unlikely[: _UNLIKELY_LOOKS if glance is None else 1]

    def _begin(self, estimate: HandEstimate, stamp_ns: int) -> Track:
        """A new track with a new number, or with that of a lost one that it continues."""
        old = min(self._lost, key=lambda t: t.strangeness(estimate, stamp_ns), default=None)
        if old is not None and old.strangeness(estimate, stamp_ns) < _REVIVE_WITHIN:
            self._lost.remove(old)
            return Track(old.track_id, estimate, stamp_ns, self._smoothing)
        self._next_id += 1
        return Track(self._next_id - 1, estimate, stamp_ns, self._smoothing)


def _same_place(a: Palm, b: Palm) -> bool:
    """Whether two palms lie within a quarter of their width of each other."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a.box_px, b.box_px
    away = np.hypot(ax0 + ax1 - bx0 - bx1, ay0 + ay1 - by0 - by1) / 2
    return bool(away < (ax1 - ax0 + bx1 - bx0) / 8)


def _importance(palm: Palm, width: int, height: int) -> float:
    """Side of a palm times its score, times the share of it that lies in the picture."""
    left, top, right, bottom = palm.box_px
    side = max(right - left, bottom - top)
    return side * palm.score * visibility(palm.keypoints_px, width, height)


def _output(track: Track, width: int, height: int) -> TrackedHand:
    estimate = track.estimate
    landmarks_px, landmarks_world_m = track.smoothed()
    return TrackedHand(
        track_id=track.track_id,
        handedness="right" if track.right >= 0.5 else "left",
        presence=estimate.presence,
        landmarks_px=landmarks_px,
        landmarks_world_m=landmarks_world_m,
        side_px=estimate.side_px,
        clarity=estimate.quality * visibility(landmarks_px, width, height),
    )
