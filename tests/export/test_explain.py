from __future__ import annotations

import msgspec
import numpy as np
import onnx
import pytest

from deixis.calibration.ranges import CalibrationTable
from deixis.export.explain import LayerCost, better_in_float, layer_costs
from deixis.export.quantize import collect_ranges, emit_cpu
from deixis.export.recipes.recipe import Quantization
from deixis.runtime.errors import ExportError
from tests.export.onnx_models import pictures, run, small_net, snr_db
from tests.export.test_quantize import DYNAMIC, NO_TABLE, if_model

DEFAULT = Quantization()
LAYERS = {"stem", "depthwise", "project", "residual", "mix", "head", "dense", "answer"}
SOME = pictures(4, seed=5)


@pytest.fixture(scope="module")
def net() -> bytes:
    return small_net()


@pytest.fixture(scope="module")
def table(net: bytes) -> CalibrationTable:
    return collect_ranges(net, pictures(24))


def wrecked(table: CalibrationTable, tensor: str) -> CalibrationTable:
    """The same with one tensor's range twenty times too narrow."""
    found = table.tensors[tensor]
    worse = msgspec.structs.replace(found, low=found.low / 20, high=found.high / 20)
    return msgspec.structs.replace(table, tensors={**table.tensors, tensor: worse})


def score_of(net: bytes) -> object:
    """Points: 100 where the answers are the float model's."""
    wanted = [run(net, arrays)["scores"] for arrays in SOME]

    def score(model: bytes) -> float:
        off = [
            np.abs(run(model, arrays)["scores"] - want).max()
            for arrays, want in zip(SOME, wanted, strict=True)
        ]
        return 100.0 - 10 * float(np.mean(off))

    return score


def test_every_layer_has_its_cost_the_worst_first(net: bytes, table: CalibrationTable) -> None:
    steps: list[tuple[int, int]] = []
    costs = layer_costs(net, table, DEFAULT, SOME, progress=lambda *step: steps.append(step))
    assert {cost.name for cost in costs} == LAYERS
    assert [cost.snr_db for cost in costs] == sorted(cost.snr_db or 0 for cost in costs)
    assert all(20 < (cost.snr_db or 0) < 100 for cost in costs)
    assert steps[-1] == (8, 8)
    assert {cost.op for cost in costs} == {"Add", "Conv", "Gemm", "MatMul"}
    assert 0.2 < sum(cost.time_share_float or 0 for cost in costs) <= 1
    assert all(cost.time_share_int8 is not None for cost in costs)


@pytest.mark.parametrize(
    ("tensor", "touched"),
    [
        ("r1", {"depthwise", "project"}),
        ("sum", {"residual", "mix"}),
        ("active", {"dense", "answer"}),
    ],
)
def test_a_wrecked_layer_is_named_and_mended_by_leaving_it_in_float(
    net: bytes, table: CalibrationTable, tensor: str, touched: set[str]
) -> None:
    broken = wrecked(table, tensor)
    costs = layer_costs(net, broken, DEFAULT, SOME, score_of(net))  # type: ignore[arg-type]
    (first, *_), rest = costs, costs[len(touched) :]
    assert first.name in touched
    assert "of the noise" in first.why
    assert (first.snr_db or 0) < min(cost.snr_db or 0 for cost in rest) - 6
    assert max(cost.points or 0 for cost in costs[: len(touched)]) > 0.5
    output = "scores" if tensor == "active" else "map"
    arrays = SOME[0]
    want = run(net, arrays)[output]
    mended = emit_cpu(net, broken, DEFAULT, keep_float=sorted(touched))
    assert snr_db(want, run(mended, arrays)[output]) > 20
    assert snr_db(want, run(emit_cpu(net, broken, DEFAULT), arrays)[output]) < 15


def test_what_the_recipe_keeps_in_float_is_said(net: bytes, table: CalibrationTable) -> None:
    costs = layer_costs(net, table, Quantization(keep_float=("d*",)), SOME)
    kept = {cost.name for cost in costs if cost.kept_float}
    assert kept == {"depthwise", "dense"}
    for cost in costs:
        assert (cost.time_share_int8 is None) == cost.kept_float
        assert ("the recipe keeps it in float" in cost.why) == cost.kept_float


def test_a_layer_that_is_slower_in_int8_gains_no_time() -> None:
    slower = LayerCost("a", "Conv", time_share_float=0.1, time_share_int8=0.2)
    faster = LayerCost("b", "Conv", time_share_float=0.2, time_share_int8=0.1)
    assert not slower.gains_time
    assert faster.gains_time
    assert LayerCost("c", "Conv").gains_time


def test_loud_layers_that_gain_no_time_are_better_in_float() -> None:
    loud = {"snr_db": 10.0, "time_share_float": 0.1}
    costs = (
        LayerCost("slow", "Conv", time_share_int8=0.2, **loud),
        LayerCost("fast", "Conv", time_share_int8=0.05, **loud),
        LayerCost("kept", "Conv", kept_float=True, **loud),
        LayerCost("quiet", "Conv", snr_db=60.0, time_share_float=0.1, time_share_int8=0.2),
    )
    assert better_in_float(costs) == ("slow",)


def test_layers_in_branches_are_explained_too() -> None:
    x = np.random.default_rng(0).normal(size=(1, 9, 32)).astype(np.float32)
    inputs = [{"x": x, "cached": np.array(cached)} for cached in (True, False)]
    costs = layer_costs(if_model(), NO_TABLE, DYNAMIC, inputs)
    assert {cost.name for cost in costs} >= {"product", "one_own", "other_own"}
    assert all((cost.snr_db or 0) > 20 for cost in costs)


def test_it_needs_inputs(net: bytes, table: CalibrationTable) -> None:
    with pytest.raises(ExportError, match="no inputs"):
        layer_costs(net, table, DEFAULT, [])
    assert onnx.load_from_string(net).graph.node
