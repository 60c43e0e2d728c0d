from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.calibration.poses import (
    Array,
    apart,
    fit_poses,
    inverse,
    mean,
    pose,
    pose_from_xyz_rpy,
    rotation_vector,
    spread,
)

six = st.tuples(*[st.floats(-2, 2)] * 3, *[st.floats(-89, 89)] * 3)


@given(six)
def test_a_pose_and_its_inverse_cancel(values: tuple[float, ...]) -> None:
    matrix = pose_from_xyz_rpy(values)
    np.testing.assert_allclose(inverse(matrix) @ matrix, np.eye(4), atol=1e-12)
    again = pose(rotation_vector(matrix), matrix[:3, 3])
    np.testing.assert_allclose(again, matrix, atol=1e-9)


def test_roll_pitch_and_yaw_turn_about_fixed_axes() -> None:
    # A sheet that lies before the robot, its right side to the robot's right: yaw -90.
    lying = pose_from_xyz_rpy([0.4, 0.1, 0, 0, 0, -90])
    np.testing.assert_allclose(lying @ [1, 0, 0, 1], [0.4, -0.9, 0, 1], atol=1e-12)
    # One that hangs on a wall before the robot and faces it: upright, then turned round.
    hanging = pose_from_xyz_rpy([1, 0, 0.5, 90, 0, -90])
    np.testing.assert_allclose(hanging[:3, 2], [-1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(hanging[:3, 1], [0, 0, 1], atol=1e-12)


@given(six, st.floats(0.0, 0.1), st.floats(0.0, 0.1))
def test_the_mean_lies_in_the_middle(
    values: tuple[float, ...], shift_m: float, turn: float
) -> None:
    middle = pose_from_xyz_rpy(values)
    two = [middle @ pose([0, 0, sign * turn], [sign * shift_m, 0, 0]) for sign in (1, -1)]
    assert apart(mean([middle, *two]), middle) == pytest.approx((0, 0), abs=1e-6)
    assert apart(*two)[1] == pytest.approx(2 * turn, abs=1e-6)


def test_spread_is_the_standard_deviation_of_one_axis() -> None:
    rng = np.random.default_rng(1)
    poses = [pose(rng.normal(0, 0.02, 3), rng.normal(0, 0.005, 3)) for _ in range(400)]
    assert spread(poses) == pytest.approx((0.005, 0.02), rel=0.1)


@settings(max_examples=20, deadline=None)
@given(six, six)
def test_poses_are_found_from_points(a: tuple[float, ...], b: tuple[float, ...]) -> None:
    points = np.array([[0.1, 0, 0], [0, 0.2, 0.1], [-0.1, 0.1, 0.3], [0.2, 0.2, 0]])
    truth = [pose_from_xyz_rpy(a), pose_from_xyz_rpy(b)]

    def seen(poses: list[Array]) -> Array:
        return np.ravel([points @ p[:3, :3].T + p[:3, 3] for p in poses])

    start = [p @ pose([0.3, -0.2, 0.1], [0.1, 0.1, -0.2]) for p in truth]
    fit = fit_poses(lambda poses: seen(poses) - seen(truth), start)
    for found, true in zip(fit.poses, truth, strict=True):
        assert apart(found, true) == pytest.approx((0, 0), abs=1e-5)
