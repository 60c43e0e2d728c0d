"""The scales that a matrix is rounded to int8 by, one a column; none is lost where none need be.

Weights that once were integers of eight bits (as in files that come quantized) lie on a grid, and
rounding them to another one would lose as much again. Where a column's grid fits into int8 it is
found and kept.

    scales = column_scales(weight)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LIMIT = 127
SMALLEST = 1e-10
"""Of a column's greatest weight: one that is always 0 needs a scale, too."""
NO_STEP = 1e-3
"""Weights smaller than this share of the greatest are noise of a 0: no step of eight bits is."""
DIVISORS = (1, 2, 3)
"""The smallest weight of a column that is not 0 is one step of its grid, or a few."""
OFF_GRID = 0.01
"""How far from a multiple of the step a weight may be, in steps."""


def column_scales(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scale of each column.

    Args:
        weight: [in,out].

    Returns:
        The step of the column's grid, where it lies on one of at most 127 steps on each side; else
        a 127th of its greatest weight, [out].
    """
    size = np.abs(weight.astype(np.float64))
    greatest = np.maximum(size.max(axis=0), SMALLEST)
    scales = greatest / LIMIT
    least = np.where(size > NO_STEP * greatest, size, np.inf).min(axis=0)
    for divisor in reversed(DIVISORS):
        step = np.where(np.isfinite(least), least / divisor, SMALLEST)
        steps = size / step
        on_grid = (np.abs(steps - np.rint(steps)).max(axis=0) < OFF_GRID) & (
            greatest < (LIMIT + 0.5) * step
        )
        scales = np.where(on_grid, greatest / np.maximum(np.rint(greatest / step), 1.0), scales)
    out: NDArray[np.float32] = scales.astype(np.float32)
    return out
