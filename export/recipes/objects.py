"""The object models: EfficientNet-Lite0 and the adapter that names are learned on.

python -c "from deixis.export.recipes.objects import EMBEDDING; print(EMBEDDING.task.name)"
"""

from __future__ import annotations

from pathlib import Path

import torch

from deixis.export import compare, compare_objects
from deixis.export.models import efficientnet_lite
from deixis.export.models.efficientnet_lite import crop_embedding
from deixis.export.models.object_adapter import load_adapter, load_held_out
from deixis.export.recipes.recipe import (
    Inputs,
    Network,
    Pruning,
    Quantization,
    Recipe,
)
from deixis.export.samples import Samples, object_crops, spread
from deixis.export.tasks.objects import CROP_EMBEDDING, OBJECT_ADAPTER
from deixis.export.train import OBJECT_WEIGHTS
from deixis.export.weights import wheels

CALIBRATION_INPUTS = 48


def _crops(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    crops = [crop[None] for frame in samples.frames for crop in object_crops(frame)]
    return [{"image": crop} for crop in spread(crops, CALIBRATION_INPUTS)]


def _features(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    features = load_held_out().features
    return [{"features": features[i : i + 1]} for i in range(len(features))]


EMBEDDING = Recipe(
    role="crop_embedding",
    source=wheels.EFFICIENTNET_LITE0,
    network=Network(
        build=crop_embedding,
        example=lambda: (torch.zeros(2, 3, 224, 224),),
        inputs=("image",),
        outputs=("embedding",),
        dynamic={"image": {0: "N"}},
    ),
    parity=compare.compare_embedding,
    inputs=_crops,
    timed_on="one crop",
    task=CROP_EMBEDDING,
    # Things are small in the picture: pixels cost less of the metric than channels.
    pruning=Pruning(side_px=efficientnet_lite.SIZE_PX),
    # The first layers, on the largest maps, make most of the noise and gain no time.
    quantization=Quantization(keep_float=("*backbone._conv_stem/*", "*backbone._blocks.0.*")),
)
ADAPTER = Recipe(
    role="object_adapter",
    source=OBJECT_WEIGHTS,
    network=Network(
        build=lambda wheel_folder: load_adapter(),
        example=lambda: (torch.zeros(2, efficientnet_lite.EMBEDDING),),
        inputs=("features",),
        outputs=("embedding",),
        dynamic={"features": {0: "N"}},
    ),
    parity=compare_objects.compare_adapter,
    inputs=_features,
    timed_on="one crop",
    task=OBJECT_ADAPTER,
    quantization=Quantization(method="dynamic", operators=("MatMul", "Gemm")),
)
