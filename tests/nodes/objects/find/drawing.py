"""Draws tables with simple things, and writes pictures of them as videos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deixis.nodes.objects.source import Box, Image

RED, GREEN, BLUE = (30, 30, 190), (60, 130, 30), (180, 70, 25)


def table(width: int = 640, height: int = 480, seed: int = 0) -> Image:
    """A grainy table, brighter on the left."""
    light = np.linspace(175, 140, width)[None, :, None] * np.array([0.92, 0.97, 1.0])
    grain = np.random.default_rng(seed).normal(0, 2, (height, width, 3))
    return np.clip(light + grain, 0, 255).astype(np.uint8)


def with_block(image: Image, box_px: Box, bgr: tuple[int, int, int]) -> Image:
    """A copy with a shaded block."""
    x, y, w, h = (int(v) for v in box_px)
    out = image.copy()
    cv2.rectangle(out, (x, y), (x + w - 1, y + h - 1), bgr, -1)
    dark = tuple(int(0.7 * c) for c in bgr)
    cv2.rectangle(out, (x + w // 2, y), (x + w - 1, y + h - 1), dark, -1)
    return out


def write_video(path: Path, pictures: Sequence[Image], fps: float = 10.0) -> Path:
    """A video of the pictures."""
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path
