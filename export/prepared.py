"""An ONNX graph made ready to be rewritten, and its bytes afterwards: the same on every run.

Constants and batch norms are folded, shapes inferred, and every node has a name.

    python -c "from pathlib import Path; from deixis.export.prepared import prepare; \
print(len(prepare(Path('bundles/cpu/models/hand_landmarks.onnx').read_bytes()).graph.node))"
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime as ort
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from deixis.runtime.errors import ExportError


def prepare(model: bytes) -> onnx.ModelProto:
    """Fold what is constant into the weights, infer shapes and types, name every node.

    A model that is quantized already is not folded: ONNX Runtime would put biases that are meant to
    be floats between its Q and DQ.

    Args:
        model: an ONNX model with its weights inside.

    Raises:
        ExportError: it is none.
    """
    proto = read(model)
    if not any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        proto = _fold(model)
    used = {node.domain for node in proto.graph.node} | {""}
    opsets = [opset for opset in proto.opset_import if opset.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(opsets)
    names: set[str] = set()
    for index, node in enumerate(proto.graph.node):
        if not node.name or node.name in names:
            node.name = f"{node.op_type}_{index}"
        names.add(node.name)
    return onnx.shape_inference.infer_shapes(proto)


def read(model: bytes) -> onnx.ModelProto:
    """Parse a model.

    Raises:
        ExportError: it is none.
    """
    try:
        return onnx.load_from_string(model)
    except DecodeError as cause:
        raise ExportError(f"this is no ONNX model: {cause}") from cause


def _fold(model: bytes) -> onnx.ModelProto:
    options = ort.SessionOptions()
    # Basic: what stays is plain ONNX, without operators of one runtime.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "folded.onnx")
        try:
            ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        # ONNX Runtime's errors share no base class below Exception.
        except Exception as cause:
            raise ExportError(f"ONNX Runtime cannot read the model: {cause}") from cause
        return onnx.load(options.optimized_model_filepath)


def to_bytes(proto: onnx.ModelProto) -> bytes:
    """Serialize a model; equal models give equal bytes, which name neither machine nor tool.

    Raises:
        ExportError: the model is not valid.
    """
    strip(proto)
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as cause:
        raise ExportError(f"the model is not valid ONNX: {cause}") from cause
    data: bytes = proto.SerializeToString(deterministic=True)
    return data


def strip(proto: onnx.ModelProto) -> None:
    """Remove what varies between machines and says nothing to a runtime."""
    proto.producer_name = "deixis"
    proto.producer_version = ""
    proto.doc_string = ""
    del proto.metadata_props[:]
    _strip_graph(proto.graph)


def _strip_graph(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
        for attribute in node.attribute:
            attribute.doc_string = ""
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    _strip_graph(inner)
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
