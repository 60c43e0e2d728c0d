"""Put QuantizeLinear and DequantizeLinear around what computes in INT8.

Rewriting(model, graph, layers, ranges, CPU).run()
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from deixis.calibration.ranges import TensorRange
from deixis.export.quantize_layers import ARITHMETIC, BIASED, Graph, Layers, group_of
from deixis.export.quantize_rounding import Dialect, Rounding, rounding
from deixis.export.quantize_weights import (
    INT32_MAX,
    QuantizedWeight,
    bias_of,
    channel_axis,
    mean_change,
    quantize_weight,
)
from deixis.runtime.errors import ExportError

Array = NDArray[Any]


class Rewriting:
    """A graph on its way into INT8.

    Args:
        model: prepared; changed in place by :meth:`run`.
        graph: the same, looked at.
        layers: what is quantized.
        ranges: of its tensors; see :func:`ranges_in`.
        dialect: how.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        graph: Graph,
        layers: Layers,
        ranges: Mapping[str, TensorRange],
        dialect: Dialect,
    ) -> None:
        self._model, self._graph, self._layers = model, graph, layers
        self._ranges, self._dialect = ranges, dialect
        self._nodes: list[onnx.NodeProto] = []
        self._added: dict[str, onnx.TensorProto] = {}
        self._roundings: dict[str, Rounding] = {}

    def run(self) -> None:
        """Rewrite the model.

        Raises:
            ExportError: a tensor to be rounded has no range.
        """
        rounded = self._rounded_tensors()
        for value in self._model.graph.input:
            if value.name in rounded:
                self._round(value.name, value.name)
        for node in self._model.graph.node:
            quantized = node.name in self._layers.nodes
            new = onnx.NodeProto()
            new.CopyFrom(node)
            for index, name in enumerate(node.input):
                if name not in rounded:
                    continue
                if quantized:
                    new.input[index] = self._dequantized(name)
                # Else, where the producer gives floats too, they are taken as they were.
                elif self._is_given_rounded(name):
                    new.input[index] = self._as_float(node, name)
            if quantized:
                self._quantize_constants(node, new)
            self._nodes.append(new)
            for index, name in enumerate(node.output):
                if name not in rounded:
                    continue
                if self._dequantized(name) == name:
                    new.output[index] = f"{name}/float"
                self._round(name, new.output[index])
        graph = self._model.graph
        del graph.node[:]
        graph.node.extend(self._nodes)
        used = {name for node in self._nodes for name in node.input} | self._graph.outputs
        kept = [i for i in graph.initializer if i.name in used]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *self._added.values()])

    def _rounded_tensors(self) -> set[str]:
        """Names of what gets a QuantizeLinear, and settle how each is rounded."""
        rounded: dict[str, None] = {}
        for node in self._model.graph.node:
            if node.name not in self._layers.nodes:
                continue
            for name in self._graph.activations(node):
                if name not in self._layers.inside:
                    rounded[name] = None
            output = node.output[0]
            if output not in self._layers.inside and self._must_be_rounded(node):
                rounded[output] = None
        for name in rounded:
            self._roundings[name] = self._rounding(name)
        return set(rounded)

    def _must_be_rounded(self, node: onnx.NodeProto) -> bool:
        if not self._dialect.outputs:
            return False
        # Matrix products have CPU kernels with INT8 inputs and a float output.
        return node.op_type not in ("Gemm", "MatMul") or any(
            c.name in self._layers.nodes for c in self._graph.consumers.get(node.output[0], ())
        )

    def _is_given_rounded(self, name: str) -> bool:
        """Whether the node that gives a tensor computes in INT8, so that floats would cost time."""
        producer = self._graph.producers.get(name)
        return (
            self._dialect.outputs and producer is not None and producer.name in self._layers.nodes
        )

    def _dequantized(self, name: str) -> str:
        """What a rounded tensor is called once it is float again."""
        is_output = name in self._graph.outputs and self._is_given_rounded(name)
        return name if is_output else f"{name}/dequantized"

    def _as_float(self, node: onnx.NodeProto, name: str) -> str:
        """The floats of a rounded tensor for a node that stays in float.

        ONNX Runtime puts weights between a DequantizeLinear and a QuantizeLinear into INT8 unasked,
        with one scale for all channels (its optimizer ``WeightBiasQuantization``). It leaves alone
        what comes with a scale a channel, so that is how it comes here.
        """
        if node.op_type not in BIASED or name != node.input[0]:
            return self._dequantized(name)
        how, weight = self._roundings[name], self._graph.constants.get(node.input[1])
        if weight is None:
            return self._dequantized(name)
        transposed = node.op_type == "Gemm" and channel_axis(node, 2, 1) == 1
        taken = weight.shape[0 if node.op_type == "ConvTranspose" or transposed else 1]
        channels = taken * group_of(node) if node.op_type == "Conv" else taken
        stem = f"{node.name}/{name}"
        scales = self._constant(f"{stem}/scale", np.full(channels, how.scale))
        zeros = self._constant(f"{stem}/zero_point", np.full(channels, how.zero))
        self._nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [f"{name}/quantized", scales, zeros],
                [f"{stem}/dequantized"],
                f"{stem}/DequantizeLinear",
                axis=1,
            )
        )
        return f"{stem}/dequantized"

    def _rounding(self, name: str) -> Rounding:
        found = self._ranges.get(name)
        if found is None:
            raise ExportError(
                f"the calibration has no range for the tensor {name!r}",
                hint="the table is another model's, or an older one's: calibrate anew",
            )
        return rounding(found.low, found.high, self._dialect)

    def _round(self, name: str, source: str) -> None:
        """Add the pair of nodes that rounds a tensor."""
        how = self._roundings[name]
        scale = self._constant(f"{name}/scale", np.asarray(how.scale))
        zero = self._constant(f"{name}/zero_point", how.zero)
        quantized = f"{name}/quantized"
        self._nodes += [
            helper.make_node(
                "QuantizeLinear", [source, scale, zero], [quantized], f"{name}/QuantizeLinear"
            ),
            helper.make_node(
                "DequantizeLinear",
                [quantized, scale, zero],
                [self._dequantized(name)],
                f"{name}/DequantizeLinear",
            ),
        ]

    def _quantize_constants(self, node: onnx.NodeProto, new: onnx.NodeProto) -> None:
        """Replace a node's weights and bias by integers."""
        if node.op_type in BIASED:
            self._weight_and_bias(node, new)
            return
        for index, name in enumerate(node.input):
            if name not in self._graph.constants or name not in self._graph.floats:
                continue
            if node.op_type == "MatMul":
                self._weight(node, new, index)
            elif node.op_type in ARITHMETIC:
                self._operand(new, index, name)

    def _weight_and_bias(self, node: onnx.NodeProto, new: onnx.NodeProto) -> None:
        """Replace weight and bias; the bias makes up for the mean of what all rounding changes.

        After M. Nagel et al., *Data-free quantization through weight equalization and bias
        correction*, ICCV 2019; here with measured means, and for the input's rounding too.
        """
        values = self._graph.constants[node.input[1]].astype(np.float64)
        name = node.input[2] if len(node.input) > 2 else ""
        bias = bias_of(node, values, self._graph.constants[name] if name else None)
        if bias is None:
            self._weight(node, new, 1)
            return
        # A channel of tiny weights must leave room for its bias in 32 bits.
        taken = np.float64(self._roundings[node.input[0]].scale)
        room = 1.0001 * np.abs(bias) / INT32_MAX / taken if self._dialect.biases else 0.0
        weight = self._weight(node, new, 1, room)
        found = self._ranges[node.input[0]]
        drift = found.drift_int8 if self._dialect.symmetric else found.drift_uint8
        if found.means is not None:
            bias = bias - mean_change(node, weight.change, np.array(found.means))
        if drift is not None:
            bias = bias - mean_change(node, values + weight.change, np.array(drift))
        if len(new.input) < 3:
            new.input.append("")
        if self._dialect.biases:
            scales = (taken * weight.scales).astype(np.float32)
            steps = np.round(bias / scales).clip(-INT32_MAX, INT32_MAX).astype(np.int32)
            self._dequantize(new, 2, "bias", steps, scales, 0)
        else:
            new.input[2] = self._constant(f"{node.name}/bias", bias.astype(np.float32))

    def _weight(
        self, node: onnx.NodeProto, new: onnx.NodeProto, index: int, least: Array | float = 0.0
    ) -> QuantizedWeight:
        """Replace a weight by int8; see :func:`quantize_weight`."""
        values = self._graph.constants[node.input[index]].astype(np.float64)
        axis = channel_axis(node, values.ndim, index)
        weight = quantize_weight(values, axis, least, self._dialect.most)
        self._dequantize(new, index, "weight", weight.steps, weight.scales, weight.axis)
        return weight

    def _operand(self, new: onnx.NodeProto, index: int, name: str) -> None:
        """Replace a constant operand of arithmetic by integers of the activations' type."""
        values = self._graph.constants[name].astype(np.float64)
        how = rounding(float(values.min()), float(values.max()), self._dialect)
        limits = np.iinfo(self._dialect.activations)
        steps = np.round(values / np.float64(how.scale)) + int(how.zero)
        integers = steps.clip(limits.min, limits.max).astype(self._dialect.activations)
        self._dequantize(new, index, name, integers, np.asarray(how.scale), None, how.zero)

    def _dequantize(
        self,
        new: onnx.NodeProto,
        index: int,
        name: str,
        steps: Array,
        scales: Array,
        axis: int | None,
        zero: Array | None = None,
    ) -> None:
        """Feed an input of a node from integers, which stand for the constant of that name."""
        stem = f"{new.name}/{name}"
        scales = scales.astype(np.float32)
        zero = np.zeros(scales.shape, steps.dtype) if zero is None else zero
        inputs = [
            self._constant(f"{stem}/quantized", steps),
            self._constant(f"{stem}/scale", scales),
            self._constant(f"{stem}/zero_point", zero),
        ]
        new.input[index] = f"{stem}/dequantized"
        # Without channels the axis, whose default is 1, says nothing.
        node = helper.make_node(
            "DequantizeLinear", inputs, [new.input[index]], f"{stem}/DequantizeLinear", axis=axis
        )
        self._nodes.append(node)

    def _constant(self, name: str, values: Array) -> str:
        self._added[name] = numpy_helper.from_array(values, name)
        return name
