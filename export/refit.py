"""Solves a pruned network's layers anew, first to last, to answer as those it comes from.

Pruning solves each reader for the inputs that the whole network gave it; behind a few pruned layers
it is given others, and errors add up. Here each layer in turn is given what the pruned network
really makes, and its weights are those of least squares to what the teacher's layer makes of the
same picture. Where a module adds its input to what the layer makes, they are those to what the
teacher's module makes, so that the layer makes up for the errors of those before it, too (He et
al., *Channel Pruning for Accelerating Very Deep Neural Networks*, 2017). No gradients: a pass a
layer.

    net = refit(pruned.net, teacher, inputs, pruned.kept)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from deixis.export.widths import Example

Progress = Callable[[int, int], None]

PLACES = 64
"""Of one input's output in a layer, at most; neighbouring ones say the same."""
RIDGE = 1e-3
"""How strongly weights are held to what they were, as a share of the inputs' mean power."""


def refit(
    pupil: nn.Module,
    teacher: nn.Module,
    inputs: Sequence[Example],
    kept: Mapping[str, Sequence[int]],
    progress: Progress | None = None,
) -> nn.Module:
    """Solve the layers that have lost inputs.

    Args:
        pupil: pruned, in eval mode; is changed and returned.
        teacher: what it comes from, in eval mode.
        inputs: real ones, some hundreds altogether.
        kept: layer that makes a shortened width → which of its channels are left; from
            :attr:`deixis.export.prune.Pruned.kept`.
        progress: called with the layers done and their number.
    """
    names = _that_lost_inputs(pupil, teacher, inputs[0])
    around = {name: _residual(teacher, name, inputs[0]) for name in names}
    wanted = _outputs(teacher, around, inputs, kept)
    for done, name in enumerate(names):
        layer = pupil.get_submodule(name)
        _solve(layer, _reads(pupil, layer, around[name], inputs), wanted.pop(name))
        if progress is not None:
            progress(done + 1, len(names))
    return pupil


def _that_lost_inputs(pupil: nn.Module, teacher: nn.Module, example: Example) -> list[str]:
    """Names of the layers to be solved, in the order in which they run."""
    names = {module: name for name, module in pupil.named_modules()}
    order: list[str] = []

    def note(layer: nn.Module, *args: object) -> None:
        name = names[layer]
        if name not in order and _columns(layer) < _columns(teacher.get_submodule(name)):
            order.append(name)

    with torch.no_grad(), _watching([m for m in names if _is_solvable(m)], note):
        pupil(*example)
    return order


def _is_solvable(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)


def _columns(layer: nn.Module) -> int:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight.shape[1]


@torch.no_grad()
def _residual(net: nn.Module, name: str, example: Example) -> str | None:
    """The module around a layer if it adds what it is given to what the layer makes."""
    outer = name.rpartition(".")[0]
    layer, module = net.get_submodule(name), net.get_submodule(outer)
    seen: dict[nn.Module, tuple[Any, Any]] = {}

    def note(what: nn.Module, read: tuple[Any, ...], output: Any) -> None:
        seen[what] = read[0] if read else None, output

    with _watching([layer, module], note):
        net(*example)
    (_, made), (given, out) = seen[layer], seen[module]
    same = all(isinstance(x, Tensor) and x.shape == made.shape for x in (given, out))
    return outer if same and torch.allclose(out, given + made, atol=1e-5) else None


@torch.no_grad()
def _outputs(
    net: nn.Module,
    around: Mapping[str, str | None],
    inputs: Sequence[Example],
    kept: Mapping[str, Sequence[int]],
) -> dict[str, list[Tensor]]:
    """What layers (or the modules around them) make of what is left, [places,channels] an input."""
    made: dict[str, list[Tensor]] = {name: [] for name in around}
    makers = {net.get_submodule(outer or name): name for name, outer in around.items()}
    linear = {name: isinstance(net.get_submodule(name), nn.Linear) for name in around}

    def note(maker: nn.Module, read: tuple[Tensor, ...], output: Tensor) -> None:
        name = makers[maker]
        rows = _rows(output, linear[name])
        made[name].append(rows[:, list(kept[name])] if name in kept else rows)

    with _watching(list(makers), note):
        for example in inputs:
            net(*example)
    return made


class _Reached(Exception):
    """A layer has been reached: what comes behind it is not needed."""


@torch.no_grad()
def _reads(
    net: nn.Module, layer: nn.Module, outer: str | None, inputs: Sequence[Example]
) -> Iterator[tuple[Tensor, Tensor | float]]:
    """What a layer reads for each place of its output, and what is added to its output there."""
    seen: list[Tensor] = []
    given: list[Tensor] = []

    def note(layer: nn.Module, read: tuple[Tensor, ...], output: Tensor) -> None:
        seen.append(_patches(layer, read[0], output))
        raise _Reached

    def remember(module: nn.Module, read: tuple[Tensor, ...]) -> None:
        given.append(_rows(read[0], isinstance(layer, nn.Linear)))

    hook = None if outer is None else net.get_submodule(outer).register_forward_pre_hook(remember)
    try:
        with _watching([layer], note):
            for example in inputs:
                try:
                    net(*example)
                except _Reached:
                    yield seen.pop(), given.pop() if given else 0.0
    finally:
        if hook is not None:
            hook.remove()


def _patches(layer: nn.Module, read: Tensor, output: Tensor) -> Tensor:
    if isinstance(layer, nn.Linear):
        return _rows(read, last=True)
    assert isinstance(layer, nn.Conv2d)
    if layer.kernel_size == (1, 1):
        return _rows(read[:, :, :: layer.stride[0], :: layer.stride[1]], last=False)
    assert not isinstance(layer.padding, str)
    columns = functional.unfold(
        read, layer.kernel_size, layer.dilation, layer.padding, layer.stride
    )
    return _rows(columns.reshape(*columns.shape[:2], *output.shape[2:]), last=False)


def _rows(made: Tensor, last: bool) -> Tensor:
    """Channels at some places of a tensor, [places,channels]."""
    if last:
        flat = made.flatten(0, -2)
        return flat[:: max(1, len(flat) // (PLACES * len(made)))].clone()
    step = max(1, round((made.shape[2] * made.shape[3] / PLACES) ** 0.5))
    return made[:, :, ::step, ::step].permute(0, 2, 3, 1).flatten(0, 2)


@contextmanager
def _watching(layers: Sequence[nn.Module], note: Callable[..., Any]) -> Iterator[None]:
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def _solve(
    layer: nn.Module, reads: Iterator[tuple[Tensor, Tensor | float]], wanted: Sequence[Tensor]
) -> None:
    """Least squares for weights and bias, held to what they were."""
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, nn.Parameter)
    old = weight.flatten(1).double()
    if isinstance(bias, Tensor):
        old = torch.cat([old, bias.double()[:, None]], dim=1)
    moments = torch.zeros(old.shape[1], old.shape[1], dtype=torch.float64)
    products = torch.zeros(old.shape, dtype=torch.float64)
    for (rows, added), want in zip(reads, wanted, strict=True):
        ones = rows.new_ones(len(rows), old.shape[1] - rows.shape[1])
        rows = torch.cat([rows, ones], dim=1).double()
        moments += rows.T @ rows
        products += (want - added).double().T @ rows
    hold = RIDGE * moments.diagonal().mean() + 1e-12
    held = moments + hold * torch.eye(len(moments), dtype=torch.float64)
    new = torch.linalg.solve(held, (products + hold * old).T).T
    if isinstance(bias, Tensor):
        bias.copy_(new[:, -1])
        new = new[:, :-1]
    weight.copy_(new.reshape(weight.shape))
