"""Multiply-accumulates of an ONNX model, for files that no torch network is known of.

    python -c "from pathlib import Path; import numpy as np; from deixis.export.onnx_macs import \
count_macs; print(count_macs(Path('bundles/cpu/models/hand_landmarks.onnx').read_bytes(), \
{'image': np.zeros((1, 3, 224, 224), np.float32)}))"
"""

from __future__ import annotations

import math

import onnx
import onnxruntime as ort
from onnx import numpy_helper

from deixis.export.recipes.recipe import Inputs


def count_macs(model: bytes, inputs: Inputs) -> int:
    """Multiply-accumulates of convolutions and matrix products in one call.

    The shapes are those that the model really has on these inputs: it is run once, with the results
    of its convolutions and products as outputs.

    Args:
        model: in float, not quantized.
        inputs: of the call.
    """
    proto = onnx.load_model_from_string(model)
    nodes = [node for node in proto.graph.node if node.op_type in _COUNTED]
    weights = {w.name: numpy_helper.to_array(w).shape for w in proto.graph.initializer}
    known = {value.name for value in proto.graph.output}
    wanted = {name for node in nodes for name in (*node.input[:2], node.output[0])}
    made = {name for node in proto.graph.node for name in node.output}
    proto.graph.output.extend(onnx.ValueInfoProto(name=n) for n in sorted((wanted & made) - known))
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(
        proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    shapes = {
        name: tuple(a.shape) for name, a in zip(names, session.run(None, inputs), strict=True)
    }
    shapes |= {name: tuple(array.shape) for name, array in inputs.items()} | weights
    return sum(_macs(node, shapes) for node in nodes)


_COUNTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")


def _macs(node: onnx.NodeProto, shapes: dict[str, tuple[int, ...]]) -> int:
    first, second, out = (shapes[n] for n in (*node.input[:2], node.output[0]))
    match node.op_type:
        case "Conv":
            return math.prod(out) * math.prod(second[1:])
        case "ConvTranspose":
            return math.prod(first) * math.prod(second[1:])
        case "Gemm":
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            return math.prod(out) * first[0 if transposed else 1]
        case _:
            return math.prod(out) * first[-1]
