from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.calibration.boards import (
    CharucoSpec,
    CharucoTarget,
    MarkerSpec,
    MarkerTarget,
    Target,
    make_target,
)
from deixis.calibration.dictionaries import Image, find_dictionary, what_is_seen
from deixis.calibration.locating import project
from deixis.calibration.poses import inverse
from deixis.calibration.printing import print_target, what_to_measure
from deixis.calibration.store import CameraCalibration
from deixis.runtime.errors import ConfigError, UsageError
from tests.calibration.conftest import good_views
from tests.calibration.rendering import Renderer, board_sheet, looking_at, marker_sheet


def test_corners_are_found_where_they_are(
    board: CharucoTarget, good_pictures: list[Image], true_camera: CameraCalibration
) -> None:
    for picture, T_cam_sheet in zip(good_pictures[:6], good_views(), strict=False):
        sighting = board.find(picture)
        assert sighting is not None
        expected = project(sighting.object_m, T_cam_sheet, true_camera)
        off = np.linalg.norm(sighting.image_px - expected, axis=1)
        assert np.median(off) < 0.2
        assert off.max() < 0.5


def test_a_markers_corners_are_found_where_they_are(
    renderer: Renderer, true_camera: CameraCalibration
) -> None:
    spec = MarkerSpec(id=5, size_m=0.12, dictionary="APRILTAG_36h11")
    T_cam_sheet = inverse(looking_at([0, 0, 0], [0.25, -0.1, 0.4], 0.4))
    picture = renderer.picture(marker_sheet(spec), T_cam_sheet)
    sighting = MarkerTarget(spec).find(picture)
    assert sighting is not None
    off = sighting.image_px - project(sighting.object_m, T_cam_sheet, true_camera)
    assert np.abs(off).max() < 0.3
    assert (
        MarkerTarget(MarkerSpec(id=6, size_m=0.12, dictionary="APRILTAG_36h11")).find(picture)
        is None
    )


def test_an_empty_picture_shows_nothing(board: CharucoTarget) -> None:
    empty = np.full((480, 640, 3), 120, np.uint8)
    assert board.find(empty) is None
    assert MarkerTarget(MarkerSpec(id=0, size_m=0.1)).find(empty) is None
    assert what_is_seen(empty) == ""


def test_another_boards_dictionary_is_named(renderer: Renderer, board: CharucoTarget) -> None:
    sheet = board_sheet(CharucoSpec(dictionary="5X5_100"))
    picture = renderer.picture(sheet, inverse(looking_at([0.126, 0.09, 0], [0.15, 0.1, 0.4])))
    assert board.find(picture) is None
    # The two smallest dictionaries of 5x5 begin with the same markers.
    assert what_is_seen(picture).startswith("5X5_50: ")


@pytest.mark.parametrize("ending", ["png", "pdf"])
@pytest.mark.parametrize(
    "spec",
    [CharucoSpec(), CharucoSpec(columns=6, rows=8, square_m=0.05), MarkerSpec(id=3, size_m=0.1)],
)
def test_what_is_printed_has_its_size_and_is_found(
    tmp_path: Path, spec: CharucoSpec | MarkerSpec, ending: str
) -> None:
    target = make_target(spec)
    path = tmp_path / "sub" / f"sheet.{ending}"
    print_target(target, path)
    picture, px_per_m = _printed(path)
    sighting = target.find(picture)
    assert sighting is not None
    if isinstance(spec, CharucoSpec):
        assert len(sighting.ids) == (spec.columns - 1) * (spec.rows - 1)
    # The sheet's frame: x right, y up.
    right, up = sighting.object_m[:, 0], sighting.object_m[:, 1]
    for where_m, px, sign in (
        (right, sighting.image_px[:, 0], 1),
        (up, sighting.image_px[:, 1], -1),
    ):
        slope, _ = np.polyfit(where_m, px, 1)
        assert slope == pytest.approx(sign * px_per_m, rel=0.002)
    assert f"{1000 * target.size_m[0]:.0f} mm wide" in what_to_measure(target)


def _printed(path: Path) -> tuple[Image, float]:
    """The sheet as a picture, and how many of its pixels are a metre."""
    if path.suffix == ".png":
        chunk = path.read_bytes().index(b"pHYs") + 4
        data = path.read_bytes()[chunk : chunk + 9]
        assert data[8] == 1, "dots per metre"
        across, down = (int.from_bytes(data[i : i + 4], "big") for i in (0, 4))
        assert across == down == round(600 / 0.0254)
        picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        return np.asarray(picture, np.uint8), across
    # A page is a list of rectangles in points from the left bottom corner: drawn here on its own.
    px_per_point = 4
    text = path.read_bytes().decode("latin1")
    width, height = map(float, text.split("/MediaBox [0 0 ")[1].split("]")[0].split())
    page = np.full((round(height * px_per_point), round(width * px_per_point)), 255, np.uint8)
    for line in text.split("stream\n")[1].splitlines():
        if line.endswith(" re"):
            x, y, w, h = (px_per_point * float(v) for v in line.split()[:4])
            page[round(len(page) - y - h) : round(len(page) - y), round(x) : round(x + w)] = 0
    return page, px_per_point * 72 / 0.0254


def test_only_pdf_and_png_are_printed(tmp_path: Path, board: CharucoTarget) -> None:
    with pytest.raises(UsageError, match="neither"):
        print_target(board, tmp_path / "board.svg")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (CharucoSpec(marker_m=0.04), "do not fit into squares of 36 mm"),
        (CharucoSpec(columns=2), "too small"),
        (CharucoSpec(columns=11, rows=11), "needs 60"),
        (CharucoSpec(dictionary="4X4_55"), "did you mean '4X4_50'"),
        (MarkerSpec(id=50, size_m=0.1), "has no marker 50"),
        (MarkerSpec(id=5, size_m=0.0), "must be above 0"),
    ],
)
def test_targets_that_cannot_be(spec: CharucoSpec | MarkerSpec, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_target(spec)


def test_both_names_of_a_dictionary() -> None:
    assert find_dictionary("DICT_4X4_50").markerSize == find_dictionary("4X4_50").markerSize


def test_squares_cover_what_opencv_draws() -> None:
    target: Target = CharucoTarget(CharucoSpec())
    per_m = 1000 * 4 / 4.5  # 4 pixels for each module of 4.5 mm
    width, height = (round(s * per_m) for s in target.size_m)
    drawn = np.full((height, width), 255, np.uint8)
    for x, y, w, h in target.squares() * per_m:
        drawn[round(height - y - h) : round(height - y), round(x) : round(x + w)] = 0
    board = cv2.aruco.CharucoBoard((7, 5), 0.036, 0.027, find_dictionary("4X4_50"))
    np.testing.assert_array_equal(drawn, board.generateImage((width, height)))
