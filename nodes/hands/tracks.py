"""One hand that is followed: where it should be next, and which of two tracks a hand belongs to.

track = Track(0, estimate, stamp_ns, smoothing=(1.5, 20.0))
crop = track.next_crop(stamp_ns + 33_000_000)
"""

from __future__ import annotations

from collections.abc import Sequence

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
_MAX_LEAD = 0.35
"""By how much of its side a crop may be moved ahead of a fast hand."""
_TURN_WEIGHT = 0.2
"""Share of a new frame in a track's handedness."""
_OTHER_HAND = 0.5
"""What a wrong handedness counts for when a hand is assigned, in sides of its crop."""


class Track:
    """One hand that is followed.

    Args:
        track_id: Stays the same while it is followed.
        estimate: Where it was found.
        stamp_ns: When.
        smoothing: ``min_cutoff_hz`` and ``beta`` of its filters.
    """

    def __init__(
        self, track_id: int, estimate: HandEstimate, stamp_ns: int, smoothing: tuple[float, float]
    ) -> None:
        self.track_id = track_id
        self.estimate = estimate
        self.stamp_ns = stamp_ns
        self.right = estimate.right
        self.velocity_px_s: Array = np.zeros(2)
        self._filter_px, self._filter_m = OneEuro(*smoothing), OneEuro(*smoothing)

    def lead_px(self, stamp_ns: int) -> Array:
        """How far the hand should have moved by then, shape ``(2,)``."""
        limit = _MAX_LEAD * self.estimate.side_px
        lead = self.velocity_px_s * max(0.0, (stamp_ns - self.stamp_ns) / NS_PER_S)
        return np.clip(lead, -limit, limit)

    def next_crop(self, stamp_ns: int) -> Crop:
        """Where the hand should be then: a fast hand leaves a crop that stays behind."""
        crop = Crop.around_landmarks(self.estimate.landmarks_px)
        return crop.shifted(self.lead_px(stamp_ns))

    def strangeness(self, estimate: HandEstimate, stamp_ns: int) -> float:
        """How badly a hand fits as this track's next: its way from where it should be, in sides."""
        expected = self.estimate.landmarks_px + self.lead_px(stamp_ns)
        away = np.linalg.norm((estimate.landmarks_px - expected).mean(axis=0)) / estimate.side_px
        return float(away) + _OTHER_HAND * abs(estimate.right - self.right)

    def take(self, estimate: HandEstimate, stamp_ns: int) -> None:
        """Go on with what was found in a frame."""
        dt_s = (stamp_ns - self.stamp_ns) / NS_PER_S
        if dt_s > 0:
            moved = (estimate.landmarks_px - self.estimate.landmarks_px).mean(axis=0)
            self.velocity_px_s = moved / dt_s
        self.right += _TURN_WEIGHT * (estimate.right - self.right)
        self.estimate, self.stamp_ns = estimate, stamp_ns

    def smoothed(self) -> tuple[Array, Array]:
        """Image points ``(21, 2)`` and metric points ``(21, 3)`` of the last frame, smoothed."""
        e = self.estimate
        # Metric points move little when the hand travels: about a hand's length is their unit.
        return (
            self._filter_px(e.landmarks_px, self.stamp_ns, e.side_px),
            self._filter_m(e.landmarks_world_m, self.stamp_ns, 0.2),
        )


def same_hand(a: HandEstimate, b: HandEstimate) -> bool:
    """Whether two estimates are of one hand."""
    distance = np.linalg.norm(a.landmarks_px - b.landmarks_px, axis=1).mean()
    return bool(distance < _SAME_HAND * min(a.side_px, b.side_px) / 2)


def covers(estimate: HandEstimate, palm: Palm) -> bool:
    """Whether a palm is that of a hand that is tracked already."""
    left, top, right, bottom = palm.box_px
    low, high = estimate.landmarks_px.min(axis=0), estimate.landmarks_px.max(axis=0)
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return bool(np.all(centre >= low) and np.all(centre <= high))


def rightful(
    found: Sequence[tuple[Track, HandEstimate]], stamp_ns: int
) -> list[tuple[Track, HandEstimate]]:
    """Leave every hand to one track: where several found the same, to the one that it fits best."""
    if len(found) < 2:
        return list(found)
    kept: list[tuple[Track, HandEstimate]] = []
    for track, estimate in sorted(found, key=lambda pair: pair[0].strangeness(pair[1], stamp_ns)):
        if not any(same_hand(estimate, other) for _, other in kept):
            kept.append((track, estimate))
    return kept
