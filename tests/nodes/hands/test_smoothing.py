from __future__ import annotations

import numpy as np

from deixis.nodes.hands.smoothing import OneEuro
from deixis.runtime.clock import NS_PER_S

FRAME_NS = NS_PER_S // 30


def test_noise_of_a_still_signal_is_reduced() -> None:
    rng = np.random.default_rng(0)
    smooth = OneEuro(min_cutoff_hz=1.0, beta=0.1)
    noisy = rng.normal(0, 0.01, (200, 21, 2))
    out = np.array([smooth(x, i * FRAME_NS) for i, x in enumerate(noisy)])
    assert out[30:].std() < 0.6 * noisy[30:].std()


def test_a_fast_signal_lags_less_than_a_frame() -> None:
    smooth = OneEuro(min_cutoff_hz=3.0, beta=20.0)
    step = 0.2  # units of scale per frame: a fast reach
    for i in range(30):
        x = np.full((21, 2), step * i)
        lag = np.abs(x - smooth(x, i * FRAME_NS)).max()
    assert lag < 0.5 * step


def test_the_first_sample_and_a_repeated_stamp_pass_unchanged() -> None:
    smooth = OneEuro(min_cutoff_hz=1.0, beta=0.0)
    assert smooth(np.array([3.0]), 10) == 3.0
    assert smooth(np.array([9.0]), 10) == 9.0


def test_the_scale_is_the_unit_of_speed() -> None:
    large, small = (OneEuro(min_cutoff_hz=1.0, beta=5.0) for _ in range(2))
    for i in range(10):
        x = np.array([[0.3 * i, 0.1 * i]])
        a, b = large(100 * x, i * FRAME_NS, scale=100.0), small(x, i * FRAME_NS)
    np.testing.assert_allclose(a, 100 * b)
