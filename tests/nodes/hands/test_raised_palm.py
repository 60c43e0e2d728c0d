"""A raised palm, on simulated hands: when it counts, when not, and for how long."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from deixis.calibration.store import CameraCalibration
from deixis.export.train.movements import RATE_HZ, first_raised, raise_palms, reach_for_cups
from deixis.nodes.hands.gestures import Gesture
from deixis.nodes.hands.raised_palm import PICTURE_UP, RaisedPalm, Up, is_raised, to_sight
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.engines import open_engine

FRAME_NS = NS_PER_S // 30
OPEN = Gesture("palm", 0.9, 0.9)
CLOSED = Gesture("fist", 0.95, 0.01)


def palm(right: bool = True, shift_px: tuple[float, float] = (0.0, 0.0)) -> TrackedHand:
    """A flat hand, fingers up, its palm to the camera."""
    from deixis.export.train.hand import landmarks, people

    flat = landmarks(people(np.random.default_rng(1), 1), np.zeros((1, 5, 4)))[0]
    shown = np.stack([flat[:, 1], -flat[:, 0], flat[:, 2]], axis=1)
    if not right:
        shown = shown * [-1.0, 1, 1]
    px = 600 * shown[:, :2] + [320, 240] + shift_px
    return TrackedHand(0, "right" if right else "left", 0.99, px, shown, 150.0)


def seen(hand: TrackedHand, **changes) -> TrackedHand:
    return dataclasses.replace(hand, **changes)


@pytest.mark.parametrize("right", [True, False])
def test_which_way_a_hand_must_face(right: bool) -> None:
    hand = palm(right)
    assert is_raised(hand, PICTURE_UP)
    back = seen(hand, landmarks_px=hand.landmarks_px * [-1, 1] + [640, 0],
                landmarks_world_m=hand.landmarks_world_m * [-1, 1, -1])  # fmt: skip
    assert not is_raised(back, PICTURE_UP)
    upside_down = seen(hand, landmarks_px=480 - hand.landmarks_px,
                       landmarks_world_m=hand.landmarks_world_m * [-1, -1, 1])  # fmt: skip
    assert not is_raised(upside_down, PICTURE_UP)
    assert not is_raised(seen(hand, handedness="left" if right else "right"), PICTURE_UP)
    # Fingers at the camera: up in the picture, but not in the world.
    lying = seen(hand, landmarks_world_m=hand.landmarks_world_m[:, [0, 2, 1]])
    assert not is_raised(lying, PICTURE_UP)


def test_two_frames_and_the_first_one_is_remembered() -> None:
    gate, hand = RaisedPalm(), palm()
    assert gate.update(hand, OPEN, PICTURE_UP, 1) is None
    assert gate.update(hand, OPEN, PICTURE_UP, 1 + FRAME_NS) == 1
    assert gate.update(hand, OPEN, PICTURE_UP, 1 + 2 * FRAME_NS) == 1
    # One bad frame does not end it; a fifth of a second does.
    assert gate.update(hand, CLOSED, PICTURE_UP, 1 + 3 * FRAME_NS) == 1
    assert gate.update(hand, CLOSED, PICTURE_UP, 1 + 2 * FRAME_NS + 201 * NS_PER_MS) is None
    one_alone = RaisedPalm()
    for k, gesture in enumerate((OPEN, CLOSED, OPEN, CLOSED)):
        assert one_alone.update(hand, gesture, PICTURE_UP, 1 + k * FRAME_NS) is None


@pytest.mark.parametrize(
    ("moves", "raised"), [((0, -40), True), ((40, 0), False), ((0, 40), False)]
)
def test_quick_movement_counts_only_upwards(moves: tuple[int, int], raised: bool) -> None:
    gate = RaisedPalm()
    found = [
        gate.update(palm(shift_px=(k * moves[0], k * moves[1])), OPEN, PICTURE_UP, 1 + k * FRAME_NS)
        for k in range(3)
    ]
    assert (found[-1] is not None) == raised


def camera(rotation: np.ndarray) -> CameraCalibration:
    pose = np.eye(4)
    pose[:3, :3] = rotation
    return CameraCalibration(
        device_id="t", width=640, height=480, distortion=np.zeros(5), T_base_cam=pose,
        K=np.array([[500.0, 0, 319.5], [0, 500, 239.5], [0, 0, 1]]), calibrated_at="",
        reprojection_error_px=0.0,
    )  # fmt: skip


def test_where_up_is() -> None:
    level = np.array([[0, 0, 1.0], [-1, 0, 0], [0, -1, 0]])
    up = Up.at(camera(level), np.array([319.5, 239.5]))
    assert up.sight == pytest.approx([0, -1, 0])
    assert up.angle_rad == pytest.approx(0)
    # The camera turned clockwise by 90 degrees: up is to the left in its picture.
    clockwise = np.array([[0, -1.0, 0], [1, 0, 0], [0, 0, 1]])
    up = Up.at(camera(level @ clockwise), np.array([319.5, 239.5]))
    assert up.picture == pytest.approx([-1, 0])
    assert up.angle_rad == pytest.approx(-np.pi / 2)
    # Straight down: there is no up in its picture.
    down = np.array([[0, -1.0, 0], [-1, 0, 0], [0, 0, -1]])
    assert Up.at(camera(down), np.array([319.5, 239.5])) is PICTURE_UP


def test_a_line_of_sight_becomes_the_axis() -> None:
    ray = np.array([0.3, -0.2, 1.0])
    rotation = to_sight(ray)
    assert rotation @ ray == pytest.approx([0, 0, np.linalg.norm(ray)])
    assert np.linalg.det(rotation) == pytest.approx(1.0)


@pytest.mark.slow
def test_simulated_people_raise_palms_and_reach_for_cups(bundle: Bundle) -> None:
    """Held-out simulated movements; the figures of `deixis train gestures` are on more of them."""
    engine = open_engine(bundle, "gestures")
    moves = raise_palms(np.random.default_rng([2026, 1]), 200)
    shown = moves.shown_frame >= 0
    late = first_raised(moves, engine)[shown] - moves.shown_frame[shown]
    known = first_raised(moves, engine)[shown] >= 0
    in_time = known & (late * 1000 / RATE_HZ <= 120)
    assert shown.sum() > 150
    assert in_time.mean() >= 0.97
    reaching = first_raised(reach_for_cups(np.random.default_rng([2026, 2]), 200), engine)
    assert (reaching >= 0).sum() == 0
