"""torch → ONNX, the same bytes on every run.

python -c "from deixis.export.onnx_export import OPSET; print(OPSET)"
"""

from __future__ import annotations

import ast
import inspect
import logging
import warnings
from collections.abc import Mapping, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from deixis.export.weights.ort_reader import graphs
from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    import onnx

OPSET = 20  # ONNX Runtime's static INT8 quantizer wants at most 20.


@runtime_checkable
class Deployable(Protocol):
    """A network that is pruned and trained in one form and exported in another."""

    def deployed(self) -> nn.Module:
        """The form that is exported, which computes the same."""
        ...


def to_onnx(
    module: nn.Module,
    example: Tensor | Sequence[Tensor],
    inputs: str | Sequence[str],
    outputs: Sequence[str],
    dynamic: Mapping[int, str] | Mapping[str, Mapping[int, str]] | None = None,
) -> bytes:
    """Export a module to a self-contained ONNX model.

    Args:
        module: in eval mode; one that is :class:`Deployable` is exported in that form.
        example: inputs of the right shapes, one of ``forward`` each; a dynamic axis must not have
            length 0 or 1 here.
        inputs: the inputs' names in the ONNX model, in the order of ``forward``.
        outputs: the outputs' names, in the module's order.
        dynamic: axis of the one input → its symbolic name; of several inputs: input → those. Axes
            of the same name have the same length.

    Returns:
        The serialized model: opset 20, weights inside, no traces of this machine (file names, stack
        traces, versions) so that equal weights give equal bytes.

    Raises:
        ExportError: if torch returns nothing.
    """
    import onnx

    examples = (example,) if isinstance(example, Tensor) else tuple(example)
    names = (inputs,) if isinstance(inputs, str) else tuple(inputs)
    if isinstance(module, Deployable):
        module = module.deployed()
    shapes: tuple[Any, ...] | None = None
    if dynamic:
        shapes = _shapes(names, dynamic)
        kinds = [p.kind for p in inspect.signature(module.forward).parameters.values()]
        if kinds[-1] is inspect.Parameter.VAR_POSITIONAL:
            # torch counts what ``*rest`` takes as one argument.
            shapes = (*shapes[: len(kinds) - 1], shapes[len(kinds) - 1 :])
    # It reports each optional package (torchvision) that it could have had operators from.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch warns about its own internals.
        warnings.simplefilter("ignore", FutureWarning)
        # Two axes of one name are meant to be one.
        warnings.filterwarnings("ignore", "# The axis name")
        program = torch.onnx.export(
            module,
            examples,
            dynamo=True,
            opset_version=OPSET,
            external_data=False,
            input_names=list(names),
            output_names=list(outputs),
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


def _shapes(
    names: Sequence[str], dynamic: Mapping[int, str] | Mapping[str, Mapping[int, str]]
) -> tuple[dict[int, Any], ...]:
    """What torch wants to hear about the axes: one dimension a name, one dictionary an input."""
    of_input = {str(k): v for k, v in dynamic.items() if not isinstance(v, str)} or {
        names[0]: {int(k): v for k, v in dynamic.items() if isinstance(v, str)}
    }
    axes = {axis for each in of_input.values() for axis in each.values()}
    dims = {name: torch.export.Dim(name) for name in axes}
    return tuple(
        {axis: dims[name] for axis, name in of_input.get(input_name, {}).items()}
        for input_name in names
    )


def _readable_name(node: onnx.NodeProto, names: set[str]) -> str:
    """The path of the node's module and its operator: ``layers.0.mlp.fc1/MatMul``.

    Args:
        node: as torch exported it, which notes the modules that it came through.
        names: those given so far; the new one is added.
    """
    noted = {p.key: p.value for p in node.metadata_props}.get("pkg.torch.onnx.name_scopes", "[]")
    # The last one is torch's own name for the operation.
    modules = [m for m in ast.literal_eval(noted)[:-1] if m and not m.startswith("_")]
    base = f"{modules[-1] if modules else ''}/{node.op_type}"
    name = next(n for k in count() if (n := f"{base}_{k}" if k else base) not in names)
    names.add(name)
    return name


def _strip(model: onnx.ModelProto) -> None:
    """Remove what varies between machines and says nothing to a runtime."""
    model.producer_name = "deixis"
    model.producer_version = ""
    model.doc_string = ""
    del model.metadata_props[:]
    names: set[str] = set()
    for graph in graphs(model.graph):
        graph.doc_string = ""
        del graph.metadata_props[:]
        del graph.value_info[:]
        for node in graph.node:
            node.name = _readable_name(node, names)
            node.doc_string = ""
            del node.metadata_props[:]
        for value in (*graph.input, *graph.output, *graph.initializer):
            value.doc_string = ""
            del value.metadata_props[:]
