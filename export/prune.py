"""Removes whole channels and attention heads from a network, together with all that hangs on them.

pruned = prune(net, example, 0.3, recipe.pruning, score=likeness(net, inputs), inputs=inputs)
print(pruned.macs / pruned.macs_before, pruned.ratios)
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deixis.export.sensitivity import (
    QUALITY,
    Progress,
    Score,
    choose,
    even,
    layer_costs,
    scan,
)
from deixis.export.width_graph import Importance, WidthGraph
from deixis.export.widths import Example, flat
from deixis.runtime.errors import ExportError, UsageError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Pruning


@dataclass(frozen=True)
class Pruned:
    """A network that has lost channels.

    Attributes:
        net: the smaller network, in eval mode.
        macs: its multiply-adds on the example.
        macs_before: those of the network that it comes from.
        ratios: first layer of each width → the share of its channels that is gone.
        kept: layer by which the net can be taught → which of its channels are left, for
            :func:`deixis.export.distil.distil`.
        channels: every convolution and linear layer → which of its channels are left, for
            :func:`deixis.export.reconstruction.reconstruct`.
    """

    net: nn.Module
    macs: int
    macs_before: int
    ratios: dict[str, float]
    kept: dict[str, tuple[int, ...]]
    channels: dict[str, tuple[int, ...]]


def count_macs(net: nn.Module, example: Example) -> int:
    """Multiply-adds of convolutions and matrix products on ``example``.

    torch's own counter, since torch-pruning's is wrong for recurrent layers.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(*example)
    return int(counter.get_total_flops()) // 2


def prune(
    net: nn.Module,
    example: Example,
    ratio: float,
    recipe: Pruning,
    score: Score | None = None,
    inputs: Sequence[Example] | None = None,
    importance: Importance = "l1",
    progress: Progress | None = None,
    quality: float = QUALITY,
) -> Pruned:
    """Remove the least important channels and heads from a copy of a network.

    What makes an output of the network keeps its width.

    Args:
        net: in eval mode.
        example: one tensor an input.
        ratio: the mean, over all widths that may shrink, of the share of channels that goes. A
            width is what a layer makes and all that shares it (layers that are added to each
            other count once); it is counted as one however wide it is. 0.3 leaves about half of
            the multiply-adds, fewer with ``score``.
        recipe: what may be removed, and in which steps.
        score: how good a variant is (more is better; see
            :func:`deixis.export.sensitivity.likeness`). With it the widths that are missed least
            and cost most lose most; without it all lose the same share.
        inputs: real inputs, one tuple of tensors each. With them the layers that read a channel
            that goes make up for it from those that stay, as far as these foretell it; the
            importance ``taylor`` needs them.
        importance: how channels are ranked; see :class:`deixis.export.width_graph.WidthGraph`.
        progress: called with the widths scanned and their number.
        quality: what quality is worth against time where the scan chooses; more spares what is
            missed, less goes for what is dear. See :data:`deixis.export.sensitivity.QUALITY`.

    Raises:
        UsageError: ``ratio`` is not in [0, 1).
        ExportError: nothing may be removed, or the pruned network's outputs have other shapes.
    """
    if not 0 <= ratio < 1:
        raise UsageError(f"the share of channels to prune must be in [0, 1), not {ratio}")
    before = count_macs(net, example)
    net = copy.deepcopy(net).eval()
    if ratio == 0:
        return Pruned(net, before, before, {}, {}, {})
    shapes = _shapes(net, example)
    graph = WidthGraph(net, example, recipe, importance, inputs)
    if score is None:
        counts = even(graph.widths, ratio)
    else:
        curves = scan(graph.widths, net, score, progress)
        counts = choose(graph.widths, curves, layer_costs(net, example), ratio, quality)
    kept, channels = graph.kept(counts), graph.channels(counts)
    graph.remove(counts)
    if _shapes(net, example) != shapes:
        raise ExportError(
            f"pruning changed the outputs of {type(net).__name__}: {shapes} became "
            f"{_shapes(net, example)}",
            hint="name the layers that make them under 'keep' in the recipe",
        )
    ratios = {w.name: n / w.channels for w, n in zip(graph.widths, counts, strict=True)}
    return Pruned(net, count_macs(net, example), before, ratios, kept, channels)


def _shapes(net: nn.Module, example: Example) -> list[tuple[int, ...]]:
    with torch.inference_mode():
        return [tuple(output.shape) for output in flat(net(*example))]
