from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.compare import original_hand, original_palm
from deixis.export.samples import Samples, load_samples
from deixis.export.tasks.hands import (
    HAND_LANDMARKS,
    MAX_HANDS,
    PALM_DETECTOR,
    HandCase,
    PalmCase,
)
from deixis.nodes.hands.palm import PalmDetector, anchor_centres
from deixis.runtime.engines import EngineSpecs
from deixis.runtime.errors import ExportError

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(60, 160, (21, 2))
IMAGE = np.zeros((1, 3, 224, 224), np.float32)


class Fixed:
    """An engine that always answers the same."""

    specs = EngineSpecs(inputs=(), outputs=())

    def __init__(self, **outputs: NDArray[np.float32]) -> None:
        self.outputs = outputs

    def infer(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
        return self.outputs

    def close(self) -> None:
        pass


def hand(points: NDArray[np.float64], presence: float = 1.0) -> Fixed:
    landmarks = np.concatenate([points, np.zeros((21, 1))], axis=1)[None].astype(np.float32)
    return Fixed(landmarks=landmarks, presence=np.array([presence], np.float32))


def palms(*places: tuple[int, float, float]) -> Fixed:
    """Palms of 40 px at anchors, moved by so many pixels."""
    scores = np.full((1, 2016), -10, np.float32)
    boxes = np.zeros((1, 2016, 18), np.float32)
    for anchor, dx, dy in places:
        scores[0, anchor] = 3
        boxes[0, anchor, :4] = dx, dy, 40, 40
        boxes[0, anchor, 4::2], boxes[0, anchor, 5::2] = dx, dy
    return Fixed(boxes=boxes, scores=scores)


def test_landmarks_within_a_twentieth_of_the_hand_count() -> None:
    cases = [HandCase(IMAGE, POINTS)]
    size = np.ptp(POINTS, axis=0).max()
    assert HAND_LANDMARKS.n(cases) == 21
    assert HAND_LANDMARKS.score(hand(POINTS), cases) == 100.0
    moved = POINTS.copy()
    moved[:7, 0] += 0.049 * size
    moved[7:12, 1] += 0.051 * size
    assert HAND_LANDMARKS.score(hand(moved), cases) == pytest.approx(100 * 16 / 21)


def test_a_hand_that_is_not_seen_has_all_its_landmarks_missed() -> None:
    cases = [HandCase(IMAGE, POINTS), HandCase(IMAGE, POINTS + 1)]
    assert HAND_LANDMARKS.score(hand(POINTS, presence=0.4), cases) == 0.0
    assert HAND_LANDMARKS.score(hand(POINTS, presence=0.6), cases) == 100.0


def test_palms_are_found_or_not_and_false_ones_count_against() -> None:
    image = np.zeros((192, 192, 3), np.uint8)
    anchors = anchor_centres()
    a, b, c = (int(np.abs(anchors - spot).sum(axis=1).argmin()) for spot in (0.2, 0.5, 0.8))
    both = palms((a, 0, 0), (b, 0, 0))
    cases = [PalmCase(image, tuple(PalmDetector(both).detect(image)))]
    assert PALM_DETECTOR.n(cases) == 2
    score = PALM_DETECTOR.score
    assert score(both, cases) == 100.0
    assert score(palms((a, 3, 0), (b, 0, 3)), cases) == 100.0
    assert score(palms((a, 0, 0)), cases) == 50.0
    assert score(palms((a, 0, 0), (b, 0, 0), (c, 0, 0)), cases) == 50.0
    # Elsewhere: one missed, one false.
    assert score(palms((a, 0, 0), (b, 30, 0)), cases) == 0.0
    # The box is right, its key points are not.
    off = palms((a, 0, 0), (b, 0, 0))
    off.outputs["boxes"][0, b, 4:] += 20
    assert score(off, cases) == 0.0


@pytest.mark.slow
def test_the_originals_hold_their_own_tasks(wheel_folder: Path, sample_folder: Path) -> None:
    samples = load_samples(sample_folder, "held out")
    cases = PALM_DETECTOR.prepare(wheel_folder, samples)
    assert PALM_DETECTOR.score(original_palm(wheel_folder), cases) == 100.0
    cases = HAND_LANDMARKS.prepare(wheel_folder, samples)
    assert 30 < len(cases) <= 3 * MAX_HANDS
    score = HAND_LANDMARKS.score(original_hand(wheel_folder), cases)
    # The renderer's joints, which are the truth, lie elsewhere than MediaPipe's.
    assert 60.0 < score < 100.0
    # It is a task that can be failed: the same answers for other pictures.
    turned = [replace(case, image=case.image[..., ::-1]) for case in cases]
    assert HAND_LANDMARKS.score(original_hand(wheel_folder), turned) < 60


def test_samples_without_hands_are_refused(wheel_folder: Path) -> None:
    empty = Samples(frames=(), speech=np.zeros(16_000, np.float32))
    for task in (HAND_LANDMARKS, PALM_DETECTOR):
        with pytest.raises(ExportError, match="8 are needed"):
            task.prepare(wheel_folder, empty)
