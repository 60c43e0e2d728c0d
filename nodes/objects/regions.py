"""Small operations on masks: regions, their outlines, and what tells an arm from an object.

Masks are 0/1 uint8 images, as OpenCV takes them.

    for contour in outlines(closed(mask)): ...
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.source import Array, Mask
from deixis.runtime.messages import Hand

Grey = NDArray[np.uint8]

_SQUARE = np.ones((3, 3), np.uint8)


def closed(mask: Grey) -> Grey:
    """With gaps of a pixel or two bridged."""
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_CLOSE, _SQUARE), np.uint8)


def dilated(mask: Grey, size: int) -> Grey:
    """Grown by ``size // 2`` pixels to all sides."""
    return np.asarray(cv2.dilate(mask, np.ones((size, size), np.uint8)), np.uint8)


def filled(mask: Grey) -> Grey:
    """With all holes filled."""
    out = np.zeros_like(mask)
    cv2.drawContours(out, outlines(mask), -1, 1, cv2.FILLED)
    return out


def largest(mask: Grey) -> Grey:
    """Only its largest connected part."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if len(stats) <= 2:
        return mask
    return np.asarray(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax(), np.uint8)


def without_thin_parts(mask: Grey, thickness_px: float) -> Grey:
    """Without what is thinner than this, such as the handle of a cup."""
    # Holes are filled afterwards, or the hole of the handle would be.
    size = max(3, round(thickness_px) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return largest(filled(np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel), np.uint8)))


def outlines(mask: Grey) -> list[NDArray[np.int32]]:
    """The outer contours of its connected parts."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(c, np.int32) for c in contours]


def enlarged(mask: NDArray[np.generic], step: int) -> Mask:
    """Each pixel as a square of ``step`` pixels."""
    return np.repeat(np.repeat(mask.astype(bool), step, axis=0), step, axis=1)


def rim(mask: Mask) -> Mask:
    """The two outermost pixels of a mask; the picture's border counts as an outline."""
    inner = cv2.erode(
        mask.astype(np.uint8), np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )  # fmt: skip
    return np.asarray(mask & (np.asarray(inner) == 0), bool)


def touches_border(box: Sequence[float], size: tuple[int, int]) -> bool:
    """Whether a box reaches the border of a picture, so that a part may be outside."""
    x, y, w, h = box
    return x <= 0 or y <= 0 or x + w >= size[0] or y + h >= size[1]


def projected_hull(
    camera: CameraCalibration, points: Array, step: int, size: tuple[int, int]
) -> Mask:
    """The convex hull of projected points in a picture that is ``step`` times smaller.

    Args:
        camera: Of the full picture.
        points: Base frame, shape ``(n, 3)``; those behind the camera are left out.
        step: How many times smaller.
        size: Width and height of the small picture.
    """
    px = camera.project(points)
    px = px[np.isfinite(px).all(axis=1)]
    mask = np.zeros((size[1], size[0]), np.uint8)
    if len(px) >= 3:
        small = np.clip((px + 0.5) / step - 0.5, -30000, 30000)
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(small).astype(np.int32)), 1)
    return mask.astype(bool)


def hand_mask(hands: Sequence[Hand], step: int, size: tuple[int, int]) -> Grey:
    """The hulls of all hands, widened by a finger's breadth, in the small picture."""
    mask = np.zeros((size[1], size[0]), np.uint8)
    for hand in hands:
        points = np.asarray(hand.landmarks_px, np.float32) / step
        cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points).astype(np.int32)), 1)
    return dilated(mask, 9) if hands else mask


def skin_share(image: NDArray[np.uint8], inside: Mask) -> float:
    """Share of a region that has the colour of skin (box in YCrCb; Chai and Ngan, 1999)."""
    colours = cv2.cvtColor(image[inside].reshape(1, -1, 3), cv2.COLOR_BGR2YCrCb)[0]
    red, blue = colours[:, 1], colours[:, 2]
    return float(np.mean((red > 133) & (red < 173) & (blue > 77) & (blue < 127)))
