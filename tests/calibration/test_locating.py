from __future__ import annotations

import math

import numpy as np
import pytest

from deixis.calibration.boards import CharucoTarget, MarkerSpec, MarkerTarget, Sighting
from deixis.calibration.locating import locate, project, steady
from deixis.calibration.poses import apart, inverse
from deixis.calibration.store import CameraCalibration
from deixis.runtime.errors import CalibrationError
from tests.calibration.conftest import MIDDLE, view_from
from tests.calibration.rendering import Renderer, Sheet, looking_at, marker_sheet

MARKER = MarkerSpec(id=7, size_m=0.15, dictionary="APRILTAG_36h11")


@pytest.mark.parametrize(
    ("angle_deg", "tilt_deg", "distance_m"), [(20, 35, 0.45), (150, 50, 0.6), (250, 25, 0.8)]
)
def test_a_board_tells_where_the_camera_is(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget, true_camera: CameraCalibration,
    angle_deg: float, tilt_deg: float, distance_m: float,
) -> None:  # fmt: skip
    truth = view_from(angle_deg, tilt_deg, distance_m, np.zeros(2))
    sighting = board.find(renderer.picture(sheet, truth))
    assert sighting is not None
    found = locate(sighting, true_camera)
    shift_m, turn_rad = apart(found.T_sheet_cam, inverse(truth))
    assert shift_m < 0.003
    assert math.degrees(turn_rad) < 0.3
    # The stated deviations are those of one of three axes.
    assert shift_m < 3 * math.sqrt(3) * found.position_std_m
    assert turn_rad < 3 * math.sqrt(3) * found.rotation_std_rad


@pytest.mark.parametrize(
    "eye_m", [(0.25, -0.2, 0.35), (-0.3, 0.1, 0.4), (0.05, 0.4, 0.45)]
)  # fmt: skip
def test_a_marker_tells_where_the_camera_is(
    renderer: Renderer, true_camera: CameraCalibration, eye_m: tuple[float, float, float]
) -> None:
    truth = looking_at([0.02, -0.03, 0], eye_m, 0.2)
    pictures = [
        renderer.picture(marker_sheet(MARKER), inverse(truth), seed=seed) for seed in range(5)
    ]
    sightings = [MarkerTarget(MARKER).find(p) for p in pictures]
    found = locate(steady([s for s in sightings if s is not None]), true_camera)
    shift_m, turn_rad = apart(found.T_sheet_cam, truth)
    assert shift_m < 0.003
    assert math.degrees(turn_rad) < 0.3


def test_two_poses_that_fit_alike_are_an_error(true_camera: CameraCalibration) -> None:
    corners_m = np.array([[-0.02, 0.02, 0], [0.02, 0.02, 0], [0.02, -0.02, 0], [-0.02, -0.02, 0]])
    T_cam_sheet = inverse(looking_at([0, 0, 0], [0.3, 0, 2.0]))
    rng = np.random.default_rng(4)
    px = project(corners_m, T_cam_sheet, true_camera) + rng.normal(0, 0.15, (4, 2))
    with pytest.raises(CalibrationError, match="may be seen in two poses") as caught:
        locate(Sighting(np.arange(4), corners_m, px), true_camera)
    assert "a larger target" in caught.value.hint


def test_corners_that_do_not_fit_are_an_error(
    board: CharucoTarget, renderer: Renderer, sheet: Sheet, true_camera: CameraCalibration
) -> None:
    sighting = board.find(renderer.picture(sheet, view_from(0, 30, 0.5, np.zeros(2))))
    assert sighting is not None
    rng = np.random.default_rng(2)
    moved = sighting.image_px + rng.normal(0, 8, sighting.image_px.shape)
    with pytest.raises(CalibrationError, match=r"px from where they should be|two poses"):
        locate(Sighting(sighting.ids, sighting.object_m, moved), true_camera)


def test_corners_are_averaged_and_rare_ones_left_out() -> None:
    rng = np.random.default_rng(0)
    where_m = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.0]])
    px = np.array([[10, 20], [30, 40], [50, 60], [70, 70.0]])
    sightings = [
        Sighting(np.arange(4), where_m, px + rng.normal(0, 0.2, px.shape)) for _ in range(50)
    ]
    sightings.append(Sighting(np.array([9]), where_m[:1], px[:1]))
    still = steady(sightings)
    assert still.ids.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(still.image_px, px, atol=0.12)
    np.testing.assert_array_equal(still.object_m, where_m)


def test_a_target_that_moves_is_an_error() -> None:
    where_m, px = np.eye(4)[:, :3], np.array([[10, 20], [30, 40], [50, 60], [70, 70.0]])
    sightings = [Sighting(np.arange(4), where_m, px + 2 * i) for i in range(5)]
    with pytest.raises(CalibrationError, match="the target or the camera moved"):
        steady(sightings)
    with pytest.raises(CalibrationError, match="only 0 corners are seen in half"):
        steady([Sighting(np.array([i]), where_m[:1], px[:1]) for i in range(4)])


def test_the_middle_of_the_board_is_where_the_tests_think(board: CharucoTarget) -> None:
    np.testing.assert_allclose(np.array(board.size_m) / 2, MIDDLE[:2])
