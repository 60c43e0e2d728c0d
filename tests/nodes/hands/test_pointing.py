"""The pointing ray on landmarks of hands whose pose is known exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, plane_hit
from deixis.nodes.hands.hand_model import (
    FLEXION,
    KNUCKLE,
    LOG_LENGTH,
    MODEL_LANDMARKS,
    PALM_LANDMARKS,
    REST,
    TIP,
    model_points,
    rotations,
)
from deixis.nodes.hands.hand_pose import DEPTH_BIAS_M
from deixis.nodes.hands.phases import PhaseTracker
from deixis.nodes.hands.pointing import (
    PointingEstimator,
    PointingRay,
    pointing_probability,
)
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.clock import NS_PER_S

FRAME_NS = NS_PER_S // 30
Array = NDArray[np.float64]


def camera(distortion: float = 0.0) -> CameraCalibration:
    """A camera at (0, 0, 0.65) that looks ahead and down at the table."""
    forward = np.array([0.7, 0.0, -0.714])
    forward /= np.linalg.norm(forward)
    right = np.array([0.0, -1.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = [0.0, 0.0, 0.65]
    return CameraCalibration(
        device_id="test",
        width=640,
        height=480,
        K=np.array([[490.0, 0, 319.5], [0, 490.0, 239.5], [0, 0, 1]]),
        distortion=np.array([distortion, 0, 0, 0, 0]),
        T_base_cam=pose,
        calibrated_at="2026-11-25T00:00:00Z",
        reprojection_error_px=0.0,
    )


def posed(
    turn: Array, place_cam: Array, right: bool = True, scale: float = 1.0, **joints: float
) -> Array:
    """The model's points in the camera frame."""
    parameters = REST.copy()
    parameters[FLEXION] += joints.get("flexion", 0.0)
    parameters[LOG_LENGTH] += joints.get("log_length", 0.0)
    points, _ = model_points(parameters, right, scale)
    return points @ turn.T + place_cam


def seen(points_cam: Array, view: CameraCalibration, right: bool = True) -> TrackedHand:
    """What the network would say about these points if its only error were its known bias."""
    sight = np.append((points_cam[:, :2] / points_cam[:, 2:]).mean(axis=0), 1.0)
    px, world = np.zeros((21, 2)), np.zeros((21, 3))
    # Landmarks that the model does not explain lie in the middle.
    px[:] = view.project(view.to_base(sight[None]))
    px[list(MODEL_LANDMARKS)] = view.project(view.to_base(points_cam))
    depth = points_cam @ sight / np.linalg.norm(sight)
    world[list(MODEL_LANDMARKS), 2] = depth - depth.mean()
    world[list(PALM_LANDMARKS), 2] += DEPTH_BIAS_M
    return TrackedHand(0, "right" if right else "left", 0.99, px, world, 130.0)


def direction(points: Array) -> Array:
    along: Array = points[TIP] - points[KNUCKLE]
    return along / np.linalg.norm(along)


def angle_deg(a: Any, b: Any) -> float:
    return math.degrees(math.acos(min(1.0, float(np.dot(a, b)))))


turns = st.tuples(*[st.floats(-1, 1)] * 3).map(lambda v: rotations(2.5 * np.array([v]))[0])
places = st.tuples(st.floats(-0.2, 0.2), st.floats(-0.15, 0.15), st.floats(0.4, 1.5)).map(np.array)


@settings(max_examples=60, deadline=None)
@given(turn=turns, place=places, right=st.booleans(), scale=st.floats(0.8, 1.2))
def test_exact_landmarks_give_the_exact_ray(
    turn: Array, place: Array, right: bool, scale: float
) -> None:
    view = camera(distortion=0.05)
    points = posed(turn, place, right, scale)
    # A palm seen edge-on and a finger along the line of sight are the hard cases: leave them in,
    # but not a hand whose points fall together.
    assume(np.ptp(points[:, :2] / points[:, 2:], axis=0).max() > 0.05)
    ray = PointingEstimator(view, hand_scale=scale).update(seen(points, view, right), 0)
    assert ray is not None
    truth_base = view.to_base(points)
    assert angle_deg(ray.direction_base, direction(truth_base)) < 0.5
    np.testing.assert_allclose(ray.origin_base_m, truth_base[TIP], atol=0.01)


def pointing_at_the_table(**joints: float) -> tuple[CameraCalibration, Array]:
    """A right hand across the table that points back and down at it, palm down."""
    x = np.array([-0.75, -0.2, -0.63])
    x /= np.linalg.norm(x)
    y = np.cross([0.0, 0.0, 1.0], x)
    y /= np.linalg.norm(y)
    turn_base = np.stack([x, y, np.cross(x, y)], axis=1)
    view = camera()
    points = posed(turn_base, np.array([0.75, 0.1, 0.25]), **joints)
    return view, view.to_cam(points)


def estimate(view: CameraCalibration, points_cam: Array) -> PointingRay:
    ray = PointingEstimator(view).update(seen(points_cam, view), 0)
    assert ray is not None
    return ray


def test_the_ray_meets_the_table_where_the_finger_points() -> None:
    view, points = pointing_at_the_table()
    ray, truth = estimate(view, points), view.to_base(points)
    hit = plane_hit(ray.origin_base_m, ray.direction_base)
    expected = plane_hit(truth[TIP], direction(truth))
    assert hit is not None
    assert expected is not None
    assert np.linalg.norm(hit - expected) < 0.005


@pytest.mark.parametrize("flexion_deg", [-10, 15])
def test_a_bent_finger_is_within_its_covariance(flexion_deg: float) -> None:
    view, points = pointing_at_the_table(flexion=math.radians(flexion_deg))
    ray = estimate(view, points)
    error = direction(view.to_base(points)) - ray.direction_base
    basis = np.linalg.svd(ray.direction_base[None])[2][1:]
    inside = basis @ error
    covariance = basis @ ray.direction_cov_rad2 @ basis.T
    assert inside @ np.linalg.solve(covariance, inside) < 4.6  # 90 % of two dimensions


def test_covariances_are_sound() -> None:
    view, points = pointing_at_the_table()
    ray = estimate(view, points)
    for covariance in (ray.direction_cov_rad2, ray.origin_cov_m2):
        np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
        assert np.linalg.eigvalsh(covariance).min() > -1e-12
    # A direction has no uncertainty along itself.
    assert ray.direction_base @ ray.direction_cov_rad2 @ ray.direction_base < 1e-9
    # The distance from the camera is the least certain coordinate of the origin.
    sight = ray.origin_base_m - view.T_base_cam[:3, 3]
    sight /= np.linalg.norm(sight)
    along = sight @ ray.origin_cov_m2 @ sight
    assert along > 0.5 * np.trace(ray.origin_cov_m2)


def test_a_larger_hand_is_farther_away() -> None:
    view, points = pointing_at_the_table()
    hand = seen(points, view)
    near = PointingEstimator(view, hand_scale=0.9).update(hand, 0)
    far = PointingEstimator(view, hand_scale=1.1).update(hand, 0)
    assert near is not None
    assert far is not None
    eye = view.T_base_cam[:3, 3]
    ratio = np.linalg.norm(far.origin_base_m - eye) / np.linalg.norm(near.origin_base_m - eye)
    assert ratio == pytest.approx(1.1 / 0.9, rel=0.02)


def gesture(index_m: float, others_m: float, presence: float = 0.98) -> TrackedHand:
    """A flat hand whose fingertips are this far beyond (or before) the middle joints."""
    world = np.zeros((21, 3))
    for finger, tip in zip(range(5), [0.0, index_m, *[others_m] * 3], strict=True):
        for joint, y in enumerate([0.06, 0.09, 0.12, 0.12 + tip]):
            world[1 + 4 * finger + joint] = [0.02 * (finger - 2), -y, 0.0]
    return TrackedHand(0, "right", presence, 1000 * world[:, :2], world, 200.0)


def test_only_a_pointing_hand_is_believed_to_point() -> None:
    assert pointing_probability(gesture(0.03, -0.05)) > 0.9
    assert pointing_probability(gesture(0.03, 0.03)) < 0.1  # open
    assert pointing_probability(gesture(-0.05, -0.05)) < 0.1  # fist
    assert pointing_probability(gesture(0.03, -0.05, presence=0.3)) < 0.3


def phases(speeds_m_s: list[tuple[int, float]], confidence: float = 0.9) -> list[str]:
    """The phase in each frame of a fingertip that moves at these speeds, (frames, speed)."""
    tracker, x, out = PhaseTracker(), 0.0, []
    steps = [v for n, v in speeds_m_s for _ in range(n)]
    for frame, speed in enumerate(steps):
        x += speed / 30
        out.append(tracker.update(np.array([x, 0.0, 0.5]), confidence, frame * FRAME_NS))
    return out


def test_a_gesture_goes_through_its_phases() -> None:
    seen_phases = phases([(10, 0.8), (20, 0.02), (10, 0.8)])
    assert list(dict.fromkeys(seen_phases)) == ["reach", "hold", "retract"]
    assert seen_phases[9] == "reach"
    # The hold is known within the window over which speed is measured.
    assert seen_phases[10 + 5] == "hold"
    assert seen_phases[29] == "hold"
    assert seen_phases[-1] == "retract"


def test_a_hand_that_sets_off_slowly_has_not_held() -> None:
    assert set(phases([(5, 0.05), (8, 0.8)])[7:]) == {"reach"}


def test_a_drift_within_the_hysteresis_does_not_end_the_hold() -> None:
    assert set(phases([(10, 0.5), (20, 0.02), (20, 0.2)])[16:]) == {"hold"}


def test_a_second_target_is_held_again() -> None:
    seen_phases = phases([(10, 0.8), (15, 0.0), (10, 0.8), (15, 0.0)])
    assert seen_phases[-1] == "hold"


def test_a_still_hand_that_does_not_point_has_no_phase() -> None:
    assert phases([(10, 0.8), (15, 0.0)], confidence=0.1)[-1] == "none"


def test_gestures_are_forgotten_with_their_tracks() -> None:
    view, points = pointing_at_the_table()
    estimator, hand = PointingEstimator(view), seen(points, view)
    stamps = [i * FRAME_NS for i in range(10)]
    still = [estimator.update(hand, t) for t in stamps]
    estimator.keep_only(set())
    again = estimator.update(hand, 11 * FRAME_NS)
    assert again is not None
    assert again.phase == "reach"
    assert still[-1] is not None


def minimum_jerk_gesture() -> tuple[list[tuple[int, Array]], dict[str, float]]:
    """A fingertip that rests, reaches, holds and withdraws; its times in seconds."""
    times = {"onset": 0.5, "hold": 1.1, "release": 2.0, "end": 2.6}

    def share(t: float) -> float:
        if t < times["hold"]:
            s = (t - times["onset"]) / (times["hold"] - times["onset"])
        else:
            s = 1 - (t - times["release"]) / (times["end"] - times["release"])
        s = min(max(s, 0.0), 1.0)
        return s**3 * (10 - 15 * s + 6 * s * s)

    rng = np.random.default_rng(5)
    path = []
    for k in range(90):
        t = k / 30
        place = np.array([0.4 * share(t), 0.1 * share(t), 0.6]) + 1e-3 * rng.standard_normal(3)
        path.append((round(t * NS_PER_S), place))
    return path, times


def test_the_times_of_a_gesture_are_those_of_the_movement() -> None:
    path, times = minimum_jerk_gesture()
    tracker = PhaseTracker()
    began: list[tuple[str, float]] = []
    for stamp_ns, place in path:
        # The finger comes out on the way.
        phase = tracker.update(place, 0.9 if stamp_ns > 0.7 * NS_PER_S else 0.0, stamp_ns)
        if not began or began[-1][0] != phase:
            began.append((phase, tracker.since_ns / NS_PER_S))
    assert [phase for phase, _ in began[:5]] == ["reach", "none", "reach", "hold", "retract"]
    onset, hold, release = (since for _, since in began[2:5])
    # A movement of minimum jerk is all but still for its first and last tenth of a second.
    assert 0.0 <= onset - times["onset"] < 0.15
    assert 0.0 <= times["hold"] - hold < 0.15
    assert 0.0 <= release - times["release"] < 0.15
