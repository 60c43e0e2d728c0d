"""The estimate behind ``deixis calibrate pointing``: what person explains the holds at known spots.

Maximum a posteriori, by Gauss and Newton's method, with Student's t in place of the normal
distribution, so that one careless spot counts for less. The priors are what is known of people
(Mayer et al., CHI 2018; see :mod:`deixis.calibration.pointing`): the line from the eye misses a
target 2 m away by 10 cm, the finger's by 29 cm, part of which is constant. Five spots give ten
numbers for four unknowns: what the spots do not show stays as is usual.

    estimate = estimate_user(holds, default)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import PointingCalibration
from deixis.calibration.pointing_holds import Holds

Array = NDArray[np.float64]

MODEL_HAND_M = 0.182
"""Wrist crease to middle fingertip of a hand of scale 1."""

_LOG_SCALE_SD = 0.05
_MEASURED_SD, _KNOWN_SD = 0.01, 1e-6
_EYE_WEIGHT_SD = 0.2
# Per axis, at the eye: the published means, divided into what is constant and what is scatter.
_EYE_BIAS_SD, _EYE_SCATTER_SD = math.radians(2.5), math.radians(1.5)
_FINGER_BIAS_SD, _FINGER_SCATTER_SD = math.radians(8.0), math.radians(4.0)
_SCATTER_WEIGHT = 4.0
"""How many residuals the expected scatter counts for against those that were measured."""
_T_DEGREES = 4.0
_MAX_STEPS = 12
_ENOUGH_RAD = 1e-5
_STEP = 1e-5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A person, and how sure the size of the hand is (standard deviation, relative)."""

    user: PointingCalibration
    scale_sd: float


def expected_scatter_rad(holds: Holds) -> Array:
    """How much people scatter from one pointing to the next, per axis, seen at the fingertip."""
    if holds.eyes_m is None:
        return np.full(len(holds.spots), _FINGER_SCATTER_SD)
    return _EYE_SCATTER_SD * holds.leverages()


def estimate_user(
    holds: Holds, default: PointingCalibration, hand_length_m: float | None = None
) -> Estimate:
    """The person who explains the holds best.

    Args:
        holds: One a spot.
        default: A person of whom nothing is known.
        hand_length_m: Wrist crease to middle fingertip, if it was measured.
    """
    log_mean, log_sd = _size_prior(holds, hand_length_m)
    alone = replace(holds, eyes_m=None)
    if holds.eyes_m is None:

        def by_finger(p: Array) -> PointingCalibration:
            return msgspec.structs.replace(
                default, finger_bias_yaw_rad=float(p[0]), finger_bias_pitch_rad=float(p[1]),
                hand_scale=holds.hand_scale * math.exp(p[2]),
            )  # fmt: skip

        prior = _Prior([0, 0, log_mean], [_FINGER_BIAS_SD, _FINGER_BIAS_SD, log_sd])
        p, sd = _maximise(holds, by_finger, prior)
        return Estimate(by_finger(p), float(sd[2]))

    bias_sd = _EYE_BIAS_SD * float(holds.leverages().mean())

    def by_eye(p: Array) -> PointingCalibration:
        return msgspec.structs.replace(
            default, bias_yaw_rad=float(p[0]), bias_pitch_rad=float(p[1]),
            hand_scale=holds.hand_scale * math.exp(p[2]), eye_weight=float(p[3]),
        )  # fmt: skip

    prior = _Prior([0, 0, log_mean, 1], [bias_sd, bias_sd, log_sd, _EYE_WEIGHT_SD], weight=3)
    p, sd = _maximise(holds, by_eye, prior)
    seen = by_eye(p)

    def unseen(p: Array) -> PointingCalibration:
        return msgspec.structs.replace(
            seen, finger_bias_yaw_rad=float(p[0]), finger_bias_pitch_rad=float(p[1])
        )

    q, _ = _maximise(alone, unseen, _Prior([0, 0], [_FINGER_BIAS_SD] * 2))
    return Estimate(unseen(q), float(sd[2]))


def scatter_rad(residuals: Array, holds: Holds) -> float:
    """A person's own scatter per axis, drawn towards what is expected of people.

    Args:
        residuals: Angles ``(n, 2)`` at spots that the estimate did not see.
        holds: The holds; the estimator's variance is taken away, since fusion adds it again.
    """
    expected = float(np.mean(expected_scatter_rad(holds) ** 2))
    measured = max(float(np.sum(residuals**2) - 2 * np.sum(holds.variances_rad2)), 0.0)
    total = _SCATTER_WEIGHT * expected + measured
    return math.sqrt(total / (_SCATTER_WEIGHT + residuals.size))


def _size_prior(holds: Holds, hand_length_m: float | None) -> tuple[float, float]:
    """Mean and standard deviation of the logarithm of the hand's size over the assumed one."""
    if hand_length_m is not None:
        return math.log(hand_length_m / MODEL_HAND_M / holds.hand_scale), _MEASURED_SD
    return 0.0, (_LOG_SCALE_SD if holds.camera_m is not None else _KNOWN_SD)


class _Prior:
    """Independent normal priors; the parameter number ``weight`` stays within 0 and 1."""

    def __init__(self, mean: list[float], sd: list[float], weight: int | None = None) -> None:
        self.mean, self.sd, self.weight = np.array(mean, np.float64), np.array(sd), weight


def _maximise(
    holds: Holds, person: Callable[[Array], PointingCalibration], prior: _Prior
) -> tuple[Array, Array]:
    """The most probable parameters and their standard deviations."""
    variances = holds.variances_rad2 + expected_scatter_rad(holds) ** 2

    def residuals(p: Array) -> Array:
        return holds.residuals(person(p))

    p = prior.mean.copy()
    free = np.ones(len(p), bool)
    for _ in range(_MAX_STEPS):
        r = residuals(p)
        weights = (_T_DEGREES + 2) / (_T_DEGREES + np.sum(r**2, axis=1) / variances) / variances
        # Backwards, so that a weight of 1 is never exceeded.
        jacobian = np.stack(
            [(r - residuals(p - _STEP * axis)) / _STEP for axis in np.eye(len(p))], axis=2
        )
        normal = np.einsum("n,nij,nik->jk", weights, jacobian, jacobian) + np.diag(prior.sd**-2.0)
        gradient = np.einsum("n,nij,ni->j", weights, jacobian, r) + (p - prior.mean) / prior.sd**2
        move = -np.linalg.solve(normal, gradient)
        free[:] = True
        if prior.weight is not None and not 0.0 <= p[prior.weight] + move[prior.weight] <= 1.0:
            # At its limit: the others follow it there.
            free[prior.weight] = False
            move[prior.weight] = (
                np.clip(p[prior.weight] + move[prior.weight], 0, 1) - p[prior.weight]
            )
            rest = gradient[free] + normal[np.ix_(free, ~free)] @ move[~free]
            move[free] = -np.linalg.solve(normal[np.ix_(free, free)], rest)
        p = p + move
        if np.abs(move).max() < _ENOUGH_RAD:
            break
    return p, np.sqrt(np.diag(np.linalg.inv(normal)))
