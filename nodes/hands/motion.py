"""Whether a picture shows anything that the last one looked at did not.

watch = Watch()
if watch.differs(image):
    watch.remember(image)
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CELLS: Final = 64
"""Cells along the longer side: averaged, so that the camera's noise vanishes."""
_LEVELS: Final = 8
_LEAST_CELLS: Final = 3
"""A hand 1.5 m away covers about 15 cells of a usual camera's picture."""


class Watch:
    """Compares pictures with one that it remembers."""

    def __init__(self) -> None:
        self._seen: NDArray[np.uint8] | None = None

    def differs(self, image: NDArray[np.uint8]) -> bool:
        """Whether a BGR picture ``(h, w, 3)`` differs from the remembered one.

        At least 3 of its cells (64 to the longer side) must, by 8 grey levels or more.
        """
        if self._seen is None:
            return True
        now = _cells(image)
        if now.shape != self._seen.shape:
            return True
        change = cv2.absdiff(now, self._seen).max(axis=2)
        return int(np.count_nonzero(change >= _LEVELS)) >= _LEAST_CELLS

    def remember(self, image: NDArray[np.uint8]) -> None:
        """Compare with this picture from now on."""
        self._seen = _cells(image)


def _cells(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = _CELLS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
