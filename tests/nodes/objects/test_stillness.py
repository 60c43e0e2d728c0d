from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects.stillness import Stillness
from tests.nodes.objects.pictures import Drum, table


def test_noise_and_a_change_of_light_are_no_movement() -> None:
    still = Stillness()
    assert not still.same(table((Drum(0.5, 0.1),)))
    for seed in range(1, 5):
        picture = table((Drum(0.5, 0.1),), seed=seed).astype(np.int16) + seed
        assert still.same(np.clip(picture, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("moved_m", [0.004, -0.01, 0.1])
def test_a_thing_that_moves_is(moved_m: float) -> None:
    still = Stillness()
    still.same(table((Drum(0.5, 0.1),)))
    assert not still.same(table((Drum(0.5, 0.1 + moved_m),), seed=1))
    assert still.same(table((Drum(0.5, 0.1 + moved_m),), seed=2))


def test_slow_movements_add_up() -> None:
    still = Stillness()
    still.same(table((Drum(0.5, 0.1),)))
    changed = [not still.same(table((Drum(0.5, 0.1 + 0.0004 * k),), seed=k)) for k in range(20)]
    assert any(changed)


@settings(max_examples=20, deadline=None)
@given(
    sizes=st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=2, max_size=4),
    seed=st.integers(0, 99),
)
def test_pictures_of_any_size_may_follow_one_another(sizes, seed: int) -> None:
    rng, still = np.random.default_rng(seed), Stillness()
    for height, width in sizes:
        picture = rng.integers(0, 255, (height, width, 3)).astype(np.uint8)
        still.same(picture)
        assert still.same(picture)
