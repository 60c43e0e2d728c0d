"""Makes a network in training feel INT8: weights and activations are rounded as they will be.

Weights are rounded to int8 a channel, the inputs of convolutions and linear layers to uint8 with
the range seen so far; gradients pass through (Jacob et al., *Quantization and Training of Neural
Networks for Efficient Integer-Arithmetic-Only Inference*, 2018).

    rounding = FakeQuant(net)       # from now on
    rounding.remove()               # the net has its plain weights again
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Linear)
_MOMENTUM = 0.05


class FakeQuant:
    """Rounds in all convolutions and linear layers of a network.

    Args:
        net: the network in training; an optimizer's parameters stay what they are.
    """

    def __init__(self, net: nn.Module) -> None:
        self._layers = {name: m for name, m in net.named_modules() if isinstance(m, _LAYERS)}
        self.ranges: dict[str, Tensor] = {}
        """Layer → least and greatest input, which follow what is seen."""
        self._hooks = [
            layer.register_forward_pre_hook(self._round_input(name))
            for name, layer in self._layers.items()
        ]
        for layer in self._layers.values():
            # Unsafe, as a rounded weight cannot be turned back into the plain one.
            parametrize.register_parametrization(layer, "weight", _RoundedWeight(), unsafe=True)

    def remove(self) -> None:
        """Leave the network as it was, with the weights that it has learnt."""
        for hook in self._hooks:
            hook.remove()
        for layer in self._layers.values():
            assert isinstance(layer.parametrizations, nn.ModuleDict)
            forms = cast("parametrize.ParametrizationList", layer.parametrizations["weight"])
            if len(forms) > 1:
                del forms[-1]  # the one before is a mask of sparsity
            else:
                parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)

    def _round_input(self, name: str) -> Any:
        def hook(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            low, high = inputs[0].detach().aminmax()
            # Zero must be exact: it pads pictures.
            seen = torch.stack([low.clamp(max=0.0), high.clamp(min=0.0)]).float()
            known = self.ranges.get(name, seen)
            self.ranges[name] = known + _MOMENTUM * (seen - known)
            return (_round_activation(inputs[0], self.ranges[name]), *inputs[1:])

        return hook


class _RoundedWeight(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        scale = weight.detach().abs().flatten(1).amax(1).clamp(min=1e-8) / 127
        zero = torch.zeros(len(scale), dtype=torch.int32, device=weight.device)
        return torch.fake_quantize_per_channel_affine(weight, scale, zero, 0, -127, 127)


def _round_activation(x: Tensor, limits: Tensor) -> Tensor:
    low, high = limits
    scale = ((high - low) / 255).clamp(min=1e-8)
    zero = torch.round(-low / scale).clamp(0, 255).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, 0, 255)
