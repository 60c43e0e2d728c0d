from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.nodes.fusion.posterior import (
    BACKGROUND_PER_SR,
    posterior,
    ray_density,
    ray_likelihood,
    word_likelihood,
)
from deixis.nodes.fusion.rays import Ray, average, hit_plane, ray_to_point
from tests.nodes.fusion.helpers import isotropic, ms, ray, thing

positive = st.floats(1e-6, 1e3)
PERSONAL = math.radians(3.5)


def straight_down(sigma_deg: float = 3.0) -> Ray:
    pointing = ray(ms(0), (0.4, 0.0, 0.0), origin=(0.4, 0.0, 0.5), sigma_deg=sigma_deg)
    return average([pointing], [1.0])


@given(st.lists(st.tuples(positive, positive), max_size=12), positive, st.floats(1e-3, 0.999))
def test_probabilities_sum_to_one(pairs, none_likelihood, none_prior):
    likelihoods = [a for a, _ in pairs]
    priors = [b for _, b in pairs]
    shares = posterior(likelihoods, priors, none_likelihood, none_prior)
    assert shares.shape == (len(pairs) + 1,)
    assert np.all(shares >= 0.0)
    assert shares.sum() == pytest.approx(1.0)


def test_no_evidence_at_all_is_none_of_them():
    assert posterior([0.0, 0.0], [1.0, 1.0], 0.0, 0.02).tolist() == [0.0, 0.0, 1.0]


@given(st.permutations(range(6)), st.integers(0, 1000))
def test_the_order_of_objects_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    objects = [thing(f"red_cup_{i}", (*rng.uniform(0.2, 0.6, 2), 0.05)) for i in range(6)]
    first = ray_likelihood(straight_down(), objects, PERSONAL)
    again = ray_likelihood(straight_down(), [objects[i] for i in order], PERSONAL)
    np.testing.assert_allclose(again, first[list(order)])


@given(st.floats(0.0, 0.5), st.floats(0.01, 0.3))
def test_farther_from_the_ray_is_less_likely(offset, more):
    # Same distance from the origin, so that only the angle differs.
    def at(angle):
        return (0.4, 0.5 * math.sin(angle), 0.5 - 0.5 * math.cos(angle))

    near, far = (thing("red_cup", at(a)) for a in (offset, offset + more))
    likelihood = ray_likelihood(straight_down(), [near, far], PERSONAL)
    assert likelihood[0] >= likelihood[1]


@given(st.floats(1.0, 8.0), st.floats(0.5, 10.0))
def test_more_covariance_is_flatter(sigma_deg, more_deg):
    objects = [thing("red_cup", (0.4, 0.02, 0.05)), thing("blue_cup", (0.4, 0.12, 0.05))]

    def ratio(sigma):
        a, b = ray_likelihood(straight_down(sigma), objects, PERSONAL)
        return a / b

    assert ratio(sigma_deg + more_deg) <= ratio(sigma_deg) * (1 + 1e-9)
    assert ratio(sigma_deg) >= 1.0


def test_the_density_is_a_density():
    # Integrated over all directions near the object it is one.
    position, radius = np.array([[0.4, 0.0, 0.0]]), np.array([0.04])
    cov = np.array([isotropic(0.01)]).reshape(-1, 3, 3)
    origin = np.array([0.4, 0.0, 0.5])
    step = math.radians(1.5)
    grid = np.arange(-25, 26) * step
    total = 0.0
    for a in grid:
        for b in grid:
            direction = np.array([math.tan(a), math.tan(b), -1.0])
            tangent = 1.0 + math.tan(a) ** 2 + math.tan(b) ** 2
            solid = step**2 * (1 + math.tan(a) ** 2) * (1 + math.tan(b) ** 2) / tangent**1.5
            observed = Ray(
                origin,
                direction / math.sqrt(tangent),
                np.zeros((3, 3)),
                np.eye(3) * math.radians(2.0) ** 2,
                1.0,
                1,
            )
            total += solid * float(ray_density(observed, position, cov, radius, PERSONAL)[0])
    assert total == pytest.approx(1.0, abs=0.02)


def test_a_hand_that_does_not_point_says_nothing():
    objects = [thing("red_cup", (0.4, 0.0, 0.0)), thing("blue_cup", (0.8, 0.3, 0.0))]
    idle = average([msgspec.structs.replace(ray(ms(0), (0.4, 0.0, 0.0)), confidence=0.0)], [1.0])
    np.testing.assert_allclose(ray_likelihood(idle, objects, PERSONAL), BACKGROUND_PER_SR)


def test_a_typed_point_is_a_gaussian_of_three_centimetres():
    objects = [thing(f"red_cup_{i}", (0.4 + i * 0.03, 0.1, 0.0), radius=0.0) for i in range(3)]
    objects = [msgspec.structs.replace(o, position_cov_m2=isotropic(0.0)) for o in objects]
    a, b, c = ray_likelihood(ray_to_point((0.4, 0.1, 0.0)), objects, PERSONAL)
    assert b / a == pytest.approx(math.exp(-0.5), rel=0.01)
    assert c / a == pytest.approx(math.exp(-2.0), rel=0.02)


@pytest.mark.parametrize(
    ("known", "word", "low", "high"),
    [
        ({"cup": 0.9}, "cup", 0.9, 0.95),
        ({"cup": 0.9}, "bowl", 0.01, 0.05),
        ({"cup": 1.0}, "bowl", 0.01, 0.01),
        ({}, "lamp", 0.2, 0.3),
        ({"cup": 0.9}, None, 1.0, 1.0),
    ],
)
def test_names_have_a_floor_and_unknown_things_may_be_called_anything(known, word, low, high):
    assert low <= word_likelihood(known, word, 0.01, 0.25) <= high


def test_the_mean_ray_weighs_precision_and_keeps_a_common_error():
    sharp = [ray(ms(i), (0.40, 0.0, 0.0), origin=(0.4, 0.0, 0.5), sigma_deg=1.0) for i in range(9)]
    blunt = ray(ms(10), (0.55, 0.0, 0.0), origin=(0.4, 0.0, 0.5), sigma_deg=10.0)
    mean = average([*sharp, blunt], [1.0] * 10)
    assert mean.n_rays == 10
    assert hit_plane(mean, 0.0)[0][0] == pytest.approx(0.40, abs=0.005)
    alone = average(sharp[:1], [1.0])
    assert 0.6 * alone.sigma_rad < average(sharp, [1.0] * 9).sigma_rad < alone.sigma_rad


def test_where_the_ray_meets_the_table():
    level = average([ray(ms(0), (1.0, 0.0, 0.3), origin=(0.0, 0.0, 0.3))], [1.0])
    assert hit_plane(level, PERSONAL) is None
    steep, flat = (
        average([ray(ms(0), (0.5, 0.0, 0.0), origin=origin)], [1.0])
        for origin in ((0.5, 0.0, 0.3), (0.0, 0.0, 0.1))
    )
    assert hit_plane(steep, PERSONAL)[0] == pytest.approx((0.5, 0.0, 0.0), abs=1e-9)
    assert hit_plane(flat, PERSONAL)[0] == pytest.approx((0.5, 0.0, 0.0), abs=1e-9)
    assert hit_plane(flat, PERSONAL)[1] > 3 * hit_plane(steep, PERSONAL)[1]


def test_the_uncertainty_of_the_hit_agrees_with_sampling():
    rng = np.random.default_rng(0)
    origin, target = np.array([0.2, 0.1, 0.25]), np.array([0.5, 0.0, 0.0])
    direction = (target - origin) / np.linalg.norm(target - origin)
    sigma = math.radians(2.0)
    samples = direction + rng.normal(0.0, sigma, (20000, 3))
    hits = origin - samples * (origin[2] / samples[:, 2])[:, None]
    expected = math.sqrt(np.linalg.eigvalsh(np.cov(hits[:, :2].T))[-1])
    zero = np.zeros((3, 3))
    found = hit_plane(Ray(origin, direction, zero, np.eye(3) * sigma**2, 1.0, 1), 0.0)
    assert found[1] == pytest.approx(expected, rel=0.05)


def test_a_calibrated_persons_own_error_counts_before_the_default():
    rays = [ray(ms(k), (0.5, 0.0, 0.0), origin=(0.3, 0.0, 0.3)) for k in range(5)]
    sure = [msgspec.structs.replace(r, personal_sigma_rad=math.radians(1.0)) for r in rays]
    unsure = [msgspec.structs.replace(r, personal_sigma_rad=math.radians(8.0)) for r in rays]
    means = [average(some, [1.0] * 5) for some in (sure, rays, unsure)]
    # The same error in all frames: averaging them does not make it smaller.
    assert means[0].personal_sigma_rad == pytest.approx(math.radians(1.0))
    assert means[1].personal_sigma_rad is None
    small, default, large = (hit_plane(mean, PERSONAL)[1] for mean in means)
    assert small < default < large
    assert hit_plane(means[1], math.radians(8.0))[1] == pytest.approx(large)
    thing_there = [thing("red_cup", (0.5, 0.06, 0.0))]
    likelihoods = [ray_likelihood(mean, thing_there, PERSONAL)[0] for mean in means]
    assert ray_likelihood(means[1], thing_there, math.radians(8.0))[0] == likelihoods[2]
    assert len({round(x, 6) for x in likelihoods}) == 3


def test_a_typed_point_has_no_personal_error():
    assert ray_to_point((0.4, 0.0, 0.0)).personal_rad(PERSONAL) == 0.0
