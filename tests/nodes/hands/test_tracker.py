"""Logic of detect-then-track, with a world of fake hands in place of the models."""

from __future__ import annotations

import dataclasses

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
CHANGED = np.full((480, 640, 3), 50, np.uint8)


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
        self.right: dict[tuple[float, float], float] = {}
        self.scores: dict[tuple[float, float], float] = {}
        self.widths: dict[tuple[float, float], float] = {}
        self.presence = 0.95
        self.detections = 0
        self.looks = 0

    def detect(self, image: NDArray[np.uint8]) -> list[Palm]:
        self.detections += 1
        palms = []
        for x, y in self.hands:
            keypoints = np.full((7, 2), (x, y), np.float32)
            keypoints[0], keypoints[2] = [x, y + 50], [x, y]
            half = self.widths.get((x, y), 50) / 2
            score = self.scores.get((x, y), 0.9)
            palms.append(Palm((x - half, y + 25 - half, x + half, y + 25 + half), keypoints, score))
        return palms

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> HandEstimate:
        self.looks += 1
        near = [h for h in self.hands if np.hypot(h[0] - crop.x_px, h[1] - crop.y_px) < 60]
        near.sort(key=lambda h: np.hypot(h[0] - crop.x_px, h[1] - crop.y_px))
        x, y = near[0] if near else (crop.x_px, crop.y_px)
        return HandEstimate(
            landmarks_px=shape(x, y),
            landmarks_world_m=np.zeros((21, 3)),
            presence=self.presence if near else 0.02,
            right=self.right.get((x, y), 0.9),
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
        assert empty.update((IMAGE, CHANGED)[i // 3 % 2], i * FRAME_NS) == []
    assert world.detections == 3
    assert world.looks == 0


def test_where_nothing_moves_palms_are_looked_for_rarely() -> None:
    world = World()
    empty = tracker(world, detect_every=1, detect_more_every=10)
    for i in range(20):
        empty.update(IMAGE, i * FRAME_NS)
    assert world.detections == 2
    world.hands = [(300, 200)]
    assert len(empty.update(CHANGED, 20 * FRAME_NS)) == 1


def test_the_second_hand_is_looked_for_rarely() -> None:
    world = World((150, 200))
    follow = tracker(world, detect_more_every=10)
    follow.update(IMAGE, 0)
    world.hands.append((450, 200))
    counts = [len(follow.update(IMAGE, i * FRAME_NS)) for i in range(1, 12)]
    assert counts == [1] * 9 + [2, 2]
    assert world.detections == 2


def test_an_unlikely_palm_counts_where_something_moved() -> None:
    world = World()
    follow = tracker(world, detect_every=1, detect_more_every=30)
    follow.update(IMAGE, 0)
    world.hands = [(150, 200), (450, 200)]
    world.scores = dict.fromkeys(world.hands, 0.2)
    moved = IMAGE.copy()
    moved[170:230, 420:480] = 90
    (hand,) = follow.update(moved, FRAME_NS)
    assert hand.landmarks_px[0, 0] == pytest.approx(450)
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
    assert [h.track_id for h in follow.update(CHANGED, 3 * FRAME_NS)] == [0]
    world.hands = []
    follow.update(IMAGE, 4 * FRAME_NS)
    world.hands = [(320, 210)]
    assert [h.track_id for h in follow.update(CHANGED, 60 * FRAME_NS)] == [1]


def test_two_tracks_on_one_hand_become_one() -> None:
    world = World((200, 200), (300, 200))
    follow = tracker(world)
    assert len(follow.update(IMAGE, 0)) == 2
    world.hands = [(250, 200)]
    assert [h.track_id for h in follow.update(IMAGE, FRAME_NS)] == [0]


def test_no_more_hands_than_wanted() -> None:
    world = World((100, 200), (300, 200), (500, 200))
    assert len(tracker(world, max_hands=2).update(IMAGE, 0)) == 2


def test_the_nearest_hands_are_followed() -> None:
    far, near, cut_off = (100, 200), (300, 200), (655, 200)
    world = World(far, cut_off, near)
    world.widths = {far: 30, near: 70, cut_off: 60}
    hands = tracker(world, max_hands=2).update(IMAGE, 0)
    assert [round(h.landmarks_px[0, 0]) for h in hands] == [300, 100]


def test_an_unlikely_palm_must_be_surely_a_hand() -> None:
    world = World((300, 200))
    world.scores[300, 200] = 0.2
    world.presence = 0.7
    follow = tracker(world, detect_more_every=1)
    assert follow.update(IMAGE, 0) == []
    assert world.looks == 2
    # The same place is not looked at again for a while.
    world.presence = 0.9
    assert follow.update(IMAGE, FRAME_NS) == []
    assert world.looks == 2
    assert len(follow.update(IMAGE, 15 * FRAME_NS)) == 1
    likely = World((300, 200))
    likely.presence = 0.7
    assert len(tracker(likely).update(IMAGE, 0)) == 1


def test_few_unlikely_palms_are_looked_at_in_one_frame() -> None:
    world = World(*((50 + 100 * i, 200) for i in range(6)))
    world.scores = dict.fromkeys(world.hands, 0.2)
    world.presence = 0.6
    tracker(world).update(IMAGE, 0)
    assert world.looks == 2 * 2


def test_a_hand_far_from_the_middle_of_its_crop_is_looked_at_again() -> None:
    world = World((300, 200))
    follow = tracker(world, max_hands=1)
    follow.update(IMAGE, 0)
    follow.update(IMAGE, FRAME_NS)
    assert world.looks == 2
    world.hands = [(345, 200)]
    (hand,) = follow.update(IMAGE, 2 * FRAME_NS)
    assert world.looks == 4
    # The second look was at the hand itself: its crop is centred on it.
    assert hand.landmarks_px[0, 0] == pytest.approx(345, abs=3)


@pytest.mark.parametrize("meet", ["beside", "upon"])
def test_hands_that_cross_keep_their_tracks(meet: str) -> None:
    world = World((100, 200), (500, 200))
    world.right = {(100, 200): 0.95, (500, 200): 0.05}
    follow = tracker(world, max_hands=2)
    first = {h.handedness: h.track_id for h in follow.update(IMAGE, 0)}
    assert set(first) == {"left", "right"}
    for i in range(1, 41):
        right, left = (100 + 10 * i, 200), (500 - 10 * i, 202)
        world.right = {right: 0.95, left: 0.05}
        hidden = meet == "upon" and abs(right[0] - left[0]) < 60
        world.hands = [right] if hidden else [right, left]
        hands = follow.update(IMAGE, i * FRAME_NS)
    places = {h.track_id: h.landmarks_px[0, 0] for h in hands}
    assert places[first["right"]] == pytest.approx(500, abs=5)
    assert places[first["left"]] == pytest.approx(100, abs=5)


def test_a_hand_half_outside_or_unclear_is_less_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    inside = tracker(World((300, 200))).update(IMAGE, 0)[0]
    assert (inside.clarity, inside.confidence) == (1.0, 0.95)
    outside = tracker(World((0, 200))).update(IMAGE, 0)[0]
    assert outside.presence == 0.95
    assert 0.4 < outside.confidence < 0.8
    world = World((300, 200))
    locate = world.locate
    monkeypatch.setattr(world, "locate", lambda *a: dataclasses.replace(locate(*a), quality=0.25))
    assert tracker(world).update(IMAGE, 0)[0].confidence == pytest.approx(0.25 * 0.95)


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
