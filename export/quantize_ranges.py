"""Measure on real inputs which values a model's tensors take, and what rounding does to them.

table = collect_ranges(model, inputs)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from msgspec.structs import replace
from numpy.typing import NDArray
from onnx import helper

from deixis.calibration.histograms import Means, Statistics
from deixis.calibration.ranges import CalibrationTable, TensorRange, hash_input
from deixis.export.noise import refuse_noise
from deixis.export.prepared import prepare
from deixis.export.quantize_layers import BIASED, SUPPORTED, Graph
from deixis.export.quantize_rounding import CPU, TENSORRT, rounding
from deixis.runtime.errors import CalibrationError, ExportError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Inputs

DRIFT_INPUTS = 16
"""So many of the inputs are looked at again, to see what rounding with the ranges changes."""


def collect_ranges(
    model: bytes,
    inputs: Sequence[Inputs],
    progress: Callable[[int, int], None] | None = None,
) -> CalibrationTable:
    """Measure which values the tensors of a model take, in one pass over real inputs.

    Each range is the best of min–max, percentile 99.99, entropy and least squares: they choose on
    the inputs with even numbers, and the error that decides is measured on the odd ones. Then a
    few inputs are looked at again, to see what rounding with these ranges shifts.

    Args:
        model: an FP32 ONNX model.
        inputs: real ones; their shapes may differ where the model's axes are dynamic.
        progress: called with how many inputs are done, and of how many.

    Raises:
        ExportError: the inputs are noise or constant, or do not fit the model.
    """
    refuse_noise(inputs)
    watching = _Watching(model)
    statistics = {name: Statistics(channels) for name, channels in watching.tensors.items()}
    again = [round(p) for p in np.linspace(0, len(inputs) - 1, min(len(inputs), DRIFT_INPUTS))]
    total = len(inputs) + len(again)
    for index, arrays in enumerate(inputs):
        for name, values in watching.run(index, arrays).items():
            try:
                statistics[name].add(values)
            except CalibrationError as cause:
                raise ExportError(f"calibration input {index}: tensor {name!r}: {cause}") from cause
        if progress:
            progress(index + 1, total)
    ranges = {name: statistics[name].range() for name in sorted(statistics)}
    drifts = {name: (Means(), Means()) for name, found in ranges.items() if found.means is not None}
    for done, index in enumerate(again, start=len(inputs) + 1):
        tensors = watching.run(index, inputs[index])
        for name, (uint8, int8) in drifts.items():
            low, high = ranges[name].low, ranges[name].high
            uint8.add(rounding(low, high, CPU).change(tensors[name]))
            int8.add(rounding(low, high, TENSORRT).change(tensors[name]))
        if progress:
            progress(done, total)
    return CalibrationTable(
        model_sha256=hashlib.sha256(model).hexdigest(),
        n=len(inputs),
        inputs_sha256=tuple(hash_input(arrays) for arrays in inputs),
        tensors={name: _with_drift(found, drifts.get(name)) for name, found in ranges.items()},
    )


def _with_drift(found: TensorRange, drift: tuple[Means, Means] | None) -> TensorRange:
    if drift is None:
        return found
    return replace(found, drift_uint8=drift[0].rounded(), drift_int8=drift[1].rounded())


class _Watching:
    """A model that gives, beside its outputs, every tensor that some choice of layers rounds.

    Attributes:
        tensors: their names, and whether a bias is added to what weights make of them.
    """

    def __init__(self, model: bytes) -> None:
        proto = prepare(model)
        graph = Graph.of(proto)
        self.tensors = _tensors_to_watch(graph)
        given = {value.name for value in proto.graph.input}
        self._computed = [name for name in self.tensors if name not in given]
        proto.graph.output.extend(
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
            for name in self._computed
            if name not in graph.outputs
        )
        options = ort.SessionOptions()
        options.log_severity_level = 3
        data = proto.SerializeToString()
        self._session = ort.InferenceSession(data, options, ["CPUExecutionProvider"])

    def run(self, index: int, arrays: Inputs) -> Mapping[str, NDArray[Any]]:
        """The tensors' values on one input; its index is for the message."""
        try:
            values = self._session.run(self._computed, dict(arrays))
        # ONNX Runtime's errors share no base class below Exception.
        except Exception as cause:
            raise ExportError(
                f"calibration input {index} does not fit the model: {cause}"
            ) from cause
        found = dict(zip(self._computed, values, strict=True))
        return {name: found[name] if name in found else arrays[name] for name in self.tensors}


def _tensors_to_watch(graph: Graph) -> dict[str, bool]:
    watched: dict[str, bool] = {}
    for node in graph.proto.node:
        if node.op_type not in SUPPORTED:
            continue
        for name in (*graph.activations(node), node.output[0]):
            if name in graph.floats:
                watched.setdefault(name, False)
        if node.op_type in BIASED and node.input[0] in watched:
            watched[node.input[0]] = True
    return watched
