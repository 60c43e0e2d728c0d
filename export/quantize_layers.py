"""Which nodes of an ONNX graph compute in INT8, and which of its tensors are therefore rounded.

A node that only moves or adds numbers is quantized where its neighbours are: alone it would gain
nothing. A Relu or Clip behind a quantized node is one with it: what is rounded is its output, whose
range is the one that counts.

    python -c "from deixis.export.quantize_layers import WEIGHTED; print(sorted(WEIGHTED))"
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import onnx
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import numpy_helper

from deixis.calibration.ranges import TensorRange
from deixis.runtime.errors import ExportError

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
"""Operators that multiply with weights: what INT8 is for."""
BIASED = frozenset({"Conv", "ConvTranspose", "Gemm"})
"""Those with a bias; the channels of their first input lie on axis 1."""
CLIPPING = frozenset({"Clip", "Relu"})
ARITHMETIC = frozenset(
    {"Add", "AveragePool", "Concat", "GlobalAveragePool", "LeakyRelu", "Mul", "Sigmoid"}
)
"""Operators with a range of their own for what they give."""
MOVING = frozenset(
    {"Flatten", "MaxPool", "Reshape", "Resize", "Slice", "Squeeze", "Transpose", "Unsqueeze"}
)
"""Operators that give numbers on as they are: the range of their input is that of their output."""
SUPPORTED = WEIGHTED | CLIPPING | ARITHMETIC | MOVING


@dataclass(frozen=True)
class Graph:
    """An ONNX graph with what is asked of it again and again.

    Attributes:
        proto: the graph.
        producers: tensor → the node that gives it.
        consumers: tensor → the nodes that take it.
        constants: initializer → its values.
        outputs: names of the graph's outputs.
        floats: names of the tensors whose type is float32.
    """

    proto: onnx.GraphProto
    producers: Mapping[str, onnx.NodeProto]
    consumers: Mapping[str, list[onnx.NodeProto]]
    constants: Mapping[str, NDArray[np.generic]]
    outputs: frozenset[str]
    floats: frozenset[str]

    @classmethod
    def of(cls, model: onnx.ModelProto) -> Graph:
        """Look at a prepared model; see :func:`deixis.export.prepared.prepare`."""
        graph = model.graph
        consumers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in dict.fromkeys(node.input):
                consumers.setdefault(name, []).append(node)
        values = (*graph.input, *graph.value_info, *graph.output)
        float32 = onnx.TensorProto.FLOAT
        return cls(
            proto=graph,
            producers={name: node for node in graph.node for name in node.output},
            consumers=consumers,
            constants={i.name: numpy_helper.to_array(i) for i in graph.initializer},
            outputs=frozenset(value.name for value in graph.output),
            floats=frozenset(v.name for v in values if v.type.tensor_type.elem_type == float32)
            | {i.name for i in graph.initializer if i.data_type == float32},
        )

    def activations(self, node: onnx.NodeProto) -> list[str]:
        """The inputs of a supported node that are computed and would be rounded."""
        if node.op_type in MOVING | CLIPPING | BIASED:
            names = list(node.input[:1])
        else:
            names = list(node.input)
        return [name for name in names if name and name not in self.constants]


@dataclass(frozen=True)
class Layers:
    """What is quantized.

    Attributes:
        nodes: names of the nodes that compute in INT8.
        inside: tensors between a node and the Relu or Clip that is one with it.
        layers: names of those of the nodes that can be looked at alone, in the graph's order: those
            with weights, and arithmetic on tensors that none with weights takes or gives.
    """

    nodes: frozenset[str]
    inside: frozenset[str] = field(default_factory=frozenset)
    layers: tuple[str, ...] = ()


def find_layers(
    graph: Graph,
    operators: Collection[str],
    keep_float: Collection[str],
    only: Collection[str] | None = None,
) -> Layers:
    """Choose the nodes to quantize.

    Args:
        graph: a prepared model's.
        operators: operator types that may be.
        keep_float: patterns (:mod:`fnmatch`) of nodes that may not.
        only: if given, names of the only layers that may be, even if they are alone then.

    Raises:
        ExportError: a pattern names no node.
    """
    nodes = list(graph.proto.node)
    check_patterns(keep_float, [node.name for node in nodes])
    chosen = {
        node.name: node
        for node in nodes
        if node.op_type in operators
        and not any(fnmatchcase(node.name, pattern) for pattern in keep_float)
        and (only is None or node.op_type in CLIPPING or node.name in only)
        and _can_be_quantized(graph, node)
    }
    inside: frozenset[str] = frozenset()
    while True:
        # Taking one node out can leave its neighbours alone, and so on.
        inside = frozenset(
            node.input[0] for node in chosen.values() if _is_one_with_producer(graph, node, chosen)
        )
        alone = [
            name
            for name, node in chosen.items()
            if not _belongs(graph, node, chosen, inside) and name not in (only or ())
        ]
        if not alone:
            break
        for name in alone:
            del chosen[name]
    return Layers(
        nodes=frozenset(chosen),
        inside=inside,
        layers=_single(graph, chosen),
    )


def _single(graph: Graph, chosen: Mapping[str, onnx.NodeProto]) -> tuple[str, ...]:
    def touched(node: onnx.NodeProto) -> set[str]:
        return {*graph.activations(node), node.output[0]}

    by_weights: set[str] = set()
    for node in chosen.values():
        # In the graph's order: a Clip comes after the node that it is one with.
        if node.op_type in WEIGHTED or (node.op_type in CLIPPING and node.input[0] in by_weights):
            by_weights |= touched(node)
    return tuple(
        name
        for name, node in chosen.items()
        if node.op_type in WEIGHTED
        or (node.op_type in ARITHMETIC and not touched(node) <= by_weights)
    )


def ranges_in(
    graph: Graph, layers: Layers, ranges: Mapping[str, TensorRange]
) -> dict[str, TensorRange]:
    """The ranges that tensors are rounded with: what is only moved keeps those it had before."""
    found = dict(ranges)
    for node in graph.proto.node:
        if node.name in layers.nodes and node.op_type in MOVING:
            source, output = found.get(node.input[0]), found.get(node.output[0])
            if source is not None and output is not None:
                # Its drift was measured with a range of its own.
                found[node.output[0]] = replace(
                    output, low=source.low, high=source.high, drift_uint8=None, drift_int8=None
                )
    return found


def check_patterns(patterns: Collection[str], names: Collection[str]) -> None:
    """See that every pattern of nodes to keep in float names one.

    Raises:
        ExportError: one does not: what was meant to stay in float would not.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ExportError(
                f"no node is named {pattern!r}, which shall stay in float",
                hint="Netron shows the nodes' names",
            )


def _can_be_quantized(graph: Graph, node: onnx.NodeProto) -> bool:
    touched = [*graph.activations(node), node.output[0]]
    if not touched[:-1] or not all(name in graph.floats for name in touched):
        return False
    if node.op_type in BIASED:
        bias = node.input[2] if len(node.input) > 2 else ""
        scales = [a.f for a in node.attribute if a.name in ("alpha", "beta")]
        return (
            node.input[1] in graph.constants
            and (not bias or bias in graph.constants)
            and all(scale == 1 for scale in scales)
            and not any(a.name == "transA" and a.i for a in node.attribute)
            # Its channels lie on two axes then.
            and (node.op_type != "ConvTranspose" or group_of(node) == 1)
        )
    if node.op_type == "Resize":
        mode = next((a.s for a in node.attribute if a.name == "mode"), b"nearest")
        return mode in (b"nearest", b"linear")
    return True


def group_of(node: onnx.NodeProto) -> int:
    """How many groups a convolution has."""
    return next((a.i for a in node.attribute if a.name == "group"), 1)


def _is_one_with_producer(
    graph: Graph, node: onnx.NodeProto, chosen: Mapping[str, onnx.NodeProto]
) -> bool:
    producer = graph.producers.get(node.input[0])
    return (
        node.op_type in CLIPPING
        and producer is not None
        and producer.name in chosen
        and producer.op_type in WEIGHTED | {"Add"}
        and len(graph.consumers[node.input[0]]) == 1
        and node.input[0] not in graph.outputs
    )


def _belongs(
    graph: Graph,
    node: onnx.NodeProto,
    chosen: Mapping[str, onnx.NodeProto],
    inside: Collection[str],
) -> bool:
    """Whether a node has weights, or stands between quantized ones."""
    if node.op_type in WEIGHTED or node.input[0] in inside:
        return True
    producers = [graph.producers.get(name) for name in graph.activations(node)]
    follows = [p is not None and p.name in chosen for p in producers]
    leads = any(c.name in chosen for c in graph.consumers.get(node.output[0], ()))
    return leads and any(follows)
