"""Random numbers of two splits that do not share what they draw.

``python -c "from tests.scenes.chance import Chance; print(Chance('dev', 1).banded(0, 1))"``
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BANDS = 10
"""Distances, sectors of view and of light fall into so many bands, taken in turn by the splits."""


class Chance:
    """Random numbers of one split."""

    def __init__(self, split: str, seed: int) -> None:
        self.rng = np.random.default_rng([seed, 1 if split == "report" else 0])
        self.split = split

    def between(self, low: float, high: float) -> float:
        """Anywhere between two numbers."""
        return float(self.rng.uniform(low, high))

    def banded(self, low: float, high: float) -> float:
        """Between two numbers, within the bands that belong to the split."""
        band = 2 * int(self.rng.integers(_BANDS // 2)) + (self.split == "report")
        return low + (high - low) * (band + self.between(0, 1)) / _BANDS

    def one(self, choices: Sequence[str]) -> str:
        """One of several."""
        return choices[int(self.rng.integers(len(choices)))]

    def colour(self, low: int = 30, high: int = 225) -> str:
        """A CSS colour."""
        r, g, b = self.rng.integers(low, high, 3)
        return f"rgb({r},{g},{b})"
