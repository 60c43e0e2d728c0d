"""The learned correction of the finger's slope: what it may change, and what it must not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deixis.nodes.hands.hand_pose import HandPose, fit_hand
from deixis.nodes.hands.slope import SlopeNet, features, line_of_sight, slope_of
from tests.nodes.hands.test_pointing import Array, camera, pointing_at_the_table, seen


def fitted(right: bool = True) -> tuple[HandPose, Array, Array]:
    """A fitted hand with the points it was fitted to; a left one is the mirror image."""
    view, points_cam = pointing_at_the_table()
    hand = seen(points_cam, view)
    points, world = camera().normalized(hand.landmarks_px), hand.landmarks_world_m
    if not right:
        points, world = points * [-1, 1], world * [-1, 1, 1]
    pose = fit_hand(points, world, side=0.25, right=right)
    assert pose is not None
    return pose, points, world


def test_only_the_slope_changes_and_by_no_more_than_it_may() -> None:
    pose, points, world = fitted()
    corrected = SlopeNet().correct(pose, points, world, clarity=0.8, right=True)
    sight = line_of_sight(points)
    before, after = slope_of(pose.direction_cam, sight), slope_of(corrected.direction_cam, sight)
    assert abs(after - before) <= math.radians(20.0) + 1e-9
    assert np.linalg.norm(corrected.direction_cam) == pytest.approx(1.0)
    # Seen from the camera the finger points where it did.
    side = np.cross(sight, pose.direction_cam)
    assert abs(corrected.direction_cam @ side) < 1e-9
    np.testing.assert_array_equal(corrected.tip_cam, pose.tip_cam)


def test_its_covariance_is_that_of_a_direction() -> None:
    pose, points, world = fitted()
    corrected = SlopeNet().correct(pose, points, world, clarity=0.8, right=True)
    covariance, direction = corrected.direction_cov_rad2, corrected.direction_cam
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-12
    assert direction @ covariance @ direction < 1e-9
    # How far it points out of the picture is less sure than where it points in it.
    aside = np.cross(line_of_sight(points), direction)
    aside /= np.linalg.norm(aside)
    assert aside @ covariance @ aside < np.trace(covariance) / 2


def test_a_left_hand_is_the_mirror_image_of_a_right_one() -> None:
    right, left = fitted(), fitted(right=False)
    corrected = [
        SlopeNet().correct(pose, points, world, clarity=0.8, right=pose is right[0])
        for pose, points, world in (right, left)
    ]
    mirrored = corrected[1].direction_cam * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, corrected[0].direction_cam, atol=1e-3)


def test_features_do_not_depend_on_where_in_the_picture_a_hand_is() -> None:
    # A pure turn of the camera changes the picture, but not how the hand lies to the line of sight.
    pose, points, world = fitted()
    there = np.column_stack([points, np.ones(21)])
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    rolled = there @ turn.T
    a = features(points, world, pose.direction_cam, clarity=0.8, right=True)
    b = features(
        rolled[:, :2] / rolled[:, 2:],
        world @ turn.T,
        turn @ pose.direction_cam,
        clarity=0.8,
        right=True,
    )
    np.testing.assert_allclose(a, b, atol=0.03)
