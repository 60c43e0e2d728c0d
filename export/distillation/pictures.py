"""Other light, lens and sensor for a picture, and parts of pictures: variety without labels.

picture = varied(region(pictures, 224, rng), rng)
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Image = NDArray[np.uint8]


def varied(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """The picture in other light and colours, less sharp, noisier, sometimes compressed.

    Args:
        image: BGR uint8 [H,W,3].
        rng: source of chance.
        strength: 1: as much as a network can be expected to bear; 0: hardly anything.
    """
    levels = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = np.exp(rng.normal(0, 0.4 * strength))
    gains = np.exp(rng.normal(0, 0.2 * strength) + rng.normal(0, 0.09 * strength, 3))
    lift = rng.normal(0, 0.06 * strength)
    table = np.clip(255 * (levels[:, None] ** gamma * gains + lift), 0, 255).astype(np.uint8)
    out = np.stack([table[image[..., c], c] for c in range(3)], axis=2)
    if rng.random() < 0.3 * strength:
        grey = cv2.cvtColor(out, cv2.COLOR_BGR2GRAY)[..., None]
        keep = rng.random()
        out = np.asarray(cv2.addWeighted(out, keep, np.repeat(grey, 3, 2), 1 - keep, 0), np.uint8)
    if rng.random() < 0.4 * strength:
        out = _blurred(out, rng)
    if rng.random() < 0.4 * strength:
        # As large as the picture: grain does not repeat.
        grain = rng.normal(0, rng.uniform(2, 12), out.shape).astype(np.float32)
        out = np.clip(out + grain, 0, 255).astype(np.uint8)
    if rng.random() < 0.2 * strength:
        quality = int(rng.integers(20, 80))
        _, data = cv2.imencode(".jpg", out, [cv2.IMWRITE_JPEG_QUALITY, quality])
        out = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return out


def region(pictures: Sequence[Image], size_px: int, rng: np.random.Generator) -> Image:
    """A turned, perhaps mirrored square of any size out of one of the pictures, or plain noise.

    Args:
        pictures: BGR uint8.
        size_px: side of what is returned.
        rng: source of chance.

    Returns:
        BGR uint8 [size,size,3].
    """
    if rng.random() < 0.1:
        coarse = rng.integers(0, 256, (*rng.integers(2, 24, 2), 3)).astype(np.uint8)
        return np.asarray(cv2.resize(coarse, (size_px, size_px), interpolation=cv2.INTER_CUBIC))
    picture = pictures[int(rng.integers(len(pictures)))]
    height, width = picture.shape[:2]
    side = np.exp(rng.uniform(np.log(40), np.log(min(height, width))))
    angle = rng.uniform(-np.pi, np.pi) if rng.random() < 0.5 else rng.normal(0, 0.1)
    scale = side / size_px
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    middle = (size_px - 1) / 2
    x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
    matrix = np.array([[c, -s, x - (c - s) * middle], [s, c, y - (s + c) * middle]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    part = cv2.warpAffine(
        picture, matrix, (size_px, size_px), flags=flags, borderMode=cv2.BORDER_REFLECT
    )
    return np.ascontiguousarray(part[:, ::-1] if rng.random() < 0.5 else part, np.uint8)


def as_batch(pictures: Sequence[Image]) -> Tensor:
    """BGR pictures as the hand networks take them, [n,3,H,W] float32, RGB 0..1."""
    stacked = np.stack(pictures)[..., ::-1].transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(stacked, dtype=np.float32)) / 255


def _blurred(image: Image, rng: np.random.Generator) -> Image:
    kind = rng.integers(3)
    if kind == 0:
        return np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 2.5)), np.uint8)
    if kind == 1:
        length = int(rng.integers(3, 12))
        kernel = np.zeros((length, length), np.float32)
        kernel[length // 2] = 1 / length
        turn = cv2.getRotationMatrix2D(((length - 1) / 2,) * 2, rng.uniform(0, 180), 1.0)
        line = np.asarray(cv2.warpAffine(kernel, turn, (length, length)))
        return np.asarray(cv2.filter2D(image, -1, line / max(line.sum(), 1e-6)), np.uint8)
    height, width = image.shape[:2]
    share = rng.uniform(0.25, 0.8)
    small = cv2.resize(image, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height)), np.uint8)
