"""What a table with a pattern shows: its colours, however many, and each of them in the shadow.

A colour belongs to the table if it is seen all over it; a thing's colours are in one place, or in
few. Colours are differences from the smooth surface (:mod:`.background`) in the logarithm of the
picture: lightness, and two of chroma. How far a colour lies from those of the table at the same
lightness is looked up in a table of distances.

    texture = Texture.learn(residuals, tiles, shadow)
    differs = texture.contrast(residuals) > 1
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Residuals = NDArray[np.float32]

_LEAST = np.array([-2.2, -1.0, -1.0], np.float32)
"""Lightness, blue and red where the grid begins."""
_CELL = np.array([0.1, 0.025, 0.025], np.float32)
_CELLS = (32, 80, 80)
_COARSE = (1, 2, 2)
"""A colour is counted in blocks of so many cells, with the blocks next to it."""
_SPREAD_SHARE = 0.4
"""A colour of the table is seen in at least this share of the tiles."""
_TOLERANCE = 0.06
_BRIGHTER = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """The colours of a patterned surface.

    Attributes:
        distance: Contrast of each cell of the grid with the surface, flat; 1 is its tolerance.
        cells: Whether each cell was seen all over the surface, flat.
    """

    distance: NDArray[np.float32]
    cells: NDArray[np.bool_]

    @classmethod
    def learn(
        cls,
        residuals: Residuals,
        tiles: NDArray[np.intp],
        shadow: NDArray[np.float64],
        umbra: float,
    ) -> Texture | None:
        """Learn the colours that are seen all over a surface.

        Args:
            residuals: Lightness, blue and red of n pixels less the smooth surface's, ``(3, n)``.
            tiles: In which tile of the surface each lies, 0 and up, ``(n,)``.
            shadow: What a shadow adds to blue and red as lightness falls by one, ``(2,)``.
            umbra: How much a shadow darkens a colour of the surface at most, below 0.

        Returns:
            The colours, or None if there is none that is seen all over.
        """
        cell = _cells(residuals)
        shape = tuple(n // c for n, c in zip(_CELLS, _COARSE, strict=True))
        block = [axis // c for axis, c in zip(np.unravel_index(cell, _CELLS), _COARSE, strict=True)]
        count = int(tiles.max()) + 1
        seen = np.zeros((*shape, count), np.uint8)
        seen[block[0], block[1], block[2], tiles] = 1
        for axis in range(3):
            grown = seen.copy()
            low = (slice(None),) * axis + (slice(1, None),)
            high = (slice(None),) * axis + (slice(None, -1),)
            np.maximum(grown[low], seen[high], out=grown[low])
            np.maximum(grown[high], seen[low], out=grown[high])
            seen = grown
        everywhere = seen.sum(axis=3, dtype=np.int32) >= _SPREAD_SHARE * count
        own = everywhere[block[0], block[1], block[2]]
        if not own.any():
            return None
        occupied = np.bincount(cell[own], minlength=int(np.prod(_CELLS))) > 0
        cells = occupied.reshape(_CELLS)
        return cls(_distances(_shaded(cells, shadow, umbra)).ravel(), cells.ravel())

    def contrast(self, residuals: Residuals) -> NDArray[np.float32]:
        """How much colours ``(3, …)`` differ from those of the surface, in tolerances."""
        return np.asarray(self.distance[_cells(residuals)], np.float32)

    def shows(self, residuals: Residuals) -> NDArray[np.bool_]:
        """Which colours ``(3, …)`` were seen all over the surface."""
        return np.asarray(self.cells[_cells(residuals)], bool)


def _cells(residuals: Residuals) -> NDArray[np.intp]:
    index = np.zeros(residuals.shape[1:], np.intp)
    for axis in range(3):
        at = (residuals[axis] - _LEAST[axis]) * (1 / _CELL[axis])
        index *= _CELLS[axis]
        index += np.clip(at, 0, _CELLS[axis] - 1).astype(np.intp)
    return index


def _shaded(
    cells: NDArray[np.bool_], shadow: NDArray[np.float64], umbra: float
) -> NDArray[np.bool_]:
    """With what the colours become in shadows of all depths."""
    out = cells.copy()
    for depth in range(1, round(-umbra / float(_CELL[0])) + 1):
        shift = np.round(-shadow * depth * _CELL[0] / _CELL[1:]).astype(int)
        darker = np.roll(cells[depth:], tuple(shift), axis=(1, 2))
        out[: len(darker)] |= darker
    return out


def _distances(cells: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Contrast of every cell with the marked ones."""
    # Beyond the lightest one lightness itself counts.
    lightest = int(np.flatnonzero(cells.any(axis=(1, 2))).max())
    out = np.zeros(cells.shape, np.float32)
    for level in range(len(cells)):
        near = cells[max(min(level, lightest) - 1, 0) : min(level, lightest) + 2].any(axis=0)
        if not near.any():
            out[level] = 3.0
            continue
        apart = cv2.distanceTransform(np.where(near, 0, 1).astype(np.uint8), cv2.DIST_L2, 3)
        darkness = max(-(_LEAST[0] + level * _CELL[0]), 0.0)
        out[level] = apart * _CELL[1] / (_TOLERANCE * (1 + 0.7 * darkness))
        if level > lightest:
            np.maximum(out[level], (level - lightest) * _CELL[0] / _BRIGHTER, out=out[level])
    return out
