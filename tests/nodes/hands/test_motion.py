from __future__ import annotations

import numpy as np

from deixis.nodes.hands.motion import Watch


def picture(noise: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grey = np.tile(np.linspace(40, 200, 640), (480, 1))[:, :, None].repeat(3, axis=2)
    return np.clip(grey + rng.normal(0, noise, grey.shape), 0, 255).astype(np.uint8)


def test_noise_is_no_change_and_a_small_hand_is() -> None:
    watch = Watch()
    assert watch.differs(picture(6, 0))
    watch.remember(picture(6, 0))
    assert not watch.differs(picture(6, 1))
    with_hand = picture(6, 1)
    with_hand[200:260, 300:330] = (90, 120, 180)
    assert watch.differs(with_hand)
    watch.remember(with_hand)
    assert not watch.differs(with_hand)


def test_a_picture_of_another_size_is_a_change() -> None:
    watch = Watch()
    watch.remember(np.zeros((480, 640, 3), np.uint8))
    assert watch.differs(np.zeros((360, 640, 3), np.uint8))


def test_slow_changes_add_up() -> None:
    watch = Watch()
    watch.remember(np.full((480, 640, 3), 50, np.uint8))
    assert [watch.differs(np.full((480, 640, 3), 50 + k, np.uint8)) for k in (1, 7, 8)] == [
        False, False, True,
    ]  # fmt: skip
