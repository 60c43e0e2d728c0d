"""What each layer of a model costs and gains in INT8: its noise, its points, its time.

Every layer is quantized alone, all others staying in float, and the model's outputs are compared:
what a layer does to the result is not what it does to its own output. The times are those of ONNX
Runtime's kernels in the whole model, float and INT8.

    for cost in layer_costs(model, table, Quantization(), inputs): print(cost.name, cost.snr_db)
"""

from __future__ import annotations

import json
import math
import re
import statistics
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from deixis.calibration.ranges import CalibrationTable
from deixis.export.prepared import prepare
from deixis.export.quantize import Emitter
from deixis.export.quantize_layers import CLIPPING
from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Inputs, Quantization

Array = NDArray[Any]
MOST_SNR_DB = 120.0
"""Signal against noise of a layer whose rounding changes nothing that float32 can tell."""
SCORED = 6
"""So many of the worst layers get their points."""
_RUNS = 20
_OF_POWER = 1e-3
_LOUD = 0.1  # Share of all the layers' noise from which on a layer is blamed for it.
_KERNEL = "_kernel_time"  # What ONNX Runtime's profile appends to a kernel's name.


@dataclass(frozen=True)
class LayerCost:
    """What one layer costs and gains in INT8.

    Attributes:
        name: of the ONNX node.
        op: its operator.
        points: points of the metric that are lost when only this layer is quantized; None where
            that was not asked, or the layer is not among the worst.
        snr_db: signal against noise of the model's worst output when only this layer is quantized.
        time_share_float: its share of the float model's time, 0 to 1; None where it was not timed.
        time_share_int8: its time in INT8, as a share of the *float* model's time.
        kept_float: whether the recipe leaves it in float.
        why: what speaks against INT8 for it; empty: nothing.
    """

    name: str
    op: str
    points: float | None = None
    snr_db: float | None = None
    time_share_float: float | None = None
    time_share_int8: float | None = None
    kept_float: bool = False
    why: str = ""

    @property
    def gains_time(self) -> bool:
        """Whether it is faster in INT8; yes where it was not timed."""
        if self.time_share_float is None or self.time_share_int8 is None:
            return True
        return self.time_share_int8 < self.time_share_float


def layer_costs(
    model: bytes,
    table: CalibrationTable,
    quantization: Quantization,
    inputs: Sequence[Inputs],
    score: Callable[[bytes], float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[LayerCost, ...]:
    """What each layer costs and gains in INT8 on ONNX Runtime's CPU kernels.

    Args:
        model: the FP32 ONNX model.
        table: its ranges.
        quantization: what is quantized.
        inputs: real ones; four to eight suffice.
        score: a model's bytes → the task's metric; only for the worst layers.
        progress: called with how many layers are done, and of how many.

    Returns:
        The layers, that with the most noise first.

    Raises:
        ExportError: no layer can be quantized, or there are no inputs.
    """
    if not inputs:
        raise ExportError("no inputs to explain a model's layers on")
    everything = replace(quantization, keep_float=())
    emitter = Emitter.for_cpu(model, table, everything)
    want = _outputs(model, inputs)
    costs = []
    for index, (name, op) in enumerate(emitter.layers.items()):
        got = _outputs(emitter.emit(only=(name,)), inputs)
        kept = any(fnmatchcase(name, pattern) for pattern in quantization.keep_float)
        costs.append(LayerCost(name, op, snr_db=_worst_snr_db(want, got), kept_float=kept))
        if progress:
            progress(index + 1, len(emitter.layers))
    costs.sort(key=lambda cost: cost.snr_db or 0.0)
    if score is not None:
        best = score(model)
        for index, cost in enumerate(costs[:SCORED]):
            points = best - score(emitter.emit(only=(cost.name,)))
            costs[index] = replace(cost, points=points)
    return _with_reasons(_timed(costs, model, emitter.emit(), inputs[0], emitter.layers))


def better_in_float(costs: Sequence[LayerCost]) -> tuple[str, ...]:
    """Names of the layers that are loud in INT8 and gain no time by it."""
    shares = _noise_shares(costs)
    return tuple(
        cost.name
        for cost, share in zip(costs, shares, strict=True)
        if share >= _LOUD and not cost.gains_time and not cost.kept_float
    )


def _outputs(model: bytes, inputs: Sequence[Inputs]) -> dict[str, list[Array]]:
    """What a model gives on each input."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    runs = [session.run(names, dict(arrays)) for arrays in inputs]
    return {name: [run[i] for run in runs] for i, name in enumerate(names)}


def _worst_snr_db(want: Mapping[str, list[Array]], got: Mapping[str, list[Array]]) -> float:
    """Of the outputs' signals against their noise, the least.

    An output's signal is its variance, and a little of its power: one that is the same on all
    inputs, as the presence of a hand on pictures of hands, has next to no variance.
    """
    worst = MOST_SNR_DB
    for name, arrays in want.items():
        if not np.issubdtype(arrays[0].dtype, np.floating) or not arrays[0].size:
            continue
        wanted = np.concatenate([a.ravel() for a in arrays]).astype(np.float64)
        given = np.concatenate([a.ravel() for a in got[name]]).astype(np.float64)
        noise = float(((given - wanted) ** 2).mean())
        if not math.isfinite(noise):
            return -MOST_SNR_DB
        if noise:
            signal = float(wanted.var() + _OF_POWER * (wanted**2).mean())
            snr_db = 10 * math.log10(signal / noise) if signal else -MOST_SNR_DB
            worst = min(worst, snr_db)
    return max(worst, -MOST_SNR_DB)


def _timed(
    costs: Sequence[LayerCost],
    float_model: bytes,
    int8_model: bytes,
    arrays: Inputs,
    layers: Collection[str],
) -> list[LayerCost]:
    """The same with the layers' shares of the time."""
    owners = _owners(float_model, layers)
    in_float, in_int8 = (_times(model, arrays) for model in (float_model, int8_model))
    total = sum(in_float.values())
    shares = [
        {owners.get(_origin(name), ""): took / total for name, took in times.items()}
        for times in (in_float, in_int8)
    ]
    return [
        replace(
            cost,
            time_share_float=shares[0].get(cost.name),
            time_share_int8=None if cost.kept_float else shares[1].get(cost.name),
        )
        for cost in costs
    ]


def _owners(model: bytes, layers: Collection[str]) -> dict[str, str]:
    """What the runtime may call a layer's kernel: its node, or the tensor that it gives → layer."""
    graph = prepare(model).graph
    consumers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            consumers.setdefault(name, []).append(node)
    owners: dict[str, str] = {}
    for node in graph.node:
        if node.name not in layers:
            continue
        output, after = node.output[0], consumers.get(node.output[0], [])
        owners[node.name] = node.name
        owners.setdefault(output, node.name)
        if len(after) == 1 and after[0].op_type in CLIPPING | {"Add"}:
            # It may have become one kernel with what follows.
            owners.setdefault(after[0].output[0], node.name)
    return owners


def _origin(kernel: str) -> str:
    """The name of the node or tensor that an optimized kernel was made from."""
    return re.sub(r"^fused |(_token_\d+|_nchwc|_nhwc|/product|/integers)+$", "", kernel)


def _times(model: bytes, arrays: Inputs) -> dict[str, float]:
    """Median time of each kernel, one thread, µs."""
    with tempfile.TemporaryDirectory(prefix="deixis-profile-") as folder:
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "run")
        session = ort.InferenceSession(model, options, ["CPUExecutionProvider"])
        for _ in range(_RUNS):
            session.run(None, dict(arrays))
        events = json.loads(Path(session.end_profiling()).read_text())
    took: dict[str, list[float]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            took.setdefault(event["name"].removesuffix(_KERNEL), []).append(event["dur"])
    return {name: statistics.median(times) for name, times in took.items()}


def _with_reasons(costs: Sequence[LayerCost]) -> tuple[LayerCost, ...]:
    """The same, with what speaks against INT8 in words."""
    explained = []
    for cost, share in zip(costs, _noise_shares(costs), strict=True):
        reasons = ["the recipe keeps it in float"] if cost.kept_float else []
        if share >= _LOUD:
            reasons.append(f"makes {share:.0%} of the noise")
        if not cost.gains_time:
            reasons.append("gains no time")
        explained.append(replace(cost, why="; ".join(reasons)))
    return tuple(explained)


def _noise_shares(costs: Sequence[LayerCost]) -> list[float]:
    """Of the noise that all the layers make, each alone, what each makes."""
    noises = [10 ** (-(MOST_SNR_DB if c.snr_db is None else c.snr_db) / 10) for c in costs]
    return [noise / sum(noises) for noise in noises]
