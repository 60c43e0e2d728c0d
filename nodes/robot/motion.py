"""Straight-line motion with trapezoidal speed, sampled at any time.

    python -c "from deixis.nodes.robot.motion import Trapezoid; print(Trapezoid(1, 1, 1))"

A line that is too short to reach full speed has a triangular profile.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Trapezoid:
    """Distance along a line over time: accelerate, cruise, brake to a halt.

    Attributes:
        length: Length of the line (m or rad), not negative.
        max_speed: Highest speed.
        max_acceleration: Acceleration and deceleration.
    """

    length: float
    max_speed: float
    max_acceleration: float

    @property
    def _peak(self) -> float:
        return min(self.max_speed, math.sqrt(self.length * self.max_acceleration))

    @property
    def duration_s(self) -> float:
        """Time from rest to rest."""
        if self.length <= 0.0:
            return 0.0
        return self.length / self._peak + self._peak / self.max_acceleration

    def distance(self, time_s: float) -> float:
        """How far along the line it is at a time since the start, in [0, length]."""
        total = self.duration_s
        if time_s <= 0.0 or total == 0.0:
            return 0.0 if self.length > 0.0 else self.length
        if time_s >= total:
            return self.length
        peak, a = self._peak, self.max_acceleration
        ramp_s = peak / a
        if time_s < ramp_s:
            return 0.5 * a * time_s**2
        if time_s > total - ramp_s:
            return self.length - 0.5 * a * (total - time_s) ** 2
        return peak * (time_s - 0.5 * ramp_s)
