from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")
import torch

from deixis.export.distillation.drawn_hands import SIDE_PX, draw_hand
from deixis.export.distillation.hands import hand_batches, hand_loss, palm_batches, palm_loss
from deixis.export.models.hands import hand_landmarks
from deixis.export.samples import Samples, load_samples
from deixis.nodes.hands.crop import Crop


@pytest.fixture(scope="module")
def some(sample_folder: Path) -> Samples:
    return load_samples(sample_folder, "train", max_frames=8)


@pytest.mark.parametrize("make", [hand_batches, palm_batches])
def test_batches_are_pictures_and_follow_from_the_seed(
    wheel_folder: Path, some: Samples, make: Callable[..., Any]
) -> None:
    first, again, other = (
        next(make(wheel_folder, some, np.random.default_rng(seed)))[0] for seed in (1, 1, 2)
    )
    side = {hand_batches: 224, palm_batches: 192}[make]
    assert first.shape[1:] == (3, side, side)
    assert first.dtype == torch.float32
    assert first.min() >= 0
    assert first.max() <= 1
    assert first.std() > 0.1
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_drawn_hand_lies_where_its_landmarks_say() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        image, mask, points = draw_hand(rng)
        assert image.shape == (SIDE_PX, SIDE_PX, 3)
        inside = points.round().astype(int)
        assert (mask[inside[:, 1], inside[:, 0]] > 127).mean() > 0.9
        assert image[mask == 255].mean() > image[mask == 0].mean()


@pytest.mark.slow
def test_the_network_finds_drawn_hands(wheel_folder: Path) -> None:
    net = hand_landmarks(wheel_folder)
    rng = np.random.default_rng(0)
    seen, away = [], []
    for _ in range(40):
        image, mask, points = draw_hand(rng)
        shown = np.where(mask[..., None] > 127, image, np.uint8(128))
        crop = Crop.around_landmarks(points)
        with torch.inference_mode():
            found, presence, _, _ = net(torch.from_numpy(crop.cut(shown)))
        seen.append(float(presence) > 0.5)
        errors = np.linalg.norm(crop.to_image(found[0, :, :2].numpy()) - points, axis=1)
        away.append(float(np.median(errors)) / np.ptp(points, axis=0).max())
    assert np.mean(seen) > 0.6
    assert np.median(np.array(away)[seen]) < 0.1


def test_hand_loss_counts_what_the_teacher_is_sure_of() -> None:
    torch.manual_seed(0)
    points, world = torch.rand(4, 21, 3) * 200, torch.rand(4, 21, 3) * 0.1
    presence = torch.tensor([0.99, 0.99, 0.01, 0.01])
    right = torch.tensor([0.9, 0.1, 0.5, 0.5])
    teacher = (points, presence, right, world)
    assert float(hand_loss(teacher, teacher)) == pytest.approx(0, abs=1e-6)

    def moved(hand: int) -> float:
        other = points.clone()
        other[hand] += 10
        return float(hand_loss((other, presence, right, world), teacher))

    assert moved(0) > 5 * moved(2) > 0
    assert float(hand_loss((points, 1 - presence, right, world), teacher)) > 0.5
    assert float(hand_loss((points, presence, 1 - right, world), teacher)) > 0.05
    assert float(hand_loss((points, presence, right, world + 0.02), teacher)) > 0.2


def test_palm_loss_counts_boxes_of_palms_and_false_palms() -> None:
    boxes, scores = torch.zeros(1, 2016, 18), torch.full((1, 2016), -8.0)
    scores[0, 3] = 4.0
    teacher = (boxes, scores)
    assert float(palm_loss(teacher, teacher)) == pytest.approx(0, abs=1e-6)

    def moved(anchor: int) -> float:
        other = boxes.clone()
        other[0, anchor] += 10
        return float(palm_loss((other, scores), teacher))

    assert moved(3) > 100 * moved(4)
    false, missed = scores.clone(), scores.clone()
    false[0, 7], missed[0, 3] = 4.0, -8.0
    assert float(palm_loss((boxes, false), teacher)) > 0.3
    assert float(palm_loss((boxes, missed), teacher)) > 0.3
