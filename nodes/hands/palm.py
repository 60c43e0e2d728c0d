"""Finds palms in a picture: letterbox, single-shot detector, boxes, non-maximum suppression.

The network is BlazePalm (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020,
section 2.1); its anchors are the grid of an SSD (Liu et al., 2016) with all boxes of one size.

    palms = PalmDetector(open_engine(bundle, "palm_detector")).detect(image)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.engines import Engine

Floats = NDArray[np.float32]

INPUT_PX = 192
_STRIDES_PX = (8, 16, 16, 16)
_PER_CELL = 2
N_KEYPOINTS = 7
LIKELY = 0.5
"""Score from which a detection is more likely right than wrong."""
WRIST, MIDDLE_KNUCKLE = 0, 2
"""Which of the seven key points are which."""


@dataclass(frozen=True, slots=True)
class Palm:
    """One palm in a picture.

    Attributes:
        box_px: Left, top, right, bottom of the palm (without the fingers).
        keypoints_px: Wrist, knuckles and thumb joints, shape ``(7, 2)``.
        score: Probability in [0, 1].
    """

    box_px: tuple[float, float, float, float]
    keypoints_px: NDArray[np.float32]
    score: float


def anchor_centres(input_px: int = INPUT_PX) -> Floats:
    """Centres of the detector's anchors, shape ``(n, 2)``, in units of the input's side.

    The palm detector has 2016 of them, the face detector (128 px) 896. Layers of one stride share
    their cells: a cell of stride 16 has the anchors of three layers.
    """
    centres = []
    for stride in sorted(set(_STRIDES_PX)):
        cells = input_px // stride
        per_cell = _PER_CELL * _STRIDES_PX.count(stride)
        steps = (np.arange(cells, dtype=np.float32) + 0.5) / cells
        y, x = np.meshgrid(steps, steps, indexing="ij")
        grid = np.stack([x.ravel(), y.ravel()], axis=1)
        centres.append(np.repeat(grid, per_cell, axis=0))
    return np.concatenate(centres).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture was fitted into the square input: ``px_input = scale * px + offset``."""

    scale: float
    offset_x: float
    offset_y: float

    @classmethod
    def fit(cls, width: int, height: int) -> Letterbox:
        """Fit a picture of this size, centred."""
        scale = INPUT_PX / max(width, height)
        # Pixel centres are integers: the corners (-0.5) map to each other, hence the shift.
        shift = 0.5 * scale - 0.5
        return cls(
            scale,
            shift + (INPUT_PX - width * scale) / 2,
            shift + (INPUT_PX - height * scale) / 2,
        )

    def apply(self, image: NDArray[np.uint8]) -> Floats:
        """The input ``(1, 3, 192, 192)``, RGB in [0, 1], black outside the picture."""
        matrix = np.array([[self.scale, 0, self.offset_x], [0, self.scale, self.offset_y]])
        fitted = cv2.warpAffine(image, matrix, (INPUT_PX, INPUT_PX), flags=cv2.INTER_LINEAR)
        return to_input(fitted)

    def undo(self, points: Floats) -> Floats:
        """Points ``(…, 2)`` in units of the input's side, back in pixels of the picture."""
        # In those units the corner of the input is 0: half a pixel before its first centre.
        offset = np.array([self.offset_x, self.offset_y], np.float32)
        out: Floats = ((points * INPUT_PX - 0.5 - offset) / self.scale).astype(np.float32)
        return out


def to_input(image: NDArray[np.uint8] | cv2.typing.MatLike) -> Floats:
    """A BGR uint8 picture ``(h, w, 3)`` as network input ``(1, 3, h, w)``, RGB in [0, 1]."""
    out = np.empty((1, 3, *image.shape[:2]), np.float32)
    for plane, channel in zip(out[0, ::-1], cv2.split(image), strict=True):
        np.multiply(channel, np.float32(1 / 255), out=plane)
    return out


def overlap(box: Floats, boxes: Floats) -> Floats:
    """Intersection over union of one box ``(4,)`` with boxes ``(n, 4)``; corners."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    areas = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    out: Floats = shared / np.maximum(union, 1e-12)
    return out


def weighted_suppression(rows: Floats, scores: Floats, max_overlap: float) -> tuple[Floats, Floats]:
    """Merge overlapping detections into their score-weighted mean, best first.

    The mean is steadier from frame to frame than the best box alone (Bazarevsky et al.,
    "BlazeFace", 2019, section 4). Unlikely detections do not count beside a likely one.

    Args:
        rows: Detections ``(n, 4 + k)``: left, top, right, bottom, then anything that is averaged.
        scores: Their scores ``(n,)``.
        max_overlap: Intersection over union from which two detections are the same thing.

    Returns:
        Merged rows and the score of the best of each group.
    """
    left = np.argsort(-scores)
    merged, kept = [], []
    while left.size:
        best = left[0]
        same = overlap(rows[best, :4], rows[left, :4]) >= max_overlap
        same[0] = True  # a box without area does not even overlap itself
        group = left[same]
        group = group[scores[group] >= min(float(scores[best]), LIKELY)]
        weights = scores[group, None]
        merged.append((rows[group] * weights).sum(axis=0) / weights.sum())
        kept.append(scores[best])
        left = left[~same]
    width = rows.shape[1]
    return np.array(merged, np.float32).reshape(-1, width), np.array(kept, np.float32)


class PalmDetector:
    """The palm detector with its pre- and post-processing.

    Args:
        engine: The model: ``image`` to ``boxes`` (1, 2016, 18) and ``scores`` (1, 2016) logits.
        min_score: Least probability of a palm.
        max_overlap: Intersection over union from which two detections are one palm.
    """

    def __init__(self, engine: Engine, min_score: float = LIKELY, max_overlap: float = 0.3) -> None:
        self._engine = engine
        self._anchors = anchor_centres()
        self._min_logit = float(np.log(min_score / (1 - min_score)))
        self._max_overlap = max_overlap

    def detect(self, image: NDArray[np.uint8]) -> list[Palm]:
        """Find palms.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.

        Returns:
            Palms, most certain first.

        Raises:
            EngineError: The model failed.
        """
        height, width = image.shape[:2]
        box = Letterbox.fit(width, height)
        outputs = self._engine.infer({"image": box.apply(image)})
        logits = outputs["scores"][0]
        found = np.flatnonzero(logits > self._min_logit)
        if found.size == 0:
            return []
        raw = outputs["boxes"][0][found] / INPUT_PX
        scores = (1 / (1 + np.exp(-np.clip(logits[found], -100, 100)))).astype(np.float32)
        anchors = self._anchors[found]
        centre, half = raw[:, :2] + anchors, raw[:, 2:4] / 2
        keypoints = raw[:, 4:].reshape(-1, N_KEYPOINTS, 2) + anchors[:, None]
        rows = np.concatenate(
            [centre - half, centre + half, keypoints.reshape(-1, 2 * N_KEYPOINTS)], axis=1
        ).astype(np.float32)
        rows, scores = weighted_suppression(rows, scores, self._max_overlap)
        palms = []
        for row, score in zip(rows, scores, strict=True):
            points = box.undo(row.reshape(-1, 2))
            (x0, y0), (x1, y1) = points[0].tolist(), points[1].tolist()
            palms.append(Palm((x0, y0, x1, y1), points[2:], float(score)))
        return palms
