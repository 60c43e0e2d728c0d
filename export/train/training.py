"""From rows and a seed to the network that ships, and the one that is judged on blocks of rows.

trained = train(load_keypoints(path), films=4500, epochs=16, seed=0)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from deixis.export.models.gestures import GestureNet
from deixis.export.train.fitting import best_temperature, fit, on_films, on_rows
from deixis.export.train.keypoints import REPORTED, TUNED, Keypoints
from deixis.export.train.sequences import make_films

_TUNING_FILMS = 800

Progress = Callable[[str, int], None]
"""Called with what goes on, and the epochs done (of twice as many)."""


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        net: The network that ships; it has not seen the reported tenth.
        temperature: Its temperature.
        without_blocks: A network that has seen no row in or next to the held-out blocks.
        seed: What it came from.
        seconds: How long the network that ships took.
    """

    net: GestureNet
    temperature: float
    without_blocks: GestureNet
    seed: int
    seconds: float


def train(
    rows: Keypoints, films: int, epochs: int, seed: int, progress: Progress | None = None
) -> Trained:
    """Train both networks, on one thread: the same seed gives the same weights on one machine.

    Args:
        rows: All rows; the held-out ones are put aside here.
        films: How many simulated films.
        epochs: How often to go through them.
        seed: Of everything.
        progress: Called as it goes on.
    """
    say = progress or (lambda what, epochs: None)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start_s = time.perf_counter()
        learn, tune = make_films(_rng(seed, 0), films), make_films(_rng(seed, 1), _TUNING_FILMS)
        tuned = rows.tenth(TUNED)
        shown = rows.only(~rows.tenth(REPORTED) & ~tuned)
        net = fit(learn, shown, epochs, seed, lambda done: say("training", done))
        temperature = best_temperature(on_films(net, tune), on_rows(net, rows.only(tuned)))
        seconds = time.perf_counter() - start_s
        _, clear = rows.blocks()
        other = fit(
            learn, rows.only(clear), epochs, seed,
            lambda done: say("training without the blocks", epochs + done),
        )  # fmt: skip
    finally:
        torch.set_num_threads(threads)
    return Trained(net, temperature, other, seed, seconds)


def reported_rng(seed: int, part: int) -> np.random.Generator:
    """The chance behind simulations that are only reported on."""
    return _rng(seed, 100 + part)


def _rng(seed: int, part: int) -> np.random.Generator:
    return np.random.default_rng([seed, part])
