"""What channels are worth, and what is known of them from those that stay: seen on real inputs.

observe(net, widths, inputs)
weigh_by_taylor(net, widths, inputs)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from deixis.export.widths import Example, Reader, Width, flat

_PROBES = 4


def observe(net: nn.Module, widths: Sequence[Width], inputs: Sequence[Example]) -> None:
    """Learn the moments of what each reader of the widths reads."""

    def look(reader: Reader) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def hook(layer: nn.Module, read: tuple[Tensor, ...]) -> None:
            last = isinstance(layer, nn.Linear)
            rows = (read[0] if last else read[0].transpose(1, -1)).flatten(0, -2)
            rows = rows[:, reader.columns]
            moments = rows.T @ rows / (len(rows) * len(inputs))
            reader.moments = moments if reader.moments is None else reader.moments + moments

        return hook

    hooks = [
        reader.layer.register_forward_pre_hook(look(reader))
        for width in widths
        for reader in width.readers
    ]
    try:
        with torch.no_grad():
            for example in inputs:
                net(*example)
    finally:
        for handle in hooks:
            handle.remove()


def weigh_by_taylor(net: nn.Module, widths: Sequence[Width], inputs: Sequence[Example]) -> None:
    """Importance = mean square of how the outputs change without a channel, to first order.

    The outputs are seen through random signs (Hutchinson's estimator), each output in units of its
    own size: the Gauss-Newton form of Molchanov et al., *Importance Estimation for Neural Network
    Pruning*, 2019, for a loss that is zero at the unpruned network.
    """
    chance = torch.Generator().manual_seed(0)
    sums = [torch.zeros(width.channels) for width in widths]
    for example in inputs:
        with torch.enable_grad():
            outputs = flat(net(*example))
            for _ in range(_PROBES):
                seen = torch.stack([_through_signs(y, chance) for y in outputs]).sum()
                net.zero_grad()
                seen.backward(retain_graph=True)  # type: ignore[no-untyped-call]
                for width, total in zip(widths, sums, strict=True):
                    total += _first_order(width).square()
    net.zero_grad()
    for width, total in zip(widths, sums, strict=True):
        width.importance = by_head(total, width.heads) if width.heads else total


def by_head(importance: Tensor, heads: int) -> Tensor:
    """The sum over each head, for all of its channels."""
    sums = importance.reshape(heads, -1).sum(1, keepdim=True)
    return sums.expand(heads, importance.numel() // heads).reshape(-1)


def _through_signs(output: Tensor, chance: torch.Generator) -> Tensor:
    signs = torch.randint(0, 2, output.shape, generator=chance) * 2.0 - 1.0
    size = output.detach().square().mean().sqrt().clamp(min=1e-6)
    seen: Tensor = (output * signs).sum() / (size * float(output.numel()) ** 0.5)
    return seen


def _first_order(width: Width) -> Tensor:
    """What each channel adds to the seen output, [channels]."""
    change = torch.zeros(width.channels)
    for reader in width.readers:
        weight = reader.weight
        if weight.grad is None:
            continue
        by_column = (weight.detach() * weight.grad).transpose(0, 1).flatten(1).sum(1)
        change.index_add_(0, reader.of, by_column[reader.columns])
    return change
