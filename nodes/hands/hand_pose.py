"""Where a hand and its index finger are in the camera frame, and how sure that is.

The model of :mod:`deixis.nodes.hands.hand_model` is fitted to what the landmark network says: the
image points (precise), the depths of the palm's metric points (good along the line of sight) and
what is usual for a pointing finger. The network's depths of the finger itself are left out: they do
not correlate with the truth. On rendered hands that point from many sides, PnP on all 21 metric
points is off by 15 degrees in the median, this fit by 4. The fit is a maximum a-posteriori estimate
by Levenberg and Marquardt's method; the inverse of its normal matrix is the covariance.

    pose = fit_hand(calibration.normalized(px), world_m, side=side_px / focal_px, right=True)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.hand_model import (
    FLEXION,
    KNUCKLE,
    MODEL_LANDMARKS,
    N_PARAMETERS,
    PALM_LANDMARKS,
    REST,
    TIP,
    model_points,
    palm_points,
)

Array = NDArray[np.float64]

# Standard deviations, set on 380 rendered pointing hands (fingers bent at random by 5 to 7 degrees
# a joint) so that the true ray lies in the 90 % cone of 93 % of them.
# Image points: in sides of the landmark crop, per point of the model.
_SIGMA_IMAGE = 1.5 * np.array([0.020, 0.014, 0.011, 0.012, 0.014, 0.007, 0.007, 0.0055])
_SIGMA_DEPTH_M = 1.5 * np.array([0.010, 0.007, 0.0055, 0.0055, 0.007])
_SIGMA_JOINTS = 1.5 * np.array([*np.deg2rad([6.0, 4.0, 6.0, 4.0]), 0.04])

DEPTH_BIAS_M = np.array([0.016, 0.002, 0.0025, -0.002, -0.002])
"""By how much the network puts the palm's points too far away, relative to the knuckles' mean: the
wrist most of all, on rendered hands and on flat real ones."""

_MAX_STEPS = 8
_MAX_DAMPING = 1e3
_ENOUGH = 1e-3
_FIRST_DISTANCE_M = 0.7
_LIKELY_COST = 15.0
"""About the most that is to be expected: a worse fit from where the hand was is tried anew."""

_XYZ = np.arange(3)
_DIAGONAL = np.diag_indices(N_PARAMETERS)
_FROM_KNUCKLES = np.eye(5) - np.array([0.0, 0.25, 0.25, 0.25, 0.25])
"""Takes depths of the palm's points to those relative to the knuckles' mean."""
_BY_JOINTS = np.eye(N_PARAMETERS)[FLEXION:] / _SIGMA_JOINTS[:, None]


@dataclass(frozen=True, slots=True)
class HandPose:
    """A fitted hand, camera frame.

    Attributes:
        points_cam: The model's points, metres, shape ``(8, 3)``; see ``MODEL_LANDMARKS``.
        tip_cam: Index tip, metres.
        direction_cam: Unit vector from the index knuckle to the index tip.
        tip_cov_m2: Covariance of the tip, ``(3, 3)``; without that of the hand's size.
        direction_cov_rad2: Covariance of the direction in its tangent plane, ``(3, 3)``.
        cost: Sum of squared residuals in standard deviations.
        parameters: Of the model, ``(11,)``, the small rotation being zero.
        rotation: From the hand frame to the camera frame, ``(3, 3)``.
        right: A right hand.
    """

    points_cam: Array
    tip_cam: Array
    direction_cam: Array
    tip_cov_m2: Array
    direction_cov_rad2: Array
    cost: float
    parameters: Array
    rotation: Array
    right: bool


@dataclass(frozen=True, slots=True)
class _Fit:
    """The model at some parameters (see :class:`HandPose`).

    Attributes:
        residuals: In standard deviations, ``(26,)``.
        jacobian: Their derivatives, ``(26, 11)``.
        points: The model's points, camera frame, ``(8, 3)``.
        slopes: Their derivatives, ``(8, 3, 11)``.
    """

    parameters: Array
    rotation: Array
    residuals: Array
    jacobian: Array
    points: Array
    slopes: Array

    @property
    def cost(self) -> float:
        """Sum of the squared residuals."""
        return float(self.residuals @ self.residuals)


@dataclass(frozen=True, slots=True)
class _Observation:
    """What is known of a hand: image points, depths of the palm, line of sight."""

    points: Array
    sigma: Array
    depth_m: Array
    sight: Array
    right: bool
    hand_scale: float

    def linearised(self, parameters: Array, rotation: Array) -> _Fit:
        """Residuals in standard deviations, points in the camera frame, and their derivatives."""
        model, joints = model_points(parameters, self.right, self.hand_scale)
        turned = model @ rotation.T
        points = turned + parameters[3:6]
        slopes = np.zeros((len(points), 3, N_PARAMETERS))
        # A small turn w moves a point p by w x p.
        x, y, z = turned.T
        slopes[:, 1, 0], slopes[:, 2, 0] = -z, y
        slopes[:, 0, 1], slopes[:, 2, 1] = z, -x
        slopes[:, 0, 2], slopes[:, 1, 2] = -y, x
        slopes[:, _XYZ, 3 + _XYZ] = 1.0
        slopes[:, :, FLEXION:] = rotation @ joints
        image = points[:, :2] / points[:, 2:]
        by_image = slopes[:, :2] - image[:, :, None] * slopes[:, 2:]
        unit = self.sigma * points[:, 2:]
        n = len(PALM_LANDMARKS)
        depth = _FROM_KNUCKLES @ (points[:n] @ self.sight)
        by_depth = _FROM_KNUCKLES @ (self.sight @ slopes[:n])
        return _Fit(
            parameters=parameters,
            rotation=rotation,
            residuals=np.concatenate(
                [
                    ((image - self.points) / self.sigma).ravel(),
                    (depth - self.depth_m) / _SIGMA_DEPTH_M,
                    (parameters - REST)[FLEXION:] / _SIGMA_JOINTS,
                ]
            ),
            jacobian=np.concatenate(
                [
                    (by_image / unit[:, :, None]).reshape(-1, N_PARAMETERS),
                    by_depth / _SIGMA_DEPTH_M[:, None],
                    _BY_JOINTS,
                ]
            ),
            points=points,
            slopes=slopes,
        )


def fit_hand(
    points: Array,
    world_m: Array,
    *,
    side: float,
    right: bool,
    hand_scale: float = 1.0,
    before: HandPose | None = None,
) -> HandPose | None:
    """Fit the hand model to one hand.

    Args:
        points: Undistorted image points on the plane z = 1, shape ``(21, 2)``.
        world_m: Metric points of the network, camera axes, shape ``(21, 3)``; only z is used.
        side: Side of the landmark crop on the plane z = 1: the unit of the image error.
        right: A right hand.
        hand_scale: Size of the hand relative to the model.
        before: The same hand's pose in the frame before: a good place to start.

    Returns:
        The pose, or None if the points fit no hand in front of the camera.
    """
    palm = list(PALM_LANDMARKS)
    # The network sees a crop: its depth runs along the line of sight to the middle of the hand.
    sight = np.append(points.mean(axis=0), 1.0)
    depth = world_m[palm, 2] - DEPTH_BIAS_M
    depth = depth - depth[1:].mean()
    seen = _Observation(
        points=points[list(MODEL_LANDMARKS)],
        sigma=(_SIGMA_IMAGE * side)[:, None],
        depth_m=depth,
        sight=sight / np.linalg.norm(sight),
        right=right,
        hand_scale=hand_scale,
    )
    try:
        fit = None
        if before is not None and before.right == right:
            fit = _minimise(seen, before.parameters, before.rotation)
        if fit is None or not fit.cost <= _LIKELY_COST:
            first = _first_guess(points[palm], depth, palm_points(right, hand_scale))
            anew = _minimise(seen, *first)
            fit = anew if fit is None or anew.cost < fit.cost else fit
        covariance = np.linalg.inv(fit.jacobian.T @ fit.jacobian)
    except np.linalg.LinAlgError:
        return None
    # A hand that the model does not explain is less certain than the model believes.
    covariance *= max(1.0, fit.cost / (len(fit.residuals) - N_PARAMETERS))
    if not math.isfinite(fit.cost) or fit.points[:, 2].min() <= 0:
        return None
    finger = fit.points[TIP] - fit.points[KNUCKLE]
    length = float(np.linalg.norm(finger))
    direction = finger / length
    turns = (fit.slopes[TIP] - fit.slopes[KNUCKLE]) / length
    turns = turns - np.outer(direction, direction @ turns)
    moves = fit.slopes[TIP]
    return HandPose(
        points_cam=fit.points,
        tip_cam=fit.points[TIP],
        direction_cam=direction,
        tip_cov_m2=moves @ covariance @ moves.T,
        direction_cov_rad2=turns @ covariance @ turns.T,
        cost=fit.cost,
        parameters=fit.parameters,
        rotation=fit.rotation,
        right=right,
    )


def _first_guess(points: Array, depth_m: Array, palm: Array) -> tuple[Array, Array]:
    """Parameters and rotation that lay the palm onto its points lifted to their depths."""
    centred = palm - palm.mean(axis=0)
    rays = np.column_stack([points, np.ones(len(points))])
    distance = _FIRST_DISTANCE_M
    lifted = rays * (distance + depth_m)[:, None]
    for _ in range(4):
        distance *= float(np.linalg.norm(centred) / np.linalg.norm(lifted - lifted.mean(axis=0)))
        lifted = rays * (distance + depth_m)[:, None]
    # Kabsch's algorithm.
    u, _, vt = np.linalg.svd(centred.T @ (lifted - lifted.mean(axis=0)))
    flip = np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)])
    rotation = vt.T @ flip @ u.T
    parameters = REST.copy()
    parameters[3:6] = lifted.mean(axis=0) - rotation @ palm.mean(axis=0)
    return parameters, rotation


def _minimise(seen: _Observation, parameters: Array, rotation: Array) -> _Fit:
    """Levenberg and Marquardt's method; the rotation is updated on its group."""
    damping = 1e-3
    fit = seen.linearised(parameters, rotation)
    for _ in range(_MAX_STEPS):
        normal = fit.jacobian.T @ fit.jacobian
        gradient = fit.jacobian.T @ fit.residuals
        while damping < _MAX_DAMPING:
            damped = normal.copy()
            damped[_DIAGONAL] *= 1 + damping
            trial = parameters - np.linalg.solve(damped, gradient)
            turned = cv2.Rodrigues(trial[:3])[0] @ rotation
            trial[:3] = 0
            after = seen.linearised(trial, turned)
            if after.cost < fit.cost:
                damping = max(damping / 10, 1e-9)
                break
            damping *= 10
        else:
            return fit
        gained = fit.cost - after.cost
        parameters, rotation, fit = trial, turned, after
        if gained < _ENOUGH:
            break
    return fit
