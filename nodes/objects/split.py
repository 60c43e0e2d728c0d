"""Takes apart a region in which one thing stands in front of another, by their colours.

parts = by_colour(picture, mask)  # [] when one colour runs through it all
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.regions import Grey, closed, filled, largest

_MIN_SHARE = 0.2
_MIN_PIXELS = 80
_STACKED_SHARE = 0.6
_SLENDER = 3.0
_MIN_DISTANCE = 18.0
"""Least distance of the two colours in CIE Lab, lightness halved: things have a shaded side."""


def side_by_side(mask: Grey) -> list[Grey]:
    """The pieces of a region that narrow gaps separate.

    Args:
        mask: 0/1 mask, holes not filled.

    Returns:
        Two masks or more, holes filled; none when it is in one piece. Pieces right above one
        another count as one, and so does what is long and thin: a band with the table's colour cuts
        a bottle or a pen like that.
    """
    solid = filled(mask)
    if _slender(solid):
        return []
    count, labels, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=4)
    large = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= _MIN_PIXELS]
    large.sort(key=lambda i: int(stats[i, cv2.CC_STAT_TOP]))
    parts: list[tuple[Grey, tuple[int, int, int]]] = []
    for i in large:
        left, top, width, height = (int(value) for value in stats[i, :4])
        piece = np.asarray(labels == i, np.uint8)
        for k, (above, (a, b, bottom)) in enumerate(parts):
            low, high = max(left, a), min(left + width, b)
            if high - low > _STACKED_SHARE * min(width, b - a):
                above[bottom:top, low:high] = 1
                parts[k] = (above | piece, (min(left, a), max(left + width, b), top + height))
                break
        else:
            parts.append((piece, (left, left + width, top + height)))
    things = [part for part, _ in parts if part.sum() > _MIN_SHARE / 2 * solid.sum()]
    return things if len(things) > 1 else []


def _slender(mask: Grey) -> bool:
    if not mask.any():
        return False
    _, sides, _ = cv2.minAreaRect(cv2.findNonZero(mask))
    return max(sides) > _SLENDER * max(min(sides), 1.0)


def by_colour(image: NDArray[np.uint8], mask: Grey) -> list[Grey]:
    """Split a region into two parts of different colour, each in one piece.

    Args:
        image: BGR uint8, shape ``(height, width, 3)``.
        mask: 0/1 mask of the region, shape ``(height, width)``.

    Returns:
        Two masks, or none when the region does not fall into two such parts.
    """
    inside = mask.astype(bool)
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2Lab)[inside].astype(np.float32)
    lab[:, 0] *= 0.5
    if len(lab) < 2 * _MIN_PIXELS:
        return []
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    # Fixed start, so that the same picture gives the same parts.
    cv2.setRNGSeed(1)
    start = np.zeros((len(lab), 1), np.int32)
    _, labels, centres = cv2.kmeans(lab, 2, start, criteria, 2, cv2.KMEANS_PP_CENTERS)
    if float(np.linalg.norm(centres[0] - centres[1])) < _MIN_DISTANCE:
        return []
    parts = []
    for label in (0, 1):
        part = np.zeros_like(mask)
        part[inside] = labels[:, 0] == label
        smooth = cv2.morphologyEx(closed(part), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        parts.append(largest(filled(np.asarray(smooth, np.uint8))))
    sizes = [int(part.sum()) for part in parts]
    if min(sizes) < max(_MIN_PIXELS, _MIN_SHARE * len(lab)):
        return []
    return parts
