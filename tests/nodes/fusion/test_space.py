from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.fusion.space import Area, Disc, free, free_beside, nearest_free

AREA = Area()
GAPS = (0.03, 0.06, 0.10)

points = st.tuples(st.floats(0.1, 0.9), st.floats(-0.5, 0.5))
radii = st.floats(0.01, 0.08)
tables = st.lists(st.builds(Disc, points, st.floats(0.02, 0.15)), max_size=8)
directions = st.floats(-math.pi, math.pi).map(lambda a: (math.cos(a), math.sin(a)))


def fits(point, radius_m, discs):
    """The definition, one thing after the other."""
    x, y = point
    inside = (
        AREA.x_min_m - 1e-6 <= x - radius_m
        and x + radius_m <= AREA.x_max_m + 1e-6
        and AREA.y_min_m - 1e-6 <= y - radius_m
        and y + radius_m <= AREA.y_max_m + 1e-6
    )
    return inside and all(
        math.dist(point, d.centre_base_m) >= d.radius_m + radius_m - 2e-6 for d in discs
    )


@settings(max_examples=300, deadline=None)
@given(points, radii, tables, st.floats(0.0, 0.5))
def test_the_nearest_free_spot_is_free_near_enough_and_the_nearest(wish, radius_m, discs, reach_m):
    spot = nearest_free(wish, radius_m, discs, AREA, reach_m)
    steps = np.linspace(-reach_m, reach_m, 61)
    grid = np.stack(np.meshgrid(wish[0] + steps, wish[1] + steps), -1).reshape(-1, 2)
    away = np.linalg.norm(grid - wish, axis=1)
    grid, away = grid[away <= reach_m], away[away <= reach_m]
    around = away[free(grid, radius_m, discs, AREA)]
    if spot is None:
        assert not len(around)
        return
    assert fits(spot, radius_m, discs)
    assert math.dist(spot, wish) <= reach_m + 2e-6
    # No point of a fine grid is free and nearer.
    assert not len(around) or math.dist(spot, wish) <= around.min() + 2e-6


@settings(max_examples=200, deadline=None)
@given(points, radii, tables)
def test_a_free_wish_is_granted_as_it_is(wish, radius_m, discs):
    if fits(wish, radius_m - 1e-5, discs) and fits(wish, radius_m + 1e-5, discs):
        assert nearest_free(wish, radius_m, discs, AREA, 0.0) == pytest.approx(wish)


@settings(max_examples=200, deadline=None)
@given(points, st.floats(0.02, 0.1), radii, tables, st.one_of(st.none(), directions))
def test_beside_a_thing_is_free_and_on_the_side_that_was_said(
    centre, base_m, radius_m, discs, towards
):
    base, spread = Disc(centre, base_m), math.radians(40.0)
    spread = math.pi if towards is None else spread
    spot = free_beside(base, radius_m, discs, AREA, GAPS, towards, spread)
    if spot is None:
        return
    assert fits(spot, radius_m, [base, *discs])
    gap_m = math.dist(spot, centre) - base_m - radius_m
    assert any(gap_m == pytest.approx(g) for g in GAPS)
    if towards is not None:
        offset = np.subtract(spot, centre) / math.dist(spot, centre)
        assert float(offset @ np.array(towards)) >= math.cos(spread) - 1e-6


def test_the_closest_ring_with_room_is_taken():
    base = Disc((0.5, 0.0), 0.05)
    (x, y) = free_beside(base, 0.04, [], AREA, GAPS, (0.0, 1.0), 0.5)
    assert (x, y) == pytest.approx((0.5, 0.12))
    # Something small on that very spot: still on that side, around it.
    spot = free_beside(base, 0.04, [Disc((0.5, 0.12), 0.01)], AREA, GAPS, (0.0, 1.0), 0.9)
    assert spot is not None
    assert spot[1] > 0.05
    assert math.dist(spot, (0.5, 0.12)) >= 0.05 - 1e-6


def test_next_to_keeps_away_from_the_others():
    base, other = Disc((0.5, 0.0), 0.05), Disc((0.5, 0.2), 0.05)
    spot = free_beside(base, 0.04, [other], AREA, GAPS)
    assert spot is not None
    assert math.dist(spot, other.centre_base_m) > math.dist(base.centre_base_m, other.centre_base_m)


def test_what_is_wider_than_the_table_fits_nowhere():
    assert nearest_free((0.5, 0.0), 0.5, [], AREA, math.inf) is None
    assert free_beside(Disc((0.5, 0.0), 0.05), 0.5, [], AREA, GAPS) is None
