"""One pointing direction from two: the line from the eye over the fingertip, and the finger's.

People aim with the eye, over the fingertip, at what is far; at what they nearly touch they point
with the finger, and an eye that looks down on it says little. So where the finger's line meets the
table within 20 cm of the fingertip the finger counts, from 40 cm on the line from the eye, and in
between one gives way to the other. Each is corrected by what the user's calibration found.

    direction, covariance = blend(tip, tip_cov, eye, eye_cov, finger, finger_cov, user)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import PointingCalibration, combine, unit
from deixis.calibration.store import plane_hit

Array = NDArray[np.float64]

_NEAR_M, _FAR_M = 0.2, 0.4
_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Lines:
    """What the two lines run through, base frame, with covariances ``(3, 3)``.

    Attributes:
        tip_m: Fingertip.
        eye_m: Eye; None if it is not seen.
        finger: Unit direction of the finger.
    """

    tip_m: Array
    tip_cov_m2: Array
    finger: Array
    finger_cov_rad2: Array
    eye_m: Array | None = None
    eye_cov_m2: Array | None = None


def nearness(tip_m: Array, finger: Array) -> float:
    """How far the finger counts, from 0 to 1: 1 where its line meets the table close by."""
    hit = plane_hit(tip_m, finger)
    if hit is None:
        return 0.0
    share = (_FAR_M - float(np.linalg.norm(hit - tip_m))) / (_FAR_M - _NEAR_M)
    share = min(max(share, 0.0), 1.0)
    return share * share * (3 - 2 * share)


def blend(lines: Lines, user: PointingCalibration) -> tuple[Array, Array]:
    """The direction in which a person points, and its covariance.

    The covariance carries those of the fingertip, the eye and the finger through the blend, to
    first order and as independent of each other.

    Args:
        lines: Fingertip, finger and eye.
        user: The person.

    Returns:
        A unit vector ``(3,)`` of the base frame and its covariance ``(3, 3)``, rad².
    """
    near = nearness(lines.tip_m, lines.finger)
    if lines.eye_m is None or lines.eye_cov_m2 is None:
        near = 1.0
    eye = lines.tip_m if lines.eye_m is None else lines.eye_m
    parts = [(lines.finger, lines.finger_cov_rad2)]
    if near < 1.0 and lines.eye_cov_m2 is not None:
        parts += [(lines.tip_m, lines.tip_cov_m2), (eye, lines.eye_cov_m2)]

    def direction(finger: Array, tip: Array | None = None, eye: Array | None = None) -> Array:
        """Rows of the arguments are cases."""
        alone = combine(finger, None, finger, user)
        if tip is None or eye is None:
            return alone
        return unit((1 - near) * combine(tip, eye, finger, user) + near * alone)

    centre = np.concatenate([value for value, _ in parts])
    cases = np.vstack([centre, centre + _STEP * np.eye(len(centre))]).reshape(-1, len(parts), 3)
    # ``parts`` are in the order of the arguments.
    directions = direction(*cases.transpose(1, 0, 2))
    slopes = (directions[1:] - directions[0]) / _STEP
    covariance = np.zeros((3, 3))
    for k, (_, part) in enumerate(parts):
        rows = slopes[3 * k : 3 * k + 3]
        covariance += rows.T @ part @ rows
    return directions[0], covariance
