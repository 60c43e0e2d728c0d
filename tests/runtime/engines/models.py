"""Small ONNX models for the engines' tests."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper


def make(
    nodes: list[Any], x: list[Any], y: list[Any], initializers: list[Any] | None = None
) -> bytes:
    """A model with the float input ``x`` and the float output ``y`` of these shapes."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y)],
        initializers or [],
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    return bytes(model.SerializeToString())


def relu(x: list[Any] | None = None) -> bytes:
    """``y = max(x, 0)``, by default with a dynamic first axis."""
    shape = x or ["N", 4]
    return make([helper.make_node("Relu", ["x"], ["y"], name="relu")], shape, shape)


def unsupported() -> bytes:
    """With an operator that TensorRT does not have."""
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="fine"),
        helper.make_node("FastGelu", ["a"], ["y"], name="odd_one", domain="com.microsoft"),
    ]
    return make(nodes, [1, 4], [1, 4])


def quantized(element: int, zero_point: int) -> bytes:
    """A Q/DQ pair with this element type and zero point, scale 0.1."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], name="quantize"),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"], name="dequantize"),
    ]
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [0.1])
    zero = helper.make_tensor("zero", element, [], [zero_point])
    return make(nodes, [1, 4], [1, 4], [scale, zero])
