from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deixis.nodes.objects.assignment import assign

COSTS = st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=st.one_of(st.floats(0, 2), st.just(float("inf")))
    )
)


def least(cost: np.ndarray, limit: float) -> float:
    """The least sum, by trying all."""
    rows, columns = cost.shape
    totals = []
    for choice in itertools.product([*range(columns), -1], repeat=rows):
        used = [c for c in choice if c >= 0]
        if len(set(used)) == len(used):
            parts = [limit if c < 0 else cost[r, c] for r, c in enumerate(choice)]
            allowed = all(c < 0 or cost[r, c] < limit for r, c in enumerate(choice))
            totals.append(sum(parts) if allowed else np.inf)
    return min(totals)


@given(cost=COSTS)
def test_the_sum_is_the_least_there_is(cost: np.ndarray) -> None:
    pairs = assign(cost, limit=1.0)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    assert all(cost[r, c] < 1.0 for r, c in pairs)
    total = sum(cost[r, c] for r, c in pairs) + (len(cost) - len(pairs))
    assert abs(total - least(cost, 1.0)) < 1e-9


def test_the_nearest_pair_does_not_take_what_another_needs_more() -> None:
    # A row of three that was pushed along by almost one place.
    place = np.array([0.0, 0.1, 0.2])
    pushed = place + 0.06
    cost = np.abs(place[:, None] - pushed[None]) / 0.1
    assert assign(cost, limit=1.0) == [(0, 0), (1, 1), (2, 2)]
