"""Chooses how much each width loses: little where it is missed, much where it costs time.

Each width is shortened alone, and what it then costs in quality is measured on real inputs (the
per-layer sensitivity of Li et al., *Pruning Filters for Efficient ConvNets*, 2017). From these
curves and from what the layers cost, channels are removed step by step where that is worth most.

    score = likeness(net, inputs)
    counts = choose(graph.widths, scan(graph.widths, net, score), layer_costs(net, example), 0.3)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deixis.export.widths import Example, Width, flat

Score = Callable[[nn.Module], float]
"""How good a network is; more is better."""
Progress = Callable[[int, int], None]

SHARES = (0.25, 0.5, 0.75)
"""A width is shortened by these shares of its channels, one after the other."""
QUALITY = 0.25
"""What quality is worth: so much of the network's time for what pruning all widths evenly costs."""
MACS_A_NUMBER = 16.0
"""Writing one number of an activation costs a CPU as much as so many multiply-adds."""
DEPTHWISE = 8.0
"""One multiply-add of a depthwise convolution costs as much as so many others: nothing is used
twice. Both figures are from ONNX Runtime's profile of the INT8 hand network on AVX-512."""


@dataclass(frozen=True)
class LayerCost:
    """What a layer costs: ``fixed`` shrinks with its outputs, ``macs`` with its inputs, too."""

    macs: float
    fixed: float


def likeness(
    net: nn.Module,
    inputs: Sequence[Example],
    loss: Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], Tensor] | None = None,
) -> Score:
    """How like the network as it is now a variant of it answers.

    Args:
        net: the network to compare with; its answers are taken now.
        inputs: a handful of real ones.
        loss: of what a variant and the network answer; by default the squared error of each
            output, as a share of its variance.

    Returns:
        A score: minus the mean loss.
    """
    with torch.inference_mode():
        wanted = [tuple(flat(net(*x))) for x in inputs]

    def score(variant: nn.Module) -> float:
        with torch.inference_mode():
            losses = [
                float((loss or relative_error)(tuple(flat(variant(*x))), want))
                for x, want in zip(inputs, wanted, strict=True)
            ]
        return -float(np.mean(losses))

    return score


def relative_error(got: tuple[Tensor, ...], want: tuple[Tensor, ...]) -> Tensor:
    """Mean over the outputs of the squared error as a share of the wanted output's variance."""
    errors = [
        (g - w).square().mean() / w.var(unbiased=False).clamp(min=1e-6)
        for g, w in zip(got, want, strict=True)
    ]
    return torch.stack(errors).mean()


def scan(
    widths: Sequence[Width], net: nn.Module, score: Score, progress: Progress | None = None
) -> list[NDArray[np.float64]]:
    """What quality each width costs when it alone loses each of :data:`SHARES`.

    Returns:
        A rising curve a width, [len(SHARES)], in the score's units.
    """
    whole = score(net)
    curves = []
    for done, width in enumerate(widths):
        losses = []
        for share in SHARES:
            with width.without(round(share * width.channels)):
                losses.append(max(whole - score(net), 0.0))
        curves.append(np.maximum.accumulate(losses))
        if progress is not None:
            progress(done + 1, len(widths))
    return curves


def layer_costs(net: nn.Module, example: Example) -> dict[nn.Module, LayerCost]:
    """What each layer costs on ``example``."""
    costs: dict[nn.Module, LayerCost] = {}

    def count(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, Tensor)
        macs = float(output.numel() * weight[0].numel())
        fixed = MACS_A_NUMBER * output.numel()
        if getattr(layer, "groups", 1) > 1:
            macs, fixed = 0.0, fixed + DEPTHWISE * macs
        before = costs.get(layer, LayerCost(0.0, 0.0))
        costs[layer] = LayerCost(before.macs + macs, before.fixed + fixed)

    kinds = (nn.Conv1d, nn.Conv2d, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, kinds)]
    try:
        with torch.inference_mode():
            net(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return costs


def even(widths: Sequence[Width], ratio: float) -> list[int]:
    """How many channels each width loses where all lose about the same share.

    What rounding takes too much of one width is left to the next ones.
    """
    counts, owed = [], 0.0
    for width in widths:
        wanted = ratio + owed
        sizes = np.array([0, *_sizes(width)])
        count = int(sizes[np.abs(sizes / width.channels - wanted).argmin()])
        owed = wanted - count / width.channels
        counts.append(count)
    return counts


def choose(
    widths: Sequence[Width],
    curves: Sequence[NDArray[np.float64]],
    costs: dict[nn.Module, LayerCost],
    ratio: float,
    quality: float = QUALITY,
) -> list[int]:
    """How many channels each width loses, so that the mean share is ``ratio``.

    One step at a time, wherever it saves most cost for the quality and the share that it takes.

    Args:
        widths: of the network.
        curves: from :func:`scan`.
        costs: from :func:`layer_costs`.
        ratio: mean over the widths of the share of channels that goes, as nearly as steps allow.
        quality: what quality is worth; see :data:`QUALITY`.
    """
    sizes = [[0, *_sizes(width)] for width in widths]
    at = [0] * len(widths)
    shares = np.zeros(len(widths))
    evenly = sum(_lost(curve, ratio) for curve in curves) or 1.0
    total = _cost(widths, shares, costs)
    while True:
        now = _cost(widths, shares, costs)
        left = ratio * len(widths) - shares.sum()
        best, best_worth = -1, -np.inf
        for i, width in enumerate(widths):
            if at[i] + 1 == len(sizes[i]):
                continue
            share = sizes[i][at[i] + 1] / width.channels
            taken = share - shares[i]
            if taken > 2 * left:
                continue  # farther from the ratio than without it
            tried = shares.copy()
            tried[i] = share
            saved = (now - _cost(widths, tried, costs)) / total
            lost = (_lost(curves[i], share) - _lost(curves[i], shares[i])) / evenly
            worth = (saved - quality * lost) / taken
            if worth > best_worth:
                best, best_worth = i, worth
        if best < 0:
            return [sizes[i][at[i]] for i in range(len(widths))]
        at[best] += 1
        shares[best] = sizes[best][at[best]] / widths[best].channels


def _sizes(width: Width) -> list[int]:
    """The numbers of channels that a width can lose, other than none."""
    first = width.channels % width.step or width.step
    return list(range(first, width.channels - width.least + 1, width.step))


def _lost(curve: NDArray[np.float64], share: float) -> float:
    return float(np.interp(share, (0.0, *SHARES), (0.0, *curve)))


def _cost(
    widths: Sequence[Width], shares: NDArray[np.float64], costs: dict[nn.Module, LayerCost]
) -> float:
    """The network's cost when each width has lost its share."""
    outputs = {layer: s for width, s in zip(widths, shares, strict=True) for layer in width.makers}
    inputs: dict[nn.Module, float] = {}
    for width, s in zip(widths, shares, strict=True):
        for reader in width.readers:
            part = len(reader.columns) / reader.weight.shape[1]
            inputs[reader.layer] = inputs.get(reader.layer, 0.0) + part * s
    return float(
        sum(
            (1 - outputs.get(layer, 0.0)) * (cost.fixed + cost.macs * (1 - inputs.get(layer, 0.0)))
            for layer, cost in costs.items()
        )
    )
