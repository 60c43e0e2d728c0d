"""Pictures of boards and markers with known truth: pinhole, distortion, blur and noise.

    image = Renderer(K, distortion, (640, 480)).picture(sheet, T_cam_sheet)

Every pixel is the mean of several rays: each is undistorted, meets the sheet's plane, and reads the
printed pattern there. The patterns come from OpenCV's own drawing, not from the project's printing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.calibration.boards import CharucoSpec, MarkerSpec
from deixis.calibration.dictionaries import find_dictionary

Array = NDArray[Any]
_PX_PER_M = 8000
_PAPER, _WALL, _BLACK = 225.0, 110.0, 25.0
_MARGIN_M = 0.012


@dataclass(frozen=True)
class Sheet:
    """A printed pattern: grey levels, and its left bottom corner in the sheet's frame (metres)."""

    texture: Array
    left_m: float
    bottom_m: float
    width_m: float
    height_m: float


def board_sheet(spec: CharucoSpec) -> Sheet:
    """A printed ChArUco board with a white margin."""
    board = cv2.aruco.CharucoBoard(
        (spec.columns, spec.rows), spec.square_m, spec.marker_m, find_dictionary(spec.dictionary)
    )
    width_m, height_m = spec.columns * spec.square_m, spec.rows * spec.square_m
    size = (round(width_m * _PX_PER_M), round(height_m * _PX_PER_M))
    return _with_margin(board.generateImage(size), 0.0, 0.0, width_m, height_m)


def marker_sheet(spec: MarkerSpec) -> Sheet:
    """A printed marker with a white margin."""
    side = round(spec.size_m * _PX_PER_M)
    drawn = cv2.aruco.generateImageMarker(find_dictionary(spec.dictionary), spec.id, side)
    return _with_margin(drawn, -spec.size_m / 2, -spec.size_m / 2, spec.size_m, spec.size_m)


def _with_margin(drawn: Array, left_m: float, bottom_m: float, w_m: float, h_m: float) -> Sheet:
    margin = round(_MARGIN_M * _PX_PER_M)
    grey = _BLACK + (_PAPER - _BLACK) * drawn.astype(np.float32) / 255
    texture = cv2.copyMakeBorder(grey, *[margin] * 4, cv2.BORDER_CONSTANT, value=_PAPER)
    real_m = margin / _PX_PER_M
    return Sheet(texture, left_m - real_m, bottom_m - real_m, w_m + 2 * real_m, h_m + 2 * real_m)


class Renderer:
    """Renders sheets for one camera.

    Args:
        camera_matrix: K, shape ``(3, 3)``.
        distortion: k1, k2, p1, p2, k3.
        size: Width and height in pixels.
        rays: Rays per pixel along each axis.
    """

    def __init__(
        self, camera_matrix: Array, distortion: Array, size: tuple[int, int], rays: int = 3
    ) -> None:
        self.K, self.distortion, self.size, self._rays = camera_matrix, distortion, size, rays
        width, height = size
        # Pixel centres are integers: the rays of pixel 0 lie between -0.5 and 0.5.
        u = (np.arange(width * rays) + 0.5) / rays - 0.5
        v = (np.arange(height * rays) + 0.5) / rays - 0.5
        x, y = np.meshgrid(
            (u - camera_matrix[0, 2]) / camera_matrix[0, 0],
            (v - camera_matrix[1, 2]) / camera_matrix[1, 1],
        )
        self._directions = np.stack(_undistorted(x, y, distortion), axis=-1)

    def picture(
        self,
        sheet: Sheet,
        T_cam_sheet: Array,
        *,
        blur_px: float = 0.6,
        motion_px: float = 0.0,
        noise: float = 2.0,
        seed: int = 0,
    ) -> NDArray[np.uint8]:
        """What the camera sees.

        Args:
            sheet: The pattern.
            T_cam_sheet: Pose of the sheet's frame in the camera's.
            blur_px: Sigma of the lens's blur.
            motion_px: Length of a motion blur along x.
            noise: Sigma of the noise, grey levels.
            seed: Of the noise.

        Returns:
            BGR picture.
        """
        turn, at = T_cam_sheet[:3, :3], T_cam_sheet[:3, 3]
        x, y = self._directions[..., 0], self._directions[..., 1]
        normal = turn[:, 2]
        depth = (normal @ at) / (normal[0] * x + normal[1] * y + normal[2])
        on_sheet = np.stack([depth * x, depth * y, depth], axis=-1) - at
        across = (on_sheet @ turn[:, 0] - sheet.left_m) * _PX_PER_M - 0.5
        up = (sheet.bottom_m + sheet.height_m - on_sheet @ turn[:, 1]) * _PX_PER_M - 0.5
        fine = cv2.remap(
            sheet.texture, across.astype(np.float32), up.astype(np.float32),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=_WALL,
        )  # fmt: skip
        fine[depth <= 0] = _WALL
        image = cv2.resize(fine, self.size, interpolation=cv2.INTER_AREA)
        if motion_px > 0:
            kernel = np.ones((1, round(motion_px))) / round(motion_px)
            image = cv2.filter2D(image, -1, kernel)
        if blur_px > 0:
            image = cv2.GaussianBlur(image, (0, 0), blur_px)
        noisy = image + np.random.default_rng(seed).normal(0, noise, image.shape)
        grey = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
        return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)


def _undistorted(x: Array, y: Array, distortion: Array) -> tuple[Array, Array]:
    """Where a distorted point of the plane z = 1 would be without k1, k2, p1, p2, k3."""
    k1, k2, p1, p2, k3 = distortion
    a, b = x, y
    for _ in range(12):
        r2 = a * a + b * b
        radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3))
        dx = 2 * p1 * a * b + p2 * (r2 + 2 * a * a)
        dy = p1 * (r2 + 2 * b * b) + 2 * p2 * a * b
        a, b = (x - dx) / radial, (y - dy) / radial
    return a, b


def looking_at(target_m: ArrayLike, eye_m: ArrayLike, roll_rad: float = 0.0) -> Array:
    """Pose of a camera at ``eye_m`` that looks at a point, in the frame of both."""
    eye = np.asarray(eye_m, float)
    forward = np.asarray(target_m, float) - eye
    forward /= np.linalg.norm(forward)
    up = np.array([0.0, 1.0, 0.0]) if abs(forward[1]) < 0.95 else np.array([1.0, 0.0, 0.0])
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, :3] = pose[:3, :3] @ cv2.Rodrigues(np.array([0.0, 0.0, roll_rad]))[0]
    pose[:3, 3] = eye
    return pose
