from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.export.bench.hands_golden import Golden, GoldenHand
from deixis.export.bench.hands_playing import FoundHand
from deixis.export.bench.hands_scoring import Scores, match, tangent_axes, tangent_error

Array = NDArray[np.float64]
RNG = np.random.default_rng(0)
SHAPE = RNG.uniform(-50, 50, (21, 2))
WORLD = RNG.uniform(-0.08, 0.08, (21, 3))
GOLDEN = Golden("v", Path("v.mp4"), True, (), tolerance_px=5.0, tolerance_m=0.01)


def known(x: float, **more: object) -> GoldenHand:
    return GoldenHand(SHAPE + np.array([x, 0.0]), **more)  # type: ignore[arg-type]


def found(x: float, y: float = 0.0, **more: object) -> FoundHand:
    return FoundHand(SHAPE + np.array([x, y]), WORLD, **more)  # type: ignore[arg-type]


def test_hands_are_matched_whatever_their_order() -> None:
    truth = [known(0), known(60), known(400)]
    hands = [found(402), found(58), found(3)]
    pairs = match(truth, hands)
    assert [(t is truth[i], h is hands[2 - i]) for i, (t, h) in enumerate(pairs)] == [
        (True,) * 2
    ] * 3


def test_the_sum_counts_not_the_first_hand() -> None:
    # The hand at 0 is nearer to 40 than to -60, but then the one at 100 would have none near it.
    pairs = match([known(0), known(60)], [found(40), found(-50)])
    assert [float(h.landmarks_px[0, 0] - t.landmarks_px[0, 0]) for t, h in pairs] == pytest.approx(
        [-50, -20]
    )


def test_a_hand_far_away_is_missed_and_the_other_false() -> None:
    scores = Scores()
    scores.add(GOLDEN, [known(0)], [found(1000)])
    assert (scores.missed_hands, scores.false_hands) == (1, 1)
    assert scores.landmarks() == {
        "n": 0, "mean_px": None, "p95_px": None, "worst_px": None, "within_tolerance": None,
        "mean_world_m": None, "worst_world_m": None, "missed_hands": 1,
    }  # fmt: skip


def test_errors_in_pixels_and_metres() -> None:
    scores = Scores()
    # The origin of the metric points does not matter.
    scores.add(GOLDEN, [known(0, world_m=WORLD + 0.5)], [found(3, 4)])
    moved = WORLD.copy()
    moved[8] += [0.021, 0, 0]
    scores.add(GOLDEN, [known(0, world_m=moved)], [found(0, 8)])
    assert scores.landmarks() == {
        "n": 42, "mean_px": 6.5, "p95_px": 8.0, "worst_px": 8.0, "within_tolerance": 0.5,
        "mean_world_m": pytest.approx((0.02 + 20 * 0.001) / 42, abs=1e-5),
        "worst_world_m": pytest.approx(0.02), "missed_hands": 0,
    }  # fmt: skip
    assert scores.within_world_tolerance() == pytest.approx(41 / 42, abs=1e-4)


def test_nothing_known_is_no_figure() -> None:
    scores = Scores()
    scores.add(GOLDEN, [], [])
    assert scores.landmarks() is scores.rays() is None


def test_more_hands_than_can_be_tried_are_matched_greedily() -> None:
    truth = [known(300 * i) for i in range(8)]
    hands = [found(300 * i + 2) for i in reversed(range(8))]
    assert len(match(truth, hands)) == 8


def test_gestures_are_counted() -> None:
    scores = Scores()
    scores.add(GOLDEN, [known(0, gesture="point")], [found(0, gesture="palm")])
    scores.add(GOLDEN, [known(0)], [found(0, gesture="palm")])
    assert dict(scores.gestures) == {("point", "palm"): 1}


def test_the_cone_covers_what_the_covariance_says() -> None:
    rng = np.random.default_rng(3)
    direction = np.array([0.6, 0.0, 0.8])
    axes = tangent_axes(direction)
    sigma = np.array([0.02, 0.05])
    covariance = axes.T @ np.diag(sigma**2) @ axes
    scores = Scores()
    for _ in range(4000):
        turn = (sigma * rng.normal(size=2)) @ axes
        angle = np.linalg.norm(turn)
        true = np.cos(angle) * direction + np.sin(angle) * turn / angle
        hand = found(0, direction_base=direction, direction_cov_rad2=covariance)
        scores.add(GOLDEN, [known(0, direction_base=true)], [hand])
    rays = scores.rays()
    assert rays is not None
    assert rays["n"] == 4000
    assert rays["coverage_90"] == pytest.approx(0.9, abs=0.015)
    # Half the covariance covers less.
    half = Scores()
    half.add(
        GOLDEN,
        [known(0, direction_base=true)],
        [found(0, direction_base=direction, direction_cov_rad2=covariance * 1e-6)],
    )
    assert half.rays() == {**rays, "n": 1, "coverage_90": 0.0} | {
        k: pytest.approx(np.rad2deg(angle), abs=1e-3) for k in ("median_deg", "p90_deg")
    }


def test_a_pointing_hand_without_a_ray_is_missed() -> None:
    scores = Scores()
    scores.add(GOLDEN, [known(0, direction_base=np.array([0, 0, 1.0]))], [found(0)])
    assert scores.missed_rays == 1
    assert scores.rays() == {"n": 0, "median_deg": None, "p90_deg": None, "coverage_90": None}


def test_the_error_is_the_turn_from_the_estimate_to_the_truth() -> None:
    estimate = np.array([0.0, 0.0, 1.0])
    true = np.array([np.sin(0.3), 0.0, np.cos(0.3)])
    error = tangent_error(estimate, true)
    assert np.linalg.norm(error) == pytest.approx(0.3)
    np.testing.assert_allclose(error @ tangent_axes(estimate), [0.3, 0, 0], atol=1e-9)
    assert np.linalg.norm(tangent_error(estimate, -estimate)) == pytest.approx(np.pi)
