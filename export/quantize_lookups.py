"""A matrix that is multiplied with and looked up in as well, stored once in INT8.

Where the columns of a matrix are a vocabulary's embeddings and give its logits too, the products
are put into INT8 (:mod:`deixis.export.quantize_dynamic`) while the lookups would keep the float
matrix in the file beside it. Here they read the integers and multiply by the columns' scales.

    python -c "from deixis.export.quantize_lookups import AXIS; print(AXIS)"
"""

from __future__ import annotations

import onnx
from onnx import helper

from deixis.export.weights.ort_reader import graphs

AXIS = 1
"""The axis of the columns: a scale belongs to each."""


def share_lookups(graph: onnx.GraphProto) -> None:
    """Let lookups of columns read the integers of the products, in place.

    Args:
        graph: after its products were put into INT8: the integers of ``W`` are ``W/quantized``,
            their scales ``W/scale``.
    """
    constants = {tensor.name for tensor in graph.initializer}
    shared: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        matrix = node.input[0] if node.op_type == "Gather" and _axis(node) == AXIS else ""
        if {matrix, f"{matrix}/quantized", f"{matrix}/scale"} <= constants:
            shared.add(matrix)
            nodes += _lookup(node)
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    kept = [i for i in graph.initializer if i.name not in shared or _is_read(i.name, graph)]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _lookup(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    matrix, places = node.input
    steps: list[tuple[str, list[str], str, dict[str, int]]] = [
        ("Gather", [f"{matrix}/quantized", places], "integers", {"axis": AXIS}),
        ("Gather", [f"{matrix}/scale", places], "scale", {}),
        ("Cast", [f"{node.name}/integers"], "floats", {"to": onnx.TensorProto.FLOAT}),
        ("Mul", [f"{node.name}/floats", f"{node.name}/scale"], "product", {}),
    ]
    nodes = []
    for kind, inputs, name, attributes in steps:
        out = f"{node.name}/{name}"
        new = helper.make_node(kind, inputs, [out], out)
        new.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        nodes.append(new)
    nodes[-1].output[0] = node.output[0]
    return nodes


def _is_read(name: str, graph: onnx.GraphProto) -> bool:
    return any(name in node.input for inner in graphs(graph) for node in inner.node)


def _axis(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 0)
