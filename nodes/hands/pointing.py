"""From a tracked hand to a pointing ray in the robot's base frame.

The ray runs from the index finger's tip along the line from its knuckle to its tip. Its confidence
says whether the person is pointing at all, its phase where in the gesture the hand is (Kendon,
"Gesture", 2004: preparation, stroke and hold, retraction).

    pointing = PointingEstimator(calibration).update(hand, stamp_ns)
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.hands.hand_pose import HandPose, fit_hand
from deixis.nodes.hands.landmarks import INDEX, LITTLE, MIDDLE, RING, WRIST
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.clock import NS_PER_MS, NS_PER_S

Array = NDArray[np.float64]
Phase = Literal["none", "reach", "hold", "retract"]

_SIZE_SIGMA = 0.05
"""Spread of adults' hand sizes about ``hand_scale``: it shifts the hand along the line of sight."""

_SPEED_WINDOW_NS = 100 * NS_PER_MS
_HOLD_BELOW_M_S = 0.15
_MOVE_ABOVE_M_S = 0.25
_HELD_AFTER_NS = 150 * NS_PER_MS
"""A shorter pause does not count as a hold: a hand that sets off is slow at first, too."""
_POINTING_ABOVE = 0.3
"""Confidence from which a still hand is taken to point at something."""

# Logistic thresholds on how far a fingertip is from the wrist, in units of its middle joint's
# distance: a straight finger has about 1.35, a curled one 0.8 (real and rendered hands).
_STRAIGHT_AT, _STRAIGHT_WIDTH = 1.10, 0.04
_CURLED_AT, _CURLED_WIDTH = 1.08, 0.04


@dataclass(frozen=True, slots=True)
class PointingRay:
    """A pointing ray, base frame.

    Attributes:
        origin_base_m: Index tip.
        direction_base: Unit vector.
        origin_cov_m2: Covariance of the origin, ``(3, 3)``.
        direction_cov_rad2: Covariance of the direction in its tangent plane, ``(3, 3)``.
        confidence: Probability in [0, 1] that the person is pointing.
        phase: Where in the gesture.
    """

    origin_base_m: Array
    direction_base: Array
    origin_cov_m2: Array
    direction_cov_rad2: Array
    confidence: float
    phase: Phase


@dataclass(slots=True)
class PhaseTracker:
    """Follows one hand's gesture by the speed of its fingertip."""

    phase: Phase = "none"
    _path: deque[tuple[int, Array]] = field(default_factory=deque)
    _moving: bool = True
    _held: bool = False
    _hold_ns: int | None = None

    def update(self, tip_m: Array, confidence: float, stamp_ns: int) -> Phase:
        """Take the fingertip's place (metres) at a time.

        A hand that comes into view is taken to be moving until it is seen to hold still.
        """
        self._path.append((stamp_ns, tip_m))
        while stamp_ns - self._path[0][0] > _SPEED_WINDOW_NS:
            self._path.popleft()
        speed = self._speed_m_s()
        if speed is not None:
            self._moving = speed > (_HOLD_BELOW_M_S if self._moving else _MOVE_ABOVE_M_S)
        if not self._moving and confidence >= _POINTING_ABOVE:
            self._hold_ns = stamp_ns if self._hold_ns is None else self._hold_ns
            self._held = self._held or stamp_ns - self._hold_ns >= _HELD_AFTER_NS
            self.phase = "hold"
            return self.phase
        self._hold_ns = None
        if self._moving:
            self.phase = "retract" if self._held else "reach"
        else:
            self.phase, self._held = "none", False
        return self.phase

    def _speed_m_s(self) -> float | None:
        """Speed over the window (least squares); None until half of it has been seen."""
        times = np.array([t for t, _ in self._path], np.float64) / NS_PER_S
        if times[-1] - times[0] < 0.5 * _SPEED_WINDOW_NS / NS_PER_S:
            return None
        places = np.array([p for _, p in self._path])
        times -= times.mean()
        slope = times @ (places - places.mean(axis=0)) / (times @ times)
        return float(np.linalg.norm(slope))


class PointingEstimator:
    """Turns tracked hands into pointing rays; remembers each hand's gesture.

    Args:
        calibration: The camera, at the size of the pictures.
        hand_scale: Size of the user's hand relative to the model.
    """

    def __init__(self, calibration: CameraCalibration, hand_scale: float = 1.0) -> None:
        self._calibration = calibration
        self._hand_scale = hand_scale
        self._focal_px = math.sqrt(calibration.K[0, 0] * calibration.K[1, 1])
        self._phases: dict[int, PhaseTracker] = {}

    def keep_only(self, track_ids: set[int]) -> None:
        """Forget the gestures of hands that are tracked no more."""
        self._phases = {i: p for i, p in self._phases.items() if i in track_ids}

    def update(self, hand: TrackedHand, stamp_ns: int) -> PointingRay | None:
        """The hand's pointing ray at the capture time of its frame.

        Returns:
            The ray, or None if the landmarks fit no hand in front of the camera.
        """
        points = self._calibration.normalized(hand.landmarks_px)
        pose = fit_hand(
            points,
            hand.landmarks_world_m,
            side=hand.side_px / self._focal_px,
            right=hand.handedness == "right",
            hand_scale=self._hand_scale,
        )
        if pose is None:
            return None
        confidence = pointing_probability(hand)
        # Across the line of sight the image is far more precise than the fitted distance is.
        tip_m = points[INDEX[-1]] * pose.tip_cam[2]
        phase = self._phases.setdefault(hand.track_id, PhaseTracker())
        return self._in_base(pose, confidence, phase.update(tip_m, confidence, stamp_ns))

    def _in_base(self, pose: HandPose, confidence: float, phase: Phase) -> PointingRay:
        rotation = self._calibration.T_base_cam[:3, :3]
        size = _SIZE_SIGMA * pose.tip_cam
        origin_cov = pose.tip_cov_m2 + np.outer(size, size)
        return PointingRay(
            origin_base_m=self._calibration.to_base(pose.tip_cam),
            direction_base=rotation @ pose.direction_cam,
            origin_cov_m2=rotation @ origin_cov @ rotation.T,
            direction_cov_rad2=rotation @ pose.direction_cov_rad2 @ rotation.T,
            confidence=confidence,
            phase=phase,
        )


def pointing_probability(hand: TrackedHand) -> float:
    """Probability in [0, 1] that a hand points: index straight, others curled, a hand at all."""
    index = _reach(hand, INDEX)
    others = (_reach(hand, MIDDLE) + _reach(hand, RING) + _reach(hand, LITTLE)) / 3
    straight = _logistic((index - _STRAIGHT_AT) / _STRAIGHT_WIDTH)
    curled = _logistic((_CURLED_AT - others) / _CURLED_WIDTH)
    return hand.presence * straight * curled


def _reach(hand: TrackedHand, finger: tuple[int, int, int, int]) -> float:
    """Distance of a fingertip from the wrist over that of the finger's middle joint.

    The mean of image and metric points: the image alone fails for a finger that points at the
    camera, the metric points alone are noisy.
    """
    middle, tip = finger[1], finger[3]
    total = 0.0
    for points in (hand.landmarks_px, hand.landmarks_world_m):
        unit = float(np.linalg.norm(points[middle] - points[WRIST]))
        total += float(np.linalg.norm(points[tip] - points[WRIST])) / max(unit, 1e-9)
    return total / 2


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))
