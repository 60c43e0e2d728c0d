"""Recordings with noise at a stated level, as the published comparison of engines mixes them.

    mixed = mix(speech, noise, snr_db=6.0, rng=np.random.default_rng(0))

Picovoice's speech-to-intent benchmark defines the level: the ratio of the energies of the *loudest*
2048-sample frames of speech and noise. The noise is cut at a random offset, and the sum divided by
twice its peak.
"""

from __future__ import annotations

import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RATE_HZ: Final = 16_000
FRAME: Final = 2048
DITHER_DBFS: Final = -80.0
"""Level of the quiet around a clean recording."""
LEAD_S: Final = 0.5
TAIL_S: Final = 2.0
LEVEL_FRAME: Final = 160
SPEECH_RANGE_DB: Final = 35.0
"""Where nobody says where the speech ends: it is no further than this below its loudest 10 ms."""
FLOOR_SHARE: Final = 0.3
"""… and above the recording's own background by this share of the range between the two."""


def loudest_energy(samples: Floats) -> float:
    """Energy of the loudest of the consecutive 2048-sample frames, shape ``(n,)`` in."""
    if len(samples) < FRAME:
        samples = np.pad(samples, (0, FRAME - len(samples)))
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    return float(np.square(frames, dtype=np.float64).sum(axis=1).max())


def mix(
    speech: Floats,
    noise: Floats,
    snr_db: float,
    rng: np.random.Generator,
    lead: int = 0,
    tail: int = 0,
) -> Floats:
    """Add noise to speech; it goes on before and after.

    Args:
        speech: At 16 kHz, shape ``(n,)``.
        noise: At 16 kHz; repeated where it is too short.
        snr_db: Ratio of the energies of the loudest frames, during the speech.
        rng: Chooses the piece of noise.
        lead: Samples of noise before the speech.
        tail: Samples of noise after it.

    Returns:
        Shape ``(lead + n + tail,)``, peak 0.5.
    """
    count = lead + len(speech) + tail
    places = (int(rng.integers(len(noise))) + np.arange(count)) % len(noise)
    if count <= len(noise):
        places = int(rng.integers(len(noise) - count + 1)) + np.arange(count)
    piece = noise[places].astype(np.float64)
    energy = loudest_energy(noise[places][lead : lead + len(speech)])
    if energy > 0.0:
        piece *= np.sqrt(loudest_energy(speech) / (energy * 10.0 ** (snr_db / 10.0)))
    piece[lead : lead + len(speech)] += speech
    peak = float(np.abs(piece).max())
    return (piece / (2.0 * peak) if peak > 0.0 else piece).astype(np.float32)


def surrounded(
    name: str, speech: Floats, noise: Floats | None = None, snr_db: float | None = None
) -> Floats:
    """A recording as it is played: ``LEAD_S`` before and ``TAIL_S`` after, quiet or noisy.

    Args:
        name: Of the file; together with the level it is the seed.
        speech: At 16 kHz, shape ``(n,)``.
        noise: At 16 kHz.
        snr_db: Level of the noise; None for none.
    """
    lead, tail = int(LEAD_S * RATE_HZ), int(TAIL_S * RATE_HZ)
    level = 0 if snr_db is None else round(100.0 * snr_db) % 2**32
    rng = np.random.default_rng([zlib.crc32(name.encode()), level])
    if noise is not None and snr_db is not None:
        return mix(speech, noise, snr_db, rng, lead, tail)
    samples = rng.standard_normal(lead + len(speech) + tail, np.float32)
    samples *= np.float32(10.0 ** (DITHER_DBFS / 20.0))
    samples[lead : lead + len(speech)] += speech
    return samples


def estimated_end_s(speech: Floats) -> float:
    """Where the speech ends by the level of the recording alone, in seconds.

    The end of the last 30 ms of which at least 20 ms are above a threshold between the recording's
    background (its quietest tenth) and its loudest.
    """
    count = len(speech) // LEVEL_FRAME
    if count < 3:
        return len(speech) / RATE_HZ
    frames = speech[: count * LEVEL_FRAME].reshape(count, LEVEL_FRAME)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    levels = 10.0 * np.log10(power + 1e-10)
    loudest, floor = float(np.percentile(levels, 99)), float(np.percentile(levels, 10))
    threshold = max(loudest - SPEECH_RANGE_DB, floor + FLOOR_SHARE * (loudest - floor))
    loud = (levels >= threshold).astype(np.int64)
    steady = np.flatnonzero((loud[:-2] + loud[1:-1] + loud[2:] >= 2) & (loud[2:] > 0))
    last = int(steady[-1]) + 3 if len(steady) else count
    return last * LEVEL_FRAME / RATE_HZ
