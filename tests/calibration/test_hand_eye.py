from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.calibration.boards import CharucoTarget, Sighting
from deixis.calibration.hand_eye import park, solve_hand_eye
from deixis.calibration.poses import Array, apart, inverse, pose, pose_from_xyz_rpy
from deixis.calibration.store import CameraCalibration
from deixis.runtime.errors import CalibrationError
from tests.calibration.conftest import good_views
from tests.calibration.rendering import Renderer, Sheet

T_BASE_SHEET = pose_from_xyz_rpy([0.45, 0.1, 0.02, 2, -3, -80])
T_GRIPPER_CAM = pose_from_xyz_rpy([0.05, -0.03, 0.06, 3, -20, 92])


def gripper_poses(T_cam_sheet: list[Array], gripper_cam: Array = T_GRIPPER_CAM) -> list[Array]:
    """Where the gripper was when the camera saw the board so."""
    return [T_BASE_SHEET @ inverse(seen) @ inverse(gripper_cam) for seen in T_cam_sheet]


@pytest.fixture(scope="session")
def seen(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget
) -> tuple[list[Array], list[Sighting]]:
    views = good_views()[:10]
    found = [board.find(renderer.picture(sheet, v, seed=50 + i)) for i, v in enumerate(views)]
    assert all(s is not None for s in found)
    return views, [s for s in found if s is not None]


@settings(max_examples=50, deadline=None)
@given(
    turns=st.lists(st.tuples(*[st.floats(-0.6, 0.6)] * 3), min_size=4, max_size=6),
    eye=st.tuples(*[st.floats(-0.1, 0.1)] * 3, *[st.floats(-80, 80)] * 3),
)
def test_without_noise_the_closed_form_is_exact(turns: list[Any], eye: tuple[float, ...]) -> None:
    gripper_cam = pose_from_xyz_rpy(eye)
    # Three fixed turns make sure that there is enough rotation, whatever else there is.
    vectors = [*np.diag([0.5, 0.6, 0.7]), *turns]
    hands = [pose(v, [0.4, 0.1 * i, 0.3]) for i, v in enumerate(vectors)]
    T_sheet_cam = [inverse(T_BASE_SHEET) @ h @ gripper_cam for h in hands]
    assert apart(park(hands, T_sheet_cam), gripper_cam) == pytest.approx((0, 0), abs=1e-6)


def test_a_camera_on_the_arm_is_found(
    seen: tuple[list[Array], list[Sighting]], true_camera: CameraCalibration
) -> None:
    views, sightings = seen
    found = solve_hand_eye(gripper_poses(views), sightings, true_camera)
    shift_m, turn_rad = apart(found.T_gripper_cam, T_GRIPPER_CAM)
    assert shift_m < 0.003
    assert math.degrees(turn_rad) < 0.3
    assert shift_m < 3 * math.sqrt(3) * found.position_std_m
    assert turn_rad < 3 * math.sqrt(3) * found.rotation_std_rad
    assert apart(found.T_base_sheet, T_BASE_SHEET)[0] < 0.003
    assert found.reprojection_px < 0.3
    assert found.disagreement_m < 0.003
    assert math.degrees(found.disagreement_rad) < 0.3


def test_an_arm_that_is_not_exact_shows_in_the_residual(
    seen: tuple[list[Array], list[Sighting]], true_camera: CameraCalibration
) -> None:
    views, sightings = seen
    rng = np.random.default_rng(3)
    hands = [
        h @ pose(rng.normal(0, 0.003, 3), rng.normal(0, 0.002, 3)) for h in gripper_poses(views)
    ]
    found = solve_hand_eye(hands, sightings, true_camera)
    assert found.reprojection_px > 1
    assert found.spread_m > 0.001
    shift_m, _ = apart(found.T_gripper_cam, T_GRIPPER_CAM)
    assert 0 < shift_m < 3 * math.sqrt(3) * found.position_std_m


def test_poses_of_other_pictures_are_refused(
    seen: tuple[list[Array], list[Sighting]], true_camera: CameraCalibration
) -> None:
    views, sightings = seen
    hands = gripper_poses(views)
    with pytest.raises(CalibrationError, match="the poses do not fit the pictures"):
        solve_hand_eye([*hands[1:], hands[0]], sightings, true_camera)


def test_two_poses_are_too_few(
    seen: tuple[list[Array], list[Sighting]], true_camera: CameraCalibration
) -> None:
    views, sightings = seen
    with pytest.raises(CalibrationError, match=r"2 poses .* are too few; 3 is the least"):
        solve_hand_eye(gripper_poses(views)[:2], sightings[:2], true_camera)


@pytest.mark.parametrize("axes", [[(0, 0, 0.01), (0, 0.02, 0)], [(0, 0, 0.5), (0, 0, 0.9)]])
def test_too_little_rotation_is_refused(axes: list[tuple[float, float, float]]) -> None:
    hands = [pose(v, [0.4, 0.1 * i, 0.3]) for i, v in enumerate([(0, 0, 0), *axes])]
    T_sheet_cam = [inverse(T_BASE_SHEET) @ h @ T_GRIPPER_CAM for h in hands]
    with pytest.raises(CalibrationError, match="turns too little, or always about one axis"):
        park(hands, T_sheet_cam)


@pytest.mark.skipif(
    not hasattr(cv2, "calibrateHandEye"), reason="this OpenCV has no calibrateHandEye in Python"
)
def test_the_closed_form_is_that_of_opencv() -> None:
    rng = np.random.default_rng(8)
    views = good_views()[:8]
    hands = [
        h @ pose(rng.normal(0, 0.003, 3), rng.normal(0, 0.002, 3)) for h in gripper_poses(views)
    ]
    turn, shift = cv2.calibrateHandEye(  # type: ignore[attr-defined]
        [h[:3, :3] for h in hands], [h[:3, 3] for h in hands],
        [v[:3, :3] for v in views], [v[:3, 3] for v in views],
        method=cv2.CALIB_HAND_EYE_PARK,
    )  # fmt: skip
    own = park(hands, [inverse(v) for v in views])
    assert apart(own, pose(turn, np.ravel(shift))) == pytest.approx((0, 0), abs=1e-3)
