from __future__ import annotations

import numpy as np

from deixis.nodes.hands.motion import Watch


def picture(noise: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grey = np.tile(np.linspace(40, 200, 640), (480, 1))[:, :, None].repeat(3, axis=2)
    return np.clip(grey + rng.normal(0, noise, grey.shape), 0, 255).astype(np.uint8)


def test_noise_is_no_change_and_a_small_hand_is() -> None:
    watch = Watch()
    assert watch.glance(picture(6, 0)).differs
    watch.remember(watch.glance(picture(6, 0)))
    assert not watch.glance(picture(6, 1)).differs
    with_hand = picture(6, 1)
    with_hand[200:260, 300:330] = (90, 120, 180)
    glance = watch.glance(with_hand)
    assert glance.differs
    assert glance.differs_in((310, 150, 400, 220))
    assert not glance.differs_in((340, 200, 400, 260))
    watch.remember(glance)
    assert not watch.glance(with_hand).differs


def test_a_box_outside_the_picture_counts_as_the_nearest_part_of_it() -> None:
    watch = Watch()
    watch.remember(watch.glance(np.zeros((480, 640, 3), np.uint8)))
    with_hand = np.zeros((480, 640, 3), np.uint8)
    with_hand[:30, :40] = 100
    glance = watch.glance(with_hand)
    assert glance.differs_in((-20, -80, 30, -15))
    assert not glance.differs_in((600, 500, 660, 560))


def test_a_picture_of_another_size_is_a_change() -> None:
    watch = Watch()
    watch.remember(watch.glance(np.zeros((480, 640, 3), np.uint8)))
    assert watch.glance(np.zeros((360, 640, 3), np.uint8)).differs


def test_slow_changes_add_up() -> None:
    watch = Watch()
    watch.remember(watch.glance(np.full((480, 640, 3), 50, np.uint8)))
    assert [watch.glance(np.full((480, 640, 3), 50 + k, np.uint8)).differs for k in (1, 7, 8)] == [
        False,
        False,
        True,
    ]
