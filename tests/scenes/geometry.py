"""Rigid transforms and the one camera that every episode shares.

``python -c "from tests.scenes.geometry import CAMERA; print(CAMERA.project([[0.5, 0, 0]]))"``

Frames of reference: *base* is the robot's base (x forward, y left, z up, metres, z = 0 on the
table); *cam* is OpenCV's camera frame (x right, y down, z forward).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]


def unit(vector: ArrayLike) -> Array:
    """The vector scaled to length 1."""
    v = np.asarray(vector, float)
    return np.asarray(v / np.linalg.norm(v))


def rotation(axis: ArrayLike, angle_rad: float) -> Array:
    """3x3 rotation about an axis (Rodrigues' formula)."""
    x, y, z = unit(axis)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(
        np.eye(3) + np.sin(angle_rad) * cross + (1 - np.cos(angle_rad)) * cross @ cross
    )


def rotation_vector(matrix: Array) -> Array:
    """Axis times angle of a rotation whose angle is below 180 degrees."""
    angle = np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1))
    if angle < 1e-9:
        return np.zeros(3)
    skew = matrix - matrix.T
    axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    return np.asarray(angle / (2 * np.sin(angle)) * axis)


def pose(matrix: Array, translation: ArrayLike) -> Array:
    """4x4 transform from a rotation and a translation."""
    out = np.eye(4)
    out[:3, :3] = matrix
    out[:3, 3] = np.asarray(translation, float)
    return out


def apply(transform: Array, points: ArrayLike) -> Array:
    """Points (N, 3) mapped by a 4x4 transform."""
    return np.asarray(points, float) @ transform[:3, :3].T + transform[:3, 3]


@dataclass(frozen=True)
class Camera:
    """A pinhole camera without distortion, placed by where it stands and what it looks at."""

    position_base_m: tuple[float, float, float] = (0.0, 0.0, 0.65)
    look_at_base_m: tuple[float, float, float] = (0.58, 0.0, 0.06)
    width: int = 640
    height: int = 480
    focal_px: float = 490.0
    T_base_cam: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        forward = unit(np.subtract(self.look_at_base_m, self.position_base_m))
        right = unit(np.cross(forward, [0, 0, 1]))
        rot = np.stack([right, np.cross(forward, right), forward], axis=1)
        object.__setattr__(self, "T_base_cam", pose(rot, self.position_base_m))

    @property
    def K(self) -> Array:
        """3x3 camera matrix; integer pixel coordinates are pixel centres, as in OpenCV."""
        cx, cy = (self.width - 1) / 2, (self.height - 1) / 2
        return np.array([[self.focal_px, 0, cx], [0, self.focal_px, cy], [0, 0, 1]])

    def project(self, points_base_m: ArrayLike) -> Array:
        """Image points (N, 2) in pixels of base-frame points (N, 3) in front of the camera."""
        cam = apply(np.linalg.inv(self.T_base_cam), points_base_m) @ self.K.T
        return np.asarray(cam[:, :2] / cam[:, 2:])

    def in_view(self, points_px: Array, margin_px: float = 0.0) -> NDArray[np.bool_]:
        """Which image points (N, 2) lie inside the picture."""
        limit = np.array([self.width, self.height]) - 1 - margin_px
        return np.asarray(np.all((points_px >= margin_px) & (points_px <= limit), axis=1))

    def to_json(self) -> dict[str, object]:
        """The contents of camera.json."""
        return {
            "schema": 1,
            "device_id": "scene-camera",
            "width": self.width,
            "height": self.height,
            "K": self.K.tolist(),
            "distortion": [0.0] * 5,
            "T_base_cam": self.T_base_cam.tolist(),
            "calibrated_at": "2026-11-25T00:00:00Z",
            "reprojection_error_px": 0.0,
        }


CAMERA = Camera()
