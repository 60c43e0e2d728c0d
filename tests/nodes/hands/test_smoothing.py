from __future__ import annotations

import numpy as np
import pytest

from deixis.nodes.hands.smoothing import OneEuro
from deixis.runtime.clock import NS_PER_S

FRAME_NS = NS_PER_S // 30


def test_noise_of_a_still_signal_is_reduced() -> None:
    rng = np.random.default_rng(0)
    smooth = OneEuro(min_cutoff_hz=1.0, beta=0.1)
    noisy = rng.normal(0, 0.01, (200, 21, 2))
    out = np.array([smooth(x, i * FRAME_NS) for i, x in enumerate(noisy)])
    assert out[30:].std() < 0.6 * noisy[30:].std()


def lags(path: np.ndarray, frame_ns: int = FRAME_NS) -> np.ndarray:
    """How far the filter is behind a path of a whole hand, ``(n,)`` in units of its scale.

    The filter has the tracker's own parameters.
    """
    smooth = OneEuro(min_cutoff_hz=1.5, beta=20.0)
    shape = np.random.default_rng(1).normal(0, 0.2, (21, 2))
    out = [smooth(shape + np.array([x, 0.0]), 1 + i * frame_ns) - shape for i, x in enumerate(path)]
    return path - np.array(out)[:, :, 0].mean(axis=1)


@pytest.mark.parametrize("fps", [15, 30, 60, 240])
@pytest.mark.parametrize("step", [0.0002, 0.002, 0.02, 0.2])
def test_a_steady_motion_lags_less_than_a_frame_however_slow(step: float, fps: int) -> None:
    # It stands, moves at a constant speed from one frame to the next, and stands again.
    path = step * np.clip(np.arange(90.0) - 10, 0, 50)
    behind = lags(path, NS_PER_S // fps) / step
    assert np.abs(behind).max() < 1
    assert np.abs(behind[50:60]).max() < 0.1


@pytest.mark.parametrize("acceleration", [0.0005, 0.005, 0.05])
def test_an_accelerating_motion_lags_less_than_a_frame(acceleration: float) -> None:
    frames = np.maximum(0.0, np.arange(40.0) - 10)
    path = acceleration / 2 * frames**2
    behind = lags(path)[11:] / np.diff(path)[10:]
    assert behind.max() < 0.7


def test_a_reach_is_followed_closely() -> None:
    # Minimum jerk over 1.5 crop sides in a third of a second: a fast reach.
    u = np.clip((np.arange(40) - 10) / 10, 0, 1)
    path = 1.5 * u**3 * (10 - 15 * u + 6 * u * u)
    assert np.abs(lags(path)).max() < 0.1 * np.diff(path).max()


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
