"""The blend of eye and finger: which line counts where, and whether its covariance is honest."""

from __future__ import annotations

import math
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from deixis.calibration.pointing import DEFAULT_POINTING, PointingCalibration
from deixis.nodes.hands.blend import Lines, blend, nearness

SIZE_M2 = np.diag([1e-4, 4e-4, 1e-4])
FINGER_COV = np.diag([0.002, 0.001, 0.001])


def lines(tip: tuple[float, float, float] = (0.6, 0.1, 0.4), eye: bool = True) -> Lines:
    """A person across the table points back and down; finger and eye are 15 degrees apart."""
    tip_m, eye_m = np.array(tip), np.array([1.1, 0.3, 0.75])
    line = (tip_m - eye_m) / np.linalg.norm(tip_m - eye_m)
    finger = line + math.tan(math.radians(15)) * np.cross(line, [0, 0, 1.0])
    return Lines(
        tip_m=tip_m,
        tip_cov_m2=SIZE_M2,
        finger=finger / np.linalg.norm(finger),
        finger_cov_rad2=FINGER_COV,
        eye_m=eye_m if eye else None,
        eye_cov_m2=4 * SIZE_M2 if eye else None,
    )


def angle_deg(a: np.ndarray, b: np.ndarray) -> float:
    return math.degrees(math.acos(min(1.0, float(a @ b))))


def eye_line(case: Lines) -> np.ndarray:
    assert case.eye_m is not None
    return np.asarray((case.tip_m - case.eye_m) / np.linalg.norm(case.tip_m - case.eye_m))


def test_the_line_from_the_eye_counts_where_the_head_is_seen() -> None:
    case = lines()
    direction, _ = blend(case, DEFAULT_POINTING)
    assert angle_deg(direction, eye_line(case)) < 1e-3


def test_the_finger_counts_where_it_is_not() -> None:
    case = lines(eye=False)
    direction, covariance = blend(case, DEFAULT_POINTING)
    assert angle_deg(direction, case.finger) < 1e-3
    tangent = np.eye(3) - np.outer(case.finger, case.finger)
    np.testing.assert_allclose(covariance, tangent @ FINGER_COV @ tangent, atol=1e-6)


def test_close_up_one_gives_way_to_the_other_without_a_jump() -> None:
    heights = np.linspace(0.02, 0.4, 100)
    near = [nearness(np.array([0.6, 0.1, z]), lines().finger) for z in heights]
    assert near[0] == 1.0
    assert near[-1] == 0.0
    assert np.all(np.diff(near) <= 0)
    cases = [lines((0.6, 0.1, float(z))) for z in heights]
    directions = [blend(case, DEFAULT_POINTING)[0] for case in cases]
    assert angle_deg(directions[0], cases[0].finger) < 1e-3
    steps = [angle_deg(a, b) for a, b in pairwise(directions)]
    assert max(steps) < 1.5
    # A finger that does not point down at the table is not close to it.
    assert nearness(np.array([0.6, 0.1, 0.05]), np.array([0.0, 0.0, 1.0])) == 0.0


@pytest.mark.parametrize("weight", [0.0, 0.6, 1.0])
@pytest.mark.parametrize("height_m", [0.05, 0.15, 0.4])
def test_the_covariance_is_that_of_random_errors(weight: float, height_m: float) -> None:
    user = msgspec.structs.replace(DEFAULT_POINTING, eye_weight=weight, bias_yaw_rad=0.1)
    case = lines((0.6, 0.1, height_m))
    direction, covariance = blend(case, user)
    assert case.eye_m is not None
    assert case.eye_cov_m2 is not None
    rng = np.random.default_rng(1)
    shares = 0.05
    found = []
    for _ in range(1500):
        finger = case.finger + shares * rng.multivariate_normal(np.zeros(3), FINGER_COV)
        jittered = Lines(
            tip_m=case.tip_m + shares * rng.multivariate_normal(np.zeros(3), SIZE_M2),
            tip_cov_m2=SIZE_M2,
            finger=finger / np.linalg.norm(finger),
            finger_cov_rad2=FINGER_COV,
            eye_m=case.eye_m + shares * rng.multivariate_normal(np.zeros(3), case.eye_cov_m2),
            eye_cov_m2=case.eye_cov_m2,
        )
        found.append(blend(jittered, user)[0])
    sampled = np.cov(np.array(found).T) / shares**2
    expected = np.trace(covariance)
    # How near the finger is to the table is taken as known, so in between it is a little less.
    assert np.trace(sampled) == pytest.approx(expected, rel=0.15 if height_m != 0.15 else 0.5)
    assert direction @ covariance @ direction < 1e-6


def test_a_calibration_turns_each_line_by_its_own_bias() -> None:
    user = PointingCalibration(
        user_id="anna", bias_yaw_rad=0.1, finger_bias_yaw_rad=-0.2, hand_scale=1.0
    )
    far, alone = lines(), lines(eye=False)
    for case, line, yaw in ((far, eye_line(far), 0.1), (alone, alone.finger, -0.2)):
        direction, _ = blend(case, user)
        turned = math.atan2(direction[1], direction[0]) - math.atan2(line[1], line[0])
        assert math.remainder(turned, 2 * math.pi) == pytest.approx(yaw, abs=1e-6)
