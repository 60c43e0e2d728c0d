"""Rigid poses, and fits over them: 4x4 matrices, metres; rotations as vectors where small.

T_base_board = pose_from_xyz_rpy([0.4, 0, 0, 0, 0, 90])
spread_m, spread_rad = spread(poses)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_ROUNDS = 50
_STEP = 1e-6
_GAIN = 1e-9
_NEARLY_HALF_A_TURN = -0.99


def pose(rotation: ArrayLike, translation_m: ArrayLike) -> Array:
    """A pose from a rotation matrix ``(3, 3)`` or vector ``(3,)``, and a translation ``(3,)``."""
    turn = np.asarray(rotation, np.float64)
    out = np.eye(4)
    out[:3, :3] = turn if turn.shape == (3, 3) else cv2.Rodrigues(turn.reshape(3, 1))[0]
    out[:3, 3] = np.asarray(translation_m, np.float64).reshape(3)
    return out


def pose_from_xyz_rpy(values: Sequence[float]) -> Array:
    """A pose from x, y, z in metres and roll, pitch, yaw in degrees.

    As in ROS: about the fixed x axis, then y, then z.
    """
    roll, pitch, yaw = np.radians(values[3:6])
    angles = np.diag([roll, pitch, yaw])
    about_x, about_y, about_z = (pose(vector, np.zeros(3))[:3, :3] for vector in angles)
    return pose(about_z @ about_y @ about_x, values[:3])


def inverse(matrix: Array) -> Array:
    """The inverse of a pose."""
    turn = matrix[:3, :3].T
    return pose(turn, -turn @ matrix[:3, 3])


def rotation_vector(matrix: Array) -> Array:
    """Axis times angle (rad) of the rotation of a pose or ``(3, 3)`` matrix, shape ``(3,)``."""
    turn = matrix[:3, :3]
    cosine = (float(np.trace(turn)) - 1) / 2
    if cosine < _NEARLY_HALF_A_TURN:
        half: Array = np.ravel(np.asarray(cv2.Rodrigues(turn)[0], np.float64))
        return half
    # OpenCV's is 0 below an angle of 1e-5, where a fit would get stuck.
    sines = (
        np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]) / 2
    )
    sine = float(np.linalg.norm(sines))
    return sines * (np.arctan2(sine, cosine) / sine if sine > 0 else 1.0)


def apart(a: Array, b: Array) -> tuple[float, float]:
    """How far two poses are apart: metres and radians."""
    turn = float(np.linalg.norm(rotation_vector(a[:3, :3].T @ b[:3, :3])))
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3])), turn


def mean(poses: Sequence[Array]) -> Array:
    """The mean pose: that of the translations, and the rotation nearest to all (chordal mean)."""
    stacked = np.stack(poses)
    u, _, vt = np.linalg.svd(stacked[:, :3, :3].sum(axis=0))
    turn = u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt
    return pose(turn, stacked[:, :3, 3].mean(axis=0))


def spread(poses: Sequence[Array]) -> tuple[float, float]:
    """Standard deviations of poses about their mean, per axis: metres and radians."""
    centre = mean(poses)
    shifts = np.stack([p[:3, 3] - centre[:3, 3] for p in poses])
    turns = np.stack([rotation_vector(centre[:3, :3].T @ p[:3, :3]) for p in poses])
    n = max(1, len(poses) - 1)
    return (
        float(np.sqrt((shifts**2).sum() / (3 * n))),
        float(np.sqrt((turns**2).sum() / (3 * n))),
    )


@dataclass(frozen=True)
class Fit:
    """Poses that make residuals least.

    Attributes:
        poses: The poses.
        residuals: What is left.
        covariance: Of the poses' errors, ``(6k, 6k)``: rotation (rad), then translation (m), in the
            frame that the pose is in, one pose after the other; for residuals of variance 1.
    """

    poses: list[Array]
    residuals: Array
    covariance: Array


def fit_poses(residuals: Callable[[list[Array]], Array], start: Sequence[Array]) -> Fit:
    """Move poses until the sum of squared residuals is least (Levenberg and Marquardt).

    Args:
        residuals: Of the poses, shape ``(n,)``.
        start: Where to begin.
    """
    poses, damping = list(start), 1e-3
    left = residuals(poses)
    for _ in range(_ROUNDS):
        jacobian = _jacobian(residuals, poses)
        normal, slope = jacobian.T @ jacobian, jacobian.T @ left
        step = np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), -slope)
        tried = _moved(poses, np.asarray(step, np.float64))
        after = residuals(tried)
        gain = float(left @ left - after @ after)
        if gain > 0:
            poses, left, damping = tried, after, damping / 10
            if gain < _GAIN * float(left @ left):
                break
        else:
            damping *= 10
            if damping > 1e6:
                break
    jacobian = _jacobian(residuals, poses)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    return Fit(poses, left, np.asarray(covariance, np.float64))


def _moved(poses: Sequence[Array], step: Array) -> list[Array]:
    out = []
    for matrix, (*turn, x, y, z) in zip(poses, step.reshape(-1, 6), strict=True):
        rotated = pose(np.array(turn), np.zeros(3))[:3, :3] @ matrix[:3, :3]
        out.append(pose(rotated, matrix[:3, 3] + [x, y, z]))
    return out


def _jacobian(residuals: Callable[[list[Array]], Array], poses: Sequence[Array]) -> Array:
    n = 6 * len(poses)
    columns = []
    for unit in np.eye(n):
        ahead, behind = (residuals(_moved(poses, s * _STEP * unit)) for s in (1, -1))
        columns.append((ahead - behind) / (2 * _STEP))
    return np.stack(columns, axis=1)
