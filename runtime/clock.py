"""Clocks: the real monotonic one, and one that tests move by hand.

All stamps are ``CLOCK_MONOTONIC`` nanoseconds, which every process of one machine shares.

    python -c "from deixis.runtime.clock import SystemClock; print(SystemClock().now_ns())"
"""

from __future__ import annotations

import time
from typing import Protocol

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Where a node reads the time."""

    def now_ns(self) -> int:
        """Time now, in monotonic nanoseconds."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now_ns(self) -> int:
        """Time now, in monotonic nanoseconds."""
        return time.monotonic_ns()


class SimulatedClock:
    """A clock that stands still until it is advanced: deterministic tests.

    Args:
        start_ns: Time at the beginning.
    """

    def __init__(self, start_ns: int = NS_PER_S) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """Time now, in simulated nanoseconds."""
        return self._now_ns

    def advance_to(self, time_ns: int) -> None:
        """Move the clock forward to ``time_ns``; it never goes back."""
        self._now_ns = max(self._now_ns, time_ns)
