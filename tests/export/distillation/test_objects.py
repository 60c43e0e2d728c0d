from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")
import torch

from deixis.export.distillation.objects import BATCH, as_input, crop_batches, crop_loss
from deixis.export.models.object_adapter import load_held_out
from deixis.export.samples import Samples, load_samples


@pytest.fixture(scope="module")
def some(sample_folder: Path) -> Samples:
    return load_samples(sample_folder, "train", max_frames=8)


def test_batches_are_crops_and_follow_from_the_seed(some: Samples) -> None:
    first, again, other = (
        next(crop_batches(Path(), some, np.random.default_rng(seed)))[0] for seed in (1, 1, 2)
    )
    assert first.shape == (BATCH, 3, 224, 224)
    assert first.dtype == torch.float32
    assert 0 <= first.min() < first.max() <= 255
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # No two are alike, and some show a thing on the neutral colour.
    assert len({crop.numpy().tobytes() for crop in first}) == BATCH
    corners = first[:, :, 0, 0]
    assert 3 < int((corners == 128).all(dim=1).sum()) < BATCH


def test_things_are_learnt_from_where_there_are_some(sample_folder: Path, some: Samples) -> None:
    things = load_samples(sample_folder, "held out", max_frames=1).things
    if not things:
        pytest.skip(f"no things beside {sample_folder}")
    plain, more = (
        next(crop_batches(Path(), samples, np.random.default_rng(0)))[0]
        for samples in (some, replace(some, things=things))
    )
    assert not torch.equal(plain, more)


def test_crops_go_in_as_rgb() -> None:
    blue = np.zeros((224, 224, 3), np.uint8)
    blue[..., 0] = 200
    assert as_input([blue])[0, :, 5, 7].tolist() == [0, 0, 200]


def test_the_loss_is_nothing_for_the_teacher_and_grows_with_the_distance() -> None:
    want = torch.from_numpy(load_held_out().features[:32])
    noise = torch.randn(want.shape, generator=torch.Generator().manual_seed(0))
    noise *= want.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)

    def loss(share: float) -> float:
        return float(crop_loss((torch.nn.functional.normalize(want + share * noise),), (want,)))

    assert abs(loss(0)) < 1e-5
    assert loss(0.1) < loss(0.3) < loss(1.0)
    other = crop_loss((want.roll(1, dims=0),), (want,))
    assert 0.5 < float(other) < 2


def test_the_loss_teaches() -> None:
    want = torch.from_numpy(load_held_out().features[:32])
    got = want.roll(1, dims=0).clone().requires_grad_()
    crop_loss((got,), (want,)).backward()  # type: ignore[no-untyped-call]
    assert got.grad is not None
    assert float((got.grad * (got.detach() - want)).sum()) > 0
