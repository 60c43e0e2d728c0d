"""Small ONNX models with every kind of layer that is quantized, and pictures to feed them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Inputs = dict[str, NDArray[Any]]
SIDE = 24


def constant(name: str, values: Any, dtype: Any = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype), name)


def weights(seed: int, *shape: int) -> NDArray[np.float32]:
    scale = np.sqrt(2 / max(1, np.prod(shape[1:])))
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32)


def to_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, Sequence[int | str]]],
    outputs: Sequence[str],
    constants: Sequence[onnx.TensorProto],
    opset: int = 20,
) -> bytes:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "model",
        [value(name, TensorProto.FLOAT, shape) for name, shape in inputs],
        [value(name, TensorProto.FLOAT, None) for name in outputs],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    return onnx.shape_inference.infer_shapes(model).SerializeToString()


def small_net() -> bytes:
    """Convolutions with Clip and Relu, one without bias, one depthwise, one transposed, a residual
    sum, pooling, products with and without bias, a second output from within."""
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w0", "b0"], ["c0"], "stem", pads=[1, 1, 1, 1]),
        node("Clip", ["c0", "zero", "six"], ["r0"], "stem_clip"),
        node("Conv", ["r0", "w1"], ["c1"], "depthwise", pads=[1, 1, 1, 1], group=16),
        node("Relu", ["c1"], ["r1"], "depthwise_relu"),
        node("Conv", ["r1", "w2", "b2"], ["c2"], "project"),
        node("Add", ["c2", "r0"], ["sum"], "residual"),
        node("MaxPool", ["sum"], ["pooled"], "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["pooled", "w7"], ["c3"], "mix"),
        node("ConvTranspose", ["c3", "w3", "b3"], ["up"], "widen", strides=[2, 2]),
        node("Conv", ["up", "w4", "b4"], ["map"], "head"),
        node("ReduceMean", ["sum", "axes"], ["mean"], "average", keepdims=0),
        node("Gemm", ["mean", "w5", "b5"], ["hidden"], "dense", transB=1),
        node("Relu", ["hidden"], ["active"], "dense_relu"),
        node("MatMul", ["active", "w6"], ["scores"], "answer"),
    ]
    constants = [
        constant("w0", weights(0, 16, 3, 3, 3)),
        constant("b0", weights(1, 16) + 1),
        constant("w1", weights(2, 16, 1, 3, 3)),
        constant("w2", weights(3, 16, 16, 1, 1)),
        constant("b2", weights(4, 16)),
        constant("w3", weights(5, 16, 8, 2, 2)),
        constant("b3", weights(6, 8)),
        constant("w4", weights(7, 4, 8, 1, 1)),
        constant("b4", weights(8, 4)),
        constant("w5", weights(9, 32, 16)),
        constant("b5", weights(10, 32)),
        constant("w6", weights(11, 32, 10)),
        constant("w7", weights(12, 16, 16, 1, 1)),
        constant("zero", 0.0),
        constant("six", 6.0),
        constant("axes", [2, 3], np.int64),
    ]
    return to_model(nodes, [("image", ["N", 3, SIDE, SIDE])], ["scores", "map"], constants)


def pictures(n: int, seed: int = 0, batch: int = 1) -> list[Inputs]:
    """Blurred random pictures, [batch,3,24,24], 0 to 1: their neighbours are alike."""
    rng = np.random.default_rng(seed)
    blurred = [
        cv2.GaussianBlur(rng.random((SIDE, SIDE, 3)), (0, 0), 2.0).transpose(2, 0, 1)
        for _ in range(n * batch)
    ]
    spread = [(p - p.min()) / (p.max() - p.min()) for p in blurred]
    stacked = np.stack(spread).astype(np.float32).reshape(n, batch, 3, SIDE, SIDE)
    return [{"image": picture} for picture in stacked]


def run(model: bytes, arrays: Inputs, optimize: bool = True) -> dict[str, NDArray[Any]]:
    """Outputs by name."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, arrays), strict=True))


def snr_db(want: NDArray[Any], got: NDArray[Any]) -> float:
    """Variance of what is wanted against the mean square of what is off."""
    noise = ((want - got) ** 2).mean()
    return float(10 * np.log10(want.var() / noise)) if noise else 200.0
