"""Follows hands through a video: detect once, then track from the landmarks themselves.

Palm detection runs only while fewer hands are tracked than wanted, and then not in every frame;
a tracked hand costs one run of the landmark network (the scheme of Zhang et al., "MediaPipe Hands",
2020, section 2).

    tracker = HandTracker(PalmDetector(...), HandLandmarker(...))
    hands = tracker.update(image, stamp_ns)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.landmarks import HandEstimate
from deixis.nodes.hands.palm import Palm
from deixis.nodes.hands.smoothing import OneEuro
from deixis.runtime.clock import NS_PER_S

Array = NDArray[np.float64]

_SAME_HAND = 0.35
"""Mean distance of two hands' landmarks, in halves of their crop, below which they are one."""
_REVIVE_NS = NS_PER_S // 2
_MAX_LEAD = 0.25
"""By how much of its side a crop may be moved ahead of a fast hand."""


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
    """

    track_id: int
    handedness: Literal["left", "right"]
    presence: float
    landmarks_px: Array
    landmarks_world_m: Array
    side_px: float


@dataclass(slots=True)
class _Track:
    track_id: int
    estimate: HandEstimate
    stamp_ns: int
    right: float
    filter_px: OneEuro
    filter_m: OneEuro
    velocity_px_s: Array = field(default_factory=lambda: np.zeros(2))

    def next_crop(self, stamp_ns: int) -> Crop:
        """Where the hand should be now: a fast hand leaves a crop that stays behind."""
        crop = Crop.around_landmarks(self.estimate.landmarks_px)
        lead = self.velocity_px_s * max(0.0, (stamp_ns - self.stamp_ns) / NS_PER_S)
        limit = _MAX_LEAD * crop.side_px
        return crop.shifted(np.clip(lead, -limit, limit))

    def take(self, estimate: HandEstimate, stamp_ns: int) -> None:
        dt_s = (stamp_ns - self.stamp_ns) / NS_PER_S
        if dt_s > 0:
            moved = (estimate.landmarks_px - self.estimate.landmarks_px).mean(axis=0)
            self.velocity_px_s = 0.5 * self.velocity_px_s + 0.5 * moved / dt_s
        self.right += 0.2 * (estimate.right - self.right)
        self.estimate, self.stamp_ns = estimate, stamp_ns


class HandTracker:
    """Detect-then-track for a few hands.

    Args:
        detector: Finds palms.
        landmarker: Finds landmarks.
        max_hands: How many hands are followed at most.
        min_presence: Below this presence a hand is lost.
        detect_every: Frames from one palm detection to the next while no hand is tracked.
        detect_more_every: The same while some but not all hands are tracked.
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
        detect_every: int = 2,
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
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._frames_since_detection = max(self._detect_every, self._detect_more_every)

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
        self._tracks = _distinct(self._tracks)
        self._frames_since_detection += 1
        if self._should_detect(lost=len(self._tracks) < before):
            self._frames_since_detection = 0
            self._find(image, stamp_ns)
        return [self._output(track) for track in self._tracks]

    def _follow(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        kept = []
        for track in self._tracks:
            estimate = self._landmarker.locate(image, track.next_crop(stamp_ns))
            if estimate.presence >= self._min_presence:
                track.take(estimate, stamp_ns)
                kept.append(track)
            else:
                self._lost.append(track)
        self._tracks = kept
        self._lost = [t for t in self._lost if stamp_ns - t.stamp_ns < _REVIVE_NS]

    def _should_detect(self, lost: bool) -> bool:
        if len(self._tracks) >= self._max_hands:
            return False
        every = self._detect_more_every if self._tracks else self._detect_every
        return lost or self._frames_since_detection >= every

    def _find(self, image: NDArray[np.uint8], stamp_ns: int) -> None:
        for palm in self._detector.detect(image):
            if len(self._tracks) >= self._max_hands:
                break
            crop = Crop.around_palm(palm)
            if any(_covers(track.estimate, palm) for track in self._tracks):
                continue
            estimate = self._landmarker.locate(image, crop)
            if estimate.presence < self._min_presence:
                continue
            if any(_same_hand(track.estimate, estimate) for track in self._tracks):
                continue
            self._tracks.append(self._begin(estimate, stamp_ns))

    def _begin(self, estimate: HandEstimate, stamp_ns: int) -> _Track:
        """A new track, or a lost one that is seen again about where it was."""
        for old in self._lost:
            moved = np.linalg.norm(
                old.estimate.landmarks_px.mean(axis=0) - estimate.landmarks_px.mean(axis=0)
            )
            if moved < estimate.side_px:
                self._lost.remove(old)
                track_id = old.track_id
                break
        else:
            track_id, self._next_id = self._next_id, self._next_id + 1
        return _Track(
            track_id, estimate, stamp_ns, estimate.right,
            OneEuro(*self._smoothing), OneEuro(*self._smoothing),
        )  # fmt: skip

    def _output(self, track: _Track) -> TrackedHand:
        e = track.estimate
        # World points move little when the hand travels: about a hand's length is their unit.
        return TrackedHand(
            track_id=track.track_id,
            handedness="right" if track.right >= 0.5 else "left",
            presence=e.presence,
            landmarks_px=track.filter_px(e.landmarks_px, track.stamp_ns, e.side_px),
            landmarks_world_m=track.filter_m(e.landmarks_world_m, track.stamp_ns, 0.2),
            side_px=e.side_px,
        )


def _same_hand(a: HandEstimate, b: HandEstimate) -> bool:
    distance = np.linalg.norm(a.landmarks_px - b.landmarks_px, axis=1).mean()
    return bool(distance < _SAME_HAND * min(a.side_px, b.side_px) / 2)


def _covers(estimate: HandEstimate, palm: Palm) -> bool:
    """Whether a palm is that of a hand that is tracked already."""
    left, top, right, bottom = palm.box_px
    low, high = estimate.landmarks_px.min(axis=0), estimate.landmarks_px.max(axis=0)
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return bool(np.all(centre >= low) and np.all(centre <= high))


def _distinct(tracks: Sequence[_Track]) -> list[_Track]:
    """Drop the younger of two tracks that have run onto the same hand."""
    kept: list[_Track] = []
    for track in tracks:
        if not any(_same_hand(track.estimate, other.estimate) for other in kept):
            kept.append(track)
    return kept
