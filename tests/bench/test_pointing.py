"""Simulated people: they miss as published, and a calibration helps as far as their habit goes."""

from __future__ import annotations

import numpy as np
import pytest

from bench.pointing import (
    CAMERA,
    MOTION_CAPTURE,
    TABLE,
    WALL,
    miss_m,
    person,
    point_at,
    study,
)
from deixis.calibration.pointing import DEFAULT_POINTING


def test_simulated_people_miss_as_published() -> None:
    rng = np.random.default_rng(21)
    eye, finger = [], []
    for _ in range(150):
        who = person(rng, habit_share=0.6)
        for target in WALL.held_out(rng)[:6]:
            frames = point_at(target, who, WALL, MOTION_CAPTURE, rng)[:1]
            eye.append(miss_m(target, frames, DEFAULT_POINTING, WALL, eye=True))
            finger.append(miss_m(target, frames, DEFAULT_POINTING, WALL, eye=False))
    # Mayer et al., CHI 2018, at 2 m.
    assert np.mean(eye) == pytest.approx(0.102, abs=0.008)
    assert np.mean(finger) == pytest.approx(0.291, abs=0.02)


def test_how_much_is_habit_does_not_change_the_miss_without_calibration() -> None:
    def mean(share: float) -> float:
        rng = np.random.default_rng(5)
        misses = []
        for _ in range(200):
            who = person(rng, share)
            for target in WALL.held_out(rng)[:3]:
                frames = point_at(target, who, WALL, MOTION_CAPTURE, rng)[:1]
                misses.append(miss_m(target, frames, DEFAULT_POINTING, WALL, eye=True))
        return float(np.mean(misses))

    assert mean(0.2) == pytest.approx(mean(0.8), rel=0.12)


@pytest.mark.slow
def test_five_points_bring_the_miss_from_ten_to_six_centimetres() -> None:
    result = study(WALL, MOTION_CAPTURE, 0.6, n_people=40, seed=21)
    assert 9.0 < result["before_cm"] < 11.5
    assert result["after_cm"] <= 6.0
    assert result["better_share"] > 0.8
    assert result["own_estimate_cm"] == pytest.approx(result["after_cm"], abs=1.0)
    assert result["refused"] == 0


@pytest.mark.slow
def test_the_less_is_habit_the_less_a_calibration_helps() -> None:
    little, much = (study(WALL, MOTION_CAPTURE, s, n_people=25, seed=3) for s in (0.2, 0.8))
    assert much["after_cm"] < little["after_cm"] - 1.0


@pytest.mark.slow
def test_a_camera_that_does_not_know_the_hands_size_is_calibrated_too() -> None:
    result = study(TABLE, CAMERA, 0.6, n_people=25, seed=21)
    assert result["after_cm"] < 0.6 * result["before_cm"]
