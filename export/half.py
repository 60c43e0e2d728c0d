"""A model in FP16, for hardware that computes in it, or only stored so, for a file half as large.

python -c "from pathlib import Path; from deixis.export.half import to_fp16; \
print(len(to_fp16(Path('bundles/cpu/models/hand_landmarks.onnx').read_bytes())))"
"""

from __future__ import annotations

import warnings
from collections.abc import Collection

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from deixis.export.prepared import prepare, to_bytes
from deixis.runtime.errors import ExportError

_LARGEST = float(np.finfo(np.float16).max)
_SMALLEST = float(np.finfo(np.float16).smallest_subnormal)
_WORTH_STORING = 64  # Numbers: a constant of fewer saves less than the Cast that it needs.


def to_fp16(model: bytes, keep_float: Collection[str] = ()) -> bytes:
    """Let a model compute in FP16; what it takes and gives stays float32.

    Args:
        model: an FP32 ONNX model.
        keep_float: names of nodes that stay in float32.

    Raises:
        ExportError: it is no ONNX model, or one in INT8, whose scales are too small for FP16.
    """
    proto = prepare(model)
    if any(node.op_type == "DequantizeLinear" for node in proto.graph.node):
        raise ExportError(
            "a model in INT8 cannot be put into FP16 as well: many of its scales are smaller than "
            "what FP16 holds exactly",
            hint="convert the FP32 model",
        )
    with warnings.catch_warnings():
        # It reports every number that FP16 cannot hold; parity on real inputs says more.
        warnings.simplefilter("ignore", UserWarning)
        half = convert_float_to_float16(
            proto,
            min_positive_val=_SMALLEST,
            max_finite_val=_LARGEST,
            keep_io_types=True,
            op_block_list=list(DEFAULT_OP_BLOCK_LIST),
            node_block_list=list(keep_float),
        )
    OnnxModel(half).topological_sort(is_deterministic=True)
    return to_bytes(half)


def store_half(model: bytes) -> bytes:
    """Store a model's weights in FP16 and compute in float32 as before.

    ONNX Runtime converts them once, when it opens the file. Weights that were published in FP16
    lose nothing.

    Args:
        model: an FP32 ONNX model.

    Raises:
        ExportError: it is no ONNX model.
    """
    proto = prepare(model)
    graph = proto.graph
    casts = []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        if initializer.data_type != onnx.TensorProto.FLOAT or values.size < _WORTH_STORING:
            continue
        if np.abs(values).max() > _LARGEST:
            continue
        name = initializer.name
        initializer.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}/half"))
        casts.append(
            helper.make_node(
                "Cast", [f"{name}/half"], [name], f"{name}/Cast", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return to_bytes(proto)
