"""Compares hands that were found with hands that are known.

scores = Scores()
scores.add(golden, golden.frames[0], found)
print(scores.landmarks())
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.hands_golden import Golden, GoldenHand
from deixis.export.bench.hands_playing import FoundHand

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CHI2_90: Final = 4.605
"""The 90 % quantile of chi-square with the two degrees of freedom of a direction."""
_MOST_HANDS: Final = 6
"""Of a frame that is matched by trying all assignments."""


@dataclass
class Scores:
    """Errors of many frames.

    Attributes:
        gives_rays: Whether rays are compared at all.
        missed_hands: Hands that are there and were not found.
        false_hands: Hands that were found and are not there.
        missed_rays: Pointing hands that were found without a ray.
        gestures: How often a gesture (first) was taken for another (second).
    """

    gives_rays: bool = True
    missed_hands: int = 0
    false_hands: int = 0
    missed_rays: int = 0
    gestures: Counter[tuple[str, str]] = field(default_factory=Counter)
    _px: list[Array] = field(default_factory=list)
    _within: list[Flags] = field(default_factory=list)
    _m: list[Array] = field(default_factory=list)
    _within_m: list[Flags] = field(default_factory=list)
    _rays_rad: list[float] = field(default_factory=list)
    _inside: list[bool] = field(default_factory=list)
    _known: int = 0

    def add(
        self, golden: Golden, known: Sequence[GoldenHand], found: Sequence[FoundHand]
    ) -> list[tuple[GoldenHand, FoundHand]]:
        """Count one frame.

        Returns:
            Which known hand is which found one.
        """
        pairs = match(known, found)
        self._known += len(known)
        self.missed_hands += len(known) - len(pairs)
        self.false_hands += len(found) - len(pairs)
        for true, hand in pairs:
            error = np.linalg.norm(hand.landmarks_px - true.landmarks_px, axis=1)
            self._px.append(error)
            self._within.append(error <= golden.tolerance_px)
            if true.world_m is not None:
                error = world_error(hand.world_m, true.world_m)
                self._m.append(error)
                if golden.tolerance_m is not None:
                    self._within_m.append(error <= golden.tolerance_m)
            if true.direction_base is not None and self.gives_rays:
                self._add_ray(true.direction_base, hand)
            if true.gesture is not None and hand.gesture is not None:
                self.gestures[true.gesture, hand.gesture] += 1
        return pairs

    def landmarks(self) -> dict[str, Any] | None:
        """Errors of the landmarks; ``n`` counts points. None where no hand is known."""
        if not self._known and not self.false_hands:
            return None
        px = np.concatenate(self._px) if self._px else np.zeros(0)
        m = np.concatenate(self._m) if self._m else np.zeros(0)
        return {
            "n": px.size,
            "mean_px": _rounded(px.mean(), 3) if px.size else None,
            "p95_px": _rounded(np.percentile(px, 95), 3) if px.size else None,
            "worst_px": _rounded(px.max(), 3) if px.size else None,
            "within_tolerance": _share(self._within),
            "mean_world_m": _rounded(m.mean(), 5) if m.size else None,
            "worst_world_m": _rounded(m.max(), 5) if m.size else None,
            "missed_hands": self.missed_hands,
        }

    def within_world_tolerance(self) -> float | None:
        """Share of the metric landmarks within their tolerance, where one is given."""
        return _share(self._within_m)

    def rays(self) -> dict[str, Any] | None:
        """Errors of the pointing rays; None where none is known."""
        if not self._rays_rad and not self.missed_rays:
            return None
        deg = np.rad2deg(self._rays_rad)
        return {
            "n": len(deg),
            "median_deg": _rounded(np.median(deg), 3) if deg.size else None,
            "p90_deg": _rounded(np.percentile(deg, 90), 3) if deg.size else None,
            "coverage_90": _rounded(np.mean(self._inside), 4) if deg.size else None,
        }

    def _add_ray(self, true: Array, hand: FoundHand) -> None:
        if hand.direction_base is None or hand.direction_cov_rad2 is None:
            self.missed_rays += 1
            return
        error = tangent_error(hand.direction_base, true)
        axes = tangent_axes(hand.direction_base)
        covariance = axes @ hand.direction_cov_rad2 @ axes.T
        self._rays_rad.append(float(np.linalg.norm(error)))
        self._inside.append(bool(error @ np.linalg.solve(covariance, error) <= CHI2_90))


def match(
    known: Sequence[GoldenHand], found: Sequence[FoundHand]
) -> list[tuple[GoldenHand, FoundHand]]:
    """Pair known and found hands so that the sum of their mean distances is least.

    A pair that is further apart than the known hand is large is none: that hand was missed.
    """
    if not known or not found:
        return []
    distance = np.array(
        [
            [np.linalg.norm(f.landmarks_px - k.landmarks_px, axis=1).mean() for f in found]
            for k in known
        ]
    )
    size = np.array([np.linalg.norm(np.ptp(k.landmarks_px, axis=0)) for k in known])
    # Too far costs the same however far, so that it never spoils a good pair.
    cost = np.where(distance <= size[:, None], distance, 1e6)
    return [(known[i], found[j]) for i, j in _assignment(cost) if cost[i, j] < 1e6]


def _assignment(cost: Array) -> list[tuple[int, int]]:
    """Rows and columns with the least sum; greedy where there are very many of both."""
    rows, columns = cost.shape
    if rows > columns:
        return [(i, j) for j, i in _assignment(cost.T)]
    if columns > _MOST_HANDS:
        pairs: list[tuple[int, int]] = []
        for flat in np.argsort(cost, axis=None):
            i, j = divmod(int(flat), columns)
            if all(i != a and j != b for a, b in pairs):
                pairs.append((i, j))
        return pairs
    best = min(
        permutations(range(columns), rows), key=lambda p: sum(cost[i, j] for i, j in enumerate(p))
    )
    return list(enumerate(best))


def world_error(found_m: Array, true_m: Array) -> Array:
    """Distances ``(21,)`` of metric points, both about their own mean.

    The networks say where the points lie about the hand's approximate centre, in the camera's axes;
    where exactly that centre is differs from source to source.
    """
    found, true = found_m - found_m.mean(axis=0), true_m - true_m.mean(axis=0)
    out: Array = np.linalg.norm(found - true, axis=1)
    return out


def tangent_axes(direction: Array) -> Array:
    """Two unit vectors ``(2, 3)`` across a direction and each other."""
    least = np.eye(3)[np.argmin(np.abs(direction))]
    first = np.cross(direction, least)
    first /= np.linalg.norm(first)
    return np.array([first, np.cross(direction, first)])


def tangent_error(estimate: Array, true: Array) -> Array:
    """The turn ``(2,)`` in radians that takes an estimated direction to the true one."""
    across = tangent_axes(estimate) @ true
    length = float(np.linalg.norm(across))
    angle = float(np.arctan2(length, estimate @ true))
    if length < 1e-12:
        return np.array([angle, 0.0])
    out: Array = across * (angle / length)
    return out


def _share(parts: Sequence[Flags]) -> float | None:
    return _rounded(np.concatenate(parts).mean(), 4) if parts else None


def _rounded(value: Any, digits: int) -> float:
    return round(float(value), digits)
