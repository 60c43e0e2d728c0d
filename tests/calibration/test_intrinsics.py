from __future__ import annotations

import numpy as np
import pytest

from deixis.calibration.boards import CharucoTarget, Sighting
from deixis.calibration.dictionaries import Image
from deixis.calibration.footage import Shot
from deixis.calibration.intrinsics import solve
from deixis.calibration.views import View, ViewPicker
from deixis.runtime.errors import CalibrationError
from tests.calibration.conftest import DISTORTION, MIDDLE, SIZE, K
from tests.calibration.rendering import Renderer, Sheet, looking_at


@pytest.fixture(scope="session")
def views(board: CharucoTarget, good_pictures: list[Image]) -> list[View]:
    picker = ViewPicker(board, SIZE)
    for number, picture in enumerate(good_pictures):
        picker.offer(Shot(str(number), picture))
    return picker.views


def test_the_focal_length_is_found_and_its_deviation_is_honest(views: list[View]) -> None:
    found = solve(views, SIZE)
    for axis in (0, 1):
        error = found.K[axis, axis] - K[axis, axis]
        assert abs(error) < 0.005 * K[axis, axis]
        assert abs(error) < 4 * found.focal_std_px[axis]
        assert found.focal_std_px[axis] < 0.002 * K[axis, axis]
    np.testing.assert_allclose(found.K[:2, 2], K[:2, 2], atol=2)
    assert found.reprojection_px < 0.3
    assert found.left_out == {}
    # Distortion counts as what it does to pixels near the picture's edge.
    assert _shift_px(found.distortion) == pytest.approx(_shift_px(DISTORTION), abs=0.5)


def _shift_px(distortion: np.ndarray) -> float:
    r2 = 0.6**2
    return float(
        K[0, 0] * 0.6 * (distortion[0] * r2 + distortion[1] * r2**2 + distortion[4] * r2**3)
    )


def test_a_view_that_does_not_fit_is_left_out(views: list[View]) -> None:
    bent = views[3].sighting
    shift = 4.0 * np.sin(np.arange(len(bent.ids)))[:, None]
    wrong = View(
        views[3].name, Sighting(bent.ids, bent.object_m, bent.image_px + shift),
        views[3].edge_px, views[3].outline_px, views[3].lean,
    )  # fmt: skip
    found = solve([*views[:3], wrong, *views[4:]], SIZE)
    assert list(found.left_out) == ["3"]
    assert found.left_out["3"] > 1
    assert found.K[0, 0] == pytest.approx(K[0, 0], rel=0.005)


@pytest.mark.parametrize(("n", "text"), [(1, "one view is too few"), (4, "4 views are too few")])
def test_too_few_views(views: list[View], n: int, text: str) -> None:
    with pytest.raises(CalibrationError, match=text):
        solve(views[:n], SIZE)


def test_boards_parallel_to_the_picture_leave_the_focal_length_open(
    renderer: Renderer, sheet: Sheet, board: CharucoTarget
) -> None:
    picker = ViewPicker(board, SIZE)
    for number, (x, y, z) in enumerate(
        [
            (0, 0, 0.3),
            (0.1, 0, 0.35),
            (-0.1, 0, 0.4),
            (0, 0.08, 0.5),
            (0, -0.08, 0.6),
            (0.1, 0.1, 0.7),
        ]
    ):
        at = MIDDLE + np.array([x, y, 0])
        pose = np.linalg.inv(looking_at(at, at + np.array([0, 0, z])))
        picker.offer(Shot(str(number), renderer.picture(sheet, pose)))
    assert len(picker.views) == 6
    with pytest.raises(CalibrationError, match="all but parallel to the picture") as caught:
        solve(picker.views, SIZE)
    assert "tilt the board" in caught.value.hint


def test_another_board_than_was_said_does_not_fit(views: list[View]) -> None:
    # Squares that are twice as high as wide: the printer stretched the sheet.
    stretched = [
        View(v.name, Sighting(v.sighting.ids, v.sighting.object_m * [1, 2, 1], v.sighting.image_px),
             v.edge_px, v.outline_px, v.lean)
        for v in views
    ]  # fmt: skip
    with pytest.raises(CalibrationError, match=r"do not fit the board|leave the focal length open"):
        solve(stretched, SIZE)
