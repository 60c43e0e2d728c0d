"""The stated confidence on real and rendered hands that are made hard to see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.nodes.hands.clarity import visibility
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.palm import PalmDetector
from deixis.nodes.hands.tracker import HandTracker, TrackedHand
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.engines import open_engine

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def look(bundle: Bundle) -> Callable[..., list[TrackedHand]]:
    palm, hand = open_engine(bundle, "palm_detector"), open_engine(bundle, "hand_landmarks")

    def hands_of(image: Image, max_hands: int = 2) -> list[TrackedHand]:
        tracker = HandTracker(
            PalmDetector(palm, min_score=0.1), HandLandmarker(hand), max_hands=max_hands
        )
        for k in range(3):
            hands = tracker.update(image, (k + 1) * NS_PER_S // 30)
        return sorted(hands, key=lambda h: h.landmarks_px[0, 0])

    return hands_of


@pytest.fixture(scope="module")
def real(shared_data: Path) -> Image:
    return np.asarray(cv2.imread(str(shared_data / "hands" / "hands.jpg")), np.uint8)


@pytest.fixture(scope="module")
def rendered(episodes: Path) -> Image:
    video = cv2.VideoCapture(str(episodes / "pick_that" / "video.mp4"))
    frames = [video.read()[1] for _ in range(46)]
    video.release()
    return np.asarray(frames[-1], np.uint8)


def motion_blurred(image: Image, length_px: int) -> Image:
    kernel = np.eye(length_px, dtype=np.float32) / length_px
    return np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def darkened(image: Image, gain: float) -> Image:
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    return np.clip(image * gain + noise, 0, 255).astype(np.uint8)


def test_clear_hands_are_certain(
    look: Callable[..., list[TrackedHand]], real: Image, rendered: Image
) -> None:
    assert [h.confidence > 0.75 for h in look(real)] == [True, True]
    assert [h.confidence > 0.75 for h in look(rendered)] == [True]


def test_no_hand_is_no_hand(look: Callable[..., list[TrackedHand]], episodes: Path) -> None:
    assert look(np.full((480, 640, 3), 128, np.uint8)) == []
    table = cv2.imread(str(episodes.parent / "table.png"))
    assert look(np.asarray(table, np.uint8)) == []


def test_a_hand_half_outside_is_found_and_less_certain(
    look: Callable[..., list[TrackedHand]], real: Image
) -> None:
    whole = look(real)[0]
    # The picture ends in the middle of the left hand.
    cut = np.ascontiguousarray(real[:, 165:330])
    (half,) = look(cut)
    assert half.presence > 0.5
    assert half.confidence < 0.75 * whole.confidence


@pytest.mark.parametrize("which", ["real", "rendered"])
def test_blur_and_darkness_lower_the_confidence(
    look: Callable[..., list[TrackedHand]], request: pytest.FixtureRequest, which: str
) -> None:
    image: Image = request.getfixturevalue(which)
    size = 25 if which == "real" else 17
    clear = look(image)[0].confidence
    for worse in (motion_blurred(image, size), darkened(image, 0.12)):
        for hand in look(worse):
            assert hand.confidence < 0.6 * clear
    # The more, the less.
    steps = [
        min((h.confidence for h in look(darkened(image, g))), default=0) for g in (1, 0.3, 0.1)
    ]
    assert steps == sorted(steps, reverse=True)
    assert look(darkened(image, 0.01)) == []


def test_a_mirrored_hand_is_the_other_hand(
    look: Callable[..., list[TrackedHand]], real: Image
) -> None:
    assert {h.handedness for h in look(real)} == {"left"}
    assert {h.handedness for h in look(np.ascontiguousarray(real[:, ::-1]))} == {"right"}


def test_of_two_people_the_nearer_ones_hands_are_followed(
    look: Callable[..., list[TrackedHand]], real: Image
) -> None:
    small = cv2.resize(real, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    both = np.full((700, 720, 3), real[2, 2], np.uint8)
    both[:382] = real
    both[400 : 400 + len(small), : small.shape[1]] = small
    hands = look(both)
    assert len(hands) == 2
    assert all(h.landmarks_px[:, 1].max() < 390 for h in hands)
    assert len(look(both, max_hands=4)) == 4


def test_visibility_is_the_share_inside() -> None:
    points = np.array([[0.0, 0.0], [639.0, 479.0], [-2.0, 10.0], [10.0, 481.0]])
    assert visibility(points, 640, 480) == 0.5
