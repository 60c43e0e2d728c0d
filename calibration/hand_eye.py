"""Where a camera on the arm is in the gripper's frame, from pictures of a board that stands still.

    found = solve_hand_eye(T_base_gripper, sightings, camera)
    found.T_gripper_cam, found.T_base_sheet

First in closed form (Park and Martin, "Robot sensor calibration: solving AX = XB on the Euclidean
group", IEEE Trans. Robotics and Automation 1994), then by moving camera and board together until
the arm's poses have to be corrected least, 1 mm counting as much as 2 mrad (Strobl and Hirzinger,
"Optimal hand-eye calibration", IROS 2006). How far the two disagree is a check of both. Corners in
the pictures would be the wrong measure: an arm that is 1 mm off moves all of them together.

OpenCV's ``calibrateHandEye`` has Park's method too, but OpenCV 5.0.0 lacks it in Python
(github.com/opencv/opencv/issues/29565).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from deixis.calibration.boards import Array, Sighting
from deixis.calibration.locating import locate, project, rms_px
from deixis.calibration.poses import (
    apart,
    fit_poses,
    inverse,
    mean,
    pose,
    rotation_vector,
    spread,
)
from deixis.calibration.store import CameraCalibration
from deixis.runtime.errors import CalibrationError

MIN_POSES = 3
_MIN_TURN_RAD, _MAX_TURN_RAD = math.radians(5.0), math.radians(170.0)
_MIN_AXES = 0.15
_MAX_SPREAD_M = 0.03
_ARM_M, _ARM_RAD = 0.001, 0.002
_LEAST_SCALE = 0.1
_HINT = "turn the gripper by 30 degrees or more about two axes, the board always in view"


@dataclass(frozen=True)
class HandEye:
    """A camera in the gripper's frame.

    Attributes:
        T_gripper_cam: Its pose, shape ``(4, 4)``.
        T_base_sheet: Pose of the board in the base frame.
        expected_px: Where each picture's corners should be, shapes ``(n, 2)``.
        reprojection_px: RMS distance from there to where they are seen.
        position_std_m: Standard deviation of the camera's position in the gripper, per axis.
        rotation_std_rad: Of its rotation, per axis.
        spread_m: Scatter of the board's position in the base from picture to picture, per axis.
        spread_rad: Of its rotation, per axis.
        disagreement_m: Distance of Park's position from this one.
        disagreement_rad: Angle of Park's rotation from this one.
    """

    T_gripper_cam: Array
    T_base_sheet: Array
    expected_px: list[Array]
    reprojection_px: float
    position_std_m: float
    rotation_std_rad: float
    spread_m: float
    spread_rad: float
    disagreement_m: float
    disagreement_rad: float


def solve_hand_eye(
    T_base_gripper: Sequence[Array], sightings: Sequence[Sighting], camera: CameraCalibration
) -> HandEye:
    """Find the camera in the gripper's frame.

    Args:
        T_base_gripper: Pose of the gripper at each picture.
        sightings: The board's corners in each picture.
        camera: The camera's intrinsics, at the size of the pictures.

    Raises:
        CalibrationError: Fewer than 3 poses, too little rotation between them, or poses that do not
            belong to the pictures.
    """
    located = [locate(s, camera) for s in sightings]
    T_sheet_cam = [found.T_sheet_cam for found in located]
    start = park(T_base_gripper, T_sheet_cam)
    boards = _boards(T_base_gripper, start, T_sheet_cam)
    _check(boards)

    def residuals(poses: list[Array]) -> Array:
        gripper_cam, base_sheet = poses
        corrections = (
            inverse(hand) @ base_sheet @ seen @ inverse(gripper_cam)
            for hand, seen in zip(T_base_gripper, T_sheet_cam, strict=True)
        )
        return np.concatenate(
            [[*(rotation_vector(c) / _ARM_RAD), *(c[:3, 3] / _ARM_M)] for c in corrections]
        )

    fit = fit_poses(residuals, [start, mean(boards)])
    found, base_sheet = fit.poses
    expected = [
        project(s.object_m, inverse(hand @ found) @ base_sheet, camera)
        for hand, s in zip(T_base_gripper, sightings, strict=True)
    ]
    off_px = [e - s.image_px for e, s in zip(expected, sightings, strict=True)]
    scale = float(fit.residuals @ fit.residuals) / max(1, len(fit.residuals) - 12)
    variances = np.diag(fit.covariance) * max(scale, _LEAST_SCALE**2)
    spread_m, spread_rad = spread(_boards(T_base_gripper, found, T_sheet_cam))
    disagreement_m, disagreement_rad = apart(start, found)
    return HandEye(
        found,
        base_sheet,
        expected,
        rms_px(np.concatenate(off_px)),
        math.sqrt(float(variances[3:6].mean())),
        math.sqrt(float(variances[:3].mean())),
        spread_m,
        spread_rad,
        disagreement_m,
        disagreement_rad,
    )


def park(T_base_gripper: Sequence[Array], T_sheet_cam: Sequence[Array]) -> Array:
    """Park and Martin's closed form.

    Args:
        T_base_gripper: Pose of the gripper at each picture.
        T_sheet_cam: Pose of the camera in the board's frame at each picture.

    Returns:
        Pose of the camera in the gripper's frame.

    Raises:
        CalibrationError: Fewer than 3 poses, or too little rotation between them.
    """
    n = len(T_base_gripper)
    if n < MIN_POSES:
        raise CalibrationError(
            f"{n} poses with a picture of the board are too few; {MIN_POSES} is the least, "
            "10 are good",
            hint=_HINT,
        )
    motions = []
    for i, j in itertools.combinations(range(n), 2):
        hand = inverse(T_base_gripper[j]) @ T_base_gripper[i]
        eye = inverse(T_sheet_cam[j]) @ T_sheet_cam[i]
        # Half a turn has no sign, and a small one no axis.
        if _MIN_TURN_RAD < float(np.linalg.norm(rotation_vector(hand))) < _MAX_TURN_RAD:
            motions.append((hand, eye))
    axes = np.array([rotation_vector(hand) for hand, _ in motions]).reshape(-1, 3)
    strengths = np.linalg.svd(axes, compute_uv=False) if len(axes) > 1 else np.zeros(3)
    if len(strengths) < 2 or strengths[1] < _MIN_AXES * max(strengths[0], 1e-9):
        raise CalibrationError(
            "between the poses the gripper turns too little, or always about one axis: that leaves "
            "the camera's place open",
            hint=_HINT,
        )
    turns = np.array([rotation_vector(eye) for _, eye in motions])
    u, _, vt = np.linalg.svd(axes.T @ turns)
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    left = np.concatenate([hand[:3, :3] - np.eye(3) for hand, _ in motions])
    right = np.concatenate([turn @ eye[:3, 3] - hand[:3, 3] for hand, eye in motions])
    shift, *_ = np.linalg.lstsq(left, right, rcond=None)
    return pose(turn, shift)


def _boards(
    T_base_gripper: Sequence[Array], T_gripper_cam: Array, T_sheet_cam: Sequence[Array]
) -> list[Array]:
    """Where each picture puts the board in the base frame."""
    return [
        hand @ T_gripper_cam @ inverse(seen)
        for hand, seen in zip(T_base_gripper, T_sheet_cam, strict=True)
    ]


def _check(boards: Sequence[Array]) -> None:
    spread_m, spread_rad = spread(boards)
    if spread_m > _MAX_SPREAD_M:
        raise CalibrationError(
            f"the poses do not fit the pictures: they put the board {1000 * spread_m:.0f} mm and "
            f"{math.degrees(spread_rad):.1f} degrees apart from picture to picture",
            hint="T_base_gripper is the gripper's pose in the base, in metres, at the moment of "
            "its picture; the board must not move",
        )
