"""Clips of claps with a known offset, drawn and synthesised: two blobs that meet, or a lamp."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
FPS = 30.0
WIDTH, HEIGHT = 320, 240


@dataclass(frozen=True)
class Clip:
    """Frame k is stamped k / FPS, sample n is at n / RATE_HZ."""

    images: list[NDArray[np.uint8]]
    samples: NDArray[np.float32]
    events_s: NDArray[np.float64]


def clip(
    *,
    offset_ms: float,
    seed: int = 0,
    n_events: int = 5,
    kind: str = "clap",
    exposure_ms: float = 16.0,
    pixel_noise: float = 3.0,
    snr_db: float = 20.0,
    speed_px_s: float = 500.0,
) -> Clip:
    """A clip whose picture is stamped ``offset_ms`` later than its sound.

    The stamp is that of the middle of the exposure. The blobs speed up until they meet, stay
    together for 0.3 s and part slowly.
    """
    rng = np.random.default_rng(seed)
    events = 1.0 + np.cumsum(rng.uniform(1.1, 1.7, n_events))
    duration = events[-1] + 1.5 if n_events else 4.0
    n_frames = int(duration * FPS)
    images = []
    for k in range(n_frames):
        middle = k / FPS - offset_ms / 1000
        moments = middle + np.linspace(-0.5, 0.5, 9) * exposure_ms / 1000
        states = [_state(t, events, kind, speed_px_s) for t in moments]
        pictures = {state: _scene(state, kind) for state in set(states)}
        picture = sum(pictures[state] for state in states) / len(states)
        noise = rng.standard_normal(picture.shape, np.float32) * pixel_noise
        images.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
    return Clip(images, _sound(rng, events, duration, snr_db), events)


def _state(t: float, events: NDArray[np.float64], kind: str, speed: float) -> float:
    """What the picture depends on: how far the blobs are apart, or whether the lamp is lit."""
    if kind == "flash":
        # Off again after 0.5 to 0.8 s, not always the same.
        return float(sum(e <= t < e + 0.5 + 0.3 * (7 * e % 1) for e in events))
    return min((_gap(t - e, speed) for e in events), default=60.0)


def _scene(state: float, kind: str) -> NDArray[np.float32]:
    image = np.full((HEIGHT, WIDTH), 70, np.float32)
    if kind == "flash":
        cv2.rectangle(image, (140, 100), (180, 140), 70.0 + 150.0 * state, -1)
        return image
    for sign in (-1, 1):
        centre = (round(16 * (WIDTH / 2 + sign * (24 + state / 2))), 16 * HEIGHT // 2)
        cv2.circle(image, centre, 16 * 24, 200.0, -1, cv2.LINE_8, 4)
    return image


def _gap(since: float, speed: float) -> float:
    """Distance of the blobs in pixels, ``since`` seconds after they meet."""
    if since < 0:
        # From rest, ever faster, at full speed when they meet.
        return min(-since * speed * (1 + since * 2), 60.0) if since > -0.25 else 60.0
    return float(np.clip((since - 0.3) * 100.0, 0.0, 60.0))


def _sound(
    rng: np.random.Generator, events: NDArray[np.float64], duration: float, snr_db: float
) -> NDArray[np.float32]:
    n = int(duration * RATE_HZ)
    samples = np.zeros(n)
    burst_n = int(0.06 * RATE_HZ)
    for event in events:
        decay = np.exp(-np.arange(burst_n) / (0.008 * RATE_HZ))
        burst = rng.normal(0, 1, burst_n) * decay * rng.uniform(0.6, 1.0)
        start = round(event * RATE_HZ)
        samples[start : start + burst_n] += burst[: n - start]
    noise = rng.normal(0, 1, n) * 10 ** (-snr_db / 20)
    # A hum, louder than the noise: it must not count.
    hum = 0.1 * np.sin(2 * np.pi * 120 * np.arange(n) / RATE_HZ)
    return (0.5 * (samples + noise + hum)).astype(np.float32)
