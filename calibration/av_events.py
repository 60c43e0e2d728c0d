"""Moments that can be both heard and seen: onsets of sound, and motion that stops or begins.

    heard_s = onsets(samples, 16_000)
    meter = MotionMeter()
    motion = [meter.update(image) for image in images]
    seen_s = impacts(times_s, motion)

A clap is seen as motion that ends from one frame to the next: hands that come together and stay, or
a pen that taps the table. How much of the motion still falls into the last interval says where in
it the contact was. A flash is seen as one abrupt change: a lamp, or a marker that jumps when hit.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.calibration.av_sync import Kind

Array = NDArray[np.float64]

_BIN_S = 0.001
_BEFORE_S, _ATTACK_S = 0.1, 0.02
_APART_S = 0.25
_SMOOTH_S = 0.004
_RISE = 4.0
"""A clap is louder than what was before it by so much (energy over 4 ms)."""
_QUIETEST = 0.05
"""Onsets with less than this share of the strongest one's energy are echoes, or something else."""
_ATTACK_SHARE = 0.2

_WIDTH_PX = 160
_GATE_SIGMAS = 4.0
_STRONG = 0.25
_STOPPED = 0.35


def onsets(samples: ArrayLike, rate_hz: int) -> Array:
    """Sudden loud sounds.

    Energy of the high frequencies (a first difference: a clap is short, a voice or a hum is not)
    in bins of 1 ms, against the mean of the 100 ms before. The moment is where it first reaches a
    fifth of its peak, between two bins.

    Args:
        samples: Mono, shape ``(n,)``.
        rate_hz: Samples a second.

    Returns:
        Moments in seconds from the first sample, ascending.
    """
    high = np.diff(np.asarray(samples, np.float64), prepend=0.0)
    size = max(1, round(_BIN_S * rate_hz))
    n = len(high) // size
    if n < 2:
        return np.zeros(0)
    energy = (high[: n * size].reshape(n, size) ** 2).mean(axis=1)
    bin_s = size / rate_hz
    back, ahead, attack = (max(1, round(s / bin_s)) for s in (_BEFORE_S, _SMOOTH_S, _ATTACK_S))
    total = np.concatenate([[0.0], np.cumsum(energy)])
    k = np.arange(n)
    start, end = np.maximum(k - back, 0), np.minimum(k + ahead, n)
    floor = 0.5 * float(np.median(energy)) + 1e-12
    before = np.maximum((total[k] - total[start]) / np.maximum(k - start, 1), floor)
    rise = (total[end] - total[k]) / (end - k) / before
    found: list[float] = []
    peaks = []
    for rising in np.flatnonzero(rise > _RISE):
        if found and rising * bin_s - found[-1] < _APART_S:
            continue
        peak = int(rising + np.argmax(energy[rising : rising + attack]))
        level = _ATTACK_SHARE * energy[peak]
        first = int(rising + np.argmax(energy[rising : peak + 1] >= level))
        below = energy[first - 1] if first else 0.0
        part = (level - below) / max(energy[first] - below, 1e-30)
        # Energy of a bin stands for its middle.
        found.append((first - 0.5 + float(np.clip(part, 0, 1))) * bin_s)
        peaks.append(energy[peak])
    strong = np.array(peaks) >= _QUIETEST * max(peaks, default=0.0)
    return np.array(found)[strong]


class MotionMeter:
    """How much changes from one picture to the next, without the sensor's noise."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None

    def update(self, image: NDArray[np.uint8]) -> float:
        """Take the next picture (BGR or grey) and give the mean change of its brightness."""
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
        height = max(1, round(grey.shape[0] * _WIDTH_PX / grey.shape[1]))
        size = (_WIDTH_PX, height)
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
        last, self._last = self._last, np.asarray(small, np.float32)
        if last is None or last.shape != small.shape:
            return 0.0
        change = np.abs(small - last)
        # Most of the picture stands still: half of it says how large the noise is.
        gate = _GATE_SIGMAS * 1.4826 * float(np.median(change))
        return float(np.maximum(change - gate, 0.0).mean())


def impacts(times_s: ArrayLike, motion: ArrayLike, kind: Kind = "clap") -> Array:
    """Moments at which motion stops (clap) or something changes at once (flash).

    Args:
        times_s: Stamps of the pictures, ascending, shape ``(n,)``.
        motion: Change up to each from the one before, shape ``(n,)``.
        kind: What to look for.

    Returns:
        Moments in seconds, ascending, between the pictures' stamps.
    """
    times, speed = np.asarray(times_s, np.float64), np.asarray(motion, np.float64)
    if len(times) < 5:
        return np.zeros(0)
    speed = np.maximum(speed - np.percentile(speed, 20), 0.0)
    strong = _STRONG * float(speed.max())
    found: list[float] = []
    for k in range(2, len(times) - 2):
        largest = speed[k] >= max(speed[k - 2 : k].max(), speed[k + 1 : k + 3].max())
        if speed[k] <= strong or not largest:
            continue
        if found and times[k] - found[-1] < _APART_S:
            continue
        step = times[k + 1] - times[k]
        if kind == "clap":
            if speed[k + 2] < _STOPPED * speed[k] and speed[k - 1] > _STOPPED * speed[k] / 2:
                # What still moves afterwards is no part of the clap.
                rest = float(speed[k + 2 : k + 4].mean())
                share = (speed[k + 1] - rest) / (speed[k] - rest)
                found.append(times[k] + step * float(np.clip(share, 0.0, 1.0)))
        elif max(speed[k - 2], speed[k + 2]) < _STOPPED * speed[k]:
            around = speed[k - 1 : k + 2]
            middle = float(around @ times[k - 1 : k + 2] / around.sum())
            found.append(middle - step / 2)
    return np.array(found)
