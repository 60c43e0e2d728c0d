"""The fitted hand: its derivatives, and that where the fit begins does not decide where it ends."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.nodes.hands.hand_model import (
    FLEXION,
    MODEL_LANDMARKS,
    PALM_LANDMARKS,
    REST,
    model_points,
    rotations,
)
from deixis.nodes.hands.hand_pose import DEPTH_BIAS_M, HandPose, fit_hand

Array = NDArray[np.float64]


def fitted(
    turn: Array, place_m: Array, *, right: bool = True, before: HandPose | None = None
) -> HandPose:
    """The fit to a model's hand whose image points are off by about half a pixel."""
    points = model_points(REST, right, 1.0)[0] @ turn.T + place_m
    noise = np.random.default_rng(0).normal(0, 0.001, (8, 2))
    image, world = np.zeros((21, 2)), np.zeros((21, 3))
    image[:] = place_m[:2] / place_m[2]
    image[list(MODEL_LANDMARKS)] = points[:, :2] / points[:, 2:] + noise
    world[list(MODEL_LANDMARKS), 2] = points[:, 2] - points[:, 2].mean()
    world[list(PALM_LANDMARKS), 2] += DEPTH_BIAS_M
    pose = fit_hand(image, world, side=0.3, right=right, before=before)
    assert pose is not None
    return pose


def turned(x: float, y: float, z: float) -> Array:
    turn: Array = rotations(np.array([[x, y, z]]))[0]
    return turn


@pytest.mark.parametrize("right", [True, False])
def test_the_joints_move_the_points_as_the_derivatives_say(right: bool) -> None:
    parameters = REST.copy()
    parameters[FLEXION:] += [0.2, 0.1, 0.3, 0.1, 0.05]
    _, slopes = model_points(parameters, right, 1.1)
    for k in range(5):
        step = np.zeros_like(parameters)
        step[FLEXION + k] = 1e-6
        ahead = model_points(parameters + step, right, 1.1)[0]
        behind = model_points(parameters - step, right, 1.1)[0]
        assert slopes[:, :, k] == pytest.approx((ahead - behind) / 2e-6, abs=1e-7)


@pytest.mark.parametrize("other", ["a frame ago", "upside down", "behind", "of the other hand"])
def test_where_the_fit_begins_does_not_decide_where_it_ends(other: str) -> None:
    place = np.array([0.05, 0.02, 0.7])
    before = {
        "a frame ago": fitted(turned(0.5, 1.0, 0.3), place + np.array([0.01, 0.0, 0.01])),
        "upside down": fitted(turned(0.5, -2.0, 0.3), place),
        "behind": fitted(turned(0.5, 1.0, 3.0), place + np.array([0.0, 0.1, 0.6])),
        "of the other hand": fitted(turned(0.5, 1.0, 0.3), place, right=False),
    }[other]
    alone = fitted(turned(0.55, 1.0, 0.3), place)
    after = fitted(turned(0.55, 1.0, 0.3), place, before=before)
    assert after.direction_cam == pytest.approx(alone.direction_cam, abs=2e-3)
    assert after.tip_cam == pytest.approx(alone.tip_cam, abs=1e-3)
    assert after.direction_cov_rad2 == pytest.approx(alone.direction_cov_rad2, rel=0.05, abs=1e-5)
