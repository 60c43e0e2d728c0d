"""Does a file hold only what TensorRT takes: int8 with zero point 0, plain ONNX, an opset it reads?

python -c "from pathlib import Path; from deixis.export.quantize_check import check_tensorrt; \
print(check_tensorrt(Path('bundles/cpu/models/hand_landmarks.onnx').read_bytes()))"
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from deixis.export.prepared import read
from deixis.export.quantize_dynamic import all_nodes

TENSORRT_OPSET = 20
"""The highest that the oldest TensorRT we serve (10.3) parses."""
_ONNX_RUNTIME_ONLY = frozenset(
    {"ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
)


def check_tensorrt(model: bytes) -> list[str]:
    """What in a file keeps TensorRT from taking it, in words; empty: nothing that the file shows.

    Args:
        model: an ONNX model.

    Raises:
        ExportError: it is none.
    """
    proto = read(model)
    problems = [
        f"opset {opset.version}: TensorRT 10.3 reads at most {TENSORRT_OPSET}"
        for opset in proto.opset_import
        if opset.domain in ("", "ai.onnx") and opset.version > TENSORRT_OPSET
    ]
    nodes = list(all_nodes(proto.graph))
    foreign = sorted({f"{n.domain}.{n.op_type}" for n in nodes if n.domain not in ("", "ai.onnx")})
    problems += [f"{name} is no operator of ONNX" for name in foreign]
    dynamic = sorted({n.op_type for n in nodes if n.op_type in _ONNX_RUNTIME_ONLY})
    problems += [f"{name}: INT8 for ONNX Runtime's CPU kernels" for name in dynamic]
    constants = {i.name: numpy_helper.to_array(i) for i in proto.graph.initializer}
    for node in nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            problems += _problems_of_rounding(node, constants)
    return problems


def _problems_of_rounding(
    node: onnx.NodeProto, constants: Mapping[str, NDArray[np.generic]]
) -> list[str]:
    if len(node.input) < 3:
        # Without a zero point the integers are uint8, those of a constant its own.
        integers = constants.get(node.input[0])
        if node.op_type == "QuantizeLinear" or integers is None:
            return [f"{node.name}: no zero point, so uint8"]
        return [] if integers.dtype == np.int8 else [f"{node.name}: {integers.dtype}, not int8"]
    zero = constants.get(node.input[2])
    if zero is None:
        return [f"{node.name}: the zero point is not constant"]
    if zero.dtype == np.int32:
        return [f"{node.name}: an int32 bias; TensorRT wants it in float"]
    if zero.dtype != np.int8:
        return [f"{node.name}: {zero.dtype}, not int8"]
    return [f"{node.name}: the zero point is not 0"] if zero.any() else []
