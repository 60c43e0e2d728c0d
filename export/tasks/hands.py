"""What the hand networks are judged by: landmarks where they are, palms found, on held-out frames.

cases = HAND_LANDMARKS.prepare(wheel_folder, samples)
percent = HAND_LANDMARKS.score(engine, cases)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.export.compare import original_hand, original_palm
from deixis.export.distillation.pictures import varied
from deixis.export.recipes.recipe import Task
from deixis.export.samples import Samples, spread
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.palm import Palm, PalmDetector, overlap
from deixis.runtime.engines import Engine
from deixis.runtime.errors import ExportError, MediaError

Image = NDArray[np.uint8]

WITHIN = 0.05
"""A landmark is right within this share of the hand's size, the longer side of its points' box."""
PRESENT = 0.5
SAME_PALM = 0.5
"""Least intersection over union of two boxes of one palm."""
FRAMES_A_SECOND = 10.0
MAX_HANDS = 120
MIN_HANDS = 8
N_LANDMARKS = 21


@dataclass(frozen=True)
class HandCase:
    """One crop and what it shows.

    Attributes:
        image: [1,3,224,224] float32, RGB 0..1.
        points_px: landmarks in the crop, [21,2]; None where it shows no hand.
    """

    image: NDArray[np.float32]
    points_px: NDArray[np.float64] | None


@dataclass(frozen=True)
class PalmCase:
    """One frame, and the palms that the original finds in it."""

    image: Image
    palms: tuple[Palm, ...]


def _hand_cases(wheel_folder: Path, samples: Samples) -> list[HandCase]:
    """The hands in the frames, each cut as after detection, as in tracking, and in other light.

    The truth is that of the episodes where they have one, else what the original network answers.

    Raises:
        ExportError: there are too few hands to tell.
    """
    detector = PalmDetector(original_palm(wheel_folder))
    landmarker = HandLandmarker(original_hand(wheel_folder))
    rng = np.random.default_rng(0)
    hands: list[tuple[Image, Crop, NDArray[np.float64]]] = []
    for frame, truth in _frames(samples):
        for palm in detector.detect(frame):
            crop = Crop.around_palm(palm)
            found = landmarker.locate(frame, crop)
            if found.presence < PRESENT:
                continue
            points = found.landmarks_px if truth is None else truth
            hands.append((frame, crop, points))
    if len(hands) < MIN_HANDS:
        raise ExportError(
            f"the samples that are held out show only {len(hands)} hands; {MIN_HANDS} are needed",
            hint="name a folder of episodes with hands in view with --samples",
        )
    cases = []
    for frame, crop, points in spread(hands, MAX_HANDS):
        follow = Crop.around_landmarks(points)
        # As far off as a tracker that follows a moving hand.
        late = follow.shifted(rng.normal(0, 0.05 * follow.side_px, 2))
        cases.append(_case(frame, crop, points))
        cases.append(_case(frame, follow, points))
        cases.append(_case(varied(frame, rng, 0.7), late, points))
    return cases


def _case(frame: Image, crop: Crop, points_px: NDArray[np.float64]) -> HandCase:
    matrix = np.vstack([crop.matrix(), [0, 0, 1]])
    inside = np.linalg.inv(matrix) @ np.vstack([points_px.T, np.ones(len(points_px))])
    return HandCase(crop.cut(frame), inside[:2].T)


def _score_hands(engine: Engine, cases: Sequence[HandCase]) -> float:
    right = 0
    for case in cases:
        outputs = engine.infer({"image": case.image})
        if float(outputs["presence"].reshape(-1)[0]) < PRESENT or case.points_px is None:
            continue  # a hand that is not seen: all of its landmarks are missed
        away = np.linalg.norm(outputs["landmarks"][0, :, :2] - case.points_px, axis=1)
        right += int((away <= WITHIN * np.ptp(case.points_px, axis=0).max()).sum())
    return 100.0 * right / (N_LANDMARKS * len(cases))


def _frames(samples: Samples) -> Iterator[tuple[Image, NDArray[np.float64] | None]]:
    """Frames with the landmarks of the one hand in them; without where nobody knows them."""
    for episode in samples.episodes:
        path = episode / "truth.json"
        truth = json.loads(path.read_text()) if path.is_file() else {}
        yield from _read(episode / "video.mp4", truth.get("hand"))


def _read(
    video: Path, hands: Sequence[dict[str, Any]] | None
) -> Iterator[tuple[Image, NDArray[np.float64] | None]]:
    capture = cv2.VideoCapture(str(video))
    try:
        every = max(1, round((capture.get(cv2.CAP_PROP_FPS) or 30.0) / FRAMES_A_SECOND))
        index = 0
        while capture.grab():
            if index % every == 0:
                ok, frame = capture.retrieve()
                if not ok:
                    raise MediaError(f"cannot read frame {index} of {video}")
                points = None
                if hands is not None and index < len(hands) and hands[index]["visible"]:
                    points = np.array(hands[index]["landmarks_px"], np.float64)
                yield frame.astype(np.uint8, copy=False), points
            index += 1
    finally:
        capture.release()


def _palm_cases(wheel_folder: Path, samples: Samples) -> list[PalmCase]:
    detector = PalmDetector(original_palm(wheel_folder))
    rng = np.random.default_rng(0)
    images = []
    for frame, _ in _frames(samples):
        images += [frame, np.ascontiguousarray(varied(frame, rng, 0.7)[:, ::-1])]
    cases = [PalmCase(image, tuple(detector.detect(image))) for image in images]
    n = sum(len(case.palms) for case in cases)
    if n < MIN_HANDS:
        raise ExportError(
            f"the samples that are held out show only {n} palms; {MIN_HANDS} are needed",
            hint="name a folder of episodes with hands in view with --samples",
        )
    return cases


def _score_palms(engine: Engine, cases: Sequence[PalmCase]) -> float:
    detector = PalmDetector(engine)
    right = wrong = 0
    for case in cases:
        left = list(detector.detect(case.image))
        for wanted in case.palms:
            same = next((palm for palm in left if _same(palm, wanted)), None)
            if same is not None:
                left.remove(same)
                right += 1
        wrong += len(left)
    return 100.0 * max(0, right - wrong) / sum(len(case.palms) for case in cases)


def _same(palm: Palm, wanted: Palm) -> bool:
    """Whether two boxes overlap and the key points lie within a fifth of the palm's side."""
    box, other = np.array(palm.box_px, np.float32), np.array([wanted.box_px], np.float32)
    away = np.linalg.norm(palm.keypoints_px - wanted.keypoints_px, axis=1)
    side = max(other[0, 2] - other[0, 0], other[0, 3] - other[0, 1])
    return bool(overlap(box, other)[0] >= SAME_PALM and away.mean() <= 0.2 * side)


HAND_LANDMARKS = Task(
    name="landmarks within 5 % of the hand",
    points=1.5,
    prepare=_hand_cases,
    score=_score_hands,
    n=lambda cases: N_LANDMARKS * len(cases),
)
PALM_DETECTOR = Task(
    name="palms found",
    points=1.5,
    prepare=_palm_cases,
    score=_score_palms,
    n=lambda cases: sum(len(case.palms) for case in cases),
)
