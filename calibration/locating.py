"""Where a sheet is, seen by a calibrated camera: one pose, of the two that a plane can have.

    found = locate(steady(sightings), camera)
    found.T_sheet_cam, found.position_std_m, found.rotation_std_rad

A flat target seen from far has two poses that look almost alike. Both are solved for (Collins and
Bartoli, "Infinitesimal plane-based pose estimation", IJCV 2014; OpenCV's IPPE) and refined; if they
fit about equally well, that is an error, not a guess.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.boards import Array, Sighting
from deixis.calibration.poses import Fit, apart, fit_poses, inverse, pose
from deixis.calibration.store import CameraCalibration
from deixis.runtime.errors import CalibrationError

_CLEARLY_WORSE = 1.5
_NOISE_PX = 0.1
_SAME_POSE_RAD = math.radians(1.0)
_MOVED_PX = 1.0
_LEAST_CORNERS = 4
_MAX_RMS_PX = 3.0


@dataclass(frozen=True)
class Located:
    """The pose of a camera against a sheet.

    Attributes:
        T_sheet_cam: Pose of the camera in the sheet's frame, shape ``(4, 4)``.
        expected_px: Where the corners should be seen, shape ``(n, 2)``.
        reprojection_px: RMS distance from there to where they are seen.
        position_std_m: Standard deviation of the camera's position, per axis.
        rotation_std_rad: Of its rotation, per axis.
    """

    T_sheet_cam: Array
    expected_px: Array
    reprojection_px: float
    position_std_m: float
    rotation_std_rad: float


def locate(sighting: Sighting, camera: CameraCalibration) -> Located:
    """Find the pose of a camera that sees a sheet.

    Args:
        sighting: Corners of the sheet.
        camera: Its intrinsics, at the size of the picture.

    Raises:
        CalibrationError: Two poses fit about equally well, or none does.
    """
    try:
        _, turns, shifts, _ = cv2.solvePnPGeneric(
            sighting.object_m, sighting.image_px, camera.K, camera.distortion,
            flags=cv2.SOLVEPNP_IPPE,
        )  # fmt: skip
    except cv2.error as cause:
        raise CalibrationError(f"OpenCV finds no pose of the target: {cause.err}") from cause
    starts = [inverse(pose(np.ravel(r), np.ravel(t))) for r, t in zip(turns, shifts, strict=True)]
    fits = sorted((refine(sighting, camera, s) for s in starts), key=_rms_px)
    best = fits[0]
    for other in fits[1:]:
        _, turn_rad = apart(best.poses[0], other.poses[0])
        worse = max(_rms_px(other), _NOISE_PX) / max(_rms_px(best), _NOISE_PX)
        if turn_rad > _SAME_POSE_RAD and worse < _CLEARLY_WORSE:
            raise CalibrationError(
                f"the target may be seen in two poses, {math.degrees(turn_rad):.0f} degrees apart: "
                f"they fit with {_rms_px(best):.2f} and {_rms_px(other):.2f} px",
                hint="a larger target, nearer, or seen more from the side; a board tells them "
                "apart better than a marker",
            )
    if _rms_px(best) > _MAX_RMS_PX:
        raise CalibrationError(
            f"the target's corners are {_rms_px(best):.1f} px from where they should be",
            hint="is its size as measured, is it flat, and is this the camera's calibration?",
        )
    # A few corners can be fitted better than they were seen.
    scale = float(best.residuals @ best.residuals) / max(1, len(best.residuals) - 6)
    variances = np.diag(best.covariance) * max(scale, _NOISE_PX**2)
    return Located(
        best.poses[0],
        sighting.image_px + best.residuals.reshape(-1, 2),
        _rms_px(best),
        math.sqrt(float(variances[3:].mean())),
        math.sqrt(float(variances[:3].mean())),
    )


def refine(sighting: Sighting, camera: CameraCalibration, T_sheet_cam: Array) -> Fit:
    """The camera's pose near one that is about right, where the corners fall best."""

    def residuals(poses: list[Array]) -> Array:
        return np.ravel(project(sighting.object_m, inverse(poses[0]), camera) - sighting.image_px)

    return fit_poses(residuals, [T_sheet_cam])


def steady(sightings: Sequence[Sighting]) -> Sighting:
    """The corners of a target that stands still, each at the median of where it was seen.

    Corners that were seen in fewer than half of the pictures are left out.

    Raises:
        CalibrationError: The corners moved from picture to picture, or too few are left.
    """
    seen: defaultdict[int, list[Array]] = defaultdict(list)
    where_m: dict[int, Array] = {}
    for sighting in sightings:
        for number, at_m, px in zip(
            sighting.ids.tolist(), sighting.object_m, sighting.image_px, strict=True
        ):
            seen[number].append(px)
            where_m[number] = at_m
    kept = sorted(n for n, places in seen.items() if 2 * len(places) >= len(sightings))
    if len(kept) < _LEAST_CORNERS:
        raise CalibrationError(
            f"only {len(kept)} corners are seen in half of the {len(sightings)} pictures",
            hint="the whole target in view, sharp and evenly lit",
        )
    middle = {n: np.median(np.stack(seen[n]), axis=0) for n in kept}
    off = [float(np.linalg.norm(p - middle[n])) for n in kept for p in seen[n]]
    if np.percentile(off, 90) > _MOVED_PX:
        raise CalibrationError(
            f"the target or the camera moved: its corners stray by {np.percentile(off, 90):.1f} px "
            f"over {len(sightings)} pictures",
            hint="fix both, and give pictures of that one arrangement",
        )
    ids: NDArray[np.int64] = np.array(kept, np.int64)
    return Sighting(ids, np.stack([where_m[n] for n in kept]), np.stack([middle[n] for n in kept]))


def project(points_m: Array, T_cam_sheet: Array, camera: CameraCalibration) -> Array:
    """Image points ``(n, 2)`` of points ``(n, 3)`` of a sheet's frame."""
    turn, _ = cv2.Rodrigues(T_cam_sheet[:3, :3])
    px, _ = cv2.projectPoints(points_m, turn, T_cam_sheet[:3, 3], camera.K, camera.distortion)
    return np.asarray(px, np.float64).reshape(-1, 2)


def rms_px(off_px: Array) -> float:
    """RMS length of residuals ``(n, 2)``."""
    return float(np.sqrt((off_px**2).sum(axis=1).mean()))


def _rms_px(fit: Fit) -> float:
    return rms_px(fit.residuals.reshape(-1, 2))
