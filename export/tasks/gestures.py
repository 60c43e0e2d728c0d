"""What the gesture network is judged by: the right gesture in simulated films it has not seen.

films = GESTURES.prepare(wheel_folder, samples)
percent = GESTURES.score(engine, films)
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.export.recipes.recipe import Task
from deixis.export.samples import Samples
from deixis.export.train.fitting import begun
from deixis.export.train.sequences import make_films
from deixis.export.train.training import reported_rng
from deixis.nodes.hands.gestures import STEPS
from deixis.runtime.engines import Engine

FILMS: Final = 120
_EVERY: Final = 5
"""Neighbouring frames say the same."""


@dataclass(frozen=True)
class Moments:
    """What the network sees at some moments, and what the hand does then.

    Attributes:
        windows: ``(n, STEPS, N_FEATURES)`` float32.
        gestures: one of :data:`deixis.nodes.hands.gestures.GESTURES`, by number, ``(n,)``.
    """

    windows: NDArray[np.float32]
    gestures: NDArray[np.int64]


def _moments(wheel_folder: Path, samples: Samples) -> Moments:
    films = make_films(reported_rng(0, 0), FILMS)
    windows = np.lib.stride_tricks.sliding_window_view(begun(films.features), STEPS, axis=1)
    # [film, frame, feature, step] at every fifth frame; frames between two postures say nothing.
    seen, labels = windows[:, ::_EVERY].transpose(0, 1, 3, 2), films.labels[:, ::_EVERY]
    known = labels >= 0
    return Moments(np.ascontiguousarray(seen[known]), labels[known])


def _score(engine: Engine, moments: Moments) -> float:
    right = 0
    for window, gesture in zip(moments.windows, moments.gestures, strict=True):
        answer = engine.infer({"features": window[None]})["probabilities"]
        right += int(answer[0].argmax() == gesture)
    return 100.0 * right / len(moments.gestures)


GESTURES = Task(
    name="gestures right",
    points=1.0,
    prepare=_moments,
    score=_score,
    n=lambda moments: len(moments.gestures),
)
