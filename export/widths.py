"""A width of a network: channels that layers share, what each is worth, and how to do without.

Layers that are added to each other, and those that read or merely pass on a layer's channels, share
its width: they lose a channel together or not at all. The heads of an attention module are a width,
too. :mod:`deixis.export.width_graph` finds them.

    with width.without(width.channels // 2):
        worse = net(*example)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Example = tuple[Tensor, ...]
"""One call's tensors, in the order of ``forward``."""

_RIDGE = 1e-3


@dataclass
class Reader:
    """A layer that reads the channels of a width.

    Attributes:
        layer: a convolution or a linear layer.
        columns: of its weights, those for the width, [n].
        of: the channel of each column, [n].
        moments: of the columns' inputs, mean products of each two, [n,n]; None where unknown.
    """

    layer: nn.Module
    columns: Tensor
    of: Tensor
    moments: Tensor | None = None

    @property
    def weight(self) -> nn.Parameter:
        """The layer's weights."""
        weight = self.layer.weight
        assert isinstance(weight, nn.Parameter)
        return weight

    def forget(self, gone: Tensor) -> None:
        """Read nothing more from some channels, and from the others what can stand for them.

        What a channel said is foretold from those that stay, by least squares over the inputs, as
        in He et al., *Channel Pruning for Accelerating Very Deep Neural Networks*, 2017.

        Args:
            gone: whether a channel goes, [channels].
        """
        lost = gone[self.of]
        going, staying = self.columns[lost], self.columns[~lost]
        weight = self.weight.data
        if self.moments is not None and len(going) and len(staying):
            known = self.moments[~lost][:, ~lost]
            known = known + torch.eye(len(known)) * (_RIDGE * known.diagonal().mean() + 1e-12)
            foretold = torch.linalg.solve(known, self.moments[~lost][:, lost])
            weight[:, staying] += torch.einsum("kr,or...->ok...", foretold, weight[:, going])
        weight[:, going] = 0.0


@dataclass
class Width:
    """One width and all that hangs on it.

    Attributes:
        name: of the first layer that makes its channels, or of the attention module.
        channels: how many there are.
        step: they go in multiples of this (after a first step that makes the rest a multiple).
        least: so many stay at least.
        root: the layer whose channels the numbers of ``importance`` and ``readers`` are.
        makers: layers whose outputs they are.
        readers: layers that read them.
        importance: of each channel; of each head, repeated, in an attention module.
        heads: the number of heads; 0 where the width is not that of an attention module.
    """

    name: str
    channels: int
    step: int
    least: int
    root: nn.Module
    makers: list[nn.Module]
    readers: list[Reader]
    importance: Tensor = field(default_factory=lambda: torch.zeros(0))
    heads: int = 0

    def worst(self, count: int) -> list[int]:
        """The ``count`` channels of least importance, in ascending order."""
        order = torch.argsort(self.importance, stable=True)
        return sorted(order[:count].tolist())

    def forget(self, count: int) -> None:
        """Make all readers do without the ``count`` least important channels.

        They get zero weights: the same as no channel to all layers but norms over channels.
        """
        gone = torch.zeros(self.channels, dtype=torch.bool)
        gone[self.worst(count)] = True
        for reader in self.readers:
            reader.forget(gone)

    @contextmanager
    def without(self, count: int) -> Iterator[None]:
        """The network as if its ``count`` least important channels here were gone."""
        kept = [reader.weight.data.clone() for reader in self.readers]
        self.forget(count)
        try:
            yield
        finally:
            for reader, weight in zip(self.readers, kept, strict=True):
                reader.weight.data = weight


def flat(outputs: Any) -> list[Tensor]:
    """The tensors in what a network returns, however they are nested."""
    if isinstance(outputs, Tensor):
        return [outputs]
    return [tensor for part in outputs for tensor in flat(part)]
