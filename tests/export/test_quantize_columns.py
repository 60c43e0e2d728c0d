from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from deixis.export.quantize_columns import column_scales
from deixis.export.quantize_dynamic import quantize_dynamically


@given(st.integers(0, 2**32 - 1), st.integers(2, 127))
def test_weights_that_were_integers_are_kept(seed: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    levels = rng.integers(-most, most + 1, (64, 8))
    levels[0] = 1
    weight = (levels * rng.uniform(1e-4, 0.1, 8)).astype(np.float32)
    scales = column_scales(weight)
    steps = np.rint(weight / scales)
    assert np.abs(steps).max() <= 127
    np.testing.assert_allclose(steps * scales, weight, atol=1e-6 * np.abs(weight).max())


def test_other_weights_use_all_levels() -> None:
    weight = np.random.default_rng(0).normal(0, 1, (64, 8)).astype(np.float32)
    weight[:, 3] = 0
    greatest = np.abs(weight).max(axis=0)
    scales = column_scales(weight)
    np.testing.assert_allclose(np.delete(scales, 3), np.delete(greatest, 3) / 127, rtol=1e-6)
    assert scales[3] > 0


def test_a_matrix_that_is_looked_up_too_is_stored_once() -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 1, (16, 50)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["matrix", "ids"], ["columns"], "lookup", axis=1),
            helper.make_node("Transpose", ["columns"], ["rows"], "turn"),
            helper.make_node("MatMul", ["rows", "matrix"], ["logits"], "product"),
        ],
        "tied",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 50])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    assert quantize_dynamically(model, {"MatMul"}, ()) == ("product",)
    onnx.checker.check_model(model, full_check=True)
    floats = [i for i in model.graph.initializer if i.data_type == TensorProto.FLOAT]
    assert [tuple(i.dims) for i in floats] == [(50,)]
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ids = np.array([3, 41, 3])
    got = session.run(None, {"ids": ids})[0]
    want = matrix[:, ids].T @ matrix
    assert np.abs(got - want).max() < 0.02 * np.abs(want).max()
