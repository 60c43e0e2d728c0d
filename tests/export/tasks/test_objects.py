from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")
import torch

from deixis.export.models.efficientnet_lite import CropEmbedding, crop_embedding
from deixis.export.models.object_adapter import load_adapter
from deixis.export.samples import Samples, load_samples
from deixis.export.tasks.objects import (
    CROP_EMBEDDING,
    LOOKS,
    OBJECT_ADAPTER,
    AdapterEngine,
    Crops,
)
from deixis.runtime.engines import Array, EngineSpecs
from deixis.runtime.errors import ExportError


class Encoder:
    """The network in torch behind the engines' contract."""

    specs = EngineSpecs(inputs=(), outputs=())

    def __init__(self, net: CropEmbedding) -> None:
        self.net = net

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with torch.inference_mode():
            return {"embedding": self.net(torch.from_numpy(inputs["image"])).numpy()}

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def held_out(sample_folder: Path) -> Samples:
    samples = load_samples(sample_folder, "held out", max_frames=1)
    if not samples.things:
        pytest.skip(f"no things beside {sample_folder}")
    return samples


@pytest.fixture(scope="module")
def crops(wheel_folder: Path, held_out: Samples) -> Crops:
    every: Crops = CROP_EMBEDDING.prepare(
        wheel_folder, replace(held_out, things=held_out.things[:12])
    )
    return every


def test_nothing_is_learnt_from_the_things(sample_folder: Path) -> None:
    assert not load_samples(sample_folder, "train", max_frames=1).things


def test_every_picture_is_looked_at_and_looks_differ(
    wheel_folder: Path, held_out: Samples, crops: Crops
) -> None:
    pictures = sum(len(thing.views) for thing in held_out.things[:12])
    assert CROP_EMBEDDING.n(crops) == len(crops.crops) == LOOKS * pictures
    assert crops.crops.shape[1:] == (224, 224, 3)
    assert len({crop.tobytes() for crop in crops.crops}) == len(crops.crops)
    again = CROP_EMBEDDING.prepare(wheel_folder, replace(held_out, things=held_out.things[:12]))
    np.testing.assert_array_equal(again.crops, crops.crops)


def test_the_whole_encoder_names_and_a_wrecked_one_does_not(
    wheel_folder: Path, crops: Crops
) -> None:
    net = crop_embedding(wheel_folder)
    whole = CROP_EMBEDDING.score(Encoder(net), crops)
    assert 90 < whole <= 100
    block = net.backbone.get_submodule("_blocks.5._project_conv")
    assert isinstance(block.weight, torch.Tensor)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        block.weight.copy_(
            block.weight.std() * torch.randn(block.weight.shape, generator=generator)
        )
    assert CROP_EMBEDDING.score(Encoder(net), crops) < whole - CROP_EMBEDDING.points


def test_too_few_things_are_refused(wheel_folder: Path, held_out: Samples) -> None:
    with pytest.raises(ExportError, match="3 things") as caught:
        CROP_EMBEDDING.prepare(wheel_folder, replace(held_out, things=held_out.things[:3]))
    assert "things beside" in (caught.value.hint or "")


def test_the_adapter_names_and_another_map_does_not() -> None:
    views = OBJECT_ADAPTER.prepare(Path(), Samples((), np.zeros(0, np.float32)))
    adapter = load_adapter()
    assert OBJECT_ADAPTER.score(AdapterEngine(adapter), views) > 98
    assert OBJECT_ADAPTER.n(views) == len(views.features) > 100
    generator = torch.Generator().manual_seed(0)
    adapter.map.weight.data[16:] = 0
    adapter.map.weight.data[:16] = torch.randn(adapter.map.weight[:16].shape, generator=generator)
    assert OBJECT_ADAPTER.score(AdapterEngine(adapter), views) < 90
