"""The part of the table in which objects are looked for.

Workspace(x_min_m=0.2, x_max_m=0.8, y_min_m=-0.4, y_max_m=0.4).contains(point)
"""

from __future__ import annotations

import msgspec
import numpy as np

from deixis.nodes.objects.source import Array


class Workspace(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The clear part of the table in which objects are looked for, base frame, metres."""

    x_min_m: float = 0.2
    x_max_m: float = 0.8
    y_min_m: float = -0.4
    y_max_m: float = 0.4

    def contains(self, point: Array, margin_m: float = 0.0) -> bool:
        """Whether a point lies above it."""
        return bool(
            self.x_min_m - margin_m <= point[0] <= self.x_max_m + margin_m
            and self.y_min_m - margin_m <= point[1] <= self.y_max_m + margin_m
        )

    def outline(self, z_m: float, steps: int = 24) -> Array:
        """Points ``(n, 3)`` along its border at a height."""
        t = np.linspace(0, 1, steps, endpoint=False)
        x0, x1, y0, y1 = self.x_min_m, self.x_max_m, self.y_min_m, self.y_max_m
        sides = [
            np.column_stack([x0 + (x1 - x0) * t, np.full_like(t, y0)]),
            np.column_stack([np.full_like(t, x1), y0 + (y1 - y0) * t]),
            np.column_stack([x1 + (x0 - x1) * t, np.full_like(t, y1)]),
            np.column_stack([np.full_like(t, x0), y1 + (y0 - y1) * t]),
        ]
        flat = np.concatenate(sides)
        return np.column_stack([flat, np.full(len(flat), z_m)])
