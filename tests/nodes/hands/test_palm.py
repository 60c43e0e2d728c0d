from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.nodes.hands.palm import (
    INPUT_PX,
    Letterbox,
    PalmDetector,
    anchor_centres,
    overlap,
    weighted_suppression,
)
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import open_engine


def test_anchors_are_those_of_the_network() -> None:
    centres = anchor_centres()
    assert centres.shape == (2016, 2)
    # 24 x 24 cells of 8 px with two anchors each, then 12 x 12 of 16 px with six.
    np.testing.assert_allclose(centres[0] * INPUT_PX, [4, 4])
    np.testing.assert_array_equal(centres[0], centres[1])
    np.testing.assert_allclose(centres[2] * INPUT_PX, [12, 4])
    np.testing.assert_allclose(centres[2 * 24] * INPUT_PX, [4, 12])
    np.testing.assert_allclose(centres[1152] * INPUT_PX, [8, 8])
    np.testing.assert_allclose(centres[-1] * INPUT_PX, [184, 184])


def test_letterbox_keeps_the_aspect_ratio_and_pads_with_black() -> None:
    image = np.full((100, 400, 3), 255, np.uint8)
    pixels = Letterbox.fit(400, 100).apply(image)[0, 0]
    assert pixels.shape == (192, 192)
    assert pixels[96].min() == pytest.approx(1)
    assert pixels[:70].max() == 0
    assert pixels[122:].max() == 0


def test_channels_are_rgb() -> None:
    blue = np.zeros((10, 10, 3), np.uint8)
    blue[:, :, 0] = 255
    red_green_blue = Letterbox.fit(10, 10).apply(blue)[0, :, 96, 96]
    np.testing.assert_allclose(red_green_blue, [0, 0, 1])


@given(
    width=st.integers(64, 2000),
    height=st.integers(64, 2000),
    x=st.floats(0, 1),
    y=st.floats(0, 1),
)
def test_letterbox_is_undone(width: int, height: int, x: float, y: float) -> None:
    box = Letterbox.fit(width, height)
    px = np.array([x * (width - 1), y * (height - 1)])
    fitted_px = box.scale * px + [box.offset_x, box.offset_y]
    # Pixel i of the input covers (i … i + 1) / 192 of its side.
    back = box.undo(((fitted_px + 0.5) / INPUT_PX).astype(np.float32))
    np.testing.assert_allclose(back, px, atol=0.02)


def test_overlap_of_boxes() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [5, 5, 6, 6]], np.float32)
    np.testing.assert_allclose(overlap(box, others), [1, 1 / 3, 0], atol=1e-6)


def test_overlapping_detections_are_averaged_by_their_scores() -> None:
    rows = np.array([[0, 0, 10, 10, 7], [1, 0, 11, 10, 9], [50, 50, 60, 60, 1]], np.float32)
    scores = np.array([0.6, 0.9, 0.7], np.float32)
    merged, kept = weighted_suppression(rows, scores, max_overlap=0.3)
    np.testing.assert_allclose(kept, [0.9, 0.7])
    np.testing.assert_allclose(merged[0], [0.6, 0, 10.6, 10, 8.2], atol=1e-5)
    np.testing.assert_array_equal(merged[1], rows[2])


def test_unlikely_detections_do_not_move_a_likely_one() -> None:
    rows = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60], [51, 50, 61, 60]], float)
    scores = np.array([0.9, 0.3, 0.4, 0.2], np.float32)
    merged, kept = weighted_suppression(rows.astype(np.float32), scores, max_overlap=0.3)
    np.testing.assert_allclose(kept, [0.9, 0.4])
    np.testing.assert_allclose(merged, rows[[0, 2]])


@given(st.lists(st.tuples(*[st.floats(0, 1)] * 5), max_size=20))
def test_suppression_leaves_nothing_that_overlaps_its_best(
    boxes: list[tuple[float, float, float, float, float]],
) -> None:
    data = np.array(boxes, np.float32).reshape(-1, 5)
    corners = np.concatenate([data[:, :2], data[:, :2] + data[:, 2:4]], axis=1)
    merged, kept = weighted_suppression(corners, data[:, 4] + 0.01, max_overlap=0.3)
    assert len(merged) == len(kept) <= len(boxes)
    assert list(kept) == sorted(kept, reverse=True)
    assert (len(merged) == 0) == (len(boxes) == 0)


def test_both_palms_of_a_real_picture_are_found(bundle: Bundle, shared_data: Path) -> None:
    image = cv2.imread(str(shared_data / "hands" / "hands.jpg"))
    palms = PalmDetector(open_engine(bundle, "palm_detector")).detect(image)
    assert len(palms) == 2
    centres = sorted((p.box_px[0] + p.box_px[2]) / 2 for p in palms)
    assert centres == [pytest.approx(175, abs=40), pytest.approx(545, abs=40)]
    assert all(p.keypoints_px.shape == (7, 2) and p.score > 0.9 for p in palms)


def test_an_empty_picture_has_no_palms(bundle: Bundle) -> None:
    detector = PalmDetector(open_engine(bundle, "palm_detector"))
    assert detector.detect(np.full((480, 640, 3), 90, np.uint8)) == []
