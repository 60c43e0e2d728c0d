"""Counts and durations: percentiles as every report prints them, and a rolling window of timings.

python -c "from deixis.runtime.metrics import summarise; print(summarise([1.0, 2.0, 9.0]))"
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np

from deixis.runtime.messages import TimingStats


class Summary(msgspec.Struct, frozen=True):
    """Percentiles of a set of durations in milliseconds; NaN-free, None where n is 0."""

    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    n: int


def summarise(values_ms: Sequence[float]) -> Summary:
    """p50, p95, p99 and max of some durations.

    With few values the upper percentiles are interpolated towards the maximum (numpy's linear
    method), so p99 of a handful is practically their maximum.
    """
    if not values_ms:
        return Summary(None, None, None, None, 0)
    p50, p95, p99 = (round(float(p), 3) for p in np.percentile(values_ms, [50, 95, 99]))
    return Summary(p50, p95, p99, round(float(max(values_ms)), 3), len(values_ms))


class RollingTimings:
    """The most recent durations of one handler.

    Args:
        size: How many are kept.
    """

    def __init__(self, size: int = 512) -> None:
        self._values_ms: deque[float] = deque(maxlen=size)
        self._n = 0

    def add(self, duration_ms: float) -> None:
        """Add one duration."""
        self._values_ms.append(duration_ms)
        self._n += 1

    def stats(self) -> TimingStats:
        """Percentiles of the window; ``n`` counts all calls so far."""
        summary = summarise(self._values_ms)
        return TimingStats(
            n=self._n,
            p50_ms=summary.p50 or 0.0,
            p95_ms=summary.p95 or 0.0,
            p99_ms=summary.p99 or 0.0,
            max_ms=summary.max or 0.0,
        )
