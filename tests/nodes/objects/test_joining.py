from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects.joining import join_stacked
from deixis.nodes.objects.source import View
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource
from deixis.nodes.objects.workspace import Workspace
from tests.nodes.objects.pictures import WORKSPACE, Drum, camera, fill, table

GREEN = (60, 130, 20)


def block(top: int, bottom: int, left: int = 40, right: int = 60) -> np.ndarray:
    mask = np.zeros((100, 100), np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


GREY = np.full((100, 100, 3), 128, np.uint8)


def gap_of(value: float, *pieces: np.ndarray) -> np.ndarray:
    return np.where(np.bitwise_or.reduce(pieces) > 0, 5.0, value).astype(np.float32)


def test_a_weak_band_between_two_pieces_is_part_of_the_thing() -> None:
    pieces = [block(20, 40), block(43, 70)]
    (joined,) = join_stacked(pieces, gap_of(0.5, *pieces), GREY)
    assert np.array_equal(joined, block(20, 70))


def test_three_pieces_are_one_in_any_order() -> None:
    pieces = [block(20, 40), block(43, 60), block(63, 80)]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        assert len(join_stacked([pieces[i] for i in order], gap_of(0.5, *pieces), GREY)) == 1


@pytest.mark.parametrize(
    ("lower", "contrast"),
    [
        (block(43, 70), 0.1),  # the bare table between them
        (block(55, 80), 0.6),  # too far apart
        (block(20, 45, 62, 80), 0.6),  # beside it
        (block(43, 70, 70, 90), 0.6),  # neither above it nor in line
    ],
)
def test_two_things_stay_two(lower: np.ndarray, contrast: float) -> None:
    pieces = [block(20, 40), lower]
    assert len(join_stacked(pieces, gap_of(contrast, *pieces), GREY)) == 2


def test_between_two_colours_a_shadow_is_not_enough() -> None:
    pieces = [block(20, 40), block(43, 70)]
    picture = GREY.copy()
    picture[:42], picture[42:] = (30, 30, 190), (60, 130, 20)
    assert len(join_stacked(pieces, gap_of(0.4, *pieces), picture)) == 2
    assert len(join_stacked(pieces, gap_of(0.7, *pieces), picture)) == 1


@settings(max_examples=60, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(3, 19), st.integers(3, 19)),
        max_size=6,
    ),
    contrast=st.floats(0, 2),
)
def test_nothing_of_a_region_is_ever_lost(boxes, contrast: float) -> None:
    pieces = [block(y, y + h, x, x + w) for x, y, w, h in boxes]
    joined = join_stacked(pieces, np.full((100, 100), contrast, np.float32), GREY)
    assert len(joined) <= len(pieces)
    if pieces:
        before, after = np.bitwise_or.reduce(pieces), np.bitwise_or.reduce(joined)
        assert not (before & ~after).any()


@pytest.mark.parametrize("shade", [0.93, 1.05])
def test_a_bottle_with_a_pale_label_is_one_from_the_first_picture(shade: float) -> None:
    """The label has nearly the table's colour and runs right across."""
    cam, bottle = camera(), Drum(0.55, 0.1, 0.035, 0.16, bgr=GREEN)
    picture = table((bottle,))
    label = np.zeros(picture.shape, np.uint8)
    fill(label, cam.project(np.concatenate([bottle.ring(0.07), bottle.ring(0.09)])), (1, 1, 1))
    pale = np.clip(table(seed=3) * np.array([shade, 1.0, 2 - shade]), 0, 255)
    picture = np.where(label > 0, pale, picture).astype(np.uint8)
    source = TabletopSource(TabletopParams(), Workspace(**WORKSPACE))
    (found,) = source.observe(View(picture, cam, 0)).detections
    assert np.linalg.norm(found.position_base_m[:2] - bottle.centre[:2]) < 0.03


def test_a_cap_of_another_colour_is_no_thing_behind() -> None:
    cam, bottle = camera(), Drum(0.5, 0.05, 0.04, 0.12, bgr=GREEN)
    picture = table((bottle,))
    cap = Drum(0.5, 0.05, 0.025, 0.17, bgr=(20, 110, 230))
    fill(picture, cam.project(np.concatenate([cap.ring(0.12), cap.ring(0.17)])), cap.bgr)
    source = TabletopSource(TabletopParams(), Workspace(**WORKSPACE))
    detections = source.observe(View(cv2.GaussianBlur(picture, (3, 3), 0), cam, 0)).detections
    assert len(detections) == 1
