"""What a camera's calibration is worth today: the angle its residual and age add, and its age.

    extra_sigma_rad(load_camera("camera.json"), datetime.now(UTC))

The error of a line of sight, per axis, is taken as the sum of independent parts:

- *intrinsics*: the reprojection residual (per axis, an RMS over ``sqrt 2``) over the focal length,
  and what an error of the focal length makes at the picture's edge, at most half its ratio;
- *pose*: the standard deviation of the camera's rotation, and that of its position seen from 1 m;
  a pose that came without a residual counts as 1 degree, as good as a tape measure is;
- *age*: mounts creep and get knocked, which is modelled as a random walk of 0.1 degrees in 30 days
  (0.35 in a year). The rate is an assumption, not a measurement.

A camera that was defined and not measured (a rendered one, whose residual is exactly 0) is exact.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from deixis.calibration.store import CameraCalibration

STALE_DAYS = 180.0
"""Older calibrations should be made again."""

_UNKNOWN_POSE_RAD = math.radians(1.0)
_TYPICAL_DISTANCE_M = 1.0
_DRIFT_RAD, _DRIFT_DAYS = math.radians(0.1), 30.0
_UNKNOWN_AGE_DAYS = 365.0
_SECONDS_PER_DAY = 86400.0


def extra_sigma_rad(calibration: CameraCalibration, now: datetime) -> float:
    """What a calibration's residual and age add to the error of a line of sight.

    Args:
        calibration: The camera's.
        now: With a time zone.

    Returns:
        Standard deviation of the angle per axis; 0 for a camera that is exact.
    """
    if is_exact(calibration):
        return 0.0
    focal_px = (calibration.K[0, 0] + calibration.K[1, 1]) / 2
    pixel_rad = calibration.reprojection_error_px / math.sqrt(2) / focal_px
    focal_rad = (calibration.focal_std_px or 0.0) / focal_px / 2
    residual = calibration.extrinsics_residual
    if residual is None:
        pose_rad = _UNKNOWN_POSE_RAD
    else:
        seen_rad = residual.translation_mm / 1000 / _TYPICAL_DISTANCE_M
        pose_rad = math.hypot(math.radians(residual.rotation_deg), seen_rad)
    age = age_days(calibration, now)
    drift_rad = _DRIFT_RAD * math.sqrt((_UNKNOWN_AGE_DAYS if age is None else age) / _DRIFT_DAYS)
    return math.hypot(pixel_rad, focal_rad, pose_rad, drift_rad)


def is_stale(
    calibration: CameraCalibration, now: datetime, max_age_days: float = STALE_DAYS
) -> bool:
    """Whether a calibration is so old, or of so unclear an age, that it should be made again."""
    if is_exact(calibration):
        return False
    age = age_days(calibration, now)
    return age is None or age > max_age_days


def is_exact(calibration: CameraCalibration) -> bool:
    """Whether the camera was defined, not measured."""
    return calibration.reprojection_error_px == 0.0 and calibration.extrinsics_residual is None


def age_days(calibration: CameraCalibration, now: datetime) -> float | None:
    """Age of the older of intrinsics and extrinsics; None where a date cannot be read."""
    ages = [days_since(calibration.calibrated_at, now)]
    if calibration.extrinsics_at is not None:
        ages.append(days_since(calibration.extrinsics_at, now))
    known = [age for age in ages if age is not None]
    return max(known) if len(known) == len(ages) else None


def days_since(date: str, now: datetime) -> float | None:
    """Days since a date in ISO 8601; None where it cannot be read."""
    try:
        moment = datetime.fromisoformat(date)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # A clock that is behind must not make a calibration better than new.
    return max(0.0, (now - moment).total_seconds() / _SECONDS_PER_DAY)
