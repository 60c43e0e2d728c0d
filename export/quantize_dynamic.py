"""Matrix products in INT8 whose activations are measured at run time: for transformers on CPUs.

Each becomes DynamicQuantizeLinear, MatMulInteger and a multiplication by the scales, which ONNX
Runtime fuses into one kernel. Nothing is calibrated, and branches of If are handled like the rest.

    python -c "from deixis.export.quantize_dynamic import OPERATORS; print(sorted(OPERATORS))"
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from deixis.export.quantize_columns import column_scales
from deixis.export.quantize_lookups import share_lookups

OPERATORS = frozenset({"Gemm", "MatMul"})


@dataclass(frozen=True)
class Weight:
    """A constant of a graph, and what its integers are stored among.

    Attributes:
        values: float32.
        stem: what the names of its integers begin with.
        added: initializers that are added to the graph which it belongs to, so that the branches of
            an If share what they shared.
    """

    values: NDArray[np.float32]
    stem: str
    added: dict[str, onnx.TensorProto]

    def quantize(self, transposed: bool) -> tuple[str, str, str]:
        """Names of its integers [in,out], their scales and their zero points."""
        stem = f"{self.stem}/transposed" if transposed else self.stem
        names = (f"{stem}/quantized", f"{stem}/scale", f"{stem}/zero_point")
        if names[0] not in self.added:
            values = self.values.T if transposed else self.values
            scale = column_scales(values)
            steps = np.round(values / scale).clip(-127, 127).astype(np.int8)
            zero = np.zeros(scale.shape, np.int8)
            arrays: tuple[NDArray[Any], ...] = (steps, scale, zero)
            for name, array in zip(names, arrays, strict=True):
                self.added[name] = numpy_helper.from_array(array, name)
        return names


def quantize_dynamically(
    model: onnx.ModelProto,
    operators: Collection[str],
    keep_float: Collection[str],
    only: Collection[str] | None = None,
) -> tuple[str, ...]:
    """Replace the matrix products with constant weights, in place.

    Args:
        model: prepared.
        operators: operator types to replace.
        keep_float: patterns (:mod:`fnmatch`) of nodes that stay in float.
        only: if given, names of the only nodes to replace.

    Returns:
        Names of those that were replaced.
    """
    replacing = _Replacing(frozenset(operators) & OPERATORS, tuple(keep_float), only)
    replacing.graph(model.graph, {}, "")
    share_lookups(model.graph)
    return tuple(dict.fromkeys(replacing.replaced))


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """The nodes of a graph and of the branches within it."""
    for node in graph.node:
        yield node
        for branch in branches(node):
            yield from all_nodes(branch)


def branches(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    """The graphs within a node, as those of an If."""
    return [
        graph
        for attribute in node.attribute
        for graph in ((attribute.g,) if attribute.HasField("g") else attribute.graphs)
    ]


class _Replacing:
    def __init__(
        self,
        operators: frozenset[str],
        keep_float: tuple[str, ...],
        only: Collection[str] | None,
    ) -> None:
        self._operators, self._keep_float, self._only = operators, keep_float, only
        self.replaced: list[str] = []

    def graph(self, graph: onnx.GraphProto, outer: Mapping[str, Weight], prefix: str) -> None:
        """Rewrite one graph; what is added to it is named with a prefix of its own."""
        added: dict[str, onnx.TensorProto] = {}
        own = {
            i.name: Weight(numpy_helper.to_array(i), f"{prefix}{i.name}", added)
            for i in graph.initializer
            if i.data_type == onnx.TensorProto.FLOAT and len(i.dims) == 2
        }
        weights = {**outer, **own}
        measured: dict[str, str] = {}
        nodes: list[onnx.NodeProto] = []
        for index, node in enumerate(graph.node):
            for number, branch in enumerate(branches(node)):
                self.graph(branch, weights, f"{prefix}{index}.{number}/")
            if not self._is_wanted(node, weights):
                nodes.append(node)
                continue
            self.replaced.append(node.name)
            taken = node.input[0]
            if taken not in measured:
                measured[taken] = f"{prefix}{taken}"
                nodes.append(_measure(taken, measured[taken]))
            nodes += _product(node, weights[node.input[1]], measured[taken], prefix)
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in all_nodes(graph) for name in node.input}
        used |= {value.name for value in graph.output}
        inner = [branch for node in all_nodes(graph) for branch in branches(node)]
        used |= {value.name for branch in inner for value in branch.output}
        kept = [i for i in graph.initializer if i.name in used]
        del graph.initializer[:]
        graph.initializer.extend([*kept, *added.values()])

    def _is_wanted(self, node: onnx.NodeProto, weights: Mapping[str, Weight]) -> bool:
        if node.op_type not in self._operators or (
            self._only is not None and node.name not in self._only
        ):
            return False
        if any(fnmatchcase(node.name, pattern) for pattern in self._keep_float):
            return False
        others = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        return (
            node.input[1] in weights
            and node.input[0] not in weights
            and not others.get("transA")
            and {others.get(name, 1) for name in ("alpha", "beta")} == {1}
        )


def _measure(taken: str, stem: str) -> onnx.NodeProto:
    outputs = [f"{stem}/quantized", f"{stem}/scale", f"{stem}/zero_point"]
    return helper.make_node("DynamicQuantizeLinear", [taken], outputs, f"{stem}/Measure")


def _product(node: onnx.NodeProto, weight: Weight, taken: str, prefix: str) -> list[onnx.NodeProto]:
    """The nodes that replace one."""
    transposed = any(a.name == "transB" and a.i for a in node.attribute)
    integers, scale, zero = weight.quantize(transposed)
    stem = f"{prefix}{node.name}"
    has_bias = len(node.input) > 2 and bool(node.input[2])
    steps = [
        (
            "MatMulInteger",
            [f"{taken}/quantized", integers, f"{taken}/zero_point", zero],
            "integers",
        ),
        ("Cast", [f"{stem}/integers"], "floats"),
        ("Mul", [f"{taken}/scale", scale], "scale"),
        ("Mul", [f"{stem}/floats", f"{stem}/scale"], "product"),
    ]
    if has_bias:
        steps.append(("Add", [f"{stem}/product", node.input[2]], "sum"))
    nodes = []
    for kind, inputs, name in steps:
        # The names that the kernels' profiles show begin with the node's own.
        new = helper.make_node(kind, inputs, [f"{stem}/{name}"], f"{node.name}/{name}")
        if kind == "Cast":
            new.attribute.append(helper.make_attribute("to", onnx.TensorProto.FLOAT))
        nodes.append(new)
    nodes[-1].output[0] = node.output[0]
    return nodes
