"""Which range of a tensor's values 8 bits represent best, from one pass over its values.

The values are counted in bins whose width doubles when a value falls outside, so that neither the
range must be known beforehand nor the values be kept.

    python -c "import numpy as np; from deixis.calibration.histograms import Histogram, choose; \
h = Histogram(); h.add(np.random.default_rng(0).normal(size=9999)); print(choose(h, h))"
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.ranges import Method, TensorRange
from deixis.runtime.errors import CalibrationError

HALF = 4096  # Bins on either side of 0: at least 8 a step of the 256 where they are used evenly.
LEVELS = 256
_NARROWEST = 2.0**-100  # Of a bin: its reciprocal is a float32 still.
_PERCENTILE = 99.99
_SHRINK = np.linspace(0.2, 1.0, 33)
Array = NDArray[np.float64]


class Histogram:
    """Counts of a tensor's values; exact zeros, which 8 bits represent exactly, only in ``n``.

    Attributes:
        n: Values seen.
        low: The least one.
        high: The greatest one.
        width: Of a bin, a power of two; bin ``k`` holds values from ``(k - HALF) * width``.
        counts: Int64 ``[2 * HALF]``.
    """

    def __init__(self) -> None:
        self.n = 0
        self.low, self.high = math.inf, -math.inf
        self.width = 0.0
        self.counts = np.zeros(2 * HALF, np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Count an array's values.

        Raises:
            CalibrationError: One of them is not finite.
        """
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise CalibrationError("it takes values that are not finite")
        self.n += values.size
        self.low, self.high = min(self.low, low), max(self.high, high)
        greatest = max(-low, high)
        if greatest == 0:
            return
        # The least power of two whose bins reach beyond the value.
        self._widen(max(2.0 ** (math.frexp(greatest)[1] - math.log2(HALF)), _NARROWEST))
        bins = np.floor(values.ravel() * (1 / self.width)).astype(np.int32)
        self.counts += np.bincount(bins + HALF, minlength=2 * HALF)
        self.counts[HALF] -= values.size - np.count_nonzero(values)

    def _widen(self, width: float) -> None:
        while self.width and self.width < width:
            half = HALF // 2
            self.counts = np.pad(self.counts.reshape(-1, 2).sum(axis=1), half)
            self.width *= 2
        self.width = max(self.width, width)

    def centres(self) -> tuple[Array, Array]:
        """Of the bins that are not empty: the values in their middles, and their counts."""
        (used,) = np.nonzero(self.counts)
        middles = (used.astype(np.float64) - HALF + 0.5) * self.width
        return middles, self.counts[used].astype(np.float64)


class Means:
    """Means of the channels of arrays, which lie on axis 1."""

    def __init__(self) -> None:
        self._sums: Array | None = None
        self._counted = 0

    def add(self, values: NDArray[Any]) -> None:
        """Count an array's values."""
        axes = tuple(a for a in range(values.ndim) if a != 1)
        sums = values.sum(axis=axes, dtype=np.float64)
        self._sums = sums if self._sums is None else self._sums + sums
        self._counted += values.size // values.shape[1]

    def rounded(self) -> tuple[float, ...] | None:
        """The means, to six digits, which people can read; None: nothing was counted."""
        if self._sums is None:
            return None
        return tuple(float(f"{mean:.6g}") for mean in self._sums / self._counted)


class Statistics:
    """What a calibration learns of one tensor.

    Args:
        channels: whether the mean of each channel (axis 1) is wanted.
    """

    def __init__(self, channels: bool = False) -> None:
        self._halves = Histogram(), Histogram()
        self._means = Means()
        self._channels, self._inputs = channels, 0

    def add(self, values: NDArray[Any]) -> None:
        """Count the tensor's values on one more input.

        Raises:
            CalibrationError: one of them is not finite.
        """
        self._halves[self._inputs % 2].add(values)
        self._inputs += 1
        if self._channels:
            self._means.add(values)

    def range(self) -> TensorRange:
        """The best range: chosen on the inputs with even numbers, its error taken on the odd."""
        even, odd = self._halves
        found = choose(even, odd if self._inputs > 1 else even)
        return msgspec.structs.replace(found, means=self._means.rounded())


def choose(chosen_on: Histogram, measured_on: Histogram) -> TensorRange:
    """The range that leaves the least error, out of those that each method proposes.

    Args:
        chosen_on: What the methods see.
        measured_on: What the error is measured on; other inputs, so that a range which fits its own
            inputs too well does not win.
    """
    proposals = propose(chosen_on)
    low, high = min(chosen_on.low, measured_on.low, 0.0), max(chosen_on.high, measured_on.high, 0.0)
    proposals["minmax"] = (
        low,
        high,
    )  # of all that was seen: few inputs do not show the whole range
    values, counts = measured_on.centres()
    power = float(counts @ values**2)
    if not power:
        return TensorRange(low=low, high=high, method="minmax", error=0.0)
    lows, highs = np.array(list(proposals.values())).T
    errors = _squared_error(values, counts, lows, highs)
    best = int(errors.argmin())
    return TensorRange(
        low=float(lows[best]),
        high=float(highs[best]),
        method=list(proposals)[best],
        error=float(np.sqrt(errors[best] / power)),
    )


def propose(histogram: Histogram) -> dict[Method, tuple[float, float]]:
    """Each method's range: min–max first, which wins where others are no better."""
    low, high = min(histogram.low, 0.0), max(histogram.high, 0.0)
    values, counts = histogram.centres()
    if not values.size:
        return {"minmax": (low, high)}
    lows, highs = low * _SHRINK, high * _SHRINK
    divergence = [_divergence(values, counts, a, b) for a, b in zip(lows, highs, strict=True)]
    entropy = _last_least(np.array(divergence))
    return {
        "minmax": (low, high),
        "percentile": _percentiles(histogram, values, counts),
        "entropy": (float(lows[entropy]), float(highs[entropy])),
        "mse": _least_squares(values, counts, lows, highs),
    }


def _least_squares(values: Array, counts: Array, lows: Array, highs: Array) -> tuple[float, float]:
    """The range with the least error: both ends together first, then one and the other."""
    best = _last_least(_squared_error(values, counts, lows, highs))
    low, high = lows[best], highs[best]
    high = highs[_last_least(_squared_error(values, counts, np.full_like(highs, low), highs))]
    low = lows[_last_least(_squared_error(values, counts, lows, np.full_like(lows, high)))]
    return float(low), float(high)


def _last_least(errors: Array) -> int:
    """Where the least of some errors is; of equal ones the last, whose range clips least."""
    return len(errors) - 1 - int(errors[::-1].argmin())


def _percentiles(histogram: Histogram, values: Array, counts: Array) -> tuple[float, float]:
    """Between them lie 99.99 % of all values, the zeros among them."""
    outside = histogram.n * (1 - _PERCENTILE / 100) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])
    low = values[min(int(np.searchsorted(below, outside)), len(values) - 1)]
    high = values[::-1][min(int(np.searchsorted(above, outside)), len(values) - 1)]
    # A bin's middle may lie beyond the outermost value in it.
    return (
        max(min(float(low), 0.0), min(histogram.low, 0.0)),
        min(max(float(high), 0.0), max(histogram.high, 0.0)),
    )


def _squared_error(values: Array, counts: Array, lows: Array, highs: Array) -> Array:
    """Sum of the squares of what uint8 with each of the ranges changes."""
    errors = np.zeros(len(lows))
    for i, (low, high) in enumerate(zip(lows, highs, strict=True)):
        scale = (high - low) / (LEVELS - 1)
        if scale:
            zero = round(-low / scale)
            rounded = (np.clip(np.round(values / scale) + zero, 0, LEVELS - 1) - zero) * scale
        else:
            rounded = np.zeros_like(values)
        errors[i] = counts @ (rounded - values) ** 2
    return errors


def _divergence(values: Array, counts: Array, low: float, high: float) -> float:
    """Kullback–Leibler divergence of the values from what 256 levels of a range tell of them.

    After S. Migacz, *8-bit inference with TensorRT*, GTC 2017: clipped values join the outermost
    bins of the true distribution, and each level spreads its count evenly over its bins.
    """
    if high <= low:
        return math.inf
    inside = (values >= low) & (values <= high)
    if not inside.any():
        return math.inf
    kept = counts[inside]
    true = kept.copy()
    true[0] += counts[values < low].sum()
    true[-1] += counts[values > high].sum()
    level = np.minimum((values[inside] - low) * (LEVELS / (high - low)), LEVELS - 1).astype(int)
    bins = np.bincount(level, minlength=LEVELS)[level]
    spread = np.bincount(level, weights=kept, minlength=LEVELS)[level] / bins
    p, q = true / true.sum(), spread / spread.sum()
    return float(p @ np.log(p / q))
