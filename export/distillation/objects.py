"""What a pruned object encoder learns from: pictures of anything, and what it has to keep of them.

Users' things are unlike ours, so that diversity counts more than looks: regions of all pictures at
many scales, cut out by random outlines or left as they are, things with textures that are drawn
here, and things where the samples have some to learn from; in other colours, light and sharpness,
partly hidden and mixed. Nothing is labelled: the unpruned encoder says what it sees.

    for (images,) in crop_batches(wheel_folder, samples, np.random.default_rng(0)): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from deixis.export.distillation import pictures
from deixis.export.models.object_adapter import ObjectAdapter, load_adapter
from deixis.export.samples import Samples
from deixis.export.train.object_views import varied
from deixis.nodes.objects.embedding import NEUTRAL, SIZE_PX, object_crop
from deixis.nodes.objects.gallery_folder import Picture

Image = NDArray[np.uint8]
Light = NDArray[np.float32]

BATCH: Final = 32
_TEMPERATURE = 0.06
"""Of the likeness to the other crops of a batch; that of the runtime's gallery."""
_SHARES = {"region": 0.3, "cut": 0.3, "drawn": 0.25, "thing": 0.15}
_LEAST_PX = 16


def crop_batches(
    wheel_folder: Path, samples: Samples, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of crops, ``image`` [32,3,224,224] float32, RGB 0 to 255.

    Args:
        wheel_folder: not used: the crops need no network.
        samples: whose frames, people and things are cut up.
        rng: source of chance; the same one gives the same batches.
    """
    scenes = (*samples.frames, *samples.people)
    views = [view for thing in samples.things for view in thing.views]
    while True:
        crops = [_crop(scenes, views, rng) for _ in range(BATCH)]
        yield (as_input(_mixed(crops, rng)),)


def as_input(crops: Sequence[Image]) -> Tensor:
    """BGR crops ``(224, 224, 3)`` as the network takes them, [n,3,224,224] float32 RGB."""
    return torch.from_numpy(np.asarray(cv2.dnn.blobFromImages(crops, swapRB=True), np.float32))


def crop_loss(pupil: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """How far the pupil's embeddings lead from the teacher's, [] of ([n,1280],) each.

    Both directly and after the adapter, since that is what names: the angle to the teacher's, and
    the divergence of how alike each crop is to the others (relational distillation; Park et al.,
    *Relational Knowledge Distillation*, 2019, as probabilities).
    """
    (got,), (want,) = pupil, teacher
    adapter = _adapter()
    named, meant = adapter(got), adapter(want)
    others = ~torch.eye(len(want), dtype=torch.bool, device=want.device)
    alike, like = (
        (x @ meant.T)[others].reshape(len(want), -1) / _TEMPERATURE for x in (named, meant)
    )
    kept = functional.kl_div(
        alike.log_softmax(dim=1), like.log_softmax(dim=1), reduction="batchmean", log_target=True
    )
    away = _apart(got - adapter.mean, want - adapter.mean)
    return 0.2 * away + 0.5 * _apart(named, meant) + 0.1 * kept


@cache
def _adapter() -> ObjectAdapter:
    return load_adapter().requires_grad_(False)


def _apart(got: Tensor, want: Tensor) -> Tensor:
    return 1 - functional.cosine_similarity(got, want, dim=1).mean()


def _crop(scenes: Sequence[Image], views: Sequence[Picture], rng: np.random.Generator) -> Image:
    kind = rng.choice(list(_SHARES), p=list(_SHARES.values()))
    if kind == "thing" and views:
        return varied(views[int(rng.integers(len(views)))], rng)
    if kind == "region":
        return _resized(_jittered(_region(scenes, rng), rng))
    light = _drawn(scenes, rng) if kind == "drawn" else _region(scenes, rng)
    height, width = light.shape[:2]
    mask = _outline(height, width, rng)
    x, y, w, h = cv2.boundingRect(mask)
    if min(w, h) < 4:
        return _resized(_jittered(light, rng))
    light = _jittered(light, rng)
    return object_crop(light, (x, y, w, h), mask[y : y + h, x : x + w].astype(bool))


def _region(scenes: Sequence[Image], rng: np.random.Generator) -> Image:
    """A part of some picture, of any size and nearly any shape."""
    picture = scenes[int(rng.integers(len(scenes)))]
    height, width = picture.shape[:2]
    size_px = np.exp(rng.uniform(np.log(_LEAST_PX), np.log(min(height, width))))
    stretch = np.exp(rng.normal(0, 0.35))
    w = int(np.clip(size_px * stretch, _LEAST_PX, width))
    h = int(np.clip(size_px / stretch, _LEAST_PX, height))
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    part = picture[y : y + h, x : x + w]
    shrink = SIZE_PX / max(part.shape[:2])
    if shrink < 1:
        small = cv2.resize(part, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
        part = np.asarray(small, np.uint8)
    turned = np.rot90(part, int(rng.integers(4))) if rng.random() < 0.3 else part
    mirrored = turned[:, ::-1] if rng.random() < 0.5 else turned
    return np.ascontiguousarray(mirrored, np.uint8)


def _drawn(scenes: Sequence[Image], rng: np.random.Generator) -> Image:
    """Textures: a few colours laid over each other by waves, grain, discs, stripes and slopes."""
    side = int(rng.integers(48, 200))
    v, u = np.mgrid[:side, :side].astype(np.float32) / side - 0.5
    image = np.tile(rng.uniform(0, 255, 3).astype(np.float32), (side, side, 1))
    for _ in range(int(rng.integers(1, 5))):
        weight = _weight(u, v, rng)[..., None]
        colour = np.asarray(rng.uniform(0, 255, 3), np.float32)
        if rng.random() < 0.25:
            colour = np.asarray(cv2.resize(_region(scenes, rng), (side, side)), np.float32)
        image = np.asarray(image * (1 - weight) + colour * weight, np.float32)
    # As a body in light from one side.
    angle = rng.uniform(0, 2 * np.pi)
    shade = 1 + rng.uniform(0, 0.9) * (u * np.cos(angle) + v * np.sin(angle))
    shade = shade - rng.uniform(0, 0.8) * np.clip(u * u + v * v, 0, 0.5)
    return np.asarray(np.clip(image * shade[..., None], 0, 255), np.uint8)


def _weight(u: Light, v: Light, rng: np.random.Generator) -> Light:
    """Where a colour is laid, 0 to 1 at each of the places ``(u, v)`` about the middle."""
    kind, angle = rng.integers(5), rng.uniform(0, np.pi)
    along = u * np.cos(angle) + v * np.sin(angle)
    if kind == 0:
        height = np.sin(along * rng.uniform(6, 90) + rng.uniform(0, 6)) - rng.uniform(-0.8, 0.8)
    elif kind == 1:
        grain = rng.standard_normal(u.shape, np.float32)
        x, y = rng.uniform(0.6, 12, 2).tolist()
        grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), x, sigmaY=y), np.float32)
        height = grain / (grain.std() + 1e-6) - rng.uniform(-1, 1.5)
    elif kind == 2:
        x, y = rng.uniform(-0.5, 0.5, 2).tolist()
        height = rng.uniform(0.05, 0.45) - np.hypot(u - x, v - y)
    elif kind == 3:
        height = rng.uniform(0.01, 0.2) - np.abs(along - rng.uniform(-0.4, 0.4))
    else:
        return np.asarray(np.clip(along + 0.5, 0, 1), np.float32)
    return np.asarray(height > 0, np.float32)


def _outline(height: int, width: int, rng: np.random.Generator) -> Image:
    """The shape of some thing: round, straight, or several of these joined."""
    mask = np.zeros((height, width), np.uint8)
    centre = np.array([width / 2, height / 2])
    for _ in range(int(rng.integers(1, 4))):
        corners = int(rng.integers(3, 13))
        angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
        reach = rng.uniform(0.5, 1.0) if rng.random() < 0.5 else rng.uniform(0.3, 1.0, corners)
        rays = np.stack([np.cos(angles), np.sin(angles)], axis=1) * np.reshape(reach, (-1, 1))
        middle = centre * (1 + rng.uniform(-0.3, 0.3, 2))
        points = middle + rays * centre * np.exp(rng.uniform(-0.8, 0.2, 2))
        kind = rng.random()
        if kind < 0.4:
            cv2.fillPoly(mask, [points.astype(np.int32)], 1)
        elif kind < 0.75:
            axes = np.abs(centre * rng.uniform(0.25, 1.0, 2)).astype(int)
            x, y = middle.astype(int).tolist()
            cv2.ellipse(
                mask, (x, y), (int(axes[0]), int(axes[1])), rng.uniform(0, 180), 0, 360, 1, -1
            )
        else:
            low, high = points.min(axis=0).astype(int), points.max(axis=0).astype(int)
            cv2.rectangle(mask, low.tolist(), high.tolist(), 1, -1)
    if rng.random() < 0.2:
        hole = (centre * rng.uniform(0.1, 0.5)).astype(int)
        cv2.ellipse(mask, centre.astype(int).tolist(), hole.tolist(), 0, 0, 360, 0, -1)
    return mask


def _jittered(image: Image, rng: np.random.Generator) -> Image:
    """In other light, and at times in other colours."""
    if rng.random() < 0.3:
        image = np.ascontiguousarray(image[..., rng.permutation(3)])
    return pictures.varied(image, rng)


def _resized(image: Image) -> Image:
    shrinks = max(image.shape[:2]) > SIZE_PX
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (SIZE_PX, SIZE_PX), interpolation=how), np.uint8)


def _mixed(crops: Sequence[Image], rng: np.random.Generator) -> list[Image]:
    """Some are covered in part, some laid over another, some pasted into another's corner."""
    out = []
    for i, crop in enumerate(crops):
        other = crops[(i + 1) % len(crops)]
        chance = rng.random()
        x, y = (int(v) for v in rng.integers(0, SIZE_PX, 2))
        w, h = (int(v) for v in rng.integers(SIZE_PX // 10, SIZE_PX // 2, 2))
        if chance < 0.08:
            share = rng.uniform(0.2, 0.5)
            crop = cv2.addWeighted(crop, 1 - share, other, share, 0).astype(np.uint8)
        elif chance < 0.16:
            crop = crop.copy()
            crop[y : y + h, x : x + w] = other[y : y + h, x : x + w]
        elif chance < 0.24:
            crop = crop.copy()
            crop[y : y + h, x : x + w] = NEUTRAL
        if rng.random() < 0.5:
            crop = crop[:, ::-1]
        out.append(np.ascontiguousarray(crop))
    return out
