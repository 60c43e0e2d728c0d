"""From pictures of things and a seed to the adapter that ships, and figures of how well it does.

trained = train(load_things(folders), bundle, epochs=12, seed=0)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from deixis.export.models.object_adapter import HeldOut, ObjectAdapter
from deixis.export.train.adapting import Views, fit, look_at
from deixis.export.train.fewshot import calibrated, report
from deixis.export.train.object_views import Thing
from deixis.nodes.objects.embedding import ROLE, CropEmbedder
from deixis.nodes.objects.gallery import NamingParams
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import MediaError

MANY = 6
"""Pictures that a thing must have to be asked for after five were taught."""
_HELD_OUT = 5
_KEPT, _KEPT_LOOKS = 24, 6

Progress = Callable[[str, int, int], None]
"""Called with what goes on, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Trained:
    """What a training gives.

    Attributes:
        adapter: The adapter.
        params: Temperature and similarity of *unknown* that fit it.
        plain_params: Those that fit the unadapted embedding.
        reported: Views of things that neither was fitted to.
        kept: Some of them, to check exports with.
        things: How many it learnt from.
        seconds: How long it took.
    """

    adapter: ObjectAdapter
    params: NamingParams
    plain_params: NamingParams
    reported: Views
    kept: HeldOut
    things: int
    seconds: float


def train(
    things: Sequence[Thing], bundle: Bundle, epochs: int, seed: int, progress: Progress
) -> Trained:
    """Look at the things, train, and calibrate, on one thread.

    Args:
        things: Pictures by thing.
        bundle: With the crop embedding.
        epochs: How often each view is used.
        seed: Of everything.
        progress: Called as it goes on.

    Raises:
        MediaError: There are too few things to hold some out.
    """
    start_s = time.perf_counter()
    many = np.array([i for i, thing in enumerate(things) if len(thing.views) >= MANY], np.int64)
    if len(many) < 10 * _HELD_OUT:
        raise MediaError(
            f"{len(many)} things have {MANY} pictures or more; it takes {10 * _HELD_OUT}",
            hint="render more things, or name more folders with --data",
        )
    aside = np.random.default_rng(seed).permutation(many)[: len(many) // _HELD_OUT]
    tuned, reported = aside[::2], aside[1::2]
    views = _look(things, bundle, seed, progress, as_they_are=False)
    learnt = np.setdiff1d(np.arange(len(things)), aside)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        done = iter(range(1, epochs + 1))
        adapter = fit(
            views.only(learnt), epochs, seed, lambda: progress("training", next(done), epochs)
        )
        adapter = _halved(adapter)
        tune = views.only(tuned)
        progress("calibrating", 0, 1)
        params = calibrated(tune.mapped(adapter))
        plain = calibrated(centred(tune, adapter))
    finally:
        torch.set_num_threads(threads)
    rest = views.only(reported)
    some = np.concatenate(
        [np.flatnonzero(rest.things == t)[:_KEPT_LOOKS] for t in reported[:_KEPT]]
    )
    kept = HeldOut(rest.features[some], rest.things[some])
    seconds = time.perf_counter() - start_s
    return Trained(adapter, params, plain, rest, kept, len(learnt), seconds)


def report_of(
    trained: Trained, others: Mapping[str, Sequence[Thing]], bundle: Bundle, progress: Progress
) -> dict[str, Any]:
    """All figures, as they go into JSON."""
    parts = {"held out": trained.reported}
    for name, things in others.items():
        parts[name] = _look(things, bundle, 0, progress, as_they_are=True)
    judged = {}
    for n, (name, views) in enumerate(parts.items()):
        progress("judging", n, len(parts))
        judged[name] = {
            "things": len(np.unique(views.things)),
            "unadapted": report(centred(views, trained.adapter), trained.plain_params),
            "adapted": report(views.mapped(trained.adapter), trained.params),
        }
    return {
        "parameters": sum(p.numel() for p in trained.adapter.parameters()),
        "things": trained.things,
        "temperature": trained.params.temperature,
        "unknown_similarity": trained.params.unknown_similarity,
        "seconds": round(trained.seconds, 1),
        "judged": judged,
    }


def better(figures: Mapping[str, Any]) -> bool:
    """Whether the adapter names better and knows better what is unknown, wherever it was judged."""
    return all(
        row[metric] >= part["unadapted"][ways][shots][metric]
        for part in figures["judged"].values()
        for ways, rows in part["adapted"].items()
        for shots, row in rows.items()
        for metric in ("naming", "unknown_auroc")
    )


def centred(views: Views, adapter: ObjectAdapter) -> Views:
    """The unadapted embedding, less what all things share: what the adapter has to beat."""
    rest = views.features - adapter.mean.numpy()
    return replace(views, features=rest / np.linalg.norm(rest, axis=1, keepdims=True))


def _look(
    things: Sequence[Thing], bundle: Bundle, seed: int, progress: Progress, *, as_they_are: bool
) -> Views:
    embedder = CropEmbedder(open_engine(bundle, ROLE))
    done = iter(range(1, len(things) + 1))
    views = look_at(
        things, embedder, seed, lambda: progress("looking", next(done), len(things)),
        as_they_are=as_they_are,
    )  # fmt: skip
    embedder.close()
    return views


def _halved(adapter: ObjectAdapter) -> ObjectAdapter:
    """As it is stored, in half precision: what is judged is what ships."""
    return adapter.half().float()
