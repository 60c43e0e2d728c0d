"""Rendered pictures of boards, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.calibration.boards import CharucoSpec, CharucoTarget
from deixis.calibration.dictionaries import Image
from deixis.calibration.poses import inverse
from deixis.calibration.store import CameraCalibration
from tests.calibration.rendering import Array, Renderer, Sheet, board_sheet, looking_at

K = np.array([[521.0, 0, 324.0], [0, 517.5, 236.5], [0, 0, 1.0]])
DISTORTION = np.array([-0.11, 0.05, 0.0006, -0.0008, 0.0])
SIZE = (640, 480)
MIDDLE = np.array([0.126, 0.09, 0.0])


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return Renderer(K, DISTORTION, SIZE)


@pytest.fixture(scope="session")
def board() -> CharucoTarget:
    return CharucoTarget(CharucoSpec())


@pytest.fixture(scope="session")
def sheet() -> Sheet:
    return board_sheet(CharucoSpec())


@pytest.fixture(scope="session")
def true_camera() -> CameraCalibration:
    """The camera that the pictures are rendered with; where it stands is not known."""
    return CameraCalibration(
        device_id="rendered", width=SIZE[0], height=SIZE[1], K=K, distortion=DISTORTION,
        T_base_cam=np.eye(4), calibrated_at="2026-11-25T00:00:00Z", reprojection_error_px=0.1,
    )  # fmt: skip


def view_from(angle_deg: float, tilt_deg: float, distance_m: float, aside: Array) -> Array:
    """Pose of the board in the camera's frame: seen from aside, its middle off the picture's."""
    angle, tilt = np.radians([angle_deg, tilt_deg])
    from_board = np.array(
        [np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)]
    )
    at = MIDDLE + np.array([*aside, 0.0])
    return inverse(looking_at(at, MIDDLE + distance_m * from_board, 0.3 * np.sin(angle)))


def good_views() -> list[Array]:
    """Poses that a careful user shows: all over the picture, tilted to all sides."""
    poses = []
    for index in range(16):
        aside = np.array([[-0.1, -0.07], [0.1, -0.07], [0.1, 0.07], [-0.1, 0.07]])[index % 4]
        distance_m = 0.32 + 0.05 * (index % 3)
        poses.append(view_from(22.5 * 5 * index, 15 + 6 * (index % 4), distance_m, aside))
    return poses


@pytest.fixture(scope="session")
def good_pictures(renderer: Renderer, sheet: Sheet) -> list[Image]:
    return [renderer.picture(sheet, p, seed=i) for i, p in enumerate(good_views())]


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[list[Image]], Path]:
    """Writes pictures as PNGs into a new folder."""

    def write(pictures: list[Image]) -> Path:
        folder = tmp_path_factory.mktemp("shots")
        for number, picture in enumerate(pictures):
            cv2.imwrite(str(folder / f"{number:02d}.png"), picture)
        return folder

    return write
