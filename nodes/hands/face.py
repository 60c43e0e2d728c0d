"""Faces in a picture: the detector on a square window, and the 468 landmarks of one face.

The networks are BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on
Mobile GPUs", 2019) and the face mesh (Kartynnik et al., "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019).

    faces = FaceDetector(open_engine(bundle, "face_detector")).detect(image, window)
    face = FaceLandmarker(open_engine(bundle, "face_landmarks")).locate(image, faces[0].crop)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.palm import anchor_centres, weighted_suppression
from deixis.runtime.engines import Engine

Array = NDArray[np.float64]

DETECTOR_PX = 128
LANDMARKS_PX = 192
N_KEYPOINTS = 6
_RIGHT_EYE, _LEFT_EYE = 0, 1
"""The detector's first two key points; right and left are the person's."""
RIGHT_EYE = (33, 133, 159, 145)
LEFT_EYE = (263, 362, 386, 374)
"""Landmarks of the mesh around each eye: outer and inner corner, upper and lower lid."""
_CROP_SCALE = 1.5
"""Side of the mesh's crop over that of the face, as in MediaPipe's face landmark module."""


@dataclass(frozen=True, slots=True)
class FoundFace:
    """A detected face: the crop to look at it closely, and its probability in [0, 1]."""

    crop: Crop
    score: float


@dataclass(frozen=True, slots=True)
class FaceEstimate:
    """What the mesh says about one crop.

    Attributes:
        points_px: Landmarks in the picture, and their depth at the same scale, ``(468, 3)``.
        presence: Probability in [0, 1] that the crop shows a face.
        side_px: Side of the crop.
    """

    points_px: Array
    presence: float
    side_px: float

    def eyes_px(self) -> Array:
        """Middle of the right and of the left eye with their depth, shape ``(2, 3)``."""
        return np.array([self.points_px[list(e)].mean(axis=0) for e in (RIGHT_EYE, LEFT_EYE)])

    def next_crop(self) -> Crop:
        """Where to look for this face in a later frame."""
        low, high = self.points_px[:, :2].min(axis=0), self.points_px[:, :2].max(axis=0)
        right, left = self.eyes_px()[:, :2]
        return _crop(low, high, right, left)


class FaceDetector:
    """The face detector with its pre- and post-processing.

    Args:
        engine: The model: ``image`` to ``boxes`` (1, 896, 16) and ``scores`` (1, 896) logits.
        min_score: Least probability of a face; low, since the mesh tells faces from the rest.
        max_overlap: Intersection over union from which two detections are one face.
    """

    def __init__(self, engine: Engine, min_score: float = 0.3, max_overlap: float = 0.3) -> None:
        self._engine = engine
        self._anchors = anchor_centres(DETECTOR_PX)
        self._min_logit = math.log(min_score / (1 - min_score))
        self._max_overlap = max_overlap

    def detect(self, image: NDArray[np.uint8], window: Crop) -> list[FoundFace]:
        """Find the faces in a square of the picture, most certain first.

        A face is found from about a tenth of the square's side on.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            window: The square.

        Raises:
            EngineError: The model failed.
        """
        outputs = self._engine.infer({"image": window.cut(image, DETECTOR_PX)})
        logits = outputs["scores"][0]
        found = np.flatnonzero(logits > self._min_logit)
        if found.size == 0:
            return []
        raw, anchors = outputs["boxes"][0][found] / DETECTOR_PX, self._anchors[found]
        centre, half = raw[:, :2] + anchors, raw[:, 2:4] / 2
        points = raw[:, 4:].reshape(-1, N_KEYPOINTS, 2) + anchors[:, None]
        rows = np.concatenate(
            [centre - half, centre + half, points.reshape(len(found), -1)], axis=1
        ).astype(np.float32)
        scores = (1 / (1 + np.exp(-np.clip(logits[found], -100, 100)))).astype(np.float32)
        rows, scores = weighted_suppression(rows, scores, self._max_overlap)
        faces = []
        for row, score in zip(rows, scores, strict=True):
            # In units of the side the input's corner is 0, half a pixel before its first centre.
            px = window.to_image(row.reshape(-1, 2) * DETECTOR_PX - 0.5, DETECTOR_PX)
            eyes = px[2 + _RIGHT_EYE], px[2 + _LEFT_EYE]
            faces.append(FoundFace(_crop(px[0], px[1], *eyes), float(score)))
        return faces


class FaceLandmarker:
    """The face mesh with its pre- and post-processing.

    Args:
        engine: The model: ``image`` to ``landmarks`` (1, 468, 3) and ``presence`` (1,) logit.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> FaceEstimate:
        """Find the landmarks of the face in a crop.

        Raises:
            EngineError: The model failed.
        """
        outputs = self._engine.infer({"image": crop.cut(image, LANDMARKS_PX)})
        points = np.asarray(outputs["landmarks"][0], np.float64)
        scale = crop.side_px / LANDMARKS_PX
        logit = float(np.clip(outputs["presence"].reshape(-1)[0], -100, 100))
        return FaceEstimate(
            np.column_stack([crop.to_image(points[:, :2], LANDMARKS_PX), scale * points[:, 2]]),
            1 / (1 + math.exp(-logit)),
            crop.side_px,
        )


def _crop(low: Array, high: Array, right_eye: Array, left_eye: Array) -> Crop:
    """The square for the mesh: around the corners of a box, its eyes level."""
    x, y = ((low + high) / 2).tolist()
    side = _CROP_SCALE * float(np.linalg.norm(high - low)) / math.sqrt(2)
    dx, dy = (left_eye - right_eye).tolist()
    # The person's right eye is on the left of the picture.
    return Crop(x, y, side, math.atan2(dy, dx))
