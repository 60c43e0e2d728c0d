"""The picture of an offset between sound and picture: motion around each sound, before and after.

cv2.imwrite("front.png", draw_sync(sync, match, times_s, motion))
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.av_sync import AvSync, Match

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Colour = tuple[int, int, int]

_WIDTH_PX, _PANEL_PX, _TOP_PX, _GAP_PX, _MARGIN_PX = 720, 220, 60, 50, 24
_AROUND_S = 0.5
# BGR, as in the picture of a pointing calibration.
_INK: Colour = (40, 40, 40)
_GRID: Colour = (225, 225, 225)
_BEFORE: Colour = (30, 110, 230)
_AFTER: Colour = (130, 110, 0)


def draw_sync(sync: AvSync, match: Match, times_s: Array, motion: Array) -> Image:
    """Two panels: the motion as stamped, and with the offset taken off; sound is at 0.

    Args:
        sync: The calibration.
        match: The events it rests on.
        times_s: Stamps of the pictures, on the sound's clock, shape ``(n,)``.
        motion: Change up to each of them, shape ``(n,)``.

    Returns:
        A BGR picture.
    """
    height = _TOP_PX + 2 * (_PANEL_PX + _GAP_PX)
    image: Image = np.full((height, _WIDTH_PX, 3), 255, np.uint8)
    title = (
        f"{sync.camera_id}: pictures are stamped {sync.offset_ms:+.1f} ms after the sound "
        f"(+-{sync.spread_ms:.1f} ms, {sync.n_events} events), {sync.calibrated_at[:10]}"
    )
    _text(image, title, (_MARGIN_PX, 26), _INK)
    for row, (name, shift_s, colour) in enumerate(
        (("as stamped", 0.0, _BEFORE), ("with the offset taken off", match.offset_s, _AFTER))
    ):
        top = _TOP_PX + row * (_PANEL_PX + _GAP_PX)
        panel = image[top : top + _PANEL_PX]
        _axis(panel)
        for heard_s, seen_s in zip(match.heard_s, match.seen_s, strict=True):
            _curve(panel, times_s - shift_s - heard_s, motion, colour)
            x = _x(seen_s - shift_s - heard_s)
            cv2.line(panel, (x, _PANEL_PX - 14), (x, _PANEL_PX - 1), colour, 2, cv2.LINE_AA)
        _text(image, f"{name}; one line an event, sound at 0", (_MARGIN_PX, top - 8), colour)
        for tick_ms in range(-400, 401, 200):
            _text(image, f"{tick_ms} ms", (_x(tick_ms / 1000) - 20, top + _PANEL_PX + 14), _INK)
    return image


def _x(since_s: float) -> int:
    half = (_WIDTH_PX - 2 * _MARGIN_PX) / 2
    return round(_WIDTH_PX / 2 + half * since_s / _AROUND_S)


def _axis(panel: Image) -> None:
    for tick_ms in range(-400, 401, 100):
        cv2.line(panel, (_x(tick_ms / 1000), 0), (_x(tick_ms / 1000), _PANEL_PX - 1), _GRID, 1)
    cv2.line(panel, (_x(0), 0), (_x(0), _PANEL_PX - 1), _INK, 1)
    cv2.line(panel, (_MARGIN_PX, _PANEL_PX - 1), (_WIDTH_PX - _MARGIN_PX, _PANEL_PX - 1), _INK, 1)


def _curve(panel: Image, since_s: Array, motion: Array, colour: Colour) -> None:
    near = np.abs(since_s) <= _AROUND_S
    if near.sum() < 2:
        return
    level = motion[near] / max(float(motion[near].max()), 1e-9)
    points = [
        (_x(float(t)), round((_PANEL_PX - 4) * (1 - 0.9 * float(v))))
        for t, v in zip(since_s[near], level, strict=True)
    ]
    cv2.polylines(panel, [np.array(points, np.int32)], False, colour, 1, cv2.LINE_AA)
    for point in points:
        cv2.circle(panel, point, 2, colour, -1, cv2.LINE_AA)


def _text(image: Image, text: str, at: tuple[int, int], colour: Colour) -> None:
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
