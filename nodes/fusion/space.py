"""Where on the table something fits: the nearest free spot, and a free spot beside a thing.

    python -c "from deixis.nodes.fusion.space import *; \
print(nearest_free((0.4, 0), 0.04, [Disc((0.41, 0), 0.05)], Area(), 0.2))"

Things are discs on the work plane of the base frame. Everything here is pure and exact: the nearest
free point of a plane with discs and a border taken out of it is the wished-for point, its
projection on one of those curves, or a point where two of them meet, and all of these are looked
at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.messages import Vec2

Array = NDArray[np.float64]

_TOUCH_M = 1e-6
"""Two things that overlap by less only touch: points on a border are free."""
_N_ANGLES = 72


class Area(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The part of the table on which things may be put, base frame, metres.

    Nothing is put where no object would be seen: by default it is the workspace of the objects
    node, and where that one is set this one should be, too.
    """

    x_min_m: float = 0.2
    x_max_m: float = 0.8
    y_min_m: float = -0.4
    y_max_m: float = 0.4

    def distance_m(self, point_base_m: Vec2) -> float:
        """How far a point lies outside; 0 inside."""
        dx = max(self.x_min_m - point_base_m[0], 0.0, point_base_m[0] - self.x_max_m)
        dy = max(self.y_min_m - point_base_m[1], 0.0, point_base_m[1] - self.y_max_m)
        return math.hypot(dx, dy)


@dataclass(frozen=True, slots=True)
class Disc:
    """Something that stands on the table.

    Attributes:
        centre_base_m: Its middle.
        radius_m: Half of its extent, with whatever distance is to be kept from it.
    """

    centre_base_m: Vec2
    radius_m: float


def free(
    points_base_m: Array, radius_m: float, discs: Sequence[Disc], area: Area
) -> NDArray[np.bool_]:
    """Whether something round fits at each of some points.

    Args:
        points_base_m: Where its middle would be, shape ``(n, 2)``.
        radius_m: Its radius.
        discs: What stands on the table.
        area: All of it must be inside.

    Returns:
        Booleans, shape ``(n,)``.
    """
    low, high = _border(radius_m, area)
    inside = (points_base_m >= low - _TOUCH_M) & (points_base_m <= high + _TOUCH_M)
    fits = np.logical_and(inside[:, 0], inside[:, 1])
    if discs:
        centres, radii = _grown(discs, radius_m)
        away = np.linalg.norm(points_base_m[:, None] - centres[None], axis=2)
        fits &= (away >= radii - _TOUCH_M).all(axis=1)
    return fits


def nearest_free(
    wished_base_m: Vec2, radius_m: float, discs: Sequence[Disc], area: Area, reach_m: float
) -> Vec2 | None:
    """The free spot nearest to where something was wished, if there is one near enough.

    Args:
        wished_base_m: Where its middle should be.
        radius_m: Its radius.
        discs: What stands on the table.
        area: All of it must be inside.
        reach_m: How far from the wish it may be.
    """
    wish = np.asarray(wished_base_m, dtype=np.float64)
    low, high = _border(radius_m, area)
    points = [wish[None], np.clip(wish, low, high)[None]]
    corners = [(x, y) for x in (low[0], high[0]) for y in (low[1], high[1])]
    points.append(np.array(corners))
    # Projections on the border's sides.
    for axis in (0, 1):
        for edge in (low[axis], high[axis]):
            foot = wish.copy()
            foot[axis] = edge
            points.append(foot[None])
    if discs:
        centres, radii = _grown(discs, radius_m)
        points += [
            _on_circles(wish, centres, radii),
            _circles_with_circles(centres, radii),
            _circles_with_border(centres, radii, low, high),
        ]
    candidates = np.concatenate(points)
    away = np.linalg.norm(candidates - wish, axis=1)
    candidates = candidates[away <= reach_m + _TOUCH_M]
    candidates = candidates[free(candidates, radius_m, discs, area)]
    if not len(candidates):
        return None
    best = candidates[int(np.argmin(np.linalg.norm(candidates - wish, axis=1)))]
    return float(best[0]), float(best[1])


def free_beside(
    base: Disc,
    radius_m: float,
    discs: Sequence[Disc],
    area: Area,
    gaps_m: Sequence[float],
    towards: Vec2 | None = None,
    spread_rad: float = math.pi,
) -> Vec2 | None:
    """A free spot beside a thing: as near to it as there is one.

    Args:
        base: The thing.
        radius_m: Radius of what is put there.
        discs: What else stands on the table.
        area: All of it must be inside.
        gaps_m: Widths of the gap between the two, the best first.
        towards: Direction from the thing in which it should be; any will do if None.
        spread_rad: How far it may be off that direction.

    Returns:
        With a direction, the spot closest to it; without, the one with the most room around it,
        and of those with room enough the one nearest to the robot.
    """
    heading = math.atan2(towards[1], towards[0]) if towards else 0.0
    offs = np.linspace(-spread_rad, spread_rad, _N_ANGLES + 1)
    spokes = np.column_stack([np.cos(heading + offs), np.sin(heading + offs)])
    for gap_m in gaps_m:
        points = np.asarray(base.centre_base_m) + (base.radius_m + gap_m + radius_m) * spokes
        fits = free(points, radius_m, [base, *discs], area)
        if not fits.any():
            continue
        if towards is not None:
            rank = np.abs(offs)
        else:
            enough_m = 2.0 * (radius_m + gap_m)
            room = np.minimum(_room(points, radius_m, discs), enough_m)
            # A millimetre of room weighs more than any way.
            rank = -np.round(room, 3) * 1e6 + np.linalg.norm(points, axis=1)
        best = points[int(np.argmin(np.where(fits, rank, np.inf)))]
        return float(best[0]), float(best[1])
    return None


def _border(radius_m: float, area: Area) -> tuple[Array, Array]:
    """Lower and upper corner of where the middle may be; crossed if the thing is too wide."""
    low = np.array([area.x_min_m, area.y_min_m]) + radius_m
    high = np.array([area.x_max_m, area.y_max_m]) - radius_m
    return low, high


def _grown(discs: Sequence[Disc], radius_m: float) -> tuple[Array, Array]:
    """Centres ``(n, 2)`` of the discs and their radii ``(n,)``, grown by that of a thing."""
    centres = np.array([d.centre_base_m for d in discs], dtype=np.float64)
    return centres, np.array([d.radius_m for d in discs]) + radius_m


def _room(points: Array, radius_m: float, discs: Sequence[Disc]) -> Array:
    """Distance between something at each point and the nearest disc, shape ``(n,)``."""
    if not discs:
        return np.full(len(points), np.inf)
    centres, radii = _grown(discs, radius_m)
    room: Array = np.min(np.linalg.norm(points[:, None] - centres[None], axis=2) - radii, axis=1)
    return room


def _on_circles(wish: Array, centres: Array, radii: Array) -> Array:
    """The point of each circle nearest to the wish, shape ``(n, 2)``."""
    offset = wish - centres
    away = np.linalg.norm(offset, axis=1, keepdims=True)
    # From a circle's very middle every direction is as good: the robot's side.
    spoke = np.where(away > 1e-12, offset / np.maximum(away, 1e-12), (-1.0, 0.0))
    return centres + radii[:, None] * spoke


def _circles_with_circles(centres: Array, radii: Array) -> Array:
    """Where circles meet in pairs, shape ``(m, 2)``."""
    i, j = np.triu_indices(len(radii), k=1)
    offset = centres[j] - centres[i]
    away = np.linalg.norm(offset, axis=1)
    meet = (away > 1e-12) & (away <= radii[i] + radii[j]) & (away >= np.abs(radii[i] - radii[j]))
    i, j, offset, away = i[meet], j[meet], offset[meet], away[meet]
    along = (away**2 + radii[i] ** 2 - radii[j] ** 2) / (2.0 * away)
    half = np.sqrt(np.maximum(radii[i] ** 2 - along**2, 0.0))
    unit = offset / away[:, None]
    across = np.column_stack([-unit[:, 1], unit[:, 0]])
    foot = centres[i] + along[:, None] * unit
    return np.concatenate([foot + half[:, None] * across, foot - half[:, None] * across])


def _circles_with_border(centres: Array, radii: Array, low: Array, high: Array) -> Array:
    """Where circles meet the lines of the border, shape ``(m, 2)``."""
    found = []
    for axis in (0, 1):
        for edge in (low[axis], high[axis]):
            gap = edge - centres[:, axis]
            meet = np.abs(gap) <= radii
            half = np.sqrt(np.maximum(radii[meet] ** 2 - gap[meet] ** 2, 0.0))
            for sign in (1.0, -1.0):
                points = np.empty((int(meet.sum()), 2))
                points[:, axis] = edge
                points[:, 1 - axis] = centres[meet, 1 - axis] + sign * half
                found.append(points)
    return np.concatenate(found)
