"""Which channels are missed least once the others make up for them.

Small weights do not make a channel dispensable: what counts is what is left of its readers' outputs
when their weights on all other channels, and their biases, are solved anew. Channels go a few at a
time, always those that then cost least: the Optimal Brain Surgeon (Hassibi and Stork, *Second order
derivatives for network pruning*, 1993) layer by layer, as in Frantar and Alistarh, *Optimal Brain
Compression*, 2022, and for whole channels.

    weigh_by_elimination(net, graph.widths, inputs)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from deixis.export.widths import Example, Reader, Width

RIDGE = 1e-3
"""Added to the moments' diagonal, as a share of its mean: channels that never fire."""
AT_ONCE = 1 / 32
"""Share of those that are left which goes before the costs are worked out anew."""


def weigh_by_elimination(
    net: nn.Module, widths: Sequence[Width], inputs: Sequence[Example]
) -> None:
    """Importance = when a channel goes: 0 for the first.

    Args:
        net: in eval mode.
        widths: whose importance is set.
        inputs: real ones, some hundreds altogether.
    """
    moments = _observe(net, [reader for width in widths for reader in width.readers], inputs)
    for width in widths:
        solvers = [_Solver(reader, moments[id(reader)]) for reader in width.readers]
        width.importance = _order(solvers, width.channels)


def _observe(
    net: nn.Module, readers: Sequence[Reader], inputs: Sequence[Example]
) -> dict[int, Tensor]:
    """Mean products of each two of a reader's inputs, less those of their means, by its ``id``."""
    sums: dict[int, tuple[Tensor, Tensor, int]] = {}

    def look(reader: Reader) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(layer: nn.Module, read: tuple[Tensor, ...]) -> None:
            last = isinstance(layer, nn.Linear)
            rows = (read[0] if last else read[0].transpose(1, -1)).flatten(0, -2)
            rows = rows[:, reader.columns]
            products, total, n = sums.get(id(reader), (torch.zeros(()), torch.zeros(()), 0))
            products = products + (rows.T @ rows).double()
            sums[id(reader)] = products, total + rows.sum(0).double(), n + len(rows)

        return hook

    hooks = [reader.layer.register_forward_pre_hook(look(reader)) for reader in readers]
    try:
        with torch.no_grad():
            for example in inputs:
                net(*example)
    finally:
        for handle in hooks:
            handle.remove()
    return {
        key: products / n - torch.outer(total / n, total / n)
        for key, (products, total, n) in sums.items()
    }


def _order(solvers: Sequence[_Solver], channels: int) -> Tensor:
    alive = torch.ones(channels, dtype=torch.bool)
    rank = torch.empty(channels)
    gone_before = 0
    while gone_before < channels:
        cost = torch.zeros(channels, dtype=torch.float64)
        for solver in solvers:
            cost += solver.costs(alive)
        cost[~alive] = torch.inf
        some = max(1, int(AT_ONCE * (channels - gone_before)))
        gone = torch.argsort(cost, stable=True)[:some]
        rank[gone] = torch.arange(gone_before, gone_before + some, dtype=rank.dtype)
        alive[gone] = False
        gone_before += some
    return rank


class _Solver:
    """One reader's weights on the channels that are left, in shares of its output's variance."""

    def __init__(self, reader: Reader, moments: Tensor) -> None:
        self._of = reader.of
        ridge = RIDGE * moments.diagonal().mean() + 1e-12
        self._moments = moments + ridge * torch.eye(len(moments), dtype=moments.dtype)
        weight = reader.weight.detach()[:, reader.columns].double()
        # [outputs and taps of the kernel, columns]
        rows = weight.transpose(0, 1).flatten(1).T
        self._products = rows @ self._moments
        self._variance = float((self._products * rows).sum()) + 1e-12

    def costs(self, alive: Tensor) -> Tensor:
        """What the loss of each channel costs beyond those that are gone already, [channels]."""
        left = alive[self._of]
        inverse = torch.linalg.inv(self._moments[left][:, left])
        weight = self._products[:, left] @ inverse
        by_column = weight.square().sum(0) / inverse.diagonal() / self._variance
        costs = torch.zeros(len(alive), dtype=torch.float64)
        return costs.index_add_(0, self._of[left], by_column)
