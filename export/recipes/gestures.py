"""The gesture classifier.

python -c "from deixis.export.recipes.gestures import GESTURES; print(GESTURES.task.name)"
"""

from __future__ import annotations

from pathlib import Path

import torch

from deixis.export import compare
from deixis.export.models.gestures import load_gestures
from deixis.export.recipes.recipe import Inputs, Network, Quantization, Recipe
from deixis.export.samples import Samples
from deixis.export.tasks.gestures import GESTURES as TASK
from deixis.export.train import GESTURE_WEIGHTS
from deixis.nodes.hands.gestures import N_FEATURES, STEPS

CALIBRATION_INPUTS = 128


def _windows(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    windows = compare.gesture_windows()
    every = max(1, len(windows) // CALIBRATION_INPUTS)
    return [{"features": windows[i : i + 1]} for i in range(0, len(windows), every)]


GESTURES = Recipe(
    role="gestures",
    source=GESTURE_WEIGHTS,
    network=Network(
        build=lambda wheel_folder: load_gestures(),
        example=lambda: (torch.zeros(2, STEPS, N_FEATURES),),
        inputs=("features",),
        outputs=("probabilities",),
        dynamic={"features": {0: "N"}},
    ),
    parity=compare.compare_gestures,
    inputs=_windows,
    timed_on="one hand's last 0.7 s",
    task=TASK,
    quantization=Quantization(),
)
