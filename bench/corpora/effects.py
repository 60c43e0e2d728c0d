"""What rooms, microphones and machines do to speech: reverberation, clipping, bands, noise.

``python -c "from bench.corpora.effects import motor; import numpy as np; \
print(motor(np.random.default_rng(1), 16000).std())"``
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from tests.scenes.sound import shaped

from .voices import RATE_HZ, Samples

Float = NDArray[np.float64]
TELEPHONE_HZ = (300.0, 3400.0)


def decibels(ratio_db: float) -> float:
    """Amplitude ratio of a level difference."""
    return float(10 ** (ratio_db / 20))


def impulse_response(rng: np.random.Generator, t60_s: float, direct_db: float) -> Float:
    """A room's response: the direct sound, then exponentially decaying noise.

    Statistical model of late reverberation (Polack 1988), with a few early reflections.

    Args:
        rng: Chooses the reflections.
        t60_s: Time in which the sound decays by 60 dB.
        direct_db: Energy of the direct sound relative to all that follows.
    """
    time = np.arange(round(1.1 * t60_s * RATE_HZ)) / RATE_HZ
    tail = rng.standard_normal(len(time)) * np.exp(-6.91 * time / t60_s)
    tail[time < 0.004] = 0
    for delay_s in rng.uniform(0.003, 0.025, 6):
        early = round(delay_s * RATE_HZ)
        tail[early] += 3 * rng.choice((-1, 1)) * np.exp(-6.91 * delay_s / t60_s)
    tail *= decibels(-direct_db) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(tail, float)


def reverberant(samples: Samples, response: Float) -> Samples:
    """The samples in that room, as long as they were plus the response's tail."""
    count = len(samples) + len(response) - 1
    spectrum = np.fft.rfft(samples, count) * np.fft.rfft(response, count)
    return np.fft.irfft(spectrum, count).astype(np.float32)


def clipped(samples: Samples, gain_db: float) -> Samples:
    """Driven over full scale, from a peak of 1, and cut off there."""
    loud = samples / np.abs(samples).max() * decibels(gain_db)
    return np.asarray(np.clip(loud, -0.999, 0.999), np.float32)


def shouted(samples: Samples) -> Samples:
    """Hot: pressed against full scale, as an overdriven preamplifier does it."""
    return np.asarray(0.98 * np.tanh(4 * samples / np.abs(samples).max()), np.float32)


def telephone(samples: Samples) -> Samples:
    """8 kHz, with the band of a telephone."""
    low = np.asarray(soxr.resample(samples, RATE_HZ, 8000), np.float32)
    spectrum = np.fft.rfft(low)
    hz = np.fft.rfftfreq(len(low), 1 / 8000)
    spectrum[(hz < TELEPHONE_HZ[0]) | (hz > TELEPHONE_HZ[1])] = 0
    return np.fft.irfft(spectrum, len(low)).astype(np.float32)


def noisy(samples: Samples, start_s: float, end_s: float, noise: Float, snr_db: float) -> Samples:
    """Add noise at a ratio of the speech's RMS, over its duration, to the noise's RMS."""
    speech = samples[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)]
    wanted = np.sqrt(np.mean(speech.astype(float) ** 2)) * decibels(-snr_db)
    out = samples + noise[: len(samples)] * wanted / np.sqrt(np.mean(noise[: len(samples)] ** 2))
    return np.asarray(out / max(1.0, np.abs(out).max()), np.float32)


def white(rng: np.random.Generator, count: int) -> Float:
    """White noise, RMS 1."""
    return rng.standard_normal(count)


def pink(rng: np.random.Generator, count: int) -> Float:
    """Noise whose power falls as 1/f, RMS 1."""
    return shaped(rng, count, 0.5)


def motor(rng: np.random.Generator, count: int) -> Float:
    """A robot arm at work, RMS 1: moves of several joints with speed ramps, and their quiet drives.

    Each move is the whine of a servo (harmonics of its speed), the meshing of its gear (sidebands
    at the shaft's speed) and broadband friction, all following a trapezoidal speed.
    """
    time = np.arange(count) / RATE_HZ
    out = 0.02 * shaped(rng, count, 0.8) + 0.02 * np.sin(2 * np.pi * 8000 * 0.93 * time)
    at_s = 0.0
    while at_s < count / RATE_HZ:
        length_s = float(rng.uniform(0.4, 3.0))
        a, b = round(at_s * RATE_HZ), min(count, round((at_s + length_s) * RATE_HZ))
        if b - a > RATE_HZ // 10:
            out[a:b] += _move(rng, b - a)
        # Joints overlap now and then; sometimes the arm rests.
        at_s += length_s * float(rng.uniform(0.4, 1.0)) + float(rng.choice((0.0, 0.1, 1.2)))
    return np.asarray(out / np.sqrt(np.mean(out**2)), float)


def _move(rng: np.random.Generator, count: int) -> Float:
    ramp = np.clip(np.minimum(np.arange(count), np.arange(count)[::-1]) / (0.25 * count), 0, 1)
    top_hz = float(rng.uniform(120, 700))
    phase = 2 * np.pi * np.cumsum(top_hz * ramp) / RATE_HZ
    sound = np.zeros(count)
    for harmonic in range(1, 8):
        sound += rng.uniform(0.1, 1.0) / harmonic * np.sin(harmonic * phase)
    teeth = int(rng.integers(7, 15))
    mesh = np.sin(teeth * phase) * (1 + 0.5 * np.sin(phase))
    friction = shaped(rng, count, 0.3, 400)
    return np.asarray(rng.uniform(0.3, 1.0) * ramp * (sound + 0.3 * mesh + 0.4 * friction), float)


def hum(rng: np.random.Generator, count: int) -> Float:
    """Mains hum with its harmonics over room tone, RMS 1."""
    time = np.arange(count) / RATE_HZ
    mains_hz = float(rng.choice((50.0, 60.0)))
    out = 0.3 * shaped(rng, count, 0.7)
    for harmonic in (1, 2, 3, 5, 7):
        out += np.sin(2 * np.pi * harmonic * mains_hz * time + rng.uniform(0, 6.28)) / harmonic
    return np.asarray(out / np.sqrt(np.mean(out**2)), float)
