"""A camera's matrix and distortion from views of a board; views that do not fit are left out.

    found = solve(picker.views, (640, 480))
    found.K, found.reprojection_px, found.focal_std_px

The method is Zhang's ("A flexible new technique for camera calibration", PAMI 2000) as OpenCV's
``calibrateCameraExtended`` has it; its standard deviations follow from the residual.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.boards import Array
from deixis.calibration.locating import rms_px
from deixis.calibration.views import View
from deixis.runtime.errors import CalibrationError

MIN_VIEWS = 5

_MIN_LEAN = 0.04
_MIN_TILT_DEG, _TILTED_VIEWS = 10.0, 3
_MAX_FOCAL_ERROR = 0.01
_MAX_RMS_PX = 3.0
_OUTLIER_RATIO, _OUTLIER_FLOOR_PX = 3.0, 0.3
_ROUNDS = 5
_TILT_HINT = "tilt the board by 20 to 40 degrees against the picture, towards each side in turn"


@dataclass(frozen=True)
class FittedView:
    """What the calibration makes of one view.

    Attributes:
        view: The view.
        T_cam_sheet: Pose of the board in the camera's frame, shape ``(4, 4)``.
        residual_px: Seen minus expected corners, shape ``(n, 2)``.
    """

    view: View
    T_cam_sheet: Array
    residual_px: Array

    @property
    def tilt_deg(self) -> float:
        """Angle between the board and the picture."""
        return float(np.degrees(np.arccos(min(1.0, abs(self.T_cam_sheet[2, 2])))))

    @property
    def error_px(self) -> float:
        """RMS length of the residuals."""
        return rms_px(self.residual_px)


@dataclass(frozen=True)
class Intrinsics:
    """A calibrated camera.

    Attributes:
        K: Camera matrix, shape ``(3, 3)``.
        distortion: k1, k2, p1, p2, k3.
        reprojection_px: RMS residual over all corners of the views that were used.
        focal_std_px: Standard deviations of the focal lengths in x and y.
        views: The views that were used.
        left_out: Names of views that did not fit, with their error in pixels.
    """

    K: Array
    distortion: Array
    reprojection_px: float
    focal_std_px: tuple[float, float]
    views: tuple[FittedView, ...]
    left_out: dict[str, float]


def solve(views: list[View], size: tuple[int, int]) -> Intrinsics:
    """Calibrate a camera.

    Args:
        views: Sharp views of the board, each a new one.
        size: Width and height of the pictures.

    Raises:
        CalibrationError: Too few views, all parallel to the picture, or a board that is not what
            the views show.
    """
    if len(views) < MIN_VIEWS:
        count = "one view is" if len(views) == 1 else f"{len(views)} views are"
        raise CalibrationError(
            f"{count} too few to calibrate from; {MIN_VIEWS} is the least, 15 are good",
            hint="show the board at other places, distances and tilts",
        )
    if max(float(np.hypot(*v.lean)) for v in views) < _MIN_LEAN:
        raise _parallel()
    used, left_out = list(views), dict[str, float]()
    for _ in range(_ROUNDS):
        found = _calibrate(used, size, left_out)
        errors = {f.view.name: f.error_px for f in found.views}
        limit_px = max(_OUTLIER_RATIO * float(np.median(list(errors.values()))), _OUTLIER_FLOOR_PX)
        bad = {name: error for name, error in errors.items() if error > limit_px}
        if not bad or len(used) - len(bad) < MIN_VIEWS:
            break
        left_out |= bad
        used = [v for v in used if v.name not in bad]
    _check(found)
    return found


def _calibrate(views: list[View], size: tuple[int, int], left_out: dict[str, float]) -> Intrinsics:
    objects = [v.sighting.object_m.astype(np.float32) for v in views]
    images = [v.sighting.image_px.astype(np.float32) for v in views]
    try:
        rms, matrix, coefficients, turns, shifts, deviations, _, _ = cv2.calibrateCameraExtended(
            objects, images, size, np.eye(3), np.zeros(5)
        )
    except cv2.error as cause:
        raise CalibrationError(
            f"OpenCV cannot calibrate from these views: {cause.err}", hint=_TILT_HINT
        ) from cause
    K = np.asarray(matrix, np.float64)
    distortion = np.ravel(np.asarray(coefficients, np.float64))
    fitted = []
    for view, turn, shift in zip(views, turns, shifts, strict=True):
        px, _ = cv2.projectPoints(view.sighting.object_m, turn, shift, K, distortion)
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = cv2.Rodrigues(turn)[0], np.ravel(shift)
        residual = view.sighting.image_px - np.asarray(px, np.float64).reshape(-1, 2)
        fitted.append(FittedView(view, pose, residual))
    spread: NDArray[np.float64] = np.ravel(np.asarray(deviations, np.float64))
    std_px = (float(spread[0]), float(spread[1]))
    return Intrinsics(K, distortion, float(rms), std_px, tuple(fitted), dict(left_out))


def _check(found: Intrinsics) -> None:
    focal_px = (found.K[0, 0], found.K[1, 1])
    if not np.isfinite(found.K).all() or found.reprojection_px > _MAX_RMS_PX:
        raise CalibrationError(
            f"the views do not fit the board: the corners are {found.reprojection_px:.1f} px off",
            hint="is the sheet flat, and are --squares, --square-mm and the dictionary as printed?",
        )
    # The standard deviations do not show this: the solver settles on some focal length and is sure.
    if sorted(v.tilt_deg for v in found.views)[-_TILTED_VIEWS] < _MIN_TILT_DEG:
        raise _parallel()
    worst = max(s / f for s, f in zip(found.focal_std_px, focal_px, strict=True))
    if not worst < _MAX_FOCAL_ERROR:
        raise CalibrationError(
            f"the views leave the focal length open by {100 * worst:.1f} % (1 % is the limit)",
            hint=_TILT_HINT,
        )


def _parallel() -> CalibrationError:
    return CalibrationError(
        f"the board is all but parallel to the picture in all views ({_TILTED_VIEWS} tilted by "
        f"{_MIN_TILT_DEG:g} degrees or more are needed): a longer focal length cannot be told from "
        "a larger distance",
        hint=_TILT_HINT,
    )
