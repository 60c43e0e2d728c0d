"""How well a hand can be seen: how much of it the picture holds, how sharp and how bright it is.

The network's presence only says that there is a hand: it stays near 1 for one that is blurred, dark
or half outside the picture, whose landmarks are guesses then. On rendered hands that were blurred
and darkened step by step, the landmarks' error grows about as 1 / clarity.

    clarity = visibility(landmarks_px, 640, 480) * image_quality(crop.cut(image))
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# From where the landmarks are several times less exact to where more no longer helps.
_SHARP: Final = (2e-5, 1e-3)
_BRIGHT: Final = (0.025, 0.3)
_WORST: Final = 0.1
"""What is left at the lower end: the network may be right all the same."""
_TURNS: Final = np.arange(8) * math.pi / 8


def visibility(landmarks_px: NDArray[np.floating], width: int, height: int) -> float:
    """Share of the landmarks ``(21, 2)`` that lie in a picture of this size."""
    x, y = np.asarray(landmarks_px, np.float64).T
    inside = (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    return float(inside.mean())


def image_quality(pixels: Floats) -> float:
    """Quality in [0.01, 1] of a hand's crop, shape ``(1, 3, h, w)``, RGB in [0, 1]."""
    height, width = pixels.shape[2:]
    middle = pixels[0, :, height // 4 : -height // 4, width // 4 : -width // 4]
    grey: Floats = (middle[0] + middle[1] + middle[2]) * np.float32(1 / 3)
    return _ramp(sharpness(grey), *_SHARP) * _ramp(brightness(grey), *_BRIGHT)


def sharpness(grey: Floats) -> float:
    """Energy of fine detail across its weakest direction, over the variance of the grey levels.

    Second derivatives measure focus (Pech-Pacheco et al., "Diatom autofocusing in brightfield
    microscopy", 2000). Motion blurs in one direction only: the weakest one counts. Over the
    variance, it does not depend on contrast.

    Args:
        grey: Shape ``(h, w)``, in [0, 1].
    """
    # Noise of the camera is fine detail, too: a little smoothing keeps it from looking sharp.
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    second = [cv2.Sobel(smooth, cv2.CV_32F, dx, 2 - dx).ravel() for dx in (2, 1, 0)]
    means = np.array([row.mean() for row in second])
    covariance = np.array([[a @ b for a in second] for b in second]) / smooth.size
    covariance -= np.outer(means, means)
    c, s = np.cos(_TURNS), np.sin(_TURNS)
    turned = np.stack([c * c, 2 * c * s, s * s], axis=1)
    energies = np.sum(turned @ covariance * turned, axis=1)
    # 16: the gain of the derivatives' kernel.
    return float(energies.min() / 16 / max(float(cv2.meanStdDev(smooth)[1][0, 0]) ** 2, 1e-4))


def brightness(grey: Floats) -> float:
    """Level in [0, 1] of the brighter parts (the 90th percentile) of a picture ``(h, w)``."""
    levels = grey[::4, ::4].ravel()
    place = round(0.9 * (levels.size - 1))
    return float(np.partition(levels, place)[place])


def _ramp(value: float, low: float, high: float) -> float:
    return float(np.clip(math.log(max(value, 1e-9) / low) / math.log(high / low), _WORST, 1.0))
