"""Names the colour of a thing with the eleven basic colour words (Berlin and Kay, 1969).

Each pixel votes in CIE LCh: grey words by lightness where there is little chroma, colour words by
hue, where *brown* is a dark orange or yellow and *pink* a pale red or magenta. Which orange is dark
and which grey is white depends on the light: the brightest thing in the picture that is nearly grey
counts as white (the white patch of Land and McCann, "Lightness and Retinex theory", 1971).

    colour_names(crop, mask, white_gains(picture))  # {'red': 0.93, 'brown': 0.04, …}
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
_SMALL_PX = (160, 120)
_NEARLY_GREY = 18.0
_BRIGHTEST = 98.5
_WHITE_Y = 0.8
"""Luminance of white paint, as a share of what a perfect reflector gives."""
_GAINS = (0.9, 2.8)
"""A picture without anything white is not to become brighter without limit."""
_CAST_SHARE = 0.8
_CODES = np.arange(256) / 255
_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4)
"""Linear light of an sRGB value."""
_LUMINANCE = np.array([0.0722, 0.7152, 0.2126])


def white_gains(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What to multiply linear light with so that white paint is white, B G R.

    Args:
        picture: BGR uint8: the scene, not the thing alone.
    """
    shrunk = cv2.resize(picture, _SMALL_PX, interpolation=cv2.INTER_AREA)
    small = np.asarray(shrunk, np.uint8).reshape(-1, 3)
    lab = _lab(small)
    grey = np.hypot(lab[:, 1], lab[:, 2]) < _NEARLY_GREY
    if grey.mean() < 0.002:
        return np.ones(3)
    bright = grey & (lab[:, 0] >= np.percentile(lab[grey, 0], _BRIGHTEST))
    white = np.maximum(np.median(_LINEAR[small[bright]], axis=0), 1e-3)
    luminance = float(white @ _LUMINANCE)
    gain = np.clip(_WHITE_Y / luminance, *_GAINS)
    return np.asarray(gain * (luminance / white) ** _CAST_SHARE, np.float64)


def colour_names(
    image: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    gains: NDArray[np.float64] | None = None,
) -> dict[str, float]:
    """Probability per colour word.

    Args:
        image: BGR uint8, shape ``(height, width, 3)``.
        mask: The thing's pixels, shape ``(height, width)``.
        gains: Of the light, from :func:`white_gains`; without them the picture is taken as it is.

    Returns:
        Words with a probability of at least 0.01, most probable first; empty without pixels.
    """
    inner = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    pixels = image[inner if inner.sum() >= 30 else mask]
    if len(pixels) == 0:
        return {}
    pixels = pixels[:: max(1, len(pixels) // _MAX_PIXELS)]
    if gains is not None:
        linear = np.clip(_LINEAR[pixels] * gains, 0, 1)
        pixels = np.rint(255 * np.where(
            linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055
        )).astype(np.uint8)  # fmt: skip
    lab = _lab(pixels)
    votes = _votes(lab)
    # Deep shade and highlights say little about the paint.
    light = lab[:, 0]
    weight = np.where((light < 6) | (light > 97), 0.3, 1.0)
    mean = (votes * weight[:, None]).sum(axis=0) / weight.sum()
    # Most of a thing has one colour: what fills less than a third is trim.
    sharp = mean**2
    sharp /= sharp.sum()
    order = np.argsort(-sharp)
    return {WORDS[i]: float(sharp[i]) for i in order if sharp[i] >= 0.01}


def _lab(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """CIE Lab of BGR pixels ``(n, 3)``."""
    row = pixels.reshape(1, -1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(row, cv2.COLOR_BGR2Lab)[0], np.float64)


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
    # A vivid orange stays one in the shade, where brown is dull as well.
    _move(votes, ("orange",), "brown", _above(45.0, light, 3.0) * _above(53.0, chroma, 4.0))
    _move(votes, ("orange",), "brown", _above(46.0, chroma, 4.0) * _above(58.0, light, 4.0))
    _move(votes, ("yellow",), "brown", _above(45.0, light, 4.0))
    # Red is brown where it is dull and yellowish, pink where it is pale, or dull and bluish.
    bluish = _above(22.0, (hue + 180) % 360 - 180, 3.0)
    dull = _above(42.0, chroma, 3.0) * _above(50.0, light, 4.0)
    _move(votes, ("red",), "brown", dull * (1 - bluish))
    _move(votes, ("red",), "pink", bluish * _above(55.0, chroma, 4.0) * _above(light, 34.0, 4.0))
    _move(votes, ("red", "purple"), "pink", _above(light, 66.0, 3.0))
    _move(votes, ("pink",), "purple", _above(34.0, light, 4.0) * _above(chroma, 12.0, 4.0))
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
