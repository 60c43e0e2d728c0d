"""Cuts the one thing out of a picture that teaches it, and refuses pictures that would teach badly.

A picture is good when one thing, whole and sharp, lies on plain surroundings (or, with the camera's
calibration, alone on the table).

    view = cut(read_picture(Path("cup.jpg")), cut_plain)  # BGR with transparency
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.background import edge_contrast
from deixis.nodes.objects.embedding import surface_contrast
from deixis.nodes.objects.gallery_folder import Picture, decode_picture
from deixis.nodes.objects.regions import Grey, closed, filled, largest, outlines
from deixis.nodes.objects.source import Box, Image, Mask, View, integer_box
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource
from deixis.nodes.objects.views import stored_view
from deixis.nodes.objects.workspace import Workspace
from deixis.runtime.errors import MediaError

Cutter = Callable[[Image], Picture]
"""Cuts the one thing out of a picture, or raises a MediaError that says why it cannot."""
WORKING_PX = 480
"""Pictures are looked at with their shorter side at most this long."""
MIN_SIDE_PX = 28
"""A thing smaller than this has too little to tell it by."""
_MIN_AREA = 0.002
_SECOND = 0.15
"""Share of the largest region's area from which on another one is a thing of its own."""
_SPECK = 0.04
"""Share of the largest region's area below which another one is a highlight or bit of shadow."""
_MAYBE = 0.5
"""Contrast with the surface from which on a pixel may belong to what lies on both sides of it."""
_BLURRED = 0.07
"""An outline that is wider than this share of the thing is blurred."""


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture file: BGR, or BGR with transparency where a part of it is transparent.

    Raises:
        MediaError: It is missing or no picture.
    """
    try:
        picture = decode_picture(path.read_bytes())
    except OSError as cause:
        raise MediaError(f"cannot read {path}: {cause.strerror}") from cause
    if picture is None:
        raise MediaError(f"{path} is not a picture that OpenCV can read")
    return picture


def cut(picture: NDArray[np.uint8], cutter: Cutter) -> Picture:
    """Cut the thing out, unless the picture's transparency says where it is.

    Raises:
        MediaError: The picture would teach badly.
    """
    return cut_whole(picture) if picture.shape[2] == 4 else cutter(picture)


def cut_plain(picture: Image) -> Picture:
    """The one thing in a picture with plain surroundings.

    Args:
        picture: BGR ``(height, width, 3)``.

    Raises:
        MediaError: Nothing, several things, something cut off, too small or blurred.
    """
    picture = _shrunk(picture)
    height, width = picture.shape[:2]
    whole = _regions(picture)
    areas = [float(cv2.contourArea(region)) for region in whole]
    largest = max(areas, default=0.0)
    if largest < _MIN_AREA * height * width:
        raise MediaError(
            "there is nothing to see in it but plain surroundings",
            hint="put the thing in the middle, on a surface of another colour, in even light",
        )
    things = [r for r, area in zip(whole, areas, strict=True) if area >= _SECOND * largest]
    if len(things) > 1:
        raise MediaError(f"there are {len(things)} things in it", hint="show one thing alone")
    x, y, w, h = cv2.boundingRect(things[0])
    if x <= 1 or y <= 1 or x + w >= width - 1 or y + h >= height - 1:
        raise MediaError(
            "the thing reaches the picture's border (or a hand does)",
            hint="show it whole, with the surface around it on all sides and no hand",
        )
    mask = _filled((height, width), things[0])[y : y + h, x : x + w].astype(bool)
    return _checked(picture, (float(x), float(y), float(w), float(h)), mask)


def cut_whole(picture: Image) -> Picture:
    """A picture that was cut out already: all of it is the thing, or what is opaque in it.

    Args:
        picture: BGR, or BGR with transparency.

    Raises:
        MediaError: Too small.
    """
    height, width = picture.shape[:2]
    mask = np.ones((height, width), bool)
    if picture.shape[2] == 4:
        mask = picture[..., 3] > 127
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    _check_size(w, h)
    box = (float(x), float(y), float(w), float(h))
    return stored_view(picture[..., :3], box, mask[y : y + h, x : x + w])


class TableCutter:
    """Cuts out the one thing that stands on the table, wherever in the workspace it is.

    Args:
        camera: Its calibration.
        workspace: Where to look.
        params: Of the table-top source.
    """

    def __init__(
        self, camera: CameraCalibration, workspace: Workspace, params: TabletopParams
    ) -> None:
        self._camera = camera
        self._workspace = workspace
        self._source = TabletopSource(params, workspace)

    def __call__(self, picture: Image) -> Picture:
        """Cut; see :func:`cut_plain`.

        Raises:
            MediaError: Nothing, several things, something hidden, too small or blurred.
            CalibrationError: The calibration is not for pictures of this shape.
        """
        camera = self._camera.for_frame(picture.shape[1], picture.shape[0])
        found = self._source.observe(View(picture, camera, 0)).detections
        if not found:
            raise MediaError(
                "there is nothing on the table",
                hint="put the thing into the middle of the workspace, with no hand in view",
            )
        if len(found) > 1:
            raise MediaError(
                f"there are {len(found)} things on the table", hint="clear all but the one to teach"
            )
        if found[0].clipped or found[0].mask is None:
            raise MediaError("a hand or the picture's border hides a part", hint="move it aside")
        return _checked(picture, found[0].box_px, found[0].mask)


def outline_width(picture: Image, mask: NDArray[np.uint8]) -> float:
    """How wide the transition at a thing's outline is, in pixels: what blur makes of a step.

    The median over the outline of contrast divided by steepest slope, along lines across it.

    Args:
        picture: BGR.
        mask: The thing, 0/1, of the same size.
    """
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2Lab).astype(np.float32)
    contour = max(outlines(mask), key=len).reshape(-1, 2).astype(np.float32)
    smooth = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 3)
    slope = np.stack([cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1)], axis=-1)
    at = contour[:: max(1, len(contour) // 80)]
    x, y = at.astype(int).T
    normal = slope[y, x] / np.maximum(np.linalg.norm(slope[y, x], axis=1, keepdims=True), 1e-6)
    reach = max(6.0, 0.12 * float(np.ptp(contour, axis=0).max()))
    steps = np.arange(-reach, reach, 0.5, dtype=np.float32)
    lines = at[:, None] + steps[None, :, None] * normal[:, None]
    profile = cv2.remap(grey, lines[..., 0], lines[..., 1], cv2.INTER_LINEAR)
    change = np.abs(np.diff(profile, axis=1)).max(axis=1) * 2
    contrast = np.abs(profile[:, -4:].mean(axis=1) - profile[:, :4].mean(axis=1))
    # In the channel of lightness and colour in which the outline shows best.
    best = contrast.argmax(axis=1)
    rows = np.arange(len(at))
    clear = contrast[rows, best] > 12
    if not clear.any():
        return 0.0
    widths = contrast[rows, best] / np.maximum(change[rows, best], 1e-3)
    return float(np.median(widths[clear]))


def _regions(picture: Image) -> list[NDArray[np.int32]]:
    """Outlines of what differs from the surroundings."""
    contrast = surface_contrast(picture)
    if contrast is None:
        raise MediaError(
            "the surroundings are not plain enough to tell the thing from them",
            hint="put it on a plain surface that fills the picture; for the table's camera give "
            "its --calibration; for a thing that was cut out already, --whole",
        )
    clear = outlines(_tidy(edge_contrast(contrast) > 1))
    largest_area = max(map(cv2.contourArea, clear), default=0.0)
    pieces = [p for p in clear if cv2.contourArea(p) > _SPECK * largest_area]
    things: list[NDArray[np.int32]] = []
    for whole in outlines(_tidy(contrast > _MAYBE)):
        parts = [p for p in pieces if cv2.pointPolygonTest(whole, p[0, 0].tolist(), False) >= 0]
        if len(parts) > 1:
            # A label almost in the surface's own colour does not make two things of one.
            shape = contrast.shape
            hull = np.asarray(cv2.convexHull(np.concatenate(parts)), np.int32)
            parts = outlines(largest(_filled(shape, whole) & _filled(shape, hull)))
        things += parts
    return things


def _tidy(mask: Mask) -> Grey:
    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    return filled(closed(np.asarray(opened, np.uint8)))


def _filled(shape: tuple[int, ...], outline: NDArray[np.int32]) -> Grey:
    mask = np.zeros(shape, np.uint8)
    cv2.drawContours(mask, [outline], -1, 1, cv2.FILLED)
    return mask


def _shrunk(picture: Image) -> Image:
    scale = WORKING_PX / min(picture.shape[:2])
    if scale >= 1:
        return picture
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _checked(picture: Image, box_px: Box, mask: Mask) -> Picture:
    left, top, right, bottom = integer_box(box_px, (picture.shape[1], picture.shape[0]))
    _check_size(right - left, bottom - top)
    full: Grey = np.zeros(picture.shape[:2], np.uint8)
    full[top:bottom, left:right] = mask[: bottom - top, : right - left]
    width = outline_width(picture, full)
    if width > max(_BLURRED * max(right - left, bottom - top), 3.0):
        raise MediaError(
            f"it is blurred: the thing's outline is {width:.0f} px wide",
            hint="hold still, focus, and give it more light",
        )
    return stored_view(picture, box_px, mask)


def _check_size(width: int, height: int) -> None:
    if max(width, height) < MIN_SIDE_PX:
        raise MediaError(
            f"the thing is only {width}x{height} px large; it takes {MIN_SIDE_PX} px",
            hint="go closer, or use a larger picture",
        )
