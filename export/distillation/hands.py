"""What pruned hand networks learn from, and what they must keep of their teachers' answers.

Recordings show few hands, mostly alike; users' hands are others. So most hands are drawn from bones
(:mod:`deixis.export.distillation.drawn_hands`), in front of any background, beside those that the
samples show, and there are pictures without hands. Nothing is labelled: the unpruned network says
what it sees.

    for (images,) in hand_batches(wheel_folder, samples, np.random.default_rng(0)): ...
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from deixis.export.compare import original_palm
from deixis.export.distillation.drawn_hands import SIDE_PX, draw_hand
from deixis.export.distillation.pictures import as_batch, region, varied
from deixis.export.samples import Samples
from deixis.nodes.hands.crop import CROP_PX, Crop
from deixis.nodes.hands.palm import INPUT_PX, Letterbox, PalmDetector

Image = NDArray[np.uint8]
Drawn = tuple[Image, Image, NDArray[np.float32]]

HANDS_A_BATCH: Final = 16
PALMS_A_BATCH: Final = 8
_DRAWN, _SEEN = 0.55, 0.3
"""Shares of a batch; the rest shows no hand, or what is left of one at the edge."""
_NEW_A_BATCH = 3
_POOL = 400
_STRENGTH = 0.7
"""Of the variation of light and colour: more, and the teacher no longer sees hands."""
_PX, _WORLD_M = 25.0, 0.03
"""How far off landmarks are that know nothing: the losses' units."""


class _Hands:
    """Drawn hands, of which some are new each time: to draw them all anew would take too long."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool: list[Drawn] = [draw_hand(rng) for _ in range(2 * HANDS_A_BATCH)]

    def renew(self) -> None:
        """Draw some more."""
        for _ in range(_NEW_A_BATCH):
            if len(self._pool) < _POOL:
                self._pool.append(draw_hand(self._rng))
            else:
                self._pool[self._rng.integers(_POOL)] = draw_hand(self._rng)

    def one(self) -> Drawn:
        """Any of them; each in colours of its own."""
        image, mask, points = self._pool[self._rng.integers(len(self._pool))]
        return varied(image, self._rng, _STRENGTH / 2), mask, points


def hand_batches(
    wheel_folder: Path, samples: Samples, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of crops, ``image`` [16,3,224,224] float32, RGB 0..1.

    Args:
        wheel_folder: holds the wheel of the palm detector that finds the samples' hands.
        samples: whose frames and people are shown.
        rng: source of chance; the same one gives the same batches.
    """
    detector = PalmDetector(original_palm(wheel_folder))
    pictures = (*samples.frames, *samples.people)
    seen = [
        (picture, Crop.around_palm(palm))
        for picture in pictures
        for palm in detector.detect(picture)
    ]
    drawn = _Hands(rng)
    while True:
        drawn.renew()
        crops = []
        for chance in rng.random(HANDS_A_BATCH):
            if chance < _DRAWN:
                crops.append(_drawn_crop(drawn.one(), pictures, rng))
            elif chance < _DRAWN + _SEEN and seen:
                picture, crop = seen[rng.integers(len(seen))]
                crops.append(_cut(picture, _jittered(crop, rng), rng))
            else:
                crops.append(region(pictures, CROP_PX, rng))
        yield (as_batch([varied(crop, rng, _STRENGTH) for crop in crops]),)


def palm_batches(
    wheel_folder: Path, samples: Samples, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of whole pictures, ``image`` [8,3,192,192] float32, RGB 0..1.

    Args:
        wheel_folder: not used: the pictures need no network.
        samples: whose frames and people are shown.
        rng: source of chance; the same one gives the same batches.
    """
    pictures = (*samples.frames, *samples.people)
    drawn = _Hands(rng)
    while True:
        drawn.renew()
        shown = []
        for _ in range(PALMS_A_BATCH):
            image = _scene(pictures, rng)
            for _ in range(int(rng.integers(0, 4))):
                side_px = INPUT_PX * np.exp(rng.uniform(np.log(0.2), np.log(0.8)))
                image = _pasted(image, drawn.one(), float(side_px), rng)
            shown.append(varied(image, rng, _STRENGTH))
        yield (as_batch(shown),)


def hand_loss(pupil: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Differences in landmarks, presence, handedness and metric landmarks, [] float32.

    Where the teacher sees no hand, its landmarks mean little and count little.
    """
    points, presence, right, world = teacher
    sure = (0.05 + presence.detach()).unsqueeze(1)
    sure = sure / sure.mean()
    away = _length(pupil[0] - points, 2.0).mean(1, keepdim=True) / _PX
    away_m = _length(pupil[3] - world, 0.002).mean(1, keepdim=True) / _WORLD_M
    return (
        (sure * (away + 0.5 * away_m)).mean()
        + 0.5 * _divergence(pupil[1], presence).mean()
        + 0.25 * (sure[:, 0] * _divergence(pupil[2], right)).mean()
    )


def palm_loss(pupil: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Differences in scores, and in the boxes that count, [] float32."""
    boxes, scores = teacher
    likely = torch.sigmoid(scores)
    # There are 2016 anchors, and a palm makes a few of them likely.
    weight = likely + 1e-4
    apart = functional.smooth_l1_loss(pupil[0], boxes, reduction="none", beta=1.0).mean(2) / 8.0
    places = (weight * apart).sum() / weight.sum()
    scored = _divergence(torch.sigmoid(pupil[1]), likely)
    steady = (pupil[1] - scores).abs().mean() / 10.0
    return places + 0.2 * scored.sum(1).mean() + steady


def _length(vectors: Tensor, knee: float) -> Tensor:
    """Lengths of [...,3]; shorter than ``knee`` they count by their squares."""
    return (vectors.square().sum(-1) + knee**2).sqrt() - knee


def _divergence(got: Tensor, want: Tensor) -> Tensor:
    """Kullback–Leibler divergence of probabilities that something is so, of each."""
    got, want = got.clamp(1e-4, 1 - 1e-4), want.clamp(1e-4, 1 - 1e-4)
    return want * (want / got).log() + (1 - want) * ((1 - want) / (1 - got)).log()


def _jittered(crop: Crop, rng: np.random.Generator) -> Crop:
    """As a tracker that is late or a detector that is off would cut it."""
    angle = rng.normal(0, 0.25) if rng.random() < 0.85 else rng.uniform(-np.pi, np.pi)
    return Crop(
        crop.x_px + crop.side_px * rng.normal(0, 0.06),
        crop.y_px + crop.side_px * rng.normal(0, 0.06),
        crop.side_px * float(np.exp(rng.normal(-0.03, 0.16))),
        crop.rotation_rad + angle,
    )


def _cut(picture: Image, crop: Crop, rng: np.random.Generator) -> Image:
    """The crop, stretched a little, and mirrored as often as not: a left hand for a right one."""
    matrix = crop.matrix()
    stretch = np.eye(2) + rng.normal(0, 0.07, (2, 2))
    middle = np.full(2, (CROP_PX - 1) / 2)
    shifted = matrix[:, :2] @ (middle - stretch @ middle) + matrix[:, 2]
    matrix = np.column_stack([matrix[:, :2] @ stretch, shifted])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(picture, matrix, (CROP_PX, CROP_PX), flags=flags)
    return np.ascontiguousarray(out[:, ::-1] if rng.random() < 0.5 else out, np.uint8)


def _drawn_crop(drawn: Drawn, pictures: tuple[Image, ...], rng: np.random.Generator) -> Image:
    """A drawn hand in front of a part of some picture, sometimes beside another hand."""
    image, mask, points = drawn
    crop = _jittered(Crop.around_landmarks(points), rng)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (CROP_PX, CROP_PX)
    hand = cv2.warpAffine(image, crop.matrix(), size, flags=flags)
    over = cv2.warpAffine(mask, crop.matrix(), size, flags=flags)
    return _laid(region(pictures, CROP_PX, rng), hand, over)


def _scene(pictures: tuple[Image, ...], rng: np.random.Generator) -> Image:
    """A picture as the detector sees it, nearer or farther, or any part of one."""
    if rng.random() < 0.3:
        return region(pictures, INPUT_PX, rng)
    picture = pictures[int(rng.integers(len(pictures)))]
    height, width = picture.shape[:2]
    box = Letterbox.fit(width, height)
    zoom = float(np.exp(rng.normal(0.1, 0.3)))
    middle = INPUT_PX / 2
    turned = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 12), zoom)
    turn = np.array(turned, np.float64)
    turn[:, 2] += rng.normal(0, 0.08 * INPUT_PX, 2)
    fit = np.array([[box.scale, 0, box.offset_x], [0, box.scale, box.offset_y], [0, 0, 1]])
    out = cv2.warpAffine(picture, turn @ fit, (INPUT_PX, INPUT_PX))
    return np.ascontiguousarray(out[:, ::-1] if rng.random() < 0.5 else out, np.uint8)


def _pasted(image: Image, drawn: Drawn, side_px: float, rng: np.random.Generator) -> Image:
    """A drawn hand somewhere in a picture, turned in any direction."""
    hand, mask, _ = drawn
    middle = (SIDE_PX - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), rng.uniform(0, 360), side_px / SIDE_PX)
    matrix = np.array(turn, np.float64)
    matrix[:, 2] += rng.uniform(0.05, 0.95, 2) * INPUT_PX - middle
    size = (INPUT_PX, INPUT_PX)
    flags = cv2.INTER_AREA
    return _laid(
        image,
        cv2.warpAffine(hand, matrix, size, flags=flags),
        cv2.warpAffine(mask, matrix, size, flags=flags),
    )


def _laid(below: Image, above: cv2.typing.MatLike, mask: cv2.typing.MatLike) -> Image:
    share = mask[..., None].astype(np.float32) / 255
    return (below * (1 - share) + above * share).astype(np.uint8)
