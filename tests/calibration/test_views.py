from __future__ import annotations

import numpy as np
import pytest

from deixis.calibration.boards import CharucoTarget
from deixis.calibration.dictionaries import Image
from deixis.calibration.footage import Shot
from deixis.calibration.poses import inverse
from deixis.calibration.views import MAX_EDGE_PX, Verdict, ViewPicker, edge_width_px
from tests.calibration.conftest import MIDDLE, SIZE, view_from
from tests.calibration.rendering import Renderer, Sheet, looking_at

STRAIGHT = inverse(looking_at(MIDDLE, MIDDLE + np.array([0.0, 0.0, 0.35])))


def picker(board: CharucoTarget) -> ViewPicker:
    return ViewPicker(board, SIZE)


@pytest.mark.parametrize(("blur_px", "motion_px"), [(1.5, 0), (0.5, 8)])
def test_the_width_of_edges_is_that_of_the_blur(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget, blur_px: float, motion_px: int
) -> None:
    picture = renderer.picture(sheet, STRAIGHT, blur_px=blur_px, motion_px=motion_px)
    sighting = board.find(picture)
    assert sighting is not None
    width = edge_width_px(picture, sighting, board.spec.square_m)
    # A Gaussian of sigma s has edges 2.5 s wide; a straight motion has edges of its length.
    expected = motion_px or 2.5 * blur_px
    assert width == pytest.approx(expected, rel=0.2)


def test_sharp_views_are_taken_once(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget, good_pictures: list[Image]
) -> None:
    views = picker(board)
    assert views.offer(Shot("a", good_pictures[0])) is Verdict.TAKEN
    assert views.offer(Shot("again", good_pictures[0])) is Verdict.SEEN_BEFORE
    assert views.offer(Shot("b", good_pictures[1])) is Verdict.TAKEN
    blurred = renderer.picture(sheet, STRAIGHT, motion_px=6)
    assert views.offer(Shot("c", blurred)) is Verdict.BLURRED
    assert views.offer(Shot("d", np.zeros_like(blurred))) is Verdict.NO_BOARD
    assert [v.name for v in views.views] == ["a", "b"]
    assert all(v.edge_px < MAX_EDGE_PX for v in views.views)
    assert views.sample is not None


@pytest.mark.parametrize(
    ("side", "angle_deg"), [("right", 0), ("top", 90), ("left", 180), ("bottom", 270)]
)
def test_the_nearer_side_is_told(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget, side: str, angle_deg: float
) -> None:
    # A camera on the board's right is nearer to its right side; the roll of view_from is small.
    picture = renderer.picture(sheet, view_from(angle_deg, 30, 0.4, np.zeros(2)))
    views = picker(board)
    views.offer(Shot("a", picture))
    assert views.views[0].tilt == side


def test_a_board_parallel_to_the_picture_is_flat(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget
) -> None:
    views = picker(board)
    views.offer(Shot("a", renderer.picture(sheet, STRAIGHT)))
    assert views.views[0].tilt == "flat"


def test_good_views_are_enough_and_few_are_not(
    board: CharucoTarget, good_pictures: list[Image]
) -> None:
    views = picker(board)
    for number, picture in enumerate(good_pictures):
        assert views.offer(Shot(str(number), picture)) is Verdict.TAKEN
        if number == 0:
            # The first board is in the right upper part of the picture.
            assert views.coverage() < 0.5
            assert views.advice().startswith("show the board in the")
    assert views.coverage() > 0.7
    assert all(views.tilts()[side] for side in ("left", "right", "top", "bottom"))
