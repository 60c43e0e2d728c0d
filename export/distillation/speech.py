"""What a pruned speech encoder learns from: recordings cut, sped up, mixed and made noisy.

batches = speech_batches(wheel_folder, samples, np.random.default_rng(0))
sound, mask = next(batches)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from deixis.export.samples import SAMPLE_RATE_HZ, Samples

Floats = NDArray[np.float32]

BATCH = 4
SHORTEST_S, LONGEST_S = 1.0, 3.5
SPEED = 0.12
"""Standard deviation of the logarithm of the speed."""
NOISY = 0.5
"""Share of the cuts that are noisy."""
SECOND_VOICE = 0.3


def speech_batches(
    wheel_folder: Path, samples: Samples, rng: np.random.Generator
) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of ``input_values`` [4,n] and ``attention_mask`` [4,n], each of one length.

    Args:
        wheel_folder: not used.
        samples: whose recordings are cut.
        rng: source of chance.
    """
    while True:
        n = int(rng.uniform(SHORTEST_S, LONGEST_S) * SAMPLE_RATE_HZ)
        sound = np.stack([_cut(samples, n, rng) for _ in range(BATCH)])
        yield torch.from_numpy(sound), torch.ones(BATCH, n, dtype=torch.int64)


def speech_loss(pupil: tuple[Tensor, ...], teacher: tuple[Tensor, ...]) -> Tensor:
    """Squared error of the frames as a share of their variance, [] float32."""
    (got,), (want,) = pupil, teacher
    error = (got - want).square().mean()
    return error / (want - want.mean(dim=(0, 1))).square().mean()


def _cut(samples: Samples, n: int, rng: np.random.Generator) -> Floats:
    """``n`` samples of some recording as it might sound elsewhere."""
    from deixis.export.tasks.speech import pink_noise

    sound = _piece(samples, n, rng)
    if rng.random() < SECOND_VOICE:
        sound = sound + rng.uniform(0.05, 1.0) * _piece(samples, n, rng)
    level = float(np.sqrt(np.mean(np.square(sound)))) + 1e-4
    if rng.random() < NOISY:
        noise = pink_noise(rng, n)
        wanted = level * 10 ** (-rng.uniform(0.0, 25.0) / 20)
        sound = sound + noise * np.float32(wanted / np.sqrt(np.mean(np.square(noise))))
    loudest = np.abs(sound).max() + 1e-4
    out: Floats = (sound * (np.exp(rng.uniform(-3.0, 0.0)) / loudest)).astype(np.float32)
    return out


def _piece(samples: Samples, n: int, rng: np.random.Generator) -> Floats:
    speech = samples.recordings[rng.integers(len(samples.recordings))].speech
    speed = float(np.exp(rng.normal(0.0, SPEED)))
    length = int(n * speed) + 1
    first = int(rng.integers(-length // 3, max(1, len(speech) - 2 * length // 3)))
    places = first + np.arange(n) * speed
    # Straight lines between samples take off some of the highest tones, as many microphones do.
    piece: Floats = np.interp(places, np.arange(len(speech)), speech, 0.0, 0.0).astype(np.float32)
    return piece
