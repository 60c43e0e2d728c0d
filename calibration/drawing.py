"""The picture that is kept beside a calibration: what was seen, where, and how far off it is.

write_picture(Path("camera.png"), intrinsics_picture(picker, found))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.boards import Array
from deixis.calibration.dictionaries import Image, grey
from deixis.calibration.intrinsics import Intrinsics
from deixis.calibration.views import COLUMNS, ROWS, ViewPicker
from deixis.runtime.errors import MediaError

Colour = tuple[int, int, int]

_PANEL_PX = 640
_MARGIN_PX = 24
_LINE_PX = 30
_CHART_PX = 120
_PAPER: Colour = (250, 250, 250)
_INK: Colour = (40, 40, 40)
_FAINT: Colour = (170, 170, 170)
_GOOD: Colour = (80, 160, 40)
_BAD: Colour = (40, 60, 220)
_AXES: tuple[Colour, ...] = ((60, 60, 230), (70, 170, 60), (220, 120, 40))
_SHIFT = 4


def intrinsics_picture(picker: ViewPicker, found: Intrinsics) -> Image:
    """Corners and coverage, residuals, and the error of each view.

    Args:
        picker: What was taken; it holds a picture of the board.
        found: The calibration.
    """
    scale = _PANEL_PX / picker.size[0]
    seen = _backdrop(picker.sample, picker.size, 0.45)
    off = _backdrop(None, picker.size, 1.0)
    _cells(seen, picker.cells)
    largest = max(float(np.abs(v.residual_px).max()) for v in found.views)
    # The longest arrow is a twentieth of the picture, whatever the residuals are.
    stretch = _PANEL_PX / 20 / max(largest, 1e-6)
    colours = _rainbow(len(found.views))
    for fitted, colour in zip(found.views, colours, strict=True):
        points = (fitted.view.sighting.image_px + 0.5) * scale - 0.5
        _dots(seen, points, colour)
        _arrows(off, points, fitted.residual_px * stretch, colour)
    errors = [v.error_px for v in found.views]
    focal, std = (found.K[0, 0], found.K[1, 1]), found.focal_std_px
    lines = (
        f"{len(found.views)} views, {picker.coverage():.0%} of the picture covered; reprojection "
        f"{found.reprojection_px:.3f} px; focal length {focal[0]:.2f} +- {std[0]:.2f} px, "
        f"{focal[1]:.2f} +- {std[1]:.2f} px"
    )
    panels = _beside(
        _titled(seen, f"corners of {len(found.views)} views"),
        _titled(off, f"residuals, {stretch:.0f} times longer"),
    )
    return _stacked(panels, _bars(errors, colours, panels.shape[1]), _text(lines, panels.shape[1]))


def pose_picture(
    image: Image,
    seen_px: Array,
    expected_px: Array,
    axes_px: Array,
    lines: Sequence[str],
) -> Image:
    """A view with the corners that were seen and expected, and a frame's axes.

    Args:
        image: The view.
        seen_px: Corners as seen, shape ``(n, 2)``.
        expected_px: The same as the calibration has them.
        axes_px: Origin and ends of the x, y and z axis, shape ``(4, 2)``; NaN where behind the
            camera.
        lines: What to write below.
    """
    scale = 2 * _PANEL_PX / image.shape[1]
    panel = _backdrop(image, (image.shape[1], image.shape[0]), 0.8, 2 * _PANEL_PX)
    to_panel = (np.stack([seen_px, expected_px]) + 0.5) * scale - 0.5
    for point in to_panel[1]:
        _cross(panel, point, _BAD)
    _dots(panel, to_panel[0], _GOOD, radius=5)
    ends = (axes_px + 0.5) * scale - 0.5
    if np.isfinite(ends).all():
        for end, colour, name in zip(ends[1:], _AXES, "xyz", strict=True):
            cv2.arrowedLine(panel, _at(ends[0]), _at(end), colour, 3, cv2.LINE_AA, _SHIFT, 0.12)
            place = (int(end[0]) + 8, int(end[1]) + 4)
            cv2.putText(panel, name, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, colour, 2, cv2.LINE_AA)
    width = panel.shape[1]
    legend = "green rings: corners as seen; red crosses: where the calibration has them"
    return _stacked(panel, *(_text(line, width) for line in (*lines, legend)))


def write_picture(path: Path, picture: Image) -> None:
    """Write the picture that is kept beside a calibration.

    Raises:
        MediaError: It cannot be written.
    """
    if not cv2.imwrite(str(path), picture):
        raise MediaError(f"cannot write {path}")


def _backdrop(
    image: Image | None, size: tuple[int, int], strength: float, width_px: int = _PANEL_PX
) -> Image:
    height_px = round(width_px * size[1] / size[0])
    if image is None:
        return np.full((height_px, width_px, 3), 255, np.uint8)
    small = cv2.resize(grey(image), (width_px, height_px), interpolation=cv2.INTER_AREA)
    faded = 255 - strength * (255 - small.astype(np.float32))
    return np.repeat(np.rint(faded).astype(np.uint8)[..., None], 3, axis=2)


def _cells(panel: Image, cells: NDArray[np.int64]) -> None:
    """Cells without corners are tinted red, those with many stay clear."""
    height, width = panel.shape[:2]
    for row in range(ROWS):
        for column in range(COLUMNS):
            a, b = width * column // COLUMNS, width * (column + 1) // COLUMNS
            c, d = height * row // ROWS, height * (row + 1) // ROWS
            if cells[row, column] == 0:
                part = panel[c:d, a:b].astype(np.float32)
                panel[c:d, a:b] = (0.8 * part + 0.2 * np.array(_BAD)).astype(np.uint8)
            cv2.rectangle(panel, (a, c), (b, d), _FAINT, 1)


def _dots(panel: Image, points: Array, colour: Colour, radius: int = 3) -> None:
    for point in points:
        cv2.circle(panel, _at(point), radius << _SHIFT, colour, 2, cv2.LINE_AA, _SHIFT)


def _arrows(panel: Image, points: Array, shifts: Array, colour: Colour) -> None:
    for point, shift in zip(points, shifts, strict=True):
        cv2.arrowedLine(panel, _at(point), _at(point + shift), colour, 1, cv2.LINE_AA, _SHIFT, 0.25)


def _cross(panel: Image, point: Array, colour: Colour, arm: float = 7.0) -> None:
    for direction in (np.array([arm, arm]), np.array([arm, -arm])):
        start, end = _at(point - direction), _at(point + direction)
        cv2.line(panel, start, end, colour, 1, cv2.LINE_AA, _SHIFT)


def _at(point: Array) -> tuple[int, int]:
    """A point as OpenCV draws it between pixels."""
    x, y = np.rint(np.asarray(point) * (1 << _SHIFT)).astype(int)
    return int(x), int(y)


def _bars(errors: list[float], colours: list[Colour], width: int) -> Image:
    """The error of each view as a bar."""
    chart = np.full((_CHART_PX + 2 * _LINE_PX, width, 3), _PAPER, np.uint8)
    title = f"error of each view, px (the highest is {max(errors):.3f})"
    _write(chart, title, (0, _LINE_PX - 10))
    step = width / len(errors)
    floor = _LINE_PX + _CHART_PX
    for index, (error, colour) in enumerate(zip(errors, colours, strict=True)):
        top = floor - round((_CHART_PX - 10) * error / max(errors))
        left, right = round(index * step), round((index + 0.8) * step)
        cv2.rectangle(chart, (left, top), (right, floor), colour, -1)
    cv2.line(chart, (0, floor), (width, floor), _INK, 1)
    return chart


def _titled(panel: Image, title: str) -> Image:
    head = _text(title, panel.shape[1])
    cv2.rectangle(panel, (0, 0), (panel.shape[1] - 1, panel.shape[0] - 1), _FAINT, 1)
    return np.concatenate([head, panel])


def _text(text: str, width: int) -> Image:
    line = np.full((_LINE_PX, width, 3), _PAPER, np.uint8)
    _write(line, text, (0, _LINE_PX - 10))
    return line


def _write(image: Image, text: str, at: tuple[int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)


def _beside(left: Image, right: Image) -> Image:
    gap = np.full((left.shape[0], _MARGIN_PX, 3), _PAPER, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def _stacked(*parts: Image) -> Image:
    sheet = np.concatenate(parts)
    m = _MARGIN_PX
    bordered = cv2.copyMakeBorder(sheet, m, m, m, m, cv2.BORDER_CONSTANT, value=_PAPER)
    return np.asarray(bordered, np.uint8)


def _rainbow(n: int) -> list[Colour]:
    hues = np.stack([np.linspace(0, 150, n), np.full(n, 210.0), np.full(n, 190.0)], axis=-1).astype(
        np.uint8
    )
    bgr = cv2.cvtColor(hues[None], cv2.COLOR_HSV2BGR)[0]
    return [(int(b), int(g), int(r)) for b, g, r in bgr]
