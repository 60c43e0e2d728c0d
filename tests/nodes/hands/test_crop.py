from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.nodes.hands.crop import CROP_PX, Crop
from deixis.nodes.hands.palm import Palm

crops = st.builds(
    Crop,
    x_px=st.floats(-50, 700),
    y_px=st.floats(-50, 500),
    side_px=st.floats(20, 800),
    rotation_rad=st.floats(-math.pi, math.pi),
)


@given(crops, st.floats(0, 223), st.floats(0, 223))
def test_points_go_to_the_picture_and_back(crop: Crop, x: float, y: float) -> None:
    there = crop.to_image([[x, y]])
    back = cv2.invertAffineTransform(crop.matrix())
    np.testing.assert_allclose(there @ back[:, :2].T + back[:, 2], [[x, y]], atol=1e-6)


@given(crops)
def test_the_crops_centre_and_size_are_as_said(crop: Crop) -> None:
    middle = (CROP_PX - 1) / 2
    np.testing.assert_allclose(
        crop.to_image([[middle, middle]]), [[crop.x_px, crop.y_px]], atol=1e-6
    )
    edge = crop.to_image([[-0.5, 0], [CROP_PX - 0.5, 0]])
    assert np.linalg.norm(edge[1] - edge[0]) == pytest.approx(crop.side_px)


@given(crops)
def test_a_picture_is_cut_where_the_points_say(crop: Crop) -> None:
    image = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(image, (300, 200), 40, (255, 255, 255), -1)
    pixels = crop.cut(image)
    assert pixels.shape == (1, 3, CROP_PX, CROP_PX)
    ys, xs = np.nonzero(pixels[0, 0] > 0.9)
    if xs.size:
        found = crop.to_image(np.column_stack([xs, ys]))
        distance = np.linalg.norm(found - [300, 200], axis=1)
        assert distance.max() < 42 + crop.side_px / CROP_PX


def hand(rotation_rad: float, scale: float = 100.0) -> np.ndarray:
    """A flat upright hand of 21 points, turned clockwise in the picture."""
    points = np.zeros((21, 2))
    for finger in range(5):
        for joint in range(4):
            points[1 + 4 * finger + joint] = [0.2 * (finger - 2), -0.8 - 0.2 * joint]
    c, s = math.cos(rotation_rad), math.sin(rotation_rad)
    return scale * points @ np.array([[c, s], [-s, c]]) + [320, 240]


@given(st.floats(-math.pi + 0.01, math.pi - 0.01))
def test_a_turned_hand_stands_upright_in_its_crop(rotation_rad: float) -> None:
    upright, turned = hand(0.0), hand(rotation_rad)
    crop = Crop.around_landmarks(turned)
    assert crop.rotation_rad == pytest.approx(rotation_rad, abs=1e-6)
    assert crop.side_px == pytest.approx(Crop.around_landmarks(upright).side_px)
    back = cv2.invertAffineTransform(crop.matrix())
    inside = turned @ back[:, :2].T + back[:, 2]
    assert inside.min() > 0
    assert inside.max() < CROP_PX
    assert inside[12, 0] == pytest.approx(inside[0, 0])
    assert inside[12, 1] < inside[0, 1]


def test_the_crop_of_a_palm_reaches_out_to_its_fingers() -> None:
    keypoints = np.zeros((7, 2), np.float32)
    keypoints[0], keypoints[2] = [300, 300], [300, 220]
    crop = Crop.around_palm(Palm((260, 210, 340, 290), keypoints, 0.9))
    assert crop.rotation_rad == 0
    assert (crop.x_px, crop.y_px) == (300, 210)
    assert crop.side_px == pytest.approx(208)


@given(st.floats(-math.pi, math.pi))
def test_metric_points_turn_like_image_points(rotation_rad: float) -> None:
    crop = Crop(320, 240, CROP_PX, rotation_rad)
    points = np.array([[10.0, 20.0, 5.0], [-7.0, 3.0, 1.0]])
    turned = crop.unturn(points)
    image = crop.to_image(points[:, :2]) - crop.to_image([[0, 0]])
    np.testing.assert_allclose(turned[:, :2], image, atol=1e-9)
    np.testing.assert_array_equal(turned[:, 2], points[:, 2])
