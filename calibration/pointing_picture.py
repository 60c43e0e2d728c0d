"""The picture of a pointing calibration: the spots from above, and where the rays met their level.

save_plan(fit, Path("anna.png"))
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing_fit import Miss, PointingFit

Image = NDArray[np.uint8]
Point = tuple[int, int]

SIDE_PX = 720
_TOP_PX, _MARGIN_PX = 76, 24
_MARGIN_M = 0.15
_MOST_M = 3.0
# BGR; told apart by shape as well.
_INK, _GRID, _HAND = (40, 40, 40), (225, 225, 225), (150, 150, 150)
_BEFORE, _AFTER = (30, 110, 230), (130, 110, 0)


def draw_plan(fit: PointingFit) -> Image:
    """A plan view, x up and y to the left, as the robot sees it; BGR ``(SIDE_PX, SIDE_PX, 3)``."""
    image: Image = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    plan = _Plan(fit)
    plan.grid(image)
    for result in fit.spots:
        centre = plan.pixel(result.spot.target_base_m)
        cv2.circle(image, plan.pixel(result.tip_base_m), 3, _HAND, -1, cv2.LINE_AA)
        for miss, colour in ((result.before, _BEFORE), (result.after, _AFTER)):
            _draw_hit(image, plan, centre, miss, colour)
        cv2.drawMarker(image, centre, _INK, cv2.MARKER_CROSS, 17, 2, cv2.LINE_AA)
        _text(image, result.spot.name, (centre[0] + 10, centre[1] - 8), 0.55, _INK)
    user = fit.user
    _text(
        image, f"pointing of {user.user_id}, {user.calibrated_at[:10]}", (_MARGIN_PX, 24), 0.6, _INK
    )
    before, after = 100 * (user.error_before_m or 0.0), 100 * (user.error_after_m or 0.0)
    cv2.circle(image, (_MARGIN_PX + 6, 46), 6, _BEFORE, 2, cv2.LINE_AA)
    _text(image, f"before: {before:.1f} cm at 2 m", (_MARGIN_PX + 20, 51), 0.5, _INK)
    cv2.circle(image, (_MARGIN_PX + 246, 46), 6, _AFTER, -1, cv2.LINE_AA)
    _text(
        image,
        f"after, fitted to the other spots: {after:.1f} cm",
        (_MARGIN_PX + 260, 51),
        0.5,
        _INK,
    )
    cv2.circle(image, (_MARGIN_PX + 600, 46), 3, _HAND, -1, cv2.LINE_AA)
    _text(image, "fingertip", (_MARGIN_PX + 610, 51), 0.5, _INK)
    return image


class _Plan:
    """Metres of the base frame to pixels: everything that matters fits, within reason."""

    def __init__(self, fit: PointingFit) -> None:
        points = [r.spot.target_base_m[:2] for r in fit.spots]
        centre = np.mean(points, axis=0)
        points += [r.tip_base_m[:2] for r in fit.spots]
        points += [
            miss.hit_base_m[:2]
            for r in fit.spots
            for miss in (r.before, r.after)
            if miss.hit_base_m is not None
        ]
        near = [p for p in points if np.abs(np.subtract(p, centre)).max() < _MOST_M / 2]
        low, high = np.min(near, axis=0) - _MARGIN_M, np.max(near, axis=0) + _MARGIN_M
        self._middle = (low + high) / 2
        self.side_m = float((high - low).max())
        self._px_per_m = (SIDE_PX - _TOP_PX - _MARGIN_PX) / self.side_m

    def pixel(self, point_base_m: tuple[float, ...]) -> Point:
        x, y = np.subtract(point_base_m[:2], self._middle) * self._px_per_m
        return round(SIDE_PX / 2 - y), round((SIDE_PX + _TOP_PX - _MARGIN_PX) / 2 - x)

    def grid(self, image: Image) -> None:
        """Lines every 10 cm (50 if there are many), labelled in metres."""
        step = 0.1 if self.side_m < 1.6 else 0.5
        half = self.side_m / 2
        for axis in (0, 1):
            first = math.ceil((self._middle[axis] - half) / step)
            last = math.floor((self._middle[axis] + half) / step)
            for k in range(first, last + 1):
                ends = [self._middle.copy(), self._middle.copy()]
                ends[0][axis] = ends[1][axis] = k * step
                ends[0][1 - axis] -= half
                ends[1][1 - axis] += half
                a, b = (self.pixel(tuple(e)) for e in ends)
                cv2.line(image, a, b, _GRID, 1)
                place = (4, b[1] - 3) if axis == 0 else (a[0] + 3, SIDE_PX - 6)
                _text(image, f"{'xy'[axis]} {k * step:.1f}", place, 0.35, _HAND)


def _draw_hit(
    image: Image, plan: _Plan, spot: Point, miss: Miss, colour: tuple[int, int, int]
) -> None:
    if miss.hit_base_m is None or math.dist(miss.hit_base_m[:2], (0, 0)) > 10 * _MOST_M:
        return
    hit = plan.pixel(miss.hit_base_m)
    cv2.line(image, spot, hit, colour, 1, cv2.LINE_AA)
    cv2.circle(image, hit, 6, colour, 2 if colour == _BEFORE else -1, cv2.LINE_AA)


def _text(image: Image, text: str, at: Point, size: float, colour: tuple[int, int, int]) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
