"""Views of things to learn from: FOLDER/CLASS/*.png, and what a camera would make of them.

A picture says by its transparency which pixels are the thing; one without is cut out like a taught
view. Each is varied in light, colour of the light, size, sharpness, noise, compression, pose in the
picture, background and outline, and sometimes a part is hidden.

    things = load_things([Path("things")]); crop = varied(things[0].views[0], rng)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.embedding import cut_out, object_crop
from deixis.nodes.objects.gallery import view_of
from deixis.nodes.objects.gallery_folder import Picture, decode_picture
from deixis.nodes.objects.regions import dilated
from deixis.nodes.objects.source import Image
from deixis.runtime.errors import MediaError

Light = NDArray[np.float32]
"""BGR before the sensor, 0 to 255."""
_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
_SMALLEST_PX, _LARGEST_PX = 36, 150
_GREATEST_PX = 320


@dataclass(frozen=True)
class Thing:
    """One thing and its pictures, with transparency."""

    name: str
    views: list[Picture]


def load_things(folders: Sequence[Path]) -> list[Thing]:
    """Read the pictures of folders of classes, in the order of their names.

    Raises:
        MediaError: A folder is missing, holds no pictures by class, or one that cannot be read.
    """
    things = []
    for folder in folders:
        if not folder.is_dir():
            raise MediaError(f"there is no folder {folder}")
        found = 0
        for thing in sorted(p for p in folder.iterdir() if p.is_dir()):
            paths = sorted(p for p in thing.iterdir() if p.suffix.lower() in _SUFFIXES)
            if paths:
                things.append(Thing(f"{folder.name}/{thing.name}", [_read(p) for p in paths]))
                found += 1
        if not found:
            raise MediaError(
                f"{folder} holds no pictures by class", hint="it takes FOLDER/CLASS/*.png"
            )
    return things


def varied(view: Picture, rng: np.random.Generator) -> Image:
    """What the network might see of a view in another picture, ``(224, 224, 3)``.

    Args:
        view: The thing, with transparency.
        rng: Chance.
    """
    light, mask = _placed(view, rng)
    image = _sensed(_lit(light, rng), rng)
    seen = _outlined(mask, rng)
    x, y, w, h = cv2.boundingRect(seen)
    if min(w, h) < 4:
        # Too little was left of something thin.
        return view_of(view)
    crop = object_crop(image, (x, y, w, h), seen[y : y + h, x : x + w].astype(bool))
    return np.ascontiguousarray(crop[:, ::-1]) if rng.random() < 0.5 else crop


def _placed(view: Picture, rng: np.random.Generator) -> tuple[Light, Image]:
    """The thing at the size that a table's camera sees, turned a little, on some surface."""
    height, width = view.shape[:2]
    size_px = float(np.exp(rng.uniform(np.log(_SMALLEST_PX), np.log(_LARGEST_PX))))
    scale = size_px / max(height, width)
    side = int(1.35 * size_px) + 8
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, 5), scale)
    turn[0] *= np.exp(rng.normal(0, 0.04))
    turn[:, 2] += side / 2 - turn @ [width / 2, height / 2, 1]
    opaque = view[..., 3:].astype(np.float32) / 255
    layers = np.dstack([view[..., :3] * opaque, opaque]).astype(np.float32)
    if scale < 0.7:
        # Against aliasing: warpAffine looks at four pixels only.
        sigma = max(0.3, 0.5 / scale - 0.5)
        layers = np.asarray(cv2.GaussianBlur(layers, (0, 0), sigma), np.float32)
    placed = np.asarray(cv2.warpAffine(layers, turn, (side, side)), np.float32)
    image = placed[..., :3] + (1 - placed[..., 3:]) * _surface(side, rng)
    return np.asarray(image, np.float32), (placed[..., 3] > 0.5).astype(np.uint8)


def _surface(side: int, rng: np.random.Generator) -> Light:
    """A table top: plain, striped or grained."""
    colour = rng.uniform(60, 220) * np.array([rng.uniform(0.85, 1.1), 1, rng.uniform(0.9, 1.15)])
    surface = np.tile(colour, (side, side, 1))
    chance = rng.random()
    if chance < 0.15:
        angle, period_px = rng.uniform(0, np.pi), rng.uniform(6, 40)
        v, u = np.mgrid[:side, :side]
        stripe = np.sin((u * np.cos(angle) + v * np.sin(angle)) * 2 * np.pi / period_px) > 0
        surface[stripe] *= rng.uniform(0.6, 1.2, 3)
    elif chance < 0.4:
        grain = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 6, sigmaY=1)
        surface *= 1 + rng.uniform(0.02, 0.15) * (grain / grain.std())[..., None]
    return np.asarray(surface, np.float32)


def _lit(image: Light, rng: np.random.Generator) -> Light:
    """In brighter, dimmer, warmer or colder light that falls off to one side."""
    warmth, tint = rng.normal(0, 0.07), rng.normal(0, 0.02)
    gain = np.exp(rng.normal(0, 0.22) + np.array([-warmth, tint, warmth]))
    side = image.shape[0]
    v, u = np.mgrid[:side, :side] / side - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    slope = 1 + rng.uniform(0, 0.5) * (u * np.cos(angle) + v * np.sin(angle))
    lit = np.clip(image * gain * slope[..., None] / 255, 0, 1)
    return np.asarray(255 * lit ** np.exp(rng.normal(0, 0.12)), np.float32)


def _sensed(light: Light, rng: np.random.Generator) -> Image:
    """As a camera delivers it: not quite sharp, noisy, often compressed."""
    blur_px = rng.uniform(0, 1.3)
    if blur_px > 0.3:
        light = np.asarray(cv2.GaussianBlur(light, (0, 0), blur_px), np.float32)
    noisy = light + rng.normal(0, rng.uniform(0.5, 4), light.shape)
    picture = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(35, 95))]
        data = cv2.imencode(".jpg", picture, quality)[1]
        picture = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return picture


def _outlined(mask: Image, rng: np.random.Generator) -> Image:
    """The outline as it is found: a pixel off, at times with the table, at times a side hidden."""
    chance = rng.random()
    if chance < 0.3:
        mask = dilated(mask, 3)
    elif chance < 0.45:
        mask = np.asarray(cv2.erode(mask, np.ones((3, 3), np.uint8)), np.uint8)
    elif chance < 0.6:
        # Where the thing could not be told from its surface, the whole view counts.
        mask = dilated(mask, int(rng.uniform(0.1, 0.6) * len(mask)) | 1)
    if rng.random() < 0.2:
        x, y, w, h = cv2.boundingRect(mask)
        hidden = rng.uniform(0.05, 0.3)
        sides = (
            np.s_[:, : x + int(hidden * w)], np.s_[:, x + w - int(hidden * w) :],
            np.s_[: y + int(hidden * h)], np.s_[y + h - int(hidden * h) :],
        )  # fmt: skip
        mask = mask.copy()
        mask[sides[rng.integers(4)]] = 0
    return mask


def _read(path: Path) -> Picture:
    picture = decode_picture(path.read_bytes())
    if picture is None:
        raise MediaError(f"{path} is not a picture that OpenCV can read")
    if picture.shape[2] == 3:
        box, mask = cut_out(picture)
        opaque = np.zeros(picture.shape[:2], np.uint8)
        x, y = int(box[0]), int(box[1])
        opaque[y : y + mask.shape[0], x : x + mask.shape[1]] = mask
        picture = np.dstack([picture, opaque * np.uint8(255)])
    scale = _GREATEST_PX / max(picture.shape[:2])
    if scale < 1:
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        picture = np.asarray(small, np.uint8)
    return picture
