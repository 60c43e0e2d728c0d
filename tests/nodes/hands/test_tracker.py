"""Logic of detect-then-track, with a world of fake hands in place of the models."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.landmarks import HandEstimate
from deixis.nodes.hands.palm import Palm
from deixis.nodes.hands.tracker import HandTracker
from deixis.runtime.clock import NS_PER_S

FRAME_NS = NS_PER_S // 30
IMAGE = np.zeros((480, 640, 3), np.uint8)


def shape(x: float, y: float) -> NDArray[np.float64]:
    """An upright hand of about 100 px around a place."""
    points = np.zeros((21, 2))
    for finger in range(5):
        for joint in range(4):
            points[1 + 4 * finger + joint] = [12 * (finger - 2), -40 - 15 * joint]
    return points + np.array([x, y + 50])


class World:
    """Hands at places; plays detector and landmarker, and counts what is asked of it."""

    def __init__(self, *hands: tuple[float, float]) -> None:
        self.hands = list(hands)
        self.detections = 0
        self.looks = 0

    def detect(self, image: NDArray[np.uint8]) -> list[Palm]:
        self.detections += 1
        palms = []
        for x, y in self.hands:
            keypoints = np.zeros((7, 2), np.float32)
            keypoints[0], keypoints[2] = [x, y + 50], [x, y]
            palms.append(Palm((x - 25, y, x + 25, y + 50), keypoints, 0.9))
        return palms

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> HandEstimate:
        self.looks += 1
        near = [h for h in self.hands if np.hypot(h[0] - crop.x_px, h[1] - crop.y_px) < 60]
        x, y = near[0] if near else (crop.x_px, crop.y_px)
        return HandEstimate(
            landmarks_px=shape(x, y),
            landmarks_world_m=np.zeros((21, 3)),
            presence=0.95 if near else 0.02,
            right=0.9,
            side_px=crop.side_px,
        )


def tracker(world: World, **options: int) -> HandTracker:
    return HandTracker(world, world, **options)


def test_a_hand_is_detected_once_then_tracked() -> None:
    world = World((300, 200))
    follow = tracker(world, max_hands=1)
    hands = [follow.update(IMAGE, i * FRAME_NS) for i in range(20)]
    assert world.detections == 1
    assert world.looks == 20
    assert {h[0].track_id for h in hands} == {0}
    assert hands[0][0].handedness == "right"


def test_detection_pauses_between_frames() -> None:
    world = World()
    empty = tracker(world, detect_every=3)
    for i in range(9):
        assert empty.update(IMAGE, i * FRAME_NS) == []
    assert world.detections == 3
    assert world.looks == 0


def test_the_second_hand_is_looked_for_rarely() -> None:
    world = World((150, 200))
    follow = tracker(world, detect_more_every=10)
    follow.update(IMAGE, 0)
    world.hands.append((450, 200))
    counts = [len(follow.update(IMAGE, i * FRAME_NS)) for i in range(1, 12)]
    assert counts == [1] * 9 + [2, 2]
    assert world.detections == 2


def test_a_fast_hand_keeps_its_id() -> None:
    world = World((100, 200))
    follow = tracker(world, max_hands=1)
    ids = set()
    for i in range(12):
        # Slow at first, then 40 px a frame.
        world.hands = [(100 + min(10 * i * i, 40 * i), 200)]
        ids |= {h.track_id for h in follow.update(IMAGE, i * FRAME_NS)}
    assert ids == {0}
    assert world.detections == 1


def test_a_lost_hand_is_searched_for_at_once() -> None:
    world = World((100, 200))
    follow = tracker(world, max_hands=1, detect_every=30)
    follow.update(IMAGE, 0)
    world.hands = [(500, 300)]
    hands = follow.update(IMAGE, FRAME_NS)
    assert world.detections == 2
    assert [h.track_id for h in hands] == [1]


def test_a_hand_that_comes_back_soon_has_its_old_id() -> None:
    world = World((300, 200))
    follow = tracker(world, detect_every=1)
    follow.update(IMAGE, 0)
    world.hands = []
    assert follow.update(IMAGE, FRAME_NS) == []
    world.hands = [(320, 210)]
    assert [h.track_id for h in follow.update(IMAGE, 3 * FRAME_NS)] == [0]
    world.hands = []
    follow.update(IMAGE, 4 * FRAME_NS)
    world.hands = [(320, 210)]
    assert [h.track_id for h in follow.update(IMAGE, 60 * FRAME_NS)] == [1]


def test_two_tracks_on_one_hand_become_one() -> None:
    world = World((200, 200), (300, 200))
    follow = tracker(world)
    assert len(follow.update(IMAGE, 0)) == 2
    world.hands = [(250, 200)]
    assert [h.track_id for h in follow.update(IMAGE, FRAME_NS)] == [0]


def test_no_more_hands_than_wanted() -> None:
    world = World((100, 200), (300, 200), (500, 200))
    assert len(tracker(world, max_hands=2).update(IMAGE, 0)) == 2


def test_reset_forgets_the_hands() -> None:
    world = World((300, 200))
    follow = tracker(world)
    follow.update(IMAGE, 0)
    follow.reset()
    assert [h.track_id for h in follow.update(IMAGE, FRAME_NS)] == [1]


def test_a_still_hand_is_steady(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    world = World((300, 200))
    follow = tracker(world, max_hands=1)
    locate = world.locate

    def noisy(image: NDArray[np.uint8], crop: Crop) -> HandEstimate:
        e = locate(image, crop)
        return HandEstimate(
            e.landmarks_px + rng.normal(0, 0.3, (21, 2)), e.landmarks_world_m, 0.9, 0.9, 200.0
        )

    monkeypatch.setattr(world, "locate", noisy)
    points = [follow.update(IMAGE, i * FRAME_NS)[0].landmarks_px for i in range(60)]
    assert np.std(points[10:], axis=0).mean() < 0.75 * 0.3
