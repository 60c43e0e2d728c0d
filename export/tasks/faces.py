"""What the face models are judged by: faces found, and their points where they are.

The pictures are the samples' people, in other light and other squares. What is there is said by the
original networks; of the mesh only the points that the runtime uses count, those that a head's
place is computed from and those around the eyes.

    faces = FACE_LANDMARKS.prepare(wheel_folder, samples)
    percent = FACE_LANDMARKS.score(engine, faces)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.export.compare_faces import original_face, original_face_detector
from deixis.export.distillation.pictures import varied
from deixis.export.recipes.recipe import Task
from deixis.export.samples import Samples
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.face import (
    LANDMARKS_PX,
    LEFT_EYE,
    RIGHT_EYE,
    FaceDetector,
    FaceLandmarker,
    FoundFace,
)
from deixis.nodes.hands.heads import FACE_MM, search_windows
from deixis.runtime.engines import Engine
from deixis.runtime.errors import ExportError

Image = NDArray[np.uint8]

WITHIN: Final = 0.05
"""A point is right within this share of the distance between the eyes."""
MIN_SCORE: Final = 0.5
PRESENT: Final = 0.5
LOOKS: Final = 24
"""How often each picture is looked at, differently."""
USED: Final = tuple(sorted({*FACE_MM, *RIGHT_EYE, *LEFT_EYE}))
"""Numbers of the mesh's points that the runtime reads."""
_SAME_FACE: Final = 0.3
"""Two squares show one face if their middles are no farther apart than this share of a side."""
_SAME_SIZE: Final = 1.5


@dataclass(frozen=True)
class SquareCase:
    """A square of a picture in which faces are searched, and those that are there."""

    image: Image
    window: Crop
    faces: tuple[FoundFace, ...]


@dataclass(frozen=True)
class FaceCase:
    """One face and its points.

    Attributes:
        image: [1,3,192,192] float32, RGB 0..1.
        points_px: those of :data:`USED` in the crop, [len(USED),2].
        eyes_px: distance between the eyes in the crop.
    """

    image: NDArray[np.float32]
    points_px: NDArray[np.float32]
    eyes_px: float


def _faces_of(wheel_folder: Path, samples: Samples) -> list[tuple[Image, Crop]]:
    """The pictures of people with the crop of the face that the original networks see there.

    Raises:
        ExportError: they see none.
    """
    detector = FaceDetector(original_face_detector(wheel_folder))
    landmarker = FaceLandmarker(original_face(wheel_folder))
    found = []
    for picture in samples.people:
        windows = search_windows(picture.shape[1], picture.shape[0])
        faces = [face for window in windows for face in detector.detect(picture, window)]
        for face in sorted(faces, key=lambda face: -face.score)[:1]:
            mesh = landmarker.locate(picture, face.crop)
            if mesh.presence >= PRESENT:
                found.append((picture, mesh.next_crop()))
    if not found:
        raise _no_faces(samples)
    return found


def _no_faces(samples: Samples) -> ExportError:
    return ExportError(
        f"the samples that are held out show no face in {len(samples.people)} pictures of people",
        hint="put pictures with faces into the folder people beside that of --samples",
    )


def _square_cases(wheel_folder: Path, samples: Samples) -> list[SquareCase]:
    """Squares that the node looks at, and others with a face of any size somewhere in them."""
    detector = FaceDetector(original_face_detector(wheel_folder), min_score=MIN_SCORE)
    rng = np.random.default_rng(0)
    cases = []
    for picture, face in _faces_of(wheel_folder, samples):
        looks = [(picture, w) for w in search_windows(picture.shape[1], picture.shape[0])]
        for _ in range(LOOKS):
            # The detector finds faces from a tenth of the square's side on.
            side = face.side_px * float(np.exp(rng.uniform(np.log(1.2), np.log(5.0))))
            away = rng.uniform(-0.5, 0.5, 2) * (side - face.side_px)
            window = Crop(face.x_px + away[0], face.y_px + away[1], side, 0.0)
            looks.append((varied(picture, rng, 0.7), window))
        for image, window in looks:
            cases.append(SquareCase(image, window, tuple(detector.detect(image, window))))
    if not any(case.faces for case in cases):
        raise _no_faces(samples)
    return cases


def _score_squares(engine: Engine, cases: Sequence[SquareCase]) -> float:
    detector = FaceDetector(engine, min_score=MIN_SCORE)
    right = wrong = 0
    for case in cases:
        left = list(detector.detect(case.image, case.window))
        for wanted in case.faces:
            same = next((face for face in left if _same(face.crop, wanted.crop)), None)
            if same is not None:
                left.remove(same)
                right += 1
        wrong += len(left)
    return 100.0 * max(0, right - wrong) / sum(len(case.faces) for case in cases)


def _same(one: Crop, other: Crop) -> bool:
    away = np.hypot(one.x_px - other.x_px, one.y_px - other.y_px) / other.side_px
    size = one.side_px / other.side_px
    return bool(away <= _SAME_FACE and 1 / _SAME_SIZE <= size <= _SAME_SIZE)


def _face_cases(wheel_folder: Path, samples: Samples) -> list[FaceCase]:
    """Each face as in tracking, and as a crop that is a little off shows it in other light."""
    original = original_face(wheel_folder)
    rng = np.random.default_rng(0)
    cases = []
    for picture, crop in _faces_of(wheel_folder, samples):
        images = [crop.cut(picture, LANDMARKS_PX)]
        for _ in range(LOOKS):
            dx, dy = rng.normal(0, 0.03 * crop.side_px, 2).tolist()
            side = crop.side_px * float(np.exp(rng.normal(0, 0.06)))
            late = Crop(
                crop.x_px + dx, crop.y_px + dy, side, crop.rotation_rad + rng.normal(0, 0.08)
            )
            images.append(late.cut(varied(picture, rng, 0.7), LANDMARKS_PX))
        for image in images:
            answer = original.infer({"image": image})
            points = answer["landmarks"][0, :, :2]
            eyes = [points[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE)]
            if answer["presence"][0] >= 0:
                eyes_px = float(np.linalg.norm(eyes[0] - eyes[1]))
                cases.append(FaceCase(image, points[list(USED)].copy(), eyes_px))
    return cases


def _score_faces(engine: Engine, cases: Sequence[FaceCase]) -> float:
    right = 0
    for case in cases:
        outputs = engine.infer({"image": case.image})
        if float(outputs["presence"].reshape(-1)[0]) < 0:
            continue  # (a logit) a face that is not seen: all of its points are missed
        away = np.linalg.norm(outputs["landmarks"][0][list(USED), :2] - case.points_px, axis=1)
        right += int((away <= WITHIN * case.eyes_px).sum())
    return 100.0 * right / (len(USED) * len(cases))


FACE_DETECTOR = Task(
    name="faces found",
    points=1.5,
    prepare=_square_cases,
    score=_score_squares,
    n=lambda cases: sum(len(case.faces) for case in cases),
)
FACE_LANDMARKS = Task(
    name="face points within 5 % of the eyes' distance",
    points=1.5,
    prepare=_face_cases,
    score=_score_faces,
    n=lambda cases: len(USED) * len(cases),
)
