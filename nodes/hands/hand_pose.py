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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.hand_model import (
    KNUCKLE,
    MODEL_LANDMARKS,
    N_PARAMETERS,
    PALM_LANDMARKS,
    REST,
    TIP,
    model_points,
    palm_points,
    rotations,
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
_STEP = 1e-6
_MAX_DAMPING = 1e3
_ENOUGH = 1e-3
_FIRST_DISTANCE_M = 0.7


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
    """

    points_cam: Array
    tip_cam: Array
    direction_cam: Array
    tip_cov_m2: Array
    direction_cov_rad2: Array
    cost: float


@dataclass(frozen=True, slots=True)
class _Observation:
    """What is known of a hand: image points, depths of the palm, line of sight."""

    points: Array
    sigma: Array
    depth_m: Array
    sight: Array
    right: bool
    hand_scale: float

    def residuals(self, parameters: Array, rotation: Array) -> tuple[Array, Array]:
        """Residuals ``(n, m)`` in standard deviations and points in the camera frame."""
        turned = rotations(parameters[:, :3]) @ rotation
        model = model_points(parameters, self.right, self.hand_scale)
        points = model @ turned.transpose(0, 2, 1) + parameters[:, None, 3:6]
        image = (points[:, :, :2] / points[:, :, 2:] - self.points) / self.sigma
        depth = points[:, : len(PALM_LANDMARKS)] @ self.sight
        depth = depth - depth[:, 1:].mean(axis=1, keepdims=True) - self.depth_m
        prior = (parameters - REST)[:, 6:] / _SIGMA_JOINTS
        rows = [image.reshape(len(parameters), -1), depth / _SIGMA_DEPTH_M, prior]
        return np.concatenate(rows, axis=1), points

    def linearised(self, parameters: Array, rotation: Array) -> tuple[Array, Array, Array]:
        """Residuals, their Jacobian, and the points at and beside ``parameters`` (12, 8, 3)."""
        beside = np.vstack([parameters, parameters + _STEP * np.eye(N_PARAMETERS)])
        residuals, points = self.residuals(beside, rotation)
        return residuals[0], (residuals[1:] - residuals[0]).T / _STEP, points


def fit_hand(
    points: Array, world_m: Array, *, side: float, right: bool, hand_scale: float = 1.0
) -> HandPose | None:
    """Fit the hand model to one hand.

    Args:
        points: Undistorted image points on the plane z = 1, shape ``(21, 2)``.
        world_m: Metric points of the network, camera axes, shape ``(21, 3)``; only z is used.
        side: Side of the landmark crop on the plane z = 1: the unit of the image error.
        right: A right hand.
        hand_scale: Size of the hand relative to the model.

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
    parameters = REST.copy()
    try:
        rotation, parameters[3:6] = _first_guess(
            points[palm], depth, palm_points(right, hand_scale)
        )
        parameters, rotation = _minimise(seen, parameters, rotation)
        residuals, jacobian, around = seen.linearised(parameters, rotation)
        covariance = np.linalg.inv(jacobian.T @ jacobian)
    except np.linalg.LinAlgError:
        return None
    cost = float(residuals @ residuals)
    # A hand that the model does not explain is less certain than the model believes.
    covariance *= max(1.0, cost / (len(residuals) - N_PARAMETERS))
    if not np.isfinite(cost) or around[0, :, 2].min() <= 0:
        return None
    directions = around[:, TIP] - around[:, KNUCKLE]
    directions = directions / np.linalg.norm(directions, axis=1, keepdims=True)
    turns = (directions[1:] - directions[0]).T / _STEP
    moves = (around[1:, TIP] - around[0, TIP]).T / _STEP
    return HandPose(
        points_cam=around[0],
        tip_cam=around[0, TIP],
        direction_cam=directions[0],
        tip_cov_m2=moves @ covariance @ moves.T,
        direction_cov_rad2=turns @ covariance @ turns.T,
        cost=cost,
    )


def _first_guess(points: Array, depth_m: Array, palm: Array) -> tuple[Array, Array]:
    """Rotation and translation that lay the palm onto its points lifted to their depths."""
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
    return rotation, lifted.mean(axis=0) - rotation @ palm.mean(axis=0)


def _minimise(seen: _Observation, parameters: Array, rotation: Array) -> tuple[Array, Array]:
    """Levenberg and Marquardt's method; the rotation is updated on its group."""
    damping = 1e-3
    for _ in range(_MAX_STEPS):
        residuals, jacobian, _ = seen.linearised(parameters, rotation)
        cost = residuals @ residuals
        normal, gradient = jacobian.T @ jacobian, jacobian.T @ residuals
        while damping < _MAX_DAMPING:
            damped = normal + damping * np.diag(np.diag(normal))
            trial = parameters - np.linalg.solve(damped, gradient)
            after = seen.residuals(trial[None], rotation)[0][0]
            if after @ after < cost:
                damping = max(damping / 10, 1e-9)
                break
            damping *= 10
        else:
            return parameters, rotation
        rotation = rotations(trial[None, :3])[0] @ rotation
        parameters = trial
        parameters[:3] = 0
        if cost - after @ after < _ENOUGH:
            break
    return parameters, rotation
