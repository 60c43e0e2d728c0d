"""Finds the widths of a network that may shrink, and takes channels and heads away.

What hangs together is found by torch-pruning's dependency graph (Fang et al., *DepGraph: Towards
Any Structural Pruning*, 2023).

    graph = WidthGraph(net, example, recipe.pruning)
    graph.remove([0] * len(graph.widths))
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from deixis.export.importance import by_head, observe, weigh_by_taylor
from deixis.export.widths import Example, Reader, Width
from deixis.runtime.errors import ExportError, MissingExtraError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Pruning

Importance = Literal["l1", "taylor"]

_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
"""What the layers of an attention module that can lose heads are called; the last one reads."""


class WidthGraph:
    """All widths of a network, and the surgery on it.

    Args:
        net: in eval mode; it is traced, and :meth:`remove` changes it.
        example: one tensor an input.
        recipe: what may be removed.
        importance: ``l1``: the sum of the absolute weights of the layers that share the channel;
            ``taylor``: how much the outputs change without it, to first order, on ``inputs``.
        inputs: real inputs. With them the layers that read a channel that goes make up for it from
            those that stay; ``taylor`` needs them.

    Raises:
        ExportError: if nothing may be removed, or ``taylor`` has no inputs.
    """

    def __init__(
        self,
        net: nn.Module,
        example: Example,
        recipe: Pruning,
        importance: Importance = "l1",
        inputs: Sequence[Example] | None = None,
    ) -> None:
        try:
            import torch_pruning
        except ImportError as error:
            raise MissingExtraError("torch-pruning", "export") from error
        self._tp: Any = torch_pruning
        self._recipe = recipe
        self._names = {module: name for name, module in net.named_modules()}
        self._net = net
        with torch.enable_grad():
            self._graph = torch_pruning.DependencyGraph().build_dependency(net, example)
        self._whole: list[nn.Module] = []
        attention = self._attention()
        order = {name: i for i, name in enumerate(self._names.values())}
        widths = [*self._channel_widths(attention), *attention]
        self.widths = sorted(widths, key=lambda width: order[width.name])
        if not self.widths:
            raise ExportError(
                f"nothing of {type(net).__name__} may be pruned",
                hint="loosen 'keep' in its recipe, or leave it unpruned",
            )
        if inputs:
            observe(net, self.widths, inputs)
        if importance == "taylor":
            if not inputs:
                raise ExportError("the importance 'taylor' needs real inputs")
            weigh_by_taylor(net, self.widths, inputs)

    def remove(self, counts: Sequence[int]) -> None:
        """Take away the least important channels, so many of each width.

        Args:
            counts: one a width.
        """
        for width, count in zip(self.widths, counts, strict=True):
            width.forget(count)
        for width, count in zip(self.widths, counts, strict=True):
            gone = width.worst(count)
            if not gone:
                continue
            if width.heads:
                self._remove_heads(width, gone)
                continue
            pruner = self._graph.get_pruner_of_module(width.root)
            group = self._graph.get_pruning_group(width.root, pruner.prune_out_channels, gone)
            group.prune()

    def channels(self, counts: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Which channels are left of every convolution and linear layer.

        Args:
            counts: what :meth:`remove` will be called with.
        """
        left = {
            name: tuple(range(len(layer.weight)))
            for layer, name in self._names.items()
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
        }
        for width, count in zip(self.widths, counts, strict=True):
            gone = set(width.worst(count))
            stay = tuple(c for c in range(width.channels) if c not in gone)
            left |= {
                self._names[maker]: stay for maker in width.makers if self._names[maker] in left
            }
        return left

    def kept(self, counts: Sequence[int]) -> dict[str, tuple[int, ...]]:
        """Which channels are left of the layers by which a network can be taught.

        They are those that sum up (make no more channels than they read) for others to read.

        Args:
            counts: what :meth:`remove` will be called with.
        """
        left: dict[nn.Module, tuple[int, ...]] = dict.fromkeys(self._whole, ())
        for width, count in zip(self.widths, counts, strict=True):
            gone = set(width.worst(count))
            stay = tuple(c for c in range(width.channels) if c not in gone)
            if not width.heads:
                left |= {layer: stay for layer in width.makers if _sums_up(layer)}
        return {
            self._names[layer]: stay or tuple(range(len(layer.weight)))  # type: ignore[arg-type]
            for layer, stay in left.items()
        }

    def _channel_widths(self, attention: Sequence[Width]) -> Iterator[Width]:
        # Projections of an attention module lose whole heads, by hand.
        ignored = [layer for width in attention for layer in width.makers]
        for module, name in self._names.items():
            if any(fnmatchcase(name, pattern) for pattern in self._recipe.keep):
                ignored += list(module.modules())
        weigh = self._tp.importance.MagnitudeImportance(p=1)
        for group in self._graph.get_all_groups(ignored):
            width = self._width(group)
            if width is not None:
                width.importance = weigh(group).detach()
                yield width

    def _width(self, group: Any) -> Width | None:
        """The width of a group; None where it must stay: it reaches an output or is split."""
        makers, readers, stays = [], [], False
        for item in group:
            dep, layer = item.dep, item.dep.target.module
            depthwise = isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups > 1
            if depthwise and layer.groups != layer.in_channels:
                return None
            makes = self._graph.is_out_channel_pruning_fn(dep.handler)
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear) and not makes and not depthwise:
                readers.append(Reader(layer, torch.tensor(item.idxs), torch.tensor(item.root_idxs)))
                continue
            stays |= not dep.target.outputs
            if makes:
                makers.append(layer)
        if not readers:
            return None
        if stays:
            self._whole += [layer for layer in makers if _sums_up(layer)]
            return None
        root = group[0].dep.target.module
        channels = self._graph.get_out_channels(root)
        step = self._recipe.round_to
        least = max(step, channels - int(channels * self._recipe.most))
        least = -(-least // step) * step
        if least >= channels:
            return None
        makers = [module for module in self._names if module in makers]
        return Width(self._names[makers[0]], channels, step, least, root, makers, readers)

    def _attention(self) -> list[Width]:
        widths = []
        for pattern, heads in self._recipe.heads.items():
            for module, name in self._names.items():
                if not fnmatchcase(name, pattern):
                    continue
                layers = [m for key, m in module.named_children() if key in _PROJECTIONS]
                if len(layers) < len(_PROJECTIONS):
                    raise ExportError(
                        f"{name} ({type(module).__name__}) is not an attention module that can "
                        f"lose heads: it needs {', '.join(_PROJECTIONS)}"
                    )
                out = module.get_submodule(_PROJECTIONS[-1])
                makers = [layer for layer in layers if layer is not out]
                channels = out.weight.shape[1]
                step = channels // heads
                least = step * max(1, heads - int(heads * self._recipe.most))
                columns = torch.arange(channels)
                readers = [Reader(out, columns, columns)]
                width = Width(name, channels, step, least, makers[0], makers, readers)
                width.heads = heads
                rows = sum(m.weight.detach().abs().sum(1) for m in makers)
                width.importance = by_head(rows + out.weight.detach().abs().sum(0), heads)
                widths.append(width)
        return widths

    def _remove_heads(self, width: Width, gone: list[int]) -> None:
        keep = torch.ones(width.channels, dtype=torch.bool)
        keep[gone] = False
        for layer in width.makers:
            assert isinstance(layer, nn.Linear)
            layer.weight = nn.Parameter(layer.weight.detach()[keep])
            if layer.bias is not None:
                layer.bias = nn.Parameter(layer.bias.detach()[keep])
            layer.out_features = int(keep.sum())
        out = width.readers[0].layer
        assert isinstance(out, nn.Linear)
        out.weight = nn.Parameter(out.weight.detach()[:, keep])
        out.in_features = int(keep.sum())
        module = self._net.get_submodule(width.name)
        if hasattr(module, "heads"):
            # Left as it was, attention would mix what remains of the heads.
            module.heads = int(keep.sum()) // width.step  # type: ignore[assignment]


def _sums_up(layer: nn.Module) -> bool:
    if isinstance(layer, nn.Linear):
        return layer.out_features <= layer.in_features
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        return layer.groups == 1 and layer.out_channels <= layer.in_channels
    return False
