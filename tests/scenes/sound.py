"""The audio track: sentences on a noise floor, and the noise of a kitchen, all from a seed.

``python -c "from tests.scenes.sound import kitchen; print(kitchen(16000, 1).std())"``
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .speech import RATE_HZ, Utterance

Samples = NDArray[np.float64]
SPEECH_PEAK = 0.4
FLOOR_DBFS = -65.0


def mix(
    placed: Sequence[tuple[float, Utterance]], duration_s: float, seed: int, snr_db: float | None
) -> NDArray[np.int16]:
    """The whole track.

    Args:
        placed: Start (seconds) and sentence.
        duration_s: Of the track.
        seed: Of the noise.
        snr_db: Level of the speech (RMS over the sentences) above kitchen noise; None is a quiet
            room, at ``FLOOR_DBFS``.
    """
    count = round(duration_s * RATE_HZ)
    track, spoken = np.zeros(count), np.zeros(count, bool)
    for start_s, utterance in placed:
        a = round(start_s * RATE_HZ)
        b = a + len(utterance.samples)
        track[a:b] += SPEECH_PEAK * utterance.samples / np.abs(utterance.samples).max()
        spoken[a:b] = True
    rng = np.random.default_rng(seed)
    track += 10 ** (FLOOR_DBFS / 20) * shaped(rng, count, 0.5)
    if snr_db is not None:
        noise = kitchen(count, seed)
        level = np.sqrt(np.mean(track[spoken] ** 2)) * 10 ** (-snr_db / 20)
        track += noise * level / np.sqrt(np.mean(noise**2))
    return np.round(32767 * np.clip(track, -1, 1)).astype(np.int16)


def shaped(rng: np.random.Generator, count: int, slope: float, low_hz: float = 60.0) -> Samples:
    """Unit-RMS noise whose amplitude falls as frequency to the power ``-slope``."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / RATE_HZ)
    spectrum *= np.where(hz < low_hz, 0, np.maximum(hz, low_hz) ** -slope)
    out = np.fft.irfft(spectrum, count)
    return np.asarray(out / np.sqrt(np.mean(out**2)))


def kitchen(count: int, seed: int) -> Samples:
    """A fan, the murmur of people talking elsewhere, and crockery; no words in it."""
    rng = np.random.default_rng(seed)
    time = np.arange(count) / RATE_HZ
    fan = shaped(rng, count, 1.0) + 0.3 * np.sin(2 * np.pi * 118 * time)
    murmur = np.zeros(count)
    for _ in range(6):
        # Speech-like: noise with speech's slope, opened and closed about four times a second.
        syllables = np.interp(
            time, np.arange(0, time[-1] + 1, 0.12), rng.random(int((time[-1] + 1) / 0.12) + 1) ** 2
        )
        murmur += syllables * shaped(rng, count, 0.9, 150)
    clatter = np.zeros(count)
    for _ in range(int(2.5 * count / RATE_HZ)):
        start = int(rng.integers(0, count))
        rest = time[: count - start]
        strength = rng.uniform(0.3, 1.0)
        for hz in rng.uniform(1200, 6500, 5):
            clatter[start:] += (
                strength * np.sin(2 * np.pi * hz * rest) * np.exp(-rest * rng.uniform(25, 80))
            )
    return 0.5 * fan + 0.5 * murmur + 0.5 * clatter
