"""Compare the exported face models with their originals, on pictures of people.

Every function returns the worst of each difference over all samples, as those of
:mod:`deixis.export.compare` do.

    python -c "from deixis.export.compare_faces import MIN_FACES; print(MIN_FACES)"
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deixis.export.compare import (
    BOX_FLOOR_PX,
    LANDMARK_FLOOR_PX,
    SCORE_FLOOR,
    TfliteReference,
    at_most,
    worst,
)
from deixis.export.samples import Samples, spread
from deixis.export.weights import wheels
from deixis.nodes.hands.face import DETECTOR_PX, LANDMARKS_PX, FaceDetector
from deixis.nodes.hands.heads import search_windows
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import open_model
from deixis.runtime.errors import ExportError

MIN_FACES = 4
MAX_SQUARES, MAX_FACES = 64, 32


def compare_face_detector(
    model: Path, wheel_folder: Path, samples: Samples
) -> tuple[MetricInfo, ...]:
    """BlazeFace against the TFLite interpreter, on whole pictures of people and their parts."""
    original = original_face_detector(wheel_folder)
    engine = open_model(model)
    blobs = face_detector_inputs(samples)
    box_px = score = 0.0
    for blob in blobs:
        want, got = original.infer({"image": blob}), engine.infer({"image": blob})
        box_px = worst(box_px, got["boxes"], want["boxes"])
        score = worst(score, got["scores"], want["scores"])
    engine.close()
    return (
        at_most("Δbox px", box_px, BOX_FLOOR_PX, len(blobs)),
        at_most("Δscore logit", score, SCORE_FLOOR, len(blobs)),
    )


def face_detector_inputs(samples: Samples) -> list[NDArray[np.float32]]:
    """The squares of the samples' people that faces are searched in, [1,3,128,128] each.

    Raises:
        ExportError: if there are no pictures of people.
    """
    if not samples.people:
        raise ExportError(
            "the samples show no people to compare the face models on",
            hint="put pictures with faces into the folder people beside that of --samples",
        )
    squares = [(p, w) for p in samples.people for w in search_windows(p.shape[1], p.shape[0])]
    return [window.cut(picture, DETECTOR_PX) for picture, window in spread(squares, MAX_SQUARES)]


def compare_face(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The face mesh against the TFLite interpreter, on the faces that the original detector finds.

    Raises:
        ExportError: if the samples show too few faces to tell.
    """
    original = original_face(wheel_folder)
    inputs = face_inputs(wheel_folder, samples)
    engine = open_model(model)
    landmark_px = presence = 0.0
    for blob in inputs:
        want, got = original.infer({"image": blob}), engine.infer({"image": blob})
        landmark_px = worst(landmark_px, got["landmarks"], want["landmarks"])
        presence = worst(presence, got["presence"], want["presence"])
    engine.close()
    n = len(inputs)
    return (
        at_most("Δlandmark px", landmark_px, LANDMARK_FLOOR_PX, n),
        at_most("Δpresence logit", presence, SCORE_FLOOR, n),
    )


def face_inputs(wheel_folder: Path, samples: Samples) -> list[NDArray[np.float32]]:
    """The faces in the samples, found by the original detector, [1,3,192,192] each.

    Raises:
        ExportError: if there are fewer than four.
    """
    detector = FaceDetector(original_face_detector(wheel_folder), min_score=0.5)
    faces = []
    for picture in samples.people:
        whole, *parts = search_windows(picture.shape[1], picture.shape[0])
        found = next((f for w in (whole, *parts) for f in detector.detect(picture, w)), None)
        if found is not None:
            faces.append(found.crop.cut(picture, LANDMARKS_PX))
    if len(faces) < MIN_FACES:
        raise ExportError(
            f"the samples show {len(faces)} faces in {len(samples.people)} pictures of people; "
            f"comparing the face landmarks needs {MIN_FACES}",
            hint="put pictures with faces into the folder people beside that of --samples",
        )
    return spread(faces, MAX_FACES)


def original_face_detector(wheel_folder: Path) -> TfliteReference:
    """BlazeFace as MediaPipe ships it; it takes 0..1 here, as the exported model does."""
    data = wheels.read_member(wheels.FACE_DETECTION, wheel_folder)
    outputs = {"boxes": (1, 896, 16), "scores": (1, 896)}
    return TfliteReference(data, outputs, pixels=(-1.0, 1.0))


def original_face(wheel_folder: Path) -> TfliteReference:
    """The face mesh as MediaPipe ships it."""
    outputs = {"landmarks": (1, 468, 3), "presence": (1,)}
    return TfliteReference(wheels.read_member(wheels.FACE_LANDMARK, wheel_folder), outputs)
