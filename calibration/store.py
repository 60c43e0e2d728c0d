"""Calibrations of devices, stored as JSON: camera intrinsics, and where the camera stands.

A camera file holds the schema, the device's id, the picture's size, ``K``, the distortion (OpenCV's
order), ``T_base_cam``, the date and the residual. Frames of reference: *base* is the robot's base
(x forward, y left, z up, metres), *cam* is OpenCV's (x right, y down, z forward).

    python -c "from deixis.calibration.store import load_camera; \
print(load_camera('camera.json').pixel_ray_base((320, 240)))"
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.calibration.files import default_folder, read_json, write_json
from deixis.runtime.errors import CalibrationError

SCHEMA = 1
Array = NDArray[np.float64]

_ROTATION_TOLERANCE = 1e-4
_DISTORTION_LENGTHS = (4, 5, 8, 12, 14)
_ASPECT_TOLERANCE = 0.005
_HINT = (
    "deixis calibrate camera makes one; name yours: --set hands.calibration=FILE "
    "--set objects.calibration=FILE"
)


class PoseResidual(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well the pose of a camera is known.

    Attributes:
        method: How it was found: ``board``, ``marker`` or ``hand-eye``.
        translation_mm: Standard deviation of its position, per axis.
        rotation_deg: Standard deviation of its rotation, per axis.
        reprojection_px: RMS distance between the corners that were seen and where they should be.
        n_views: How many pictures it was found from.
        picture: The picture that shows it, beside the file.
    """

    method: str
    translation_mm: float
    rotation_deg: float
    reprojection_px: float
    n_views: int
    picture: str | None = None


class CameraCalibration(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, eq=False
):
    """Intrinsics and extrinsics of one camera.

    Attributes:
        schema: Version of the file format.
        device_id: Which camera this is.
        width: Width in pixels of the pictures it was calibrated with.
        height: Their height.
        K: Camera matrix, shape ``(3, 3)``; integer pixel coordinates are pixel centres.
        distortion: Coefficients in OpenCV's order (k1, k2, p1, p2, k3, …).
        T_base_cam: Pose of the camera in the base frame, shape ``(4, 4)``.
        calibrated_at: When, ISO 8601.
        reprojection_error_px: RMS residual of the calibration; exactly 0 is a camera that was
            defined, not measured.
        focal_std_px: Standard deviation of the focal length.
        n_views: How many pictures it was calibrated from.
        picture: The picture that shows the calibration, beside the file.
        T_gripper_cam: Pose of a camera on the arm in the gripper's frame, shape ``(4, 4)``.
        extrinsics_at: When ``T_base_cam`` or ``T_gripper_cam`` was measured, ISO 8601.
        extrinsics_residual: How well.
    """

    schema: int = SCHEMA
    device_id: str
    width: int
    height: int
    K: NDArray[np.float64]
    distortion: NDArray[np.float64]
    T_base_cam: NDArray[np.float64]
    calibrated_at: str
    reprojection_error_px: float
    focal_std_px: float | None = None
    n_views: int | None = None
    picture: str | None = None
    T_gripper_cam: NDArray[np.float64] | None = None
    extrinsics_at: str | None = None
    extrinsics_residual: PoseResidual | None = None

    @property
    def stands_in_base(self) -> bool:
        """Whether it is known where the camera stands.

        The identity, a camera in the base's origin that looks straight up, says that it is not:
        that is what ``deixis calibrate camera`` writes before the extrinsics are measured.
        """
        return not np.array_equal(self.T_base_cam, np.eye(4))

    def for_frame(self, width: int, height: int) -> CameraCalibration:
        """The calibration for pictures of another size, scaled if the aspect ratio is the same.

        Raises:
            CalibrationError: The aspect ratio differs: the sensor was cropped, nobody knows where.
        """
        if (width, height) == (self.width, self.height):
            return self
        scale_x, scale_y = width / self.width, height / self.height
        if abs(scale_x / scale_y - 1) > _ASPECT_TOLERANCE:
            raise CalibrationError(
                f"camera {self.device_id!r} is calibrated at {self.width}x{self.height}; "
                f"its pictures are {width}x{height}, which has another aspect ratio",
                hint="calibrate the camera at the size it runs with, or set that size",
            )
        scaled = self.K.copy()
        # Pixel centres are integers, so the picture's corner is at -0.5, not at 0.
        scaled[0] = [self.K[0, 0] * scale_x, self.K[0, 1] * scale_x, 0]
        scaled[1] = [0, self.K[1, 1] * scale_y, 0]
        scaled[0, 2] = (self.K[0, 2] + 0.5) * scale_x - 0.5
        scaled[1, 2] = (self.K[1, 2] + 0.5) * scale_y - 0.5
        return msgspec.structs.replace(self, width=width, height=height, K=scaled)

    def to_base(self, points_cam: ArrayLike) -> Array:
        """Points ``(n, 3)`` of the camera frame in the base frame, metres."""
        points = np.asarray(points_cam, np.float64)
        return points @ self.T_base_cam[:3, :3].T + self.T_base_cam[:3, 3]

    def to_cam(self, points_base: ArrayLike) -> Array:
        """Points ``(n, 3)`` of the base frame in the camera frame, metres."""
        points = np.asarray(points_base, np.float64)
        moved: Array = (points - self.T_base_cam[:3, 3]) @ self.T_base_cam[:3, :3]
        return moved

    def project(self, points_base: ArrayLike) -> Array:
        """Image points ``(n, 2)`` in pixels of base-frame points ``(n, 3)``.

        Points behind the camera come out as NaN.
        """
        cam = np.atleast_2d(self.to_cam(points_base))
        px, _ = cv2.projectPoints(
            cam.reshape(-1, 1, 3), np.zeros(3), np.zeros(3), self.K, self.distortion
        )
        out = np.asarray(px, np.float64).reshape(-1, 2)
        out[cam[:, 2] <= 0] = np.nan
        return out

    def normalized(self, points_px: ArrayLike) -> Array:
        """Undistorted image points ``(n, 2)`` on the plane z = 1 of the camera frame."""
        px = np.asarray(points_px, np.float64).reshape(-1, 1, 2)
        return np.asarray(cv2.undistortPoints(px, self.K, self.distortion), np.float64).reshape(
            -1, 2
        )

    def pixel_ray_base(self, point_px: ArrayLike) -> tuple[Array, Array]:
        """The line of sight of a pixel in the base frame.

        Args:
            point_px: x, y.

        Returns:
            The camera's centre (metres) and the unit direction away from it.
        """
        x, y = self.normalized(point_px)[0]
        direction = self.T_base_cam[:3, :3] @ np.array([x, y, 1.0])
        return self.T_base_cam[:3, 3].copy(), direction / np.linalg.norm(direction)


def camera_path(device_id: str) -> Path:
    """Where the calibration of a camera is kept unless a path is given."""
    return default_folder("camera") / f"{device_id}.json"


def plane_hit(origin: ArrayLike, direction: ArrayLike, z_m: float = 0.0) -> Array | None:
    """Where a ray of the base frame meets the horizontal plane ``z = z_m``.

    Returns:
        The point, or None when the ray runs along the plane or away from it.
    """
    start, along = np.asarray(origin, np.float64), np.asarray(direction, np.float64)
    if abs(along[2]) < 1e-9:
        return None
    distance = (z_m - start[2]) / along[2]
    return start + distance * along if distance >= 0 else None


def load_camera(path: str | Path) -> CameraCalibration:
    """Read a camera's calibration.

    Raises:
        CalibrationError: The file is missing or damaged, has another schema, or what it says is
            not a camera (a rotation that is none, a matrix of another shape).
    """
    calibration = read_json(
        path,
        CameraCalibration,
        what="camera calibration",
        schema=SCHEMA,
        hint=_HINT,
        dec_hook=_to_array,
    )
    _check(calibration, str(path))
    return calibration


def load_standing_camera(path: str | Path) -> CameraCalibration:
    """Read the calibration of a camera of which it is known where it stands.

    Raises:
        CalibrationError: As :func:`load_camera`; or its extrinsics were never measured.
    """
    calibration = load_camera(path)
    check_stands(calibration, path)
    return calibration


def check_stands(calibration: CameraCalibration, path: str | Path) -> None:
    """See that it is known where a camera, whose file this is, stands.

    Raises:
        CalibrationError: Its extrinsics were never measured.
    """
    if not calibration.stands_in_base:
        raise CalibrationError(
            f"it is not known where camera {calibration.device_id!r} stands",
            hint=f"deixis calibrate extrinsics --calibration {path} --camera /dev/video0",
        )


def save_camera(calibration: CameraCalibration, path: str | Path) -> None:
    """Write a camera's calibration; an existing file is replaced whole or not at all.

    Raises:
        CalibrationError: It is not valid, or the file cannot be written.
    """
    _check(calibration, f"camera {calibration.device_id!r}")
    write_json(calibration, path, enc_hook=_from_array)


def _to_array(kind: Any, value: Any) -> Array:
    # msgspec hands over every type it does not know; arrays are the only ones here.
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise ValueError(f"not an array of numbers ({cause})") from cause


def _from_array(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"cannot store a {type(value).__name__}")


def _check(c: CameraCalibration, where: str) -> None:
    if c.width <= 0 or c.height <= 0:
        raise CalibrationError(f"{where}: a picture of {c.width}x{c.height} is impossible")
    if c.K.shape != (3, 3) or c.T_base_cam.shape != (4, 4) or c.distortion.ndim != 1:
        raise CalibrationError(
            f"{where}: K is {c.K.shape}, T_base_cam {c.T_base_cam.shape}, distortion "
            f"{c.distortion.shape}; they must be (3, 3), (4, 4) and (n,)"
        )
    if len(c.distortion) not in _DISTORTION_LENGTHS:
        raise CalibrationError(
            f"{where}: {len(c.distortion)} distortion coefficients; OpenCV has "
            f"{', '.join(map(str, _DISTORTION_LENGTHS))}"
        )
    if not all(np.isfinite(a).all() for a in (c.K, c.distortion, c.T_base_cam)):
        raise CalibrationError(f"{where}: it holds numbers that are not finite")
    if c.K[0, 0] <= 0 or c.K[1, 1] <= 0 or not np.allclose(c.K[2], [0, 0, 1]):
        raise CalibrationError(
            f"{where}: K is not a camera matrix (focal lengths {c.K[0, 0]:g}, {c.K[1, 1]:g}, "
            f"last row {c.K[2].tolist()})"
        )
    check_pose(c.T_base_cam, f"{where}: T_base_cam")
    if c.T_gripper_cam is not None:
        check_pose(c.T_gripper_cam, f"{where}: T_gripper_cam")


def check_pose(pose: Array, what: str) -> None:
    """Refuse a matrix that is no rigid pose.

    Raises:
        CalibrationError: Its shape is not ``(4, 4)``, its rotation is none, or its last row is
            not 0 0 0 1.
    """
    if pose.shape != (4, 4) or not np.isfinite(pose).all():
        raise CalibrationError(f"{what} is not a 4x4 matrix of finite numbers")
    rotation = pose[:3, :3]
    off = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if off > _ROTATION_TOLERANCE or np.linalg.det(rotation) < 0:
        raise CalibrationError(
            f"{what} does not hold a rotation (off by {off:.1e}, determinant "
            f"{np.linalg.det(rotation):.3f})",
            hint="deixis calibrate extrinsics",
        )
    if not np.allclose(pose[3], [0, 0, 0, 1]):
        raise CalibrationError(f"the last row of {what} is not 0 0 0 1")
