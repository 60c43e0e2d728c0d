from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from deixis.export.half import store_half, to_fp16
from deixis.export.quantize import collect_ranges, emit_tensorrt
from deixis.export.recipes.recipe import Quantization
from deixis.runtime.errors import ExportError
from tests.export.onnx_models import constant, pictures, run, small_net, snr_db, to_model, weights


@pytest.fixture(scope="module")
def net() -> bytes:
    return small_net()


def test_fp16_computes_what_float_does(net: bytes) -> None:
    half = to_fp16(net)
    assert half == to_fp16(net)
    model = onnx.load_from_string(half)
    ends = (*model.graph.input, *model.graph.output)
    assert {v.type.tensor_type.elem_type for v in ends} == {TensorProto.FLOAT}
    stored = {i.name: i.data_type for i in model.graph.initializer}
    assert stored["w0"] == stored["w5"] == TensorProto.FLOAT16
    for arrays in pictures(4, seed=1, batch=2):
        want, got = run(net, arrays), run(half, arrays)
        assert all(snr_db(want[name], got[name]) > 50 for name in want)


def test_numbers_beyond_fp16_stay_finite() -> None:
    node = helper.make_node("Add", ["x", "mask"], ["y"], "add")
    mask = constant("mask", np.array([0.0, -1e9, 20_000.0]))
    half = to_fp16(to_model([node], [("x", [1, 3])], ["y"], [mask]))
    got = run(half, {"x": np.zeros((1, 3), np.float32)})["y"]
    np.testing.assert_allclose(got, [[0, -65504, 20_000]], rtol=1e-3)


def test_a_node_may_stay_in_float(net: bytes) -> None:
    half = onnx.load_from_string(to_fp16(net, keep_float=("stem",)))
    stored = {i.name: i.data_type for i in half.graph.initializer}
    assert stored["w1"] == TensorProto.FLOAT16
    assert stored["w0"] == TensorProto.FLOAT


def test_int8_is_not_put_into_fp16(net: bytes) -> None:
    int8 = emit_tensorrt(net, collect_ranges(net, pictures(4)), Quantization())
    with pytest.raises(ExportError, match="in INT8 cannot"):
        to_fp16(int8)


def test_fp16_builds_with_tensorrt_rtx(net: bytes) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    from deixis.export.compile import compile_rtx

    (build,) = compile_rtx(to_fp16(net), ((8, 6),))
    assert build.built, build.reason


def test_weights_that_were_fp16_lose_nothing_when_stored_so() -> None:
    weight = weights(0, 32, 3, 3, 3).astype(np.float16).astype(np.float32)
    node = helper.make_node("Conv", ["image", "w"], ["y"], "conv")
    model = to_model([node], [("image", [1, 3, 24, 24])], ["y"], [constant("w", weight)])
    stored = store_half(model)
    assert len(stored) < 0.7 * len(model)
    assert stored == store_half(model)
    for arrays in pictures(2):
        np.testing.assert_array_equal(run(model, arrays)["y"], run(stored, arrays)["y"])


def test_weights_that_fp16_cannot_hold_stay_as_they_are() -> None:
    node = helper.make_node("Mul", ["x", "w"], ["y"], "scale")
    model = to_model([node], [("x", [1, 100])], ["y"], [constant("w", np.full(100, 1e6))])
    graph = onnx.load_from_string(store_half(model)).graph
    (kept,) = [numpy_helper.to_array(i) for i in graph.initializer]
    np.testing.assert_array_equal(kept, np.full(100, 1e6, np.float32))
