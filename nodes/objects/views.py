"""Views of a thing as a gallery keeps them: cut out, small, and told from one another.

view = stored_view(image, detection.box_px, detection.mask)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.colours import colour_names, white_gains
from deixis.nodes.objects.gallery_folder import Picture
from deixis.nodes.objects.source import Box, Image, Mask, integer_box

KEPT_PX = 320
"""Stored views are at most this large."""
_MARGIN = 0.15
_THUMB_PX = 24
_ALIKE = 0.035
_COLOUR_SHARE = 0.6


def stored_view(picture: Image, box_px: Box, mask: Mask) -> Picture:
    """A view as the gallery keeps it: the thing with a margin around, all else transparent.

    Args:
        picture: BGR.
        box_px: Of the thing.
        mask: Its pixels within the box rounded outwards.
    """
    height, width = picture.shape[:2]
    left, top, right, bottom = integer_box(box_px, (width, height))
    margin = max(4, round(_MARGIN * max(right - left, bottom - top)))
    opaque = np.zeros((height, width), np.uint8)
    opaque[top:bottom, left:right] = mask[: bottom - top, : right - left]
    part = (
        slice(max(top - margin, 0), bottom + margin),
        slice(max(left - margin, 0), right + margin),
    )
    view = np.dstack([picture[part], opaque[part] * np.uint8(255)])
    scale = KEPT_PX / max(view.shape[:2])
    if scale < 1:
        view = cv2.resize(view, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if view[..., 3].all():
        # A gallery's picture without any transparency is one that has yet to be cut out.
        view = cv2.copyMakeBorder(view, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    return np.asarray(view, np.uint8)


def thumbnail(view: Picture) -> NDArray[np.float32]:
    """The thing alone on grey, small: what is left of a view when noise and place are gone."""
    opaque = view[..., 3] > 127
    x, y, w, h = cv2.boundingRect(opaque.astype(np.uint8))
    thing = np.where(opaque[..., None], view[..., :3], np.uint8(128))[y : y + h, x : x + w]
    small = cv2.resize(thing, (_THUMB_PX, _THUMB_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small / 255, np.float32)


def alike(a: NDArray[np.float32], b: NDArray[np.float32]) -> bool:
    """Whether the views of two thumbnails tell the same."""
    return float(np.abs(a - b).mean()) < _ALIKE


def measured_colour(views: Sequence[Picture]) -> str | None:
    """The colour word of a thing, if its views agree on one."""
    total: Counter[str] = Counter()
    for view in views:
        picture = np.ascontiguousarray(view[..., :3])
        # What is transparent shows the surface, and with it the light.
        total.update(colour_names(picture, view[..., 3] > 127, white_gains(picture)))
    word, share = total.most_common(1)[0] if total else ("", 0.0)
    return word if share / len(views) >= _COLOUR_SHARE else None
