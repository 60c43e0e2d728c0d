"""Tells whether anything has moved since a picture that was looked at in full.

Pictures are compared in blocks of eight pixels, whose means hardly have noise. The reference stays
until something has moved, so that slow movements add up and are seen, too.

    still = Stillness()
    if not still.same(image): ...  # and image is the new reference
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_BLOCK_PX = 8
_CHANGE = 4.0
"""Grey levels in the mean of a block and a channel."""
_FLICKER = 6.0


class Stillness:
    """Remembers one picture and compares others with it."""

    def __init__(self) -> None:
        self._reference: NDArray[np.float32] | None = None

    def reset(self) -> None:
        """Forget the reference: the next picture counts as changed."""
        self._reference = None

    def same(self, image: NDArray[np.uint8]) -> bool:
        """Whether a picture shows what the reference shows; if not, it becomes the reference.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
        """
        height, width = image.shape[:2]
        size = (max(width // _BLOCK_PX, 1), max(height // _BLOCK_PX, 1))
        small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.float32)
        old = self._reference
        if old is not None and old.shape == small.shape:
            change = small - old
            # Lamps and automatic exposure change all blocks alike; that is no movement.
            drift = np.median(change.reshape(-1, 3), axis=0)
            if np.abs(drift).max() < _FLICKER and np.abs(change - drift).max() < _CHANGE:
                return True
        self._reference = small
        return False
