"""A float TFLite graph as a torch module, with the same numbers and in NCHW.

Each TFLite operator with weights becomes one ordinary torch layer, so that the toolchain can prune,
fine-tune and export it like any other network.

    python -c "from deixis.export.models.tflite_graph import same_padding as s; \
print(s((224, 224), (3, 3), (2, 2)))"
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deixis.export.weights.tflite_reader import TfliteModel, TfliteOp
from deixis.runtime.errors import WeightsError

_ACTIVATIONS: dict[str, type[nn.Module]] = {"": nn.Identity, "relu": nn.ReLU, "relu6": nn.ReLU6}


def same_padding(
    size: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]
) -> tuple[int, int, int, int]:
    """TensorFlow's SAME padding: an odd pixel goes to the bottom and the right.

    Args:
        size: height and width of the input, px.
        kernel: height and width of the kernel.
        stride: along height and width.

    Returns:
        Zeros to add at the left, right, top and bottom (torch's order), px.
    """
    top, left = (
        max((math.ceil(n / s) - 1) * s + k - n, 0)
        for n, k, s in zip(size, kernel, stride, strict=True)
    )
    return left // 2, left - left // 2, top // 2, top - top // 2


class ChannelPReLU(nn.Module):
    """PReLU with one slope a channel, as two 1×1 depthwise convolutions.

    ``prelu(x) = a·x + (1-a)·relu(x)``. ONNX Runtime's CPU kernels keep convolutions in a blocked
    layout and leave it for PRelu; written this way the whole network stays in that layout, which
    halves the palm detector's time.
    """

    def __init__(self, slope: Tensor) -> None:
        super().__init__()
        channels = slope.numel()
        self.linear = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.rectified = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.linear.weight.data = slope.reshape(channels, 1, 1, 1).clone()
        self.rectified.weight.data = (1 - slope).reshape(channels, 1, 1, 1).clone()

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``x`` [N,C,H,W]."""
        out: Tensor = self.linear(x) + self.rectified(functional.relu(x))
        return out


class ChannelPad(nn.Conv2d):
    """Zero channels appended at the end, as a 1×1 convolution.

    A convolution, so that pruning sees an ordinary layer between two widths.
    """

    def __init__(self, channels: int, added: int) -> None:
        super().__init__(channels, channels + added, 1, bias=False)
        self.weight.data = torch.eye(channels + added, channels)[:, :, None, None]


class TfliteGraph(nn.Module):
    """Runs the operators of a :class:`TfliteModel` in order.

    ``forward`` takes the graph's one input as [N,3,H,W] (TFLite's NHWC input, transposed) and
    returns its outputs in the model's order, in TFLite's own shapes.

    Raises:
        WeightsError: at construction, if an operator's form is not supported.
    """

    def __init__(self, model: TfliteModel) -> None:
        super().__init__()
        if len(model.inputs) != 1:
            raise WeightsError(f"TFLite model has {len(model.inputs)} inputs; 1 is supported")
        self.input_index = model.inputs[0]
        self.output_indices = model.outputs
        # For each step: the tensors it reads (constants are in the layer) and the one it writes.
        self.wires: list[tuple[tuple[int, ...], int]] = []
        self.layers = nn.ModuleList()
        for op in model.ops:
            self.layers.append(_layer(model, op))
            read = tuple(k for k in op.inputs if k not in model.constants)
            self.wires.append((read, op.outputs[0]))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Run the graph on ``image`` [N,3,H,W] float32."""
        tensors: dict[int, Tensor] = {self.input_index: image}
        for layer, (read, written) in zip(self.layers, self.wires, strict=True):
            tensors[written] = layer(*(tensors[k] for k in read))
        return tuple(tensors[k] for k in self.output_indices)


class _Add(nn.Module):
    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        out: Tensor = self.activation(a + b)
        return out


class _Concat(nn.Module):
    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, self.axis)


class _Reshape(nn.Module):
    """TFLite reshapes NHWC memory, so a picture is transposed back first."""

    def __init__(self, shape: tuple[int, ...], picture: bool) -> None:
        super().__init__()
        self.shape, self.picture = shape, picture

    def forward(self, x: Tensor) -> Tensor:
        shape = (x.shape[0], *self.shape[1:])  # the file's own batch is always 1
        return (x.permute(0, 2, 3, 1) if self.picture else x).reshape(shape)


class _SpatialMean(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3))


class _Resize(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(x, self.size, mode="bilinear", align_corners=False)


def _layer(model: TfliteModel, op: TfliteOp) -> nn.Module:
    """The torch layer that does what ``op`` does, on NCHW tensors."""
    shape_in, shape_out = model.shapes[op.inputs[0]], model.shapes[op.outputs[0]]
    constants = [model.constants.get(k) for k in op.inputs]
    match op.kind:
        case "CONV_2D" | "DEPTHWISE_CONV_2D":
            return _convolution(op, shape_in, constants)
        case "FULLY_CONNECTED":
            _, weight, bias = constants
            if weight is None or bias is None:
                raise WeightsError("TFLite FULLY_CONNECTED without constant weights and bias")
            linear = nn.Linear(weight.shape[1], weight.shape[0])
            linear.weight.data, linear.bias.data = _tensor(weight), _tensor(bias)
            return nn.Sequential(linear, _ACTIVATIONS[op.options["activation"]]())
        case "PRELU":
            slope = constants[1]
            if slope is None or slope.size != shape_in[3]:
                raise WeightsError("TFLite PRELU: only one slope a channel is supported")
            return ChannelPReLU(_tensor(slope.reshape(-1)))
        case "ADD" if constants == [None, None]:
            return _Add(op.options["activation"])
        case "CONCATENATION":
            axis = op.options["axis"] % len(shape_out)
            return _Concat({1: 2, 2: 3, 3: 1}.get(axis, 0) if len(shape_out) == 4 else axis)
        case "RESHAPE":
            return _Reshape(shape_out, picture=len(shape_in) == 4)
        case "MEAN" if not op.options["keep_dims"] and _values(constants[1]) == [1, 2]:
            return _SpatialMean()
        case "LOGISTIC":
            return nn.Sigmoid()
        case "RELU":
            return nn.ReLU()
        case "RESIZE_BILINEAR" if op.options["half_pixel"] and not op.options["align_corners"]:
            return _Resize((shape_out[1], shape_out[2]))
        case "MAX_POOL_2D":
            kernel, stride = op.options["kernel"], op.options["stride"]
            if kernel != stride or any(n % k for n, k in zip(shape_in[1:3], kernel, strict=True)):
                raise WeightsError("TFLite MAX_POOL_2D: only whole, non-overlapping windows")
            return nn.MaxPool2d(kernel, stride)
        case "PAD":
            added = shape_out[3] - shape_in[3]
            if _values(constants[1]) != [0, 0, 0, 0, 0, 0, 0, added]:
                raise WeightsError("TFLite PAD: only channels appended at the end are supported")
            return ChannelPad(shape_in[3], added)
    raise WeightsError(f"TFLite operator {op.kind} with {op.options} is not supported")


def _convolution(
    op: TfliteOp, shape_in: tuple[int, ...], constants: list[NDArray[Any] | None]
) -> nn.Module:
    _, weight, bias = constants
    if weight is None or bias is None:
        raise WeightsError(f"TFLite {op.kind} without constant weights and bias")
    depthwise = op.kind == "DEPTHWISE_CONV_2D"
    if depthwise and weight.shape[3] != shape_in[3]:
        raise WeightsError("TFLite DEPTHWISE_CONV_2D: a depth multiplier is not supported")
    oihw = weight.transpose((3, 0, 1, 2) if depthwise else (0, 3, 1, 2))
    kernel, stride = (oihw.shape[2], oihw.shape[3]), op.options["stride"]
    pads = (0, 0, 0, 0)
    if op.options["padding"] == "same":
        pads = same_padding((shape_in[1], shape_in[2]), kernel, stride)
    left, right, top, bottom = pads
    even = left == right and top == bottom
    conv = nn.Conv2d(
        shape_in[3],
        oihw.shape[0],
        kernel,
        stride,
        padding=(top, left) if even else 0,
        groups=shape_in[3] if depthwise else 1,
    )
    conv.weight, conv.bias = nn.Parameter(_tensor(oihw)), nn.Parameter(_tensor(bias))
    layers = [] if even else [nn.ZeroPad2d(pads)]
    return nn.Sequential(*layers, conv, _ACTIVATIONS[op.options["activation"]]())


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32).copy())


def _values(array: NDArray[Any] | None) -> list[int]:
    return [] if array is None else [int(v) for v in array.reshape(-1)]
