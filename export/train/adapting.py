"""Trains the object adapter: views of one thing together, views of different things apart.

adapter = fit(Views(features, things), epochs=12, seed=0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from deixis.export.models.object_adapter import SIZE, ObjectAdapter
from deixis.export.train.object_views import Thing, varied
from deixis.nodes.objects.embedding import CropEmbedder
from deixis.nodes.objects.gallery import view_of

_LOOKS, _LOOKS_A_VIEW = 4, 2
"""How often a thing and each of its pictures is looked at, at least."""
_THINGS_A_BATCH = 256
_TEMPERATURE = 0.07
_LEARNING_RATE = 1e-3
_WEIGHT_DECAY = 1e-2


@dataclass(frozen=True)
class Views:
    """Embedded views.

    Attributes:
        features: Crop embeddings of length 1, float32 ``(n, 1280)``.
        things: Which thing each shows, ``(n,)``.
    """

    features: NDArray[np.float32]
    things: NDArray[np.int64]

    def only(self, things: NDArray[np.int64]) -> Views:
        """The views of some things."""
        keep = np.isin(self.things, things)
        return Views(self.features[keep], self.things[keep])

    def mapped(self, adapter: ObjectAdapter) -> Views:
        """The same views after the adapter."""
        with torch.inference_mode():
            return Views(adapter(torch.from_numpy(self.features)).numpy(), self.things)


def look_at(
    things: Sequence[Thing],
    embedder: CropEmbedder,
    seed: int,
    progress: Callable[[], None],
    *,
    as_they_are: bool = False,
) -> Views:
    """Embed the things' pictures.

    Args:
        things: What to look at.
        embedder: The unadapted embedding.
        seed: Of the variation.
        progress: Called after each thing.
        as_they_are: Each picture once, not varied.
    """
    features, labels = [], []
    for i, thing in enumerate(things):
        rng = np.random.default_rng([seed, i])
        looks = max(_LOOKS_A_VIEW, -(-_LOOKS // len(thing.views)))
        crops = (
            [view_of(view) for view in thing.views]
            if as_they_are
            else [varied(view, rng) for view in thing.views for _ in range(looks)]
        )
        features.append(embedder.embed(crops))
        labels.append(np.full(len(crops), i))
        progress()
    return Views(np.concatenate(features), np.concatenate(labels).astype(np.int64))


def fit(views: Views, epochs: int, seed: int, progress: Callable[[], None]) -> ObjectAdapter:
    """Train an adapter, on one thread: the same arguments give the same one on one machine.

    Args:
        views: What to learn from; at least two views a thing.
        epochs: How often, on average, each view is used.
        seed: Of the order.
        progress: Called after each epoch.
    """
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(views.features)
    adapter = ObjectAdapter()
    adapter.mean.copy_(features.mean(dim=0))
    # From the directions in which views differ most; what is trained is what to make of them.
    q = min(SIZE, len(features))
    _, _, directions = torch.svd_lowrank(features - adapter.mean, q=q, niter=2)
    adapter.map.weight.data.zero_()
    adapter.map.weight.data[: directions.shape[1]] = directions.T
    of = [np.flatnonzero(views.things == thing) for thing in np.unique(views.things)]
    pairs = max(1, len(views.things) // (2 * min(_THINGS_A_BATCH, len(of))))
    optimizer = torch.optim.AdamW(
        adapter.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _LEARNING_RATE, total_steps=epochs * pairs
    )
    for _ in range(epochs):
        for _ in range(pairs):
            batch = rng.permutation(len(of))[:_THINGS_A_BATCH]
            chosen = np.array([rng.choice(of[thing], 2, replace=False) for thing in batch])
            one, other = (adapter(features[chosen[:, k]]) for k in (0, 1))
            likeness = one @ other.T / _TEMPERATURE
            same = torch.arange(len(batch))
            loss = functional.cross_entropy(likeness, same)
            loss = loss + functional.cross_entropy(likeness.T, same)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
        progress()
    return adapter.eval()
