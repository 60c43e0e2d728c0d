"""2:4 sparsity for TensorRT: of every four weights along the inputs, the two smallest are zero.

Ampere's tensor cores and later ones skip such zeros (Mishra et al., *Accelerating Sparse Deep
Neural Networks*, 2021). The pattern holds through training; :func:`settle` makes it permanent.

    net = settle(distil(sparsify_2_4(net), teacher, batches, recovery))
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)


def sparsify_2_4(net: nn.Module, keep: Sequence[str] = ()) -> nn.Module:
    """Hold half of the weights of a network at zero.

    Args:
        net: is changed and returned.
        keep: patterns (:mod:`fnmatch`) of names of layers that stay dense. Those with fewer than
            eight inputs, a number that four does not divide, or groups stay dense in any case.
    """
    for name, layer in list(net.named_modules()):
        if not isinstance(layer, _LAYERS) or any(fnmatchcase(name, p) for p in keep):
            continue
        inputs = layer.weight.shape[1]
        if inputs % 4 or inputs < 8 or getattr(layer, "groups", 1) != 1:
            continue
        parametrize.register_parametrization(layer, "weight", _Mask(layer.weight.detach()))
    return net


def settle(net: nn.Module) -> nn.Module:
    """Make the weights plain parameters again, zeros included."""
    for layer in net.modules():
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    return net


def is_2_4(weight: Tensor) -> bool:
    """Whether of every four weights along the inputs (axis 1) at most two are not zero."""
    return bool((_fours(weight) != 0).sum(1).le(2).all())


class _Mask(nn.Module):
    mask: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        fours = _fours(weight.abs())
        largest = fours.topk(2, dim=1).indices
        mask = torch.zeros_like(fours).scatter_(1, largest, 1.0)
        inputs = weight.shape[1]
        shape = (weight.shape[0], *weight.shape[2:], inputs)
        self.register_buffer("mask", mask.reshape(shape).movedim(-1, 1).contiguous())

    def forward(self, weight: Tensor) -> Tensor:
        return weight * self.mask


def _fours(weight: Tensor) -> Tensor:
    """Weights [out,in,…] as rows of four neighbours along the inputs, [n,4]."""
    return weight.movedim(1, -1).reshape(-1, 4)
