"""Fits the gesture network to real rows and simulated films, and its temperature to others.

net = fit(films, rows, epochs=20, seed=0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from deixis.export.models.gestures import GestureNet
from deixis.export.train.keypoints import Keypoints, varied
from deixis.export.train.sequences import NOT_BECKON, Films
from deixis.nodes.hands.gestures import BECKON, N_IMAGE, N_METRIC, STEPS, Features, features

FILMS_A_BATCH, ROWS_A_BATCH = 48, 192
_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-3
_SMOOTHING = 0.02
_METRIC_SPREAD = 0.2
"""How wrong a film's metric features are besides, for what is not known of the network's errors."""
_WITHOUT_METRIC = 0.4
"""Share of films that are shown without their metric points, as the real rows are."""

Progress = Callable[[int], None]
"""Called with the number of epochs done."""


@dataclass(frozen=True)
class Answers:
    """Logits and the true gestures of the frames they are for, ``(n, 7)`` and ``(n,)``."""

    logits: Tensor
    labels: Tensor

    def probabilities(self, temperature: float) -> NDArray[np.float64]:
        """Calibrated probabilities ``(n, 7)``."""
        return torch.softmax(self.logits.double() / temperature, dim=1).numpy()


def fit(
    films: Films, rows: Keypoints, epochs: int, seed: int, progress: Progress | None = None
) -> GestureNet:
    """Train a network; the same arguments give the same network on the same machine.

    Args:
        films: Simulated hands.
        rows: Real hands; may be none.
        epochs: How often the films are gone through.
        seed: Of weights, order and variation.
        progress: Called after each epoch.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net = GestureNet()
    _normalise(net, films)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    steps = epochs * -(-len(films.labels) // FILMS_A_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=steps)
    for epoch in range(epochs):
        for batch in _batches(rng, films, rows):
            loss = torch.stack([_loss(net(x), y) for x, y in batch]).sum()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        if progress is not None:
            progress(epoch + 1)
    return net.eval()


def on_films(net: GestureNet, films: Films) -> Answers:
    """The network's answers for every labelled frame of films."""
    with torch.inference_mode():
        logits = net(torch.from_numpy(begun(films.features))).flatten(0, 1)
    labels = torch.from_numpy(films.labels).flatten()
    return Answers(logits[labels >= 0], labels[labels >= 0])


def on_rows(net: GestureNet, rows: Keypoints) -> Answers:
    """The network's answers for rows, each a hand that is seen for the first time."""
    seen = features(rows.points, None)[:, None]
    with torch.inference_mode():
        logits = net(torch.from_numpy(begun(seen)))[:, -1]
    return Answers(logits, torch.from_numpy(rows.labels))


def best_temperature(*answers: Answers) -> float:
    """The temperature of least loss, each set of answers counting as much as another."""
    grid = np.exp(np.linspace(np.log(0.3), np.log(5.0), 200))

    def loss(temperature: float) -> float:
        return sum(
            float(functional.cross_entropy(a.logits / temperature, a.labels)) for a in answers
        )

    return float(min(grid, key=loss))


def begun(rows: Features) -> Features:
    """Films with the window that the runtime assumes before the first frame put in front."""
    return np.concatenate([np.repeat(rows[:, :1], STEPS - 1, axis=1), rows], axis=1)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy where the gesture is known; elsewhere, that it is not a beckoning, if so."""
    logits, labels = logits.flatten(0, 1), labels.flatten()
    loss = functional.cross_entropy(
        logits, labels.clamp(min=-1), ignore_index=-1, label_smoothing=_SMOOTHING
    )
    other = labels == NOT_BECKON
    if not other.any():
        return loss
    beckons = torch.softmax(logits[other], dim=1)[:, BECKON]
    return loss - torch.log1p(-beckons.clamp(max=0.999)).sum() / len(labels)


def _normalise(net: GestureNet, films: Films) -> None:
    flat = films.features.reshape(-1, films.features.shape[-1])
    mean, spread = flat.mean(axis=0), flat.std(axis=0)
    # The last number says whether there are metric points; it does not vary here.
    mean[-1], spread[-1] = 0.0, 1.0
    net.mean.copy_(torch.from_numpy(mean))
    net.scale.copy_(torch.from_numpy(1 / np.maximum(spread, 1e-3)))


def _batches(
    rng: np.random.Generator, films: Films, rows: Keypoints
) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Batches of films and of windows of real rows."""
    order = rng.permutation(len(films.labels))
    for first in range(0, len(order), FILMS_A_BATCH):
        chosen = order[first : first + FILMS_A_BATCH]
        x = films.features[chosen].copy()
        x[..., N_IMAGE:-1] += rng.normal(0, _METRIC_SPREAD, (len(x), 1, N_METRIC))
        x[rng.uniform(size=len(x)) < _WITHOUT_METRIC, :, N_IMAGE:] = 0.0
        batch = [(torch.from_numpy(begun(x)), torch.from_numpy(films.labels[chosen]))]
        if len(rows.labels):
            windows, labels = _row_windows(rng, rows, ROWS_A_BATCH)
            batch.append((torch.from_numpy(windows), torch.from_numpy(labels)))
        yield batch


def _row_windows(
    rng: np.random.Generator, rows: Keypoints, n: int
) -> tuple[Features, NDArray[np.int64]]:
    """Windows in which one row is held after another; the label is the last one's."""
    chosen = rng.integers(0, len(rows.labels), (n, 2))
    shown = varied(rng, rows.points[chosen].reshape(-1, 21, 2), rows.labels[chosen].ravel())
    shown = shown.reshape(n, 2, 1, 21, 2) + rng.normal(0, 0.006, (n, 2, STEPS, 21, 2))
    # From one frame to far longer than the window.
    held = rng.integers(1, 2 * STEPS, (n, 1))
    now = np.arange(STEPS)[::-1] < held
    points = np.where(now[:, :, None, None], shown[:, 1], shown[:, 0])
    return features(points, None), rows.labels[chosen[:, 1]]
