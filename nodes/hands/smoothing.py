"""A filter that smooths what stands still and does not delay what moves.

The 1€ filter: a first-order low pass whose cut-off rises with the speed of the signal (Casiez,
Roussel and Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012). A low pass lags behind any steady motion, the slow ones most; so it is applied
in a frame that moves with all the points together (Holt's trend, as in double exponential
smoothing). What moves steadily then does not lag, however fast or slow; what sets off, stops or
turns lags by less than a frame.

    smooth = OneEuro(min_cutoff_hz=2.0, beta=1.0)
    y = smooth(x, stamp_ns, scale=hand_size)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.clock import NS_PER_S

Array = NDArray[np.float64]


class OneEuro:
    """One filter for an array of points; they share their speed and the motion of their mean.

    Args:
        min_cutoff_hz: Cut-off of a signal that stands still: lower is steadier.
        beta: By how much the cut-off rises (Hz) per unit of speed (scales per second).
        speed_cutoff_hz: Cut-off of the speed's own low pass (at high frame rates, higher).
    """

    def __init__(self, min_cutoff_hz: float, beta: float, speed_cutoff_hz: float = 5.0) -> None:
        self._min_cutoff_hz = min_cutoff_hz
        self._beta = beta
        self._speed_cutoff_hz = speed_cutoff_hz
        self._raw: Array | None = None
        self._value: Array | None = None
        self._rate: Array | None = None
        self._stamp_ns = 0

    def __call__(self, x: Array, stamp_ns: int, scale: float = 1.0) -> Array:
        """Filter one sample.

        Args:
            x: The sample, shape ``(n, d)``, or ``(d,)`` for one point.
            stamp_ns: Its capture time; a stamp that does not advance restarts the filter.
            scale: Unit of the speed, in units of x.

        Returns:
            The filtered sample, without delay of a frame: it is computed from ``x`` itself.
        """
        dt_s = (stamp_ns - self._stamp_ns) / NS_PER_S
        self._stamp_ns = stamp_ns
        if self._value is None or self._raw is None or self._rate is None or dt_s <= 0:
            self._raw, self._value, self._rate = x, x, np.zeros_like(x)
            return x
        rate = (x - self._raw) / (dt_s * scale)
        # With half of every new rate or more, the trend is up to date before the lag is a frame.
        weight = max(_weight(self._speed_cutoff_hz, dt_s), 0.5)
        self._rate = self._rate + weight * (rate - self._rate)
        rates = np.atleast_2d(self._rate)
        speed = float(np.sqrt(np.mean(np.sum(rates**2, axis=-1))))
        cutoff_hz = self._min_cutoff_hz + self._beta * speed
        self._raw = x
        expected = self._value + rates.mean(axis=0) * (dt_s * scale)
        self._value = expected + _weight(cutoff_hz, dt_s) * (x - expected)
        return self._value


def _weight(cutoff_hz: float, dt_s: float) -> float:
    """Share of the new sample in a first-order low pass."""
    return 1 / (1 + 1 / (2 * math.pi * cutoff_hz * dt_s))
