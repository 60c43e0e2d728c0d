"""From a tracked hand to a pointing ray in the robot's base frame.

The ray starts at the index finger's tip. Where the person's head is seen it runs along the line
from the eye over the fingertip, else, and close up, along the finger, from its knuckle to its tip
(see :mod:`deixis.nodes.hands.blend`). Its confidence says whether the person is pointing at all,
its phase where in the gesture the hand is (:mod:`deixis.nodes.hands.phases`).

    ray = PointingEstimator(calibration).update(hand, stamp_ns, heads)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import DEFAULT_POINTING, PointingCalibration
from deixis.calibration.store import CameraCalibration
from deixis.nodes.hands.blend import Lines, blend
from deixis.nodes.hands.hand_pose import HandPose, fit_hand
from deixis.nodes.hands.heads import Head, head_of_hand
from deixis.nodes.hands.landmarks import INDEX, LITTLE, MIDDLE, RING, WRIST
from deixis.nodes.hands.phases import Phase, PhaseTracker
from deixis.nodes.hands.slope import SlopeNet
from deixis.nodes.hands.tracker import TrackedHand

Array = NDArray[np.float64]

_SIZE_SIGMA = 0.07
"""Spread of adults' hand sizes about ``hand_scale`` (5 %), and what a hand's shape does to the fit:
both shift the hand along the line of sight."""
_KNOWN_SIZE_SIGMA = 0.05
"""The same where a calibration has measured the user's hand: the shape is left."""

LEAST_CLARITY = 0.1
"""No hand that is followed is taken to be harder to see."""

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
        phase_since_ns: When that phase began, between the frames.
        finger_direction_base: Unit vector from the index knuckle to the index tip.
        eye_base_m: Middle between the eyes that look over the fingertip; None if they are not seen.
        personal_sigma_rad: The person's own error per axis; None if nothing is known of them.
    """

    origin_base_m: Array
    direction_base: Array
    origin_cov_m2: Array
    direction_cov_rad2: Array
    confidence: float
    phase: Phase
    phase_since_ns: int
    finger_direction_base: Array
    eye_base_m: Array | None
    personal_sigma_rad: float | None


class PointingEstimator:
    """Turns tracked hands into pointing rays; remembers each hand's gesture.

    Args:
        calibration: The camera, at the size of the pictures.
        hand_scale: Size of the user's hand relative to the model.
        user: The user's own calibration; its hand scale takes the place of ``hand_scale``.
        extra_sigma_rad: What the camera's calibration adds to the angle's error, per axis.
        slope: Corrects how far the finger points out of the picture; without it the fit stands.
    """

    def __init__(
        self,
        calibration: CameraCalibration,
        hand_scale: float = 1.0,
        *,
        user: PointingCalibration | None = None,
        extra_sigma_rad: float = 0.0,
        slope: SlopeNet | None = None,
    ) -> None:
        self.calibration = calibration
        self._user = user
        self._hand_scale = hand_scale if user is None else user.hand_scale
        self._size_sigma = _SIZE_SIGMA if user is None else _KNOWN_SIZE_SIGMA
        self._extra_sigma_rad = extra_sigma_rad
        self._slope = slope
        self._focal_px = math.sqrt(calibration.K[0, 0] * calibration.K[1, 1])
        self._phases: dict[int, PhaseTracker] = {}
        self._poses: dict[int, HandPose] = {}

    def keep_only(self, track_ids: set[int]) -> None:
        """Forget the gestures of hands that are tracked no more."""
        self._phases = {i: p for i, p in self._phases.items() if i in track_ids}
        self._poses = {i: p for i, p in self._poses.items() if i in track_ids}

    def update(
        self, hand: TrackedHand, stamp_ns: int, heads: Sequence[Head] = ()
    ) -> PointingRay | None:
        """The hand's pointing ray at the capture time of its frame.

        Args:
            hand: The hand.
            stamp_ns: Capture time of the frame.
            heads: The heads that are in view.

        Returns:
            The ray, or None if the landmarks fit no hand in front of the camera.
        """
        points = self.calibration.normalized(hand.landmarks_px)
        right = hand.handedness == "right"
        pose = fit_hand(
            points,
            hand.landmarks_world_m,
            # The error of the landmarks of a hand that is hard to see grows as 1 / clarity.
            side=hand.side_px / max(hand.clarity, LEAST_CLARITY) / self._focal_px,
            right=right,
            hand_scale=self._hand_scale,
            before=self._poses.get(hand.track_id),
        )
        if pose is None:
            self._poses.pop(hand.track_id, None)
            return None
        self._poses[hand.track_id] = pose
        if self._slope is not None:
            pose = self._slope.correct(
                pose, points, hand.landmarks_world_m, clarity=hand.clarity, right=right
            )
        confidence = pointing_probability(hand)
        # Across the line of sight the image is far more precise than the fitted distance is.
        tip_m = points[INDEX[-1]] * pose.tip_cam[2]
        phase = self._phases.setdefault(hand.track_id, PhaseTracker())
        phase.update(tip_m, confidence, stamp_ns)
        head = head_of_hand(heads, pose.tip_cam, right)
        return self._in_base(pose, head, confidence, phase)

    def _in_base(
        self, pose: HandPose, head: Head | None, confidence: float, phase: PhaseTracker
    ) -> PointingRay:
        rotation = self.calibration.T_base_cam[:3, :3]
        size = self._size_sigma * pose.tip_cam
        lines = Lines(
            tip_m=self.calibration.to_base(pose.tip_cam),
            tip_cov_m2=rotation @ (pose.tip_cov_m2 + np.outer(size, size)) @ rotation.T,
            finger=rotation @ pose.direction_cam,
            finger_cov_rad2=rotation @ pose.direction_cov_rad2 @ rotation.T,
            eye_m=None if head is None else self.calibration.to_base(head.eye_cam_m),
            eye_cov_m2=None if head is None else rotation @ head.eye_cov_m2 @ rotation.T,
        )
        direction, covariance = blend(lines, self._user or DEFAULT_POINTING)
        tangent = np.eye(3) - np.outer(direction, direction)
        return PointingRay(
            origin_base_m=lines.tip_m,
            direction_base=direction,
            origin_cov_m2=lines.tip_cov_m2,
            direction_cov_rad2=covariance + self._extra_sigma_rad**2 * tangent,
            confidence=confidence,
            phase=phase.phase,
            phase_since_ns=phase.since_ns,
            finger_direction_base=lines.finger,
            eye_base_m=lines.eye_m,
            personal_sigma_rad=self._personal_sigma_rad(eye=head is not None),
        )

    def _personal_sigma_rad(self, eye: bool) -> float | None:
        if self._user is None:
            return None
        return self._user.sigma_rad if eye else self._user.finger_sigma_rad


def pointing_probability(hand: TrackedHand) -> float:
    """Probability in [0, 1] that a hand points: index straight, others curled, a hand at all."""
    index = _reach(hand, INDEX)
    others = (_reach(hand, MIDDLE) + _reach(hand, RING) + _reach(hand, LITTLE)) / 3
    straight = _logistic((index - _STRAIGHT_AT) / _STRAIGHT_WIDTH)
    curled = _logistic((_CURLED_AT - others) / _CURLED_WIDTH)
    return hand.confidence * straight * curled


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
