"""The hand models: BlazePalm and BlazeHand.

python -c "from deixis.export.recipes.hands import HAND; print(HAND.task.name)"
"""

from __future__ import annotations

from pathlib import Path

import torch

from deixis.export import compare
from deixis.export.distillation.hands import hand_batches, hand_loss, palm_batches, palm_loss
from deixis.export.models.hands import hand_landmarks, palm_detector
from deixis.export.recipes.recipe import (
    Inputs,
    Network,
    Pruning,
    Quantization,
    Recipe,
    Recovery,
)
from deixis.export.samples import Samples, spread
from deixis.export.tasks.hands import HAND_LANDMARKS, PALM_DETECTOR
from deixis.export.weights import wheels
from deixis.nodes.hands.crop import CROP_PX

CALIBRATION_INPUTS = 32


def _frames(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    frames = spread(samples.frames, CALIBRATION_INPUTS)
    return [{"image": compare.palm_input(frame)} for frame in frames]


def _hands(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    return [{"image": crop} for crop in compare.hand_inputs(wheel_folder, samples)]


PALM = Recipe(
    role="palm_detector",
    source=wheels.PALM_DETECTION,
    network=Network(
        build=palm_detector,
        example=lambda: (torch.zeros(1, 3, 192, 192),),
        inputs=("image",),
        outputs=("boxes", "scores"),
    ),
    parity=compare.compare_palm,
    inputs=_frames,
    timed_on="one frame",
    task=PALM_DETECTOR,
    # Its anchors need all pixels; channels can go, but how to teach it back is not found yet.
    recovery=Recovery(batches=palm_batches, loss=palm_loss),
    quantization=Quantization(),
)
HAND = Recipe(
    role="hand_landmarks",
    source=wheels.HAND_LANDMARK,
    network=Network(
        build=hand_landmarks,
        example=lambda: (torch.zeros(1, 3, 224, 224),),
        inputs=("image",),
        outputs=("landmarks", "presence", "handedness", "world_landmarks"),
    ),
    parity=compare.compare_hand,
    inputs=_hands,
    timed_on="one hand",
    task=HAND_LANDMARKS,
    # The whole net on fewer pixels learns faster what it lost than one without channels.
    pruning=Pruning(side_px=CROP_PX),
    recovery=Recovery(batches=hand_batches, loss=hand_loss, steps=1500, learning_rate=5e-4),
    # The first layers, on the largest maps, make most of the noise and gain no time.
    quantization=Quantization(keep_float=("*net.layers.[01].*",)),
)
