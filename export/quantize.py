"""From calibration to INT8 files: ranges of a model's tensors, and the two files written from them.

The CPU's file is fast with ONNX Runtime's kernels, TensorRT's builds strongly typed; both come from
one table. All that is written is the same bytes on every run.

    table = collect_ranges(model, inputs)
    Path("int8.onnx").write_bytes(emit_cpu(model, table, Quantization()))
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import TYPE_CHECKING

import onnx

from deixis.calibration.ranges import CalibrationTable
from deixis.export.noise import refuse_noise
from deixis.export.prepared import prepare, to_bytes
from deixis.export.quantize_check import check_tensorrt
from deixis.export.quantize_dynamic import OPERATORS, all_nodes, quantize_dynamically
from deixis.export.quantize_layers import (
    SUPPORTED,
    WEIGHTED,
    Graph,
    Layers,
    check_patterns,
    find_layers,
    ranges_in,
)
from deixis.export.quantize_qdq import Rewriting
from deixis.export.quantize_ranges import collect_ranges
from deixis.export.quantize_rounding import ANY_CPU, CPU, TENSORRT, Dialect
from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Quantization

__all__ = [
    "CPU_OPERATORS",
    "TENSORRT_OPERATORS",
    "Emitter",
    "check_tensorrt",
    "collect_ranges",
    "emit_cpu",
    "emit_tensorrt",
    "refuse_noise",
]

CPU_OPERATORS = SUPPORTED - {"ConvTranspose"}
"""What ONNX Runtime's CPU provider has INT8 kernels for."""
TENSORRT_OPERATORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul", "Add", "Clip", "Relu"})
"""TensorRT moves rounding across the others by itself; INT8 there only costs accuracy."""


def emit_cpu(
    model: bytes,
    table: CalibrationTable,
    quantization: Quantization,
    keep_float: Collection[str] = (),
    any_cpu: bool = False,
) -> bytes:
    """Write a model in INT8 for ONNX Runtime on CPUs.

    Activations are uint8 with any zero point, weights int8 with a scale a channel, biases int32.
    With ``method="dynamic"`` activations are measured at run time and the table is not used.

    Args:
        model: the FP32 ONNX model.
        table: its ranges.
        quantization: what is quantized.
        keep_float: patterns of further nodes that stay in float.
        any_cpu: give weights 7 bits, so that x86 CPUs without VNNI compute the same numbers.

    Raises:
        ExportError: the table is another model's, a pattern names no node, or nothing is left to
            quantize.
    """
    return Emitter.for_cpu(model, table, quantization, keep_float, any_cpu).emit()


def emit_tensorrt(
    model: bytes,
    table: CalibrationTable,
    quantization: Quantization,
    keep_float: Collection[str] = (),
) -> bytes:
    """Write a model in INT8 for TensorRT: int8 with zero point 0, biases in float.

    Args and errors as for :func:`emit_cpu`; ``method`` is always ``static`` here, since TensorRT
    has no dynamic one.
    """
    if quantization.method == "dynamic":
        raise ExportError(
            "TensorRT does not measure activations at run time",
            hint='use method="static" in the recipe, or FP16',
        )
    return Emitter(model, table, quantization, keep_float, TENSORRT, TENSORRT_OPERATORS).emit()


class Emitter:
    """Writes one model in INT8, whole or a few layers of it.

    Args:
        model: the FP32 ONNX model.
        table: its ranges.
        quantization: what is quantized.
        keep_float: patterns of further nodes that stay in float.
        dialect: how; None: activations are measured at run time.
        operators: operator types that may be quantized.

    Attributes:
        layers: the nodes that compute in INT8, with their operators; without those that only move
            or clip what others give.

    Raises:
        ExportError: the table is another model's, a pattern names no node, or nothing is left to
            quantize.
    """

    def __init__(
        self,
        model: bytes,
        table: CalibrationTable,
        quantization: Quantization,
        keep_float: Collection[str],
        dialect: Dialect | None,
        operators: Collection[str],
    ) -> None:
        unknown = sorted(set(quantization.operators) - SUPPORTED)
        if unknown:
            raise ExportError(
                f"the operator {unknown[0]} cannot be quantized",
                hint=f"those that can: {', '.join(sorted(SUPPORTED))}",
            )
        found = hashlib.sha256(model).hexdigest()
        if dialect is not None and found != table.model_sha256:
            raise ExportError(
                f"the calibration is of the model {table.model_sha256[:12]}…, not of {found[:12]}…",
                hint="calibrate this model",
            )
        self._proto, self._dialect = prepare(model), dialect
        self._keep_float = (*quantization.keep_float, *keep_float)
        self._operators = set(quantization.operators) & set(operators)
        self._graph = Graph.of(self._proto)
        nodes = {node.name: node.op_type for node in all_nodes(self._proto.graph)}
        check_patterns(self._keep_float, nodes)
        if dialect is None:
            names = self._dynamic(self._copy(), None)
        else:
            whole = self._find(None)
            names, self._ranges = whole.layers, ranges_in(self._graph, whole, table.tensors)
        if not any(nodes[name] in WEIGHTED for name in names):
            raise ExportError("no layer of the model can be put into INT8", hint="keep it in float")
        self.layers = {name: nodes[name] for name in names}

    @classmethod
    def for_cpu(
        cls,
        model: bytes,
        table: CalibrationTable,
        quantization: Quantization,
        keep_float: Collection[str] = (),
        any_cpu: bool = False,
    ) -> Emitter:
        """One that writes what :func:`emit_cpu` does."""
        if quantization.method == "dynamic":
            return cls(model, table, quantization, keep_float, None, OPERATORS)
        dialect = ANY_CPU if any_cpu else CPU
        return cls(model, table, quantization, keep_float, dialect, CPU_OPERATORS)

    def emit(self, only: Collection[str] | None = None) -> bytes:
        """The model with its layers, or only these, in INT8."""
        proto = self._copy()
        if self._dialect is None:
            self._dynamic(proto, only)
        else:
            layers = self._find(only)
            Rewriting(proto, self._graph, layers, self._ranges, self._dialect).run()
        return to_bytes(proto)

    def _copy(self) -> onnx.ModelProto:
        proto = onnx.ModelProto()
        proto.CopyFrom(self._proto)
        return proto

    def _find(self, only: Collection[str] | None) -> Layers:
        return find_layers(self._graph, self._operators, self._keep_float, only)

    def _dynamic(self, proto: onnx.ModelProto, only: Collection[str] | None) -> tuple[str, ...]:
        return quantize_dynamically(proto, self._operators, self._keep_float, only)
