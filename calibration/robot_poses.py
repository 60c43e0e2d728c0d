"""Pictures of a camera on the arm with the gripper's pose at each, as one JSON file.

    {"schema": 1, "views": [
      {"picture": "1.png", "T_base_gripper": [[1, 0, 0, 0.4], …]},
      {"picture": "2.png", "xyz_m": [0.4, 0, 0.3], "quaternion_xyzw": [0, 1, 0, 0]}]}

A pose is a 4x4 matrix, or a position with a quaternion as ROS writes it. Paths of pictures start at
the file's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from deixis.calibration.boards import Array
from deixis.calibration.files import read_json
from deixis.calibration.poses import pose
from deixis.calibration.store import check_pose
from deixis.runtime.errors import CalibrationError

SCHEMA = 1
_HINT = "deixis calibrate extrinsics --help shows the format"


class RobotView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture, and where the gripper was.

    Attributes:
        picture: The picture's file.
        T_base_gripper: The gripper's pose in the base frame as a matrix.
        xyz_m: Or its position,
        quaternion_xyzw: and its rotation, the real part last.
    """

    picture: str
    T_base_gripper: list[list[float]] | None = None
    xyz_m: tuple[float, float, float] | None = None
    quaternion_xyzw: tuple[float, float, float, float] | None = None


class RobotViews(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All pictures of one calibration."""

    schema: int
    views: list[RobotView]


def read_robot_poses(path: Path) -> Iterator[tuple[Path, Array]]:
    """Each picture's file with the gripper's pose in the base frame.

    Raises:
        CalibrationError: The file is missing or wrong.
    """
    read = read_json(path, RobotViews, what="file of robot poses", schema=SCHEMA, hint=_HINT)
    for number, view in enumerate(read.views):
        yield path.parent / view.picture, _matrix(view, f"{path}: view {number}")


def _matrix(view: RobotView, where: str) -> Array:
    if view.T_base_gripper is not None:
        try:
            matrix = np.array(view.T_base_gripper, np.float64)
        except ValueError as cause:
            raise CalibrationError(f"{where}: T_base_gripper is no matrix", hint=_HINT) from cause
        check_pose(matrix, f"{where}: T_base_gripper")
        return matrix
    if view.xyz_m is None or view.quaternion_xyzw is None:
        raise CalibrationError(
            f"{where} has neither T_base_gripper nor xyz_m with quaternion_xyzw", hint=_HINT
        )
    x, y, z, w = view.quaternion_xyzw
    length = float(np.linalg.norm([x, y, z, w]))
    if abs(length - 1) > 0.01:
        raise CalibrationError(f"{where}: the quaternion's length is {length:.3f}, not 1")
    x, y, z, w = (v / length for v in (x, y, z, w))
    turn = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return pose(turn, np.array(view.xyz_m))
