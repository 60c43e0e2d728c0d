"""Sets the weights of a pruned network anew, layer by layer, by least squares against its teacher.

Each layer gets the weights with which it best makes, from what the pruned layers before it now
make, what the teacher's layer makes there (He et al., *Channel Pruning for Accelerating Very Deep
Neural Networks*, 2017; here with bias, for depthwise convolutions too, and in the order of
execution). This is most of the way back in seconds; distillation goes the rest.

    reconstruct(pruned.net, teacher, inputs, pruned.channels)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deixis.export.widths import Example

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_RIDGE = 1e-3
"""How much the weights are held where they are, as a share of the mean power of the inputs."""


class _Reached(Exception):
    """A pass has come to the layer that it was for."""


def reconstruct(
    pupil: nn.Module,
    teacher: nn.Module,
    inputs: Sequence[Example],
    channels: Mapping[str, Sequence[int]],
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Set the weights of a pruned network anew, in place.

    Args:
        pupil: the pruned network, in eval mode.
        teacher: the network that it comes from, in eval mode.
        inputs: real ones; together some tens of pictures or some seconds of sound.
        channels: layer of the pupil → which of the teacher's channels it makes. Other layers are
            left as they are.
        progress: called with the layers done and their number.
    """
    order = [name for name in _order(pupil, inputs[0]) if name in channels]
    for done, name in enumerate(order):
        _solve(pupil, teacher, name, inputs, list(channels[name]))
        if progress is not None:
            progress(done + 1, len(order))


def _order(net: nn.Module, example: Example) -> list[str]:
    """The layers' names, as they are run."""
    order: list[str] = []

    def note(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: order.append(name)

    layers = [(name, m) for name, m in net.named_modules() if isinstance(m, _LAYERS)]
    hooks = [layer.register_forward_hook(note(name)) for name, layer in layers]
    try:
        with torch.inference_mode():
            net(*example)
    finally:
        for hook in hooks:
            hook.remove()
    # One that is run more than once has no one input.
    return [name for name in dict.fromkeys(order) if order.count(name) == 1]


@torch.no_grad()
def _solve(
    pupil: nn.Module, teacher: nn.Module, name: str, inputs: Sequence[Example], kept: list[int]
) -> None:
    layer = pupil.get_submodule(name)
    assert isinstance(layer, _LAYERS)
    weight = layer.weight
    groups = layer.groups if isinstance(layer, nn.Conv1d | nn.Conv2d) else 1
    if groups not in (1, weight.shape[0]) or isinstance(getattr(layer, "padding", 0), str):
        return
    bias = torch.zeros(len(weight)) if layer.bias is None else layer.bias
    # [groups,outputs a group,columns], the last column being the bias
    before = torch.cat([weight.flatten(1), bias[:, None]], dim=1).reshape(
        groups, -1, weight[0].numel() + 1
    )
    size = before.shape[2]
    square = torch.zeros(groups, size, size, dtype=torch.float64)
    product = torch.zeros(groups, before.shape[1], size, dtype=torch.float64)
    rows = 0
    for example in inputs:
        read = _reach(pupil, name, example)[0]
        wanted = _reach(teacher, name, example)[1]
        for x, y in zip(read, wanted, strict=True):
            columns = _columns(layer, x)
            linear = isinstance(layer, nn.Linear)
            made = y.reshape(-1, y.shape[-1]).T[kept] if linear else y[kept].flatten(1)
            made = made.reshape(groups, -1, made.shape[1])
            square += columns @ columns.mT
            product += made @ columns.mT
            rows += columns.shape[2]
    # In proportion to the mean over the columns: by their own power, weights on those that are
    # nearly always zero would grow without bound, and INT8 would not bear it.
    power = square.diagonal(dim1=1, dim2=2).mean(1)[:, None, None]
    hold = (_RIDGE * power + 1e-9 * rows) * torch.eye(size, dtype=torch.float64)
    if layer.bias is None:
        square[:, -1], square[:, :, -1], product[:, :, -1] = 0, 0, 0
    after = torch.linalg.solve(square + hold, (product + before.double() @ hold).mT).mT.float()
    layer.weight.copy_(after[..., :-1].reshape(weight.shape))
    if layer.bias is not None:
        layer.bias.copy_(after[..., -1].reshape(-1))


def _reach(net: nn.Module, name: str, example: Example) -> tuple[Tensor, Tensor]:
    """What a layer reads and makes; the pass ends there."""
    seen: list[tuple[Tensor, Tensor]] = []

    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Any) -> None:
        seen.append((inputs[0], output))
        raise _Reached

    handle = net.get_submodule(name).register_forward_hook(hook)
    try:
        net(*example)
    except _Reached:
        pass
    finally:
        handle.remove()
    return seen[0]


def _columns(layer: nn.Module, x: Tensor) -> Tensor:
    """What each position of one input offers to the weights, and 1, [groups,columns,positions]."""
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        picture = x[None] if isinstance(layer, nn.Conv2d) else x[None, :, None]
        kernel, stride = _both(layer.kernel_size, 1), _both(layer.stride, 1)
        dilation, padding = _both(layer.dilation, 1), _both(layer.padding, 0)
        columns = functional.unfold(picture, kernel, dilation, padding, stride)[0]
        columns = columns.reshape(layer.groups, -1, columns.shape[1])
    else:
        columns = x.reshape(-1, x.shape[-1]).T[None]
    ones = torch.ones(len(columns), 1, columns.shape[2])
    return torch.cat([columns, ones], dim=1)


def _both(size: Sequence[int] | str, fill: int) -> tuple[int, int]:
    """The size along height and width of a convolution along one axis or two."""
    numbers = [int(n) for n in size]
    return (fill, *numbers)[-2], numbers[-1]
