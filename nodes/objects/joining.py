"""Puts back together what a band with the table's colour cuts in two: a label, a stripe of a cone.

Pieces are one thing if they stand right above one another, or lie in one line, with a narrow gap
that is not quite the bare table either: weaker contrast counts between two strong ones (the idea of
hysteresis; Canny, "A computational approach to edge detection", 1986). Pieces of different colours
need more of it: between two things there may be a shadow.

    regions = join_stacked(regions, contrast, picture)
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.regions import Grey, outlines
from deixis.nodes.objects.source import Image

_STACKED_SHARE = 0.6
"""One stands above the other for at least this share of the narrower one's width."""
_GAP_SHARE = 0.13
"""A band is no larger a part of the whole; between two things the gap is 0.15 and more."""
_CRACK_SHARE = 0.04
"""A band this narrow, between pieces that look the same, is a mark on one thing."""
_ALIKE = 15.0
_WEAK_CONTRAST = (0.3, 0.45)
"""Mean contrast of a band with the table, between pieces of one colour and of two; a bare table has
0.1 to 0.28 between two things, one in the shadow 0.4."""
_ONE_COLOUR = 30.0
"""Distance in CIE Lab."""


def join_stacked(
    regions: Sequence[Grey], contrast: NDArray[np.float32], picture: Image
) -> list[Grey]:
    """Join regions that a weak band separates.

    Args:
        regions: 0/1 masks of one picture.
        contrast: How much each pixel differs from the table; 1 and more is surely something else.
        picture: BGR uint8, of the masks' size.

    Returns:
        The regions, joined ones with the band between them.
    """
    lab = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2Lab), np.uint8)
    joined = sorted(regions, key=lambda region: cv2.boundingRect(region)[1])
    lower = 1
    while lower < len(joined):
        for upper in range(lower):
            band = _band(joined[upper], joined[lower], contrast, lab)
            if band is not None:
                joined[upper] = joined[upper] | joined[lower] | band
                del joined[lower]
                # The larger one may now reach others that it did not before.
                lower = 0
                break
        lower += 1
    return joined


def _band(upper: Grey, lower: Grey, contrast: NDArray[np.float32], lab: Image) -> Grey | None:
    """What separates two pieces of one thing; None if they are two things."""
    x, y, w, h = cv2.boundingRect(upper)
    u, v, s, _ = cv2.boundingRect(lower)
    stacked = min(x + w, u + s) - max(x, u) >= _STACKED_SHARE * min(w, s)
    if v < y + h // 2:
        return None
    whole = np.zeros_like(upper)
    hull = cv2.convexHull(np.concatenate([*outlines(upper), *outlines(lower)]))
    cv2.fillConvexPoly(whole, hull, 1)
    band = whole & (1 - (upper | lower))
    if stacked:
        # One may be wider than the other: only what lies between them counts.
        band[: max(y + h - 1, 0)] = 0
        band[v + 1 :] = 0
    area = int(band.sum())
    if area == 0 or area > _GAP_SHARE * int(whole.sum()):
        return None
    # The corners of the hull lie outside of the thing.
    inner = (band & cv2.erode(whole, np.ones((3, 3), np.uint8))).astype(bool)
    if inner.sum() < 3:
        inner = band.astype(bool)
    apart = np.subtract(cv2.mean(lab, upper)[:3], cv2.mean(lab, lower)[:3])
    if stacked and area <= _CRACK_SHARE * int(whole.sum()) and np.linalg.norm(apart) < _ALIKE:
        return band
    least = _WEAK_CONTRAST[float(np.linalg.norm(apart)) > _ONE_COLOUR]
    return band if float(contrast[inner].mean()) >= least else None
