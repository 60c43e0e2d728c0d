"""torch → ONNX, the same bytes on every run.

python -c "from deixis.export.onnx_export import OPSET; print(OPSET)"
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    import onnx

OPSET = 20  # ONNX Runtime's static INT8 quantizer wants at most 20.


def to_onnx(
    module: nn.Module,
    example: Tensor,
    input_name: str,
    output_names: Sequence[str],
    dynamic: Mapping[int, str] | None = None,
) -> bytes:
    """Export a module with one input to a self-contained ONNX model.

    Args:
        module: in eval mode.
        example: an input of the right shape; a dynamic axis must not have length 0 or 1 here.
        input_name: the input's name in the ONNX model.
        output_names: the outputs' names, in the module's order.
        dynamic: axis of the input → its symbolic name.

    Returns:
        The serialized model: opset 20, weights inside, no traces of this machine (file names, stack
        traces, versions) so that equal weights give equal bytes.
    """
    import onnx

    shapes = None
    if dynamic:
        shapes = ({axis: torch.export.Dim(name) for axis, name in dynamic.items()},)
    # It reports each optional package (torchvision) that it could have had operators from.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch warns about its own internals.
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=[input_name],
            output_names=list(output_names),
            dynamic_shapes=shapes,
            verbose=False,
        )
    if program is None:
        raise ExportError(f"torch.onnx.export returned nothing for {type(module).__name__}")
    model = program.model_proto
    _strip(model)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString(deterministic=True)
    return data


def _strip(model: onnx.ModelProto) -> None:
    """Remove what varies between machines and says nothing to a runtime."""
    model.producer_name = "deixis"
    model.producer_version = ""
    model.doc_string = ""
    del model.metadata_props[:]
    graph = model.graph
    graph.doc_string = ""
    del graph.metadata_props[:]
    del graph.value_info[:]
    for node in graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
