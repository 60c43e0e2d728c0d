"""How one person points: which line, how it is off, and how much it scatters; stored by user id.

People point along the line from eye to fingertip, not along the finger: at 2 m the target is 10.2
cm away from the one and 29.1 cm from the other (Mayer et al., "The Effect of Offset Correction and
Cursor on Mid-Air Pointing in Real and Virtual Environments", CHI 2018). Each person does so in a
way of their own, which ``deixis calibrate pointing`` finds out.

    user = load_pointing("anna.json")
    direction = combine(tip_base_m, eye_base_m, finger_direction_base, user)
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.calibration.files import default_folder, read_json, write_json
from deixis.runtime.errors import CalibrationError

Array = NDArray[np.float64]

SCHEMA = 1
_HINT = "deixis calibrate pointing --user NAME --targets spots.json"
_SHORTEST_EYE_LINE_M = 0.05
_HAND_SCALE_LIMITS = (0.5, 2.0)
_BIAS_LIMIT_RAD = math.radians(45.0)
_SIGMA_LIMIT_RAD = math.radians(45.0)


class PointingCalibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of one person's pointing.

    Attributes:
        schema: Version of the file format.
        user_id: Whose it is.
        hand_scale: Length of the hand (wrist crease to middle fingertip) over 18.2 cm.
        eye_weight: Which line counts where the eye is seen: 1 the one from eye to fingertip, 0 the
            finger's, between them the blend of both unit vectors.
        bias_yaw_rad: Turns the blended direction about the base's z axis, to the left if positive.
        bias_pitch_rad: Raises it.
        finger_bias_yaw_rad: The same for the finger's line, where no eye is seen.
        finger_bias_pitch_rad: The same.
        sigma_rad: The person's own error that is left, per axis, where the eye is seen.
        finger_sigma_rad: The same where no eye is seen.
        calibrated_at: When, ISO 8601; empty for the default.
        error_before_m: Mean miss at 2 m of an uncalibrated person; None for the default.
        error_after_m: The same with the calibration, measured at spots that it had not seen.
        n_points: At how many spots it was measured.
        picture: The picture that shows it, beside the file.
    """

    schema: int = SCHEMA
    user_id: str
    hand_scale: float = 1.0
    eye_weight: float = 1.0
    bias_yaw_rad: float = 0.0
    bias_pitch_rad: float = 0.0
    finger_bias_yaw_rad: float = 0.0
    finger_bias_pitch_rad: float = 0.0
    sigma_rad: float = math.radians(3.5)
    finger_sigma_rad: float = math.radians(7.0)
    calibrated_at: str = ""
    error_before_m: float | None = None
    error_after_m: float | None = None
    n_points: int = 0
    picture: str | None = None


DEFAULT_POINTING = PointingCalibration(user_id="default")
"""A person of whom nothing is known: the line from eye to fingertip, or else the finger's."""


def combine(
    tip_base_m: ArrayLike,
    eye_base_m: ArrayLike | None,
    finger_direction_base: ArrayLike,
    user: PointingCalibration,
) -> Array:
    """The direction in which a person points.

    Args:
        tip_base_m: Fingertips, shape ``(..., 3)``.
        eye_base_m: Eyes, same shape; None if they are not seen. An eye within 5 cm of the fingertip
            gives no line and counts as not seen.
        finger_direction_base: Directions of the finger, same shape; of any length.
        user: The person.

    Returns:
        Unit vectors, same shape, base frame.
    """
    finger = unit(finger_direction_base)
    alone = turn(finger, user.finger_bias_yaw_rad, user.finger_bias_pitch_rad)
    if eye_base_m is None:
        return alone
    line = np.asarray(tip_base_m, np.float64) - np.asarray(eye_base_m, np.float64)
    length = np.linalg.norm(line, axis=-1, keepdims=True)
    seen = length >= _SHORTEST_EYE_LINE_M
    line = line / np.where(seen, length, 1.0)
    blended = unit(user.eye_weight * line + (1.0 - user.eye_weight) * finger)
    return np.where(seen, turn(blended, user.bias_yaw_rad, user.bias_pitch_rad), alone)


def turn(directions: Array, yaw_rad: ArrayLike, pitch_rad: ArrayLike) -> Array:
    """Turn unit vectors ``(..., 3)`` about the base's z axis and the horizontal axis across them.

    Args:
        directions: Unit vectors of the base frame.
        yaw_rad: To the left if positive.
        pitch_rad: Upwards if positive.
    """
    x, y, z = np.moveaxis(np.asarray(directions, np.float64), -1, 0)
    azimuth = np.arctan2(y, x) + yaw_rad
    elevation = np.arctan2(z, np.hypot(x, y)) + pitch_rad
    level = np.cos(elevation)
    return np.stack([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)], axis=-1)


def unit(vectors: ArrayLike) -> Array:
    """Vectors ``(..., 3)`` at length 1; one without length stays zero."""
    array = np.asarray(vectors, np.float64)
    length = np.linalg.norm(array, axis=-1, keepdims=True)
    scaled: Array = array / np.maximum(length, 1e-12)
    return scaled


def pointing_path(user_id: str) -> Path:
    """Where the calibration of a person is kept unless a path is given."""
    return default_folder("pointing") / f"{user_id}.json"


def load_pointing(path: str | Path) -> PointingCalibration:
    """Read a person's calibration.

    Raises:
        CalibrationError: The file is missing or damaged, has another schema, or what it says is
            not possible.
    """
    user = read_json(
        path, PointingCalibration, what="pointing calibration", schema=SCHEMA, hint=_HINT
    )
    _check(user, str(path))
    return user


def save_pointing(user: PointingCalibration, path: str | Path) -> None:
    """Write a person's calibration; an existing file is replaced whole or not at all.

    Raises:
        CalibrationError: It is not valid, or the file cannot be written.
    """
    _check(user, f"user {user.user_id!r}")
    write_json(user, path)


def _check(user: PointingCalibration, where: str) -> None:
    biases = (
        user.bias_yaw_rad, user.bias_pitch_rad,
        user.finger_bias_yaw_rad, user.finger_bias_pitch_rad,
    )  # fmt: skip
    problems = {
        f"hand_scale {user.hand_scale} is not within 0.5 to 2": not (
            _HAND_SCALE_LIMITS[0] <= user.hand_scale <= _HAND_SCALE_LIMITS[1]
        ),
        f"eye_weight {user.eye_weight} is not within 0 to 1": not 0.0 <= user.eye_weight <= 1.0,
        "a bias is more than 45 degrees": not all(abs(b) <= _BIAS_LIMIT_RAD for b in biases),
        "a sigma is not between 0 and 45 degrees": not all(
            0.0 < s <= _SIGMA_LIMIT_RAD for s in (user.sigma_rad, user.finger_sigma_rad)
        ),
        "it names no user": not user.user_id,
    }
    for problem, found in problems.items():
        if found:
            raise CalibrationError(f"{where}: {problem}", hint=_HINT)
