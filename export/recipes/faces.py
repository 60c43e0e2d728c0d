"""The face models: BlazeFace and the face mesh, of which the runtime uses the eyes.

python -c "from deixis.export.recipes.faces import FACE; print(FACE.task.name)"
"""

from __future__ import annotations

from pathlib import Path

import torch

from deixis.export import compare_faces
from deixis.export.models.faces import face_detector, face_landmarks
from deixis.export.recipes.recipe import Inputs, Network, Quantization, Recipe
from deixis.export.samples import Samples
from deixis.export.tasks.faces import FACE_DETECTOR, FACE_LANDMARKS
from deixis.export.weights import wheels


def _squares(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    return [{"image": square} for square in compare_faces.face_detector_inputs(samples)]


def _faces(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    return [{"image": face} for face in compare_faces.face_inputs(wheel_folder, samples)]


DETECTOR = Recipe(
    role="face_detector",
    source=wheels.FACE_DETECTION,
    network=Network(
        build=face_detector,
        example=lambda: (torch.zeros(1, 3, 128, 128),),
        inputs=("image",),
        outputs=("boxes", "scores"),
    ),
    parity=compare_faces.compare_face_detector,
    inputs=_squares,
    timed_on="one frame",
    task=FACE_DETECTOR,
    quantization=Quantization(),
)
FACE = Recipe(
    role="face_landmarks",
    source=wheels.FACE_LANDMARK,
    network=Network(
        build=face_landmarks,
        example=lambda: (torch.zeros(1, 3, 192, 192),),
        inputs=("image",),
        outputs=("landmarks", "presence"),
    ),
    parity=compare_faces.compare_face,
    inputs=_faces,
    timed_on="one face",
    task=FACE_LANDMARKS,
    quantization=Quantization(),
)
