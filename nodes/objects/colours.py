"""Names the colour of a thing with the eleven basic colour words (Berlin and Kay, 1969).

Each pixel votes in CIE LCh: grey words by lightness where there is little chroma, colour words by
hue, where *brown* is a dark orange or yellow and *pink* a pale red or magenta. Lightness counts
relative to the light on the table, so that a shaded cup keeps its colour.

    colour_names(crop, mask)  # {'red': 0.93, 'brown': 0.04, …}
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

WORDS = (
    "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "grey", "white",
)  # fmt: skip

_GREY_CHROMA = 14.0
_SOFT_CHROMA = 4.0
_HUES = (
    # word, centre and half width in degrees of CIE LCh hue (sRGB's red is 40, its blue 306)
    ("red", 28.0, 19.0),
    ("orange", 61.0, 14.0),
    ("yellow", 96.0, 20.0),
    ("green", 145.0, 32.0),
    ("blue", 259.0, 50.0),
    ("purple", 324.0, 15.0),
    ("pink", 358.0, 16.0),
)
_SOFT_DEGREES = 5.0
_MAX_PIXELS = 1500


def colour_names(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> dict[str, float]:
    """Probability per colour word.

    Args:
        image: BGR uint8, shape ``(height, width, 3)``.
        mask: The thing's pixels, shape ``(height, width)``.

    Returns:
        Words with a probability of at least 0.01, most probable first; empty without pixels.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    pixels = image[inner if inner.sum() >= 30 else mask]
    if len(pixels) == 0:
        return {}
    pixels = pixels[:: max(1, len(pixels) // _MAX_PIXELS)]
    lab = cv2.cvtColor(pixels.reshape(1, -1, 3).astype(np.float32) / 255, cv2.COLOR_BGR2Lab)[0]
    votes = _votes(np.asarray(lab, np.float64))
    # Deep shade and highlights say little about the paint.
    light = lab[:, 0]
    weight = np.where((light < 6) | (light > 97), 0.3, 1.0)
    mean = (votes * weight[:, None]).sum(axis=0) / weight.sum()
    # Most of a thing has one colour: what fills less than a third is trim.
    sharp = mean**2
    sharp /= sharp.sum()
    order = np.argsort(-sharp)
    return {WORDS[i]: float(sharp[i]) for i in order if sharp[i] >= 0.01}


def _votes(lab: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of each word for each pixel, shape ``(n, 11)``."""
    light, a, b = lab.T
    chroma = np.hypot(a, b)
    hue = np.rad2deg(np.arctan2(b, a)) % 360
    # Dark paints reach little chroma, so that dark needs less of it to count as coloured.
    threshold = _GREY_CHROMA * np.clip(light / 50, 0.45, 1.0)
    coloured = _above(chroma, threshold, _SOFT_CHROMA)
    votes = {word: np.zeros_like(light) for word in WORDS}
    for word, centre, half in _HUES:
        off = np.abs((hue - centre + 180) % 360 - 180)
        votes[word] = _above(half, off, _SOFT_DEGREES)
    total = np.maximum(sum(votes[word] for word, _, _ in _HUES), 1e-6)
    for word, _, _ in _HUES:
        votes[word] = coloured * votes[word] / total
    _move(votes, ("orange",), "brown", _above(45.0, light, 3.0))
    _move(votes, ("orange",), "brown", _above(46.0, chroma, 4.0) * _above(58.0, light, 4.0))
    _move(votes, ("yellow",), "brown", _above(45.0, light, 4.0))
    # Red is brown where it is dull, and pink where it is pale.
    _move(votes, ("red",), "brown", _above(42.0, chroma, 3.0) * _above(50.0, light, 4.0))
    _move(votes, ("red", "purple"), "pink", _above(light, 66.0, 3.0))
    _move(votes, ("pink",), "purple", _above(40.0, light, 4.0) * _above(chroma, 12.0, 4.0))
    grey = 1 - coloured
    votes["black"] = grey * _above(24.0, light, 4.0)
    votes["white"] = grey * _above(light, 80.0, 4.0)
    votes["grey"] = np.clip(grey - votes["black"] - votes["white"], 0, None)
    stacked = np.stack([votes[word] for word in WORDS], axis=1)
    return np.asarray(stacked / np.maximum(stacked.sum(axis=1, keepdims=True), 1e-9), np.float64)


def _above(
    value: NDArray[np.float64] | float, limit: NDArray[np.float64] | float, soft: float
) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-(np.subtract(value, limit)) / soft)), np.float64)


def _move(
    votes: dict[str, NDArray[np.float64]],
    words: tuple[str, ...],
    to: str,
    share: NDArray[np.float64],
) -> None:
    """Hand a share of some words' votes to another word."""
    for word in words:
        moved = votes[word] * share
        votes[word] = votes[word] - moved
        votes[to] = votes[to] + moved
