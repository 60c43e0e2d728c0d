"""What a picture shows that the last one looked at did not.

watch = Watch()
glance = watch.glance(image)
if glance.differs:
    watch.remember(glance)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

_CELLS: Final = 64
"""Cells along the longer side: averaged, so that the camera's noise vanishes."""
_LEVELS: Final = 8
_LEAST_CELLS: Final = 3
"""A hand 1.5 m away covers about 15 cells of a usual camera's picture."""


@dataclass(frozen=True, slots=True)
class Glance:
    """A picture in cells, beside the one that was remembered.

    Attributes:
        cells: Mean colours, uint8, shape ``(rows, columns, 3)``.
        changed: Which cells differ by 8 grey levels or more, ``(rows, columns)``; all of them where
            nothing, or a picture of another size, was remembered.
        cell_px: Side of a cell in the picture.
    """

    cells: NDArray[np.uint8]
    changed: NDArray[np.bool_]
    cell_px: float

    @property
    def differs(self) -> bool:
        """Whether at least 3 cells differ."""
        return int(np.count_nonzero(self.changed)) >= _LEAST_CELLS

    def differs_in(self, box_px: tuple[float, float, float, float]) -> bool:
        """Whether a cell differs in a box (left, top, right, bottom), moved into the picture."""
        rows, columns = self.changed.shape
        left, top, right, bottom = (int(v // self.cell_px) for v in box_px)
        x, y = min(max(left, 0), columns - 1), min(max(top, 0), rows - 1)
        return bool(self.changed[y : max(bottom, y) + 1, x : max(right, x) + 1].any())


class Watch:
    """Compares pictures with one that it remembers."""

    def __init__(self) -> None:
        self._seen: NDArray[np.uint8] | None = None

    def glance(self, image: NDArray[np.uint8]) -> Glance:
        """Compare a BGR picture ``(h, w, 3)``, in cells (64 to the longer side)."""
        height, width = image.shape[:2]
        cell_px = max(height, width) / _CELLS
        size = (max(1, round(width / cell_px)), max(1, round(height / cell_px)))
        cells = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        if self._seen is None or self._seen.shape != cells.shape:
            return Glance(cells, np.ones(cells.shape[:2], np.bool_), cell_px)
        return Glance(cells, cv2.absdiff(cells, self._seen).max(axis=2) >= _LEVELS, cell_px)

    def remember(self, glance: Glance) -> None:
        """Compare with this picture from now on."""
        self._seen = glance.cells
