"""Makes the first layer of an INT8 network as quick as the others; what it computes stays the same.

A picture's three channels keep ONNX Runtime's integer kernels (MLAS) from being used: the fast ones
take four at a time, so that a fourth of zeros halves the first convolution's time. Moving pixels to
about -1 to 1 in float costs as much as a layer: rounding does it on the side, since a scale and a
zero point are all that it takes.

    quick = with_quick_input(emit_cpu(model, table, quantization))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from deixis.export.prepared import to_bytes

AT_ONCE: Final = 4
"""Channels that MLAS's integer convolutions take at a time."""
_EXACT: Final = 1e-3
"""How far from an integer a zero point may be, in steps."""


def with_quick_input(model: bytes) -> bytes:
    """The same model with a quick first layer; unchanged where it has no such layer.

    Args:
        model: in INT8 for CPUs, from :func:`deixis.export.quantize.emit_cpu`.
    """
    proto = onnx.load_model_from_string(model)
    first = _First.find(proto.graph)
    if first is None:
        return model
    first.fold_steps()
    first.widen()
    return to_bytes(proto)


@dataclass
class _First:
    """The first convolution of a graph and what lies between the picture and it.

    Attributes:
        graph: changed in place.
        steps: subtraction, division or multiplication by a number, in this order; may be none.
        rounds: the QuantizeLinear node behind them.
        reads: the DequantizeLinear node behind that.
        weight: name of the convolution's int8 weights, [outputs,channels,height,width].
    """

    graph: onnx.GraphProto
    steps: list[onnx.NodeProto]
    rounds: onnx.NodeProto
    reads: onnx.NodeProto
    weight: str

    @classmethod
    def find(cls, graph: onnx.GraphProto) -> _First | None:
        constants = {tensor.name for tensor in graph.initializer}
        steps: list[onnx.NodeProto] = []
        node = _only_reader(graph, graph.input[0].name)
        while node is not None and node.op_type in ("Sub", "Div", "Mul"):
            if node.input[1] not in constants:
                return None
            steps.append(node)
            node = _only_reader(graph, node.output[0])
        if node is None or node.op_type != "QuantizeLinear":
            return None
        reads = _only_reader(graph, node.output[0])
        conv = None if reads is None else _only_reader(graph, reads.output[0])
        if (
            reads is None
            or conv is None
            or conv.op_type != "Conv"
            or conv.input[0] != reads.output[0]
        ):
            return None
        made = next((n for n in graph.node if n.output[0] == conv.input[1]), None)
        if made is None or made.op_type != "DequantizeLinear" or made.input[0] not in constants:
            return None
        if _group(conv) != 1:
            return None
        return cls(graph, steps, node, reads, made.input[0])

    def fold_steps(self) -> None:
        """Let rounding move and scale the pixels, where scale and zero point can do so exactly."""
        scale, zero = (_value(self.graph, name) for name in self.rounds.input[1:3])
        if not self.steps or scale.size != 1:
            return
        factor, shift = 1.0, 0.0
        for step in self.steps:
            number = _value(self.graph, step.input[1])
            if number.size != 1:
                return
            value = float(number.reshape(-1)[0])
            if step.op_type == "Sub":
                shift -= value
            else:
                value = 1 / value if step.op_type == "Div" else value
                factor, shift = factor * value, shift * value
        # round(x * factor + shift, scale) + zero = round(x, scale / factor) + zero + shift / scale
        step_size = float(scale.reshape(-1)[0])
        moved = float(zero.reshape(-1)[0]) + shift / step_size
        if abs(moved - round(moved)) > _EXACT or not 0 <= round(moved) <= 255:
            return
        of_pixels = np.array(step_size / factor, np.float32)
        self._set(self.rounds, 1, of_pixels)
        self._set(self.rounds, 2, np.array(round(moved), np.uint8))
        self.rounds.input[0] = self.graph.input[0].name
        for step in self.steps:
            self.graph.node.remove(step)

    def widen(self) -> None:
        """Give the picture channels of zeros, up to a multiple of four."""
        weight = _value(self.graph, self.weight)
        missing = -weight.shape[1] % AT_ONCE
        if not missing:
            return
        pads = [(0, missing) if axis == 1 else (0, 0) for axis in range(weight.ndim)]
        tensor = next(t for t in self.graph.initializer if t.name == self.weight)
        tensor.CopyFrom(numpy_helper.from_array(np.pad(weight, pads), self.weight))
        name = self.rounds.output[0]
        counts = np.array([0, 0, 0, 0, 0, missing, 0, 0], np.int64)
        added = {"pads": counts, "zero": _value(self.graph, self.reads.input[2])}
        for what, array in added.items():
            self.graph.initializer.append(numpy_helper.from_array(array, f"{name}/widened/{what}"))
        inputs = [name, *(f"{name}/widened/{what}" for what in added)]
        pad = helper.make_node("Pad", inputs, [f"{name}/widened"], name=f"{name}/widen")
        self.reads.input[0] = pad.output[0]
        self.graph.node.insert(list(self.graph.node).index(self.reads), pad)

    def _set(self, node: onnx.NodeProto, index: int, value: NDArray[Any]) -> None:
        name = f"{node.input[index]}/of_pixels"
        self.graph.initializer.append(numpy_helper.from_array(value, name))
        node.input[index] = name


def _only_reader(graph: onnx.GraphProto, name: str) -> onnx.NodeProto | None:
    readers = [node for node in graph.node if name in node.input and node.op_type != "Shape"]
    return readers[0] if len(readers) == 1 else None


def _value(graph: onnx.GraphProto, name: str) -> NDArray[Any]:
    return numpy_helper.to_array(next(t for t in graph.initializer if t.name == name))


def _group(conv: onnx.NodeProto) -> int:
    return next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
