"""Weights in int8, with one scale a channel, and what their rounding changes on average.

python -c "import numpy as np; from deixis.export.quantize_weights import quantize_weight; \
print(quantize_weight(np.eye(3), 0).scales)"
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

Array = NDArray[np.float64]
INT32_MAX = 2**31 - 1
SMALLEST_SCALE = 1e-12
"""A tensor or channel that is always 0 needs a scale all the same."""


@dataclass(frozen=True)
class QuantizedWeight:
    """A weight in int8.

    Attributes:
        steps: int8, the weight's shape.
        scales: what a step stands for: float32, one a channel, or a scalar.
        axis: the channels' axis; None: there is one scale.
        change: what the rounding adds to the weight.
    """

    steps: NDArray[np.int8]
    scales: NDArray[np.float32]
    axis: int | None
    change: Array


def quantize_weight(
    weight: Array, axis: int | None, least: Array | float = 0.0, most: int = 127
) -> QuantizedWeight:
    """Round a weight to int8, symmetrically.

    Args:
        weight: of any shape.
        axis: of its output channels; None: one scale for all.
        least: scales that its own must not fall below.
        most: the greatest number of steps from 0.
    """
    others = tuple(a for a in range(weight.ndim) if a != axis)
    greatest = np.abs(weight).max(axis=others)
    scales = np.maximum(np.maximum(greatest / most, SMALLEST_SCALE), least).astype(np.float32)
    spread = scales.astype(np.float64).reshape([-1 if a == axis else 1 for a in range(weight.ndim)])
    steps = np.round(weight / spread).clip(-most, most)
    return QuantizedWeight(steps.astype(np.int8), scales, axis, steps * spread - weight)


def channel_axis(node: onnx.NodeProto, ndim: int, index: int = 1) -> int | None:
    """The axis of a node's weight that is an output channel's; None where kernels want one scale.

    Args:
        node: Conv, ConvTranspose, Gemm or MatMul.
        ndim: of the weight.
        index: of the weight in the node's inputs.
    """
    if node.op_type == "Conv":
        return 0
    if node.op_type == "ConvTranspose":
        return 1
    if node.op_type == "Gemm":
        return 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
    return 1 if index == 1 and ndim == 2 else None


def bias_of(node: onnx.NodeProto, weight: NDArray[Any], bias: NDArray[Any] | None) -> Array | None:
    """A node's bias, one number a channel, or zeros; None where it has one of another shape."""
    channels = weight.shape[channel_axis(node, weight.ndim) or 0]
    if bias is None:
        return np.zeros(channels)
    if not bias.ndim or not bias.size == channels == bias.shape[-1]:
        return None
    return bias.astype(np.float64).reshape(-1)


def mean_change(node: onnx.NodeProto, change: Array, means: Array) -> Array:
    """What a change of a weight adds to each output channel where the inputs are at their means.

    Args:
        node: Conv, ConvTranspose (one group) or Gemm.
        change: of its weight.
        means: of its input's channels.
    """
    if node.op_type == "Gemm":
        return np.asarray((change if channel_axis(node, 2) == 0 else change.T) @ means)
    summed = change.reshape(*change.shape[:2], -1).sum(axis=2)
    if node.op_type == "ConvTranspose":
        return np.asarray(summed.T @ means)
    outputs, taken = summed.shape
    groups = len(means) // taken
    # Each group of output channels sees its own inputs.
    seen = np.repeat(means.reshape(groups, taken), outputs // groups, axis=0)
    return np.asarray((summed * seen).sum(axis=1))
