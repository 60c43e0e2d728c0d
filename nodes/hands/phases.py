"""Where in its gesture a hand is, and when each phase began, from the speed of its fingertip.

A gesture is prepared (the hand sets off), held, and withdrawn (Kendon, "Gesture", 2004). The speed
is measured over the last 100 ms, so a change is known about 50 ms after it happened; the times of
the changes are those at which it happened, between the frames.

    phase = PhaseTracker().update(tip_m, confidence, stamp_ns)
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.clock import NS_PER_MS, NS_PER_S

Array = NDArray[np.float64]
Phase = Literal["none", "reach", "hold", "retract"]

_SPEED_WINDOW_NS = 100 * NS_PER_MS
_HOLD_BELOW_M_S = 0.15
_MOVE_ABOVE_M_S = 0.25
_HELD_AFTER_NS = 150 * NS_PER_MS
"""A shorter pause does not count as a hold: a hand that sets off is slow at first, too."""
_POINTING_ABOVE = 0.3
"""Confidence from which a still hand is taken to point at something."""


@dataclass(slots=True)
class PhaseTracker:
    """Follows one hand's gesture by the speed of its fingertip.

    Attributes:
        phase: Where in the gesture the hand is.
        since_ns: When that phase began: onset (``reach``), hold or release (``retract``); for a
            hand that comes into view moving, when it did.
    """

    phase: Phase = "none"
    since_ns: int = 0
    _path: deque[tuple[int, Array]] = field(default_factory=deque)
    _speed: tuple[float, float] | None = None
    _moving: bool = True
    _held: bool = False
    _still_ns: int | None = None
    _changed_ns: int | None = None

    def update(self, tip_m: Array, confidence: float, stamp_ns: int) -> Phase:
        """Take the fingertip's place (metres) at a time.

        A hand that comes into view is taken to be moving until it is seen to hold still.
        """
        if self._changed_ns is None:
            self._changed_ns = self.since_ns = stamp_ns
        self._path.append((stamp_ns, tip_m))
        while stamp_ns - self._path[0][0] > _SPEED_WINDOW_NS:
            self._path.popleft()
        self._measure()
        before, self.phase = self.phase, self._next(confidence, stamp_ns)
        if self.phase != before:
            self.since_ns = self._changed_ns
        return self.phase

    def _next(self, confidence: float, stamp_ns: int) -> Phase:
        if not self._moving and confidence >= _POINTING_ABOVE:
            self._still_ns = stamp_ns if self._still_ns is None else self._still_ns
            self._held = self._held or stamp_ns - self._still_ns >= _HELD_AFTER_NS
            return "hold"
        self._still_ns = None
        if self._moving:
            return "retract" if self._held else "reach"
        self._held = False
        return "none"

    def _measure(self) -> None:
        """Take the speed over the window (least squares), once half of it has been seen."""
        times = np.array([t for t, _ in self._path], np.int64)
        if times[-1] - times[0] < 0.5 * _SPEED_WINDOW_NS:
            return
        middle_ns = float(times.mean())
        seconds = (times - middle_ns) / NS_PER_S
        places = np.array([p for _, p in self._path])
        slope = seconds @ (places - places.mean(axis=0)) / (seconds @ seconds)
        now, last = (middle_ns, float(np.linalg.norm(slope))), self._speed
        limit = _HOLD_BELOW_M_S if self._moving else _MOVE_ABOVE_M_S
        if (now[1] > limit) != self._moving:
            self._changed_ns = round(_crossing_ns(last, now, limit))
            self._moving = not self._moving
        self._speed = now


def _crossing_ns(last: tuple[float, float] | None, now: tuple[float, float], limit: float) -> float:
    """When the speed, given as (time, speed) twice, passed a limit: linear between both."""
    if last is None or last[1] == now[1]:
        return now[0]
    share = min(max((limit - last[1]) / (now[1] - last[1]), 0.0), 1.0)
    return last[0] + share * (now[0] - last[0])
