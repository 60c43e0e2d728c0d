"""Real hands: ``keypoint.csv``, and how its rows are divided.

A row holds a class (0 open, 1 close, 2 pointer) and 42 numbers, the 21 landmarks x, y relative to
the wrist and scaled (Kazuhito Takahashi, hand-gesture-recognition-using-mediapipe, Apache-2.0).
Rows are single frames; neighbours come from one recording and are alike.

    rows = load_keypoints(Path("data/hands/keypoint.csv"))
    held_out = rows.only(rows.tenth(REPORTED))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.gestures import FIST, PALM, POINT, turned
from deixis.runtime.errors import MediaError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FILE: Final = "keypoint.csv"
CLASSES: Final = (PALM, FIST, POINT)
"""Gestures of the file's classes 0 open, 1 close, 2 pointer."""
REPORTED, TUNED = 9, 4
"""Which rows of ten are only reported on, and which are looked at while tuning."""
_BLOCKS = 4
_BLOCK_SHARE = 0.025
_AS_IS = 0.4
"""Share of rows that are shown as they were recorded."""
_GUARD = 25
"""Rows left out of training on either side of a held-out block."""


@dataclass(frozen=True)
class Keypoints:
    """Rows of the file.

    Attributes:
        points: Landmarks about the wrist, y down, ``(n, 21, 2)``.
        labels: Gestures, ``(n,)``.
    """

    points: Array
    labels: NDArray[np.int64]

    def only(self, mask: Mask) -> Keypoints:
        """Some of the rows."""
        return Keypoints(self.points[mask], self.labels[mask])

    def tenth(self, which: int) -> Mask:
        """Every tenth row, from row ``which`` on."""
        mask: Mask = np.arange(len(self.labels)) % 10 == which
        return mask

    def blocks(self) -> tuple[Mask, Mask]:
        """Another tenth: four stretches of each class, and what may be trained on beside them.

        Returns:
            Rows of the blocks, and the rows that are neither in nor next to one.
        """
        held = np.zeros(len(self.labels), bool)
        near = np.zeros(len(self.labels), bool)
        for label in np.unique(self.labels):
            rows = np.flatnonzero(self.labels == label)
            size = round(_BLOCK_SHARE * len(rows))
            for k in range(_BLOCKS):
                first = round((k + 0.5) / _BLOCKS * len(rows)) - size // 2
                held[rows[first : first + size]] = True
                near[rows[max(0, first - _GUARD) : first + size + _GUARD]] = True
        return held, ~near


def load_keypoints(path: Path) -> Keypoints:
    """Read the file.

    Raises:
        MediaError: It is missing or is not such a file.
    """
    try:
        table = np.loadtxt(path, delimiter=",", ndmin=2)
    except OSError as cause:
        raise MediaError(
            f"there is no {path}",
            hint="name a folder with keypoint.csv (hand-gesture-recognition-using-mediapipe)",
        ) from cause
    except ValueError as cause:
        raise MediaError(f"{path} is not a table of numbers: {cause}") from cause
    if table.shape[1] != 43 or not np.isin(table[:, 0], (0, 1, 2)).all():
        raise MediaError(f"{path}: a row must be a class (0, 1, 2) and 42 numbers")
    labels = np.array(CLASSES)[table[:, 0].astype(int)]
    return Keypoints(table[:, 1:].reshape(-1, 21, 2), labels.astype(np.int64))


def varied(rng: np.random.Generator, points: Array, labels: NDArray[np.int64]) -> Array:
    """The rows as other hands and cameras would show them.

    Mirrored, turned (an open hand or a pointing one stays what it is whichever way is up; a fist is
    turned little, for its thumb may stand out), stretched and with new errors.

    Args:
        rng: Source of chance.
        points: ``(n, 21, 2)``.
        labels: ``(n,)``.
    """
    n = len(points)
    out = points * np.where(rng.uniform(size=(n, 1, 1)) < 0.5, [-1.0, 1], [1.0, 1])
    little = rng.normal(0, np.deg2rad(15), n)
    angle = np.where(
        (labels != FIST) & (rng.uniform(size=n) < 0.3), rng.uniform(-np.pi, np.pi, n), little
    )
    stretch = np.exp(rng.normal(0, 0.08, (n, 1, 2)))
    error = rng.uniform(0, 0.025, (n, 1, 1)) * rng.normal(size=out.shape)
    matrices = np.stack([turned(np.eye(2), a) for a in angle])
    as_is = rng.uniform(size=(n, 1, 1)) < _AS_IS
    return np.where(as_is, points, (out * stretch) @ matrices + error)
