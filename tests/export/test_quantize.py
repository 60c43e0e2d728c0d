from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from deixis.calibration.ranges import CalibrationTable, hash_input
from deixis.export.prepared import prepare
from deixis.export.quantize import (
    CPU_OPERATORS,
    check_tensorrt,
    collect_ranges,
    emit_cpu,
    emit_tensorrt,
)
from deixis.export.recipes.recipe import Quantization
from deixis.runtime.errors import ExportError
from tests.export.onnx_models import (
    constant,
    pictures,
    run,
    small_net,
    snr_db,
    to_model,
    weights,
)

DEFAULT = Quantization()
EVERYTHING = Quantization(operators=tuple(sorted(CPU_OPERATORS)))
DYNAMIC = Quantization(method="dynamic")
NO_TABLE = CalibrationTable(model_sha256="", n=0, inputs_sha256=(), tensors={})


@pytest.fixture(scope="module")
def net() -> bytes:
    return small_net()


@pytest.fixture(scope="module")
def table(net: bytes) -> CalibrationTable:
    return collect_ranges(net, pictures(24))


def kinds(model: bytes) -> collections.Counter[str]:
    return collections.Counter(n.op_type for n in onnx.load_from_string(model).graph.node)


def constants(model: bytes) -> dict[str, np.ndarray]:
    graph = onnx.load_from_string(model).graph
    return {i.name: numpy_helper.to_array(i) for i in graph.initializer}


def optimized(model: bytes, folder: Path) -> onnx.ModelProto:
    """What ONNX Runtime makes of a model."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    ort.InferenceSession(model, options, ["CPUExecutionProvider"])
    return onnx.load(options.optimized_model_filepath)


Emission = Callable[[bytes, CalibrationTable, Quantization], bytes]


@pytest.mark.parametrize("emission", [emit_cpu, emit_tensorrt])
@pytest.mark.parametrize("quantization", [DEFAULT, EVERYTHING])
def test_int8_computes_what_float_does(
    net: bytes, table: CalibrationTable, emission: Emission, quantization: Quantization
) -> None:
    int8 = emission(net, table, quantization)
    for arrays in pictures(6, seed=1, batch=2):
        want, got = run(net, arrays), run(int8, arrays)
        assert want.keys() == got.keys()
        assert all(snr_db(want[name], got[name]) > 24 for name in want)
    assert {v.dtype for k, v in constants(int8).items() if k.endswith("weight/quantized")} == {
        np.dtype(np.int8)
    }


@pytest.mark.parametrize("emission", [emit_cpu, emit_tensorrt])
def test_the_same_bytes_every_time(net: bytes, emission: Emission) -> None:
    files = {emission(net, collect_ranges(net, pictures(4)), DEFAULT) for _ in range(2)}
    (int8,) = files
    model = onnx.load_from_string(int8)
    assert (model.producer_name, model.producer_version, model.doc_string) == ("deixis", "", "")
    assert {opset.domain for opset in model.opset_import} == {""}
    assert b"/tmp" not in int8
    assert b"optimized" not in int8


def test_the_table_says_what_it_is_of(net: bytes) -> None:
    inputs = pictures(3)
    steps: list[tuple[int, int]] = []
    table = collect_ranges(net, inputs, lambda done, total: steps.append((done, total)))
    assert table.model_sha256 == hashlib.sha256(net).hexdigest()
    assert table.inputs_sha256 == tuple(hash_input(arrays) for arrays in inputs)
    assert (table.n, list(table.tensors)) == (3, sorted(table.tensors))
    assert steps == [(done, 6) for done in range(1, 7)]  # each is looked at twice
    assert table.tensors["r0"].low == 0
    assert table.tensors["r0"].high <= 6
    image = np.concatenate([arrays["image"] for arrays in inputs])
    np.testing.assert_allclose(table.tensors["image"].means, image.mean(axis=(0, 2, 3)), rtol=1e-4)


def test_every_layer_becomes_an_int8_kernel(
    net: bytes, table: CalibrationTable, tmp_path: Path
) -> None:
    ops = collections.Counter(
        node.op_type for node in optimized(emit_cpu(net, table, DEFAULT), tmp_path).graph.node
    )
    assert ops["QLinearConv"] == 5
    assert ops["QLinearAdd"] == 1
    assert ops["QGemm"] == 1
    # A transposed convolution has no INT8 kernel there.
    assert ops["ConvTranspose"] == 1
    assert not {"Conv", "Clip", "Relu", "Add", "Gemm", "FusedConv"} & set(ops)


def test_a_clips_range_is_the_one_that_counts(net: bytes, table: CalibrationTable) -> None:
    values = constants(emit_cpu(net, table, DEFAULT))
    assert values["r0/scale"] == pytest.approx(table.tensors["r0"].high / 255)
    assert values["r0/zero_point"] == 0
    assert "c0/scale" not in values


def test_biases_take_away_the_mean_error(net: bytes, table: CalibrationTable) -> None:
    bare = {
        name: msgspec.structs.replace(found, means=None, drift_uint8=None)
        for name, found in table.tensors.items()
    }
    errors = {}
    for label, tensors in (("with", table.tensors), ("without", bare)):
        int8 = emit_cpu(net, msgspec.structs.replace(table, tensors=tensors), DEFAULT)
        pairs = [(run(net, x), run(int8, x)) for x in pictures(12, seed=3)]
        shift = np.mean([got["map"] - want["map"] for want, got in pairs], axis=(0, 1, 3, 4))
        errors[label] = float(np.abs(shift).mean())
    assert errors["with"] < 0.7 * errors["without"]


def test_the_drift_is_what_rounding_adds(net: bytes) -> None:
    flat = [{"image": np.full((1, 3, 24, 24), value, np.float32)} for value in (0.0, 0.2, 1.0)]
    flat[1]["image"][0, 0, :, :12] = 0.7
    found = collect_ranges(net, flat).tensors["image"]
    assert (found.low, found.high) == (0, 1)
    for drift, steps in ((found.drift_uint8, 255), (found.drift_int8, 127)):
        rounded = [np.round(x["image"] * steps) / steps - x["image"] for x in flat]
        np.testing.assert_allclose(drift, np.mean(rounded, axis=(0, 1, 3, 4)), atol=1e-6)


def test_a_layer_that_stays_in_float_does(net: bytes, table: CalibrationTable) -> None:
    int8 = emit_cpu(net, table, DEFAULT, keep_float=("depth*",))
    np.testing.assert_array_equal(constants(int8)["w1"], weights(2, 16, 1, 3, 3))
    whole = emit_cpu(net, table, DEFAULT)
    for arrays in pictures(3, seed=2):
        # ONNX Runtime's optimizer would round such weights unasked, all channels alike.
        as_written, as_run = run(int8, arrays, optimize=False), run(int8, arrays)
        assert snr_db(as_written["map"], as_run["map"]) > 38
    assert kinds(int8)["QuantizeLinear"] <= kinds(whole)["QuantizeLinear"]


@pytest.mark.parametrize(
    ("quantization", "keep_float", "message"),
    [
        (DEFAULT, ("stemm",), "no node is named 'stemm'"),
        (Quantization(keep_float=("conv_9",)), (), "no node is named 'conv_9'"),
        (Quantization(operators=("Conv", "Softmax")), (), "Softmax cannot be quantized"),
        (DEFAULT, ("*",), "no layer"),
        (Quantization(operators=("Relu",)), (), "no layer"),
    ],
)
def test_what_cannot_be_done_is_refused(
    net: bytes,
    table: CalibrationTable,
    quantization: Quantization,
    keep_float: tuple[str, ...],
    message: str,
) -> None:
    with pytest.raises(ExportError, match=message):
        emit_cpu(net, table, quantization, keep_float)


def test_another_models_table_is_refused(net: bytes, table: CalibrationTable) -> None:
    with pytest.raises(ExportError, match="the calibration is of the model"):
        emit_cpu(net, msgspec.structs.replace(table, model_sha256="0" * 64), DEFAULT)
    less = {name: found for name, found in table.tensors.items() if name != "sum"}
    with pytest.raises(ExportError, match="no range for the tensor 'sum'"):
        emit_cpu(net, msgspec.structs.replace(table, tensors=less), DEFAULT)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"picture": np.zeros((1, 3, 24, 24), np.float32)}, "input 1 does not fit"),
        ({"image": np.zeros((1, 3, 9), np.float32)}, "input 1 does not fit"),
        ({"image": np.full((1, 3, 24, 24), np.nan, np.float32)}, "input 1: tensor .*not finite"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(net: bytes, arrays: dict, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        collect_ranges(net, [*pictures(1), arrays])


def test_no_model_is_refused() -> None:
    with pytest.raises(ExportError, match="no ONNX model"):
        collect_ranges(b"PK\x03\x04 this is a zip file", pictures(2))


def test_several_inputs_of_different_lengths() -> None:
    nodes = [
        helper.make_node("MatMul", ["frames", "w"], ["seen"], "see"),
        helper.make_node("Add", ["seen", "state"], ["moved"], "move"),
        helper.make_node("MatMul", ["moved", "v"], ["answer"], "answer"),
    ]
    model = to_model(
        nodes,
        [("frames", [1, "T", 8]), ("state", [1, 1, 8])],
        ["answer"],
        [constant("w", weights(0, 8, 8)), constant("v", weights(1, 8, 4))],
    )
    rng = np.random.default_rng(0)
    inputs = [
        {
            "frames": rng.normal(size=(1, length, 8)).astype(np.float32),
            "state": rng.normal(size=(1, 1, 8)).astype(np.float32),
        }
        for length in (3, 11, 7, 30, 5)
    ]
    int8 = emit_cpu(model, collect_ranges(model, inputs), DEFAULT)
    for arrays in inputs:
        assert snr_db(run(model, arrays)["answer"], run(int8, arrays)["answer"]) > 22


def test_batch_norms_and_constant_nodes_are_folded_first() -> None:
    weight = helper.make_node("Constant", [], ["w"], value=constant("w", weights(0, 4, 3, 3, 3)))
    names = ("scale", "shift", "mean", "variance")
    nodes = [
        weight,
        helper.make_node("Conv", ["image", "w"], ["c"], "conv"),
        helper.make_node("BatchNormalization", ["c", *names], ["n"], "norm"),
        helper.make_node("Conv", ["n", "v"], ["out"], "last"),
    ]
    stored = [constant(n, np.abs(weights(i, 4)) + 0.5) for i, n in enumerate(names)]
    model = to_model(
        nodes,
        [("image", [1, 3, 24, 24])],
        ["out"],
        [*stored, constant("v", weights(9, 2, 4, 1, 1))],
    )
    int8 = emit_cpu(model, collect_ranges(model, pictures(6)), DEFAULT)
    assert kinds(int8)["BatchNormalization"] == 0
    assert sum(k.endswith("weight/quantized") for k in constants(int8)) == 2


def test_weights_for_any_cpu_have_seven_bits(net: bytes, table: CalibrationTable) -> None:
    int8 = emit_cpu(net, table, DEFAULT, any_cpu=True)
    steps = [v for k, v in constants(int8).items() if k.endswith("weight/quantized")]
    assert max(np.abs(s.astype(int)).max() for s in steps) == 63
    for arrays in pictures(3, seed=1):
        assert snr_db(run(net, arrays)["map"], run(int8, arrays)["map"]) > 24


def test_a_file_for_tensorrt_holds_only_what_it_takes(net: bytes, table: CalibrationTable) -> None:
    int8 = emit_tensorrt(net, table, DEFAULT)
    assert check_tensorrt(int8) == []
    zeros = [v for k, v in constants(int8).items() if k.endswith("zero_point")]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    assert constants(int8)["stem/bias"].dtype == np.float32


def test_what_tensorrt_would_not_take_is_named(net: bytes, table: CalibrationTable) -> None:
    problems = check_tensorrt(emit_cpu(net, table, DEFAULT))
    assert any("uint8, not int8" in problem for problem in problems)
    assert any("int32 bias" in problem for problem in problems)
    proto = onnx.load_from_string(emit_tensorrt(net, table, DEFAULT))
    proto.opset_import[0].version = 21
    proto.graph.node[-1].domain = "com.microsoft"
    proto.graph.node[-1].op_type = "Gelu"
    for initializer in proto.graph.initializer:
        if initializer.name == "image/zero_point":
            initializer.CopyFrom(constant(initializer.name, 3, np.int8))
    problems = check_tensorrt(proto.SerializeToString())
    for word in ("opset 21", "com.microsoft.Gelu", "image/QuantizeLinear: the zero point is not 0"):
        assert any(word in problem for problem in problems), word


def test_dynamic_ranges_are_not_for_tensorrt(net: bytes, table: CalibrationTable) -> None:
    with pytest.raises(ExportError, match="does not measure"):
        emit_tensorrt(net, table, DYNAMIC)
    model = if_model()
    assert any(
        "DynamicQuantizeLinear" in p for p in check_tensorrt(emit_cpu(model, NO_TABLE, DYNAMIC))
    )


def test_builds_with_tensorrt_rtx(net: bytes, table: CalibrationTable) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    from deixis.export.compile import compile_rtx

    for model in (net, emit_tensorrt(net, table, DEFAULT), emit_tensorrt(net, table, EVERYTHING)):
        (build,) = compile_rtx(model, ((8, 6),))
        assert build.built, build.reason


def if_model() -> bytes:
    """Two branches that share a weight, as a decoder's with and without its cache."""

    def branch(name: str) -> onnx.GraphProto:
        nodes = [
            helper.make_node("MatMul", ["x", "shared"], [f"{name}a"], "product"),
            helper.make_node("MatMul", ["x", name], [f"{name}b"], f"{name}_own"),
            helper.make_node("Add", [f"{name}a", f"{name}b"], [f"{name}y"], f"{name}_sum"),
        ]
        output = helper.make_tensor_value_info(f"{name}y", TensorProto.FLOAT, None)
        own = constant(name, weights(len(name), 32, 32))
        return helper.make_graph(nodes, name, [], [output], [own])

    node = helper.make_node(
        "If", ["cached"], ["y"], "choose", then_branch=branch("one"), else_branch=branch("other")
    )
    graph = helper.make_graph(
        [node],
        "model",
        [
            helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, "T", 32]),
            helper.make_tensor_value_info("cached", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [constant("shared", weights(0, 32, 32))],
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def test_dynamic_products_in_branches_share_their_weights() -> None:
    model = if_model()
    int8 = emit_cpu(model, NO_TABLE, DYNAMIC)
    assert int8 == emit_cpu(model, NO_TABLE, DYNAMIC)
    assert sum(k.endswith("/quantized") for k in constants(int8)) == 1
    rng = np.random.default_rng(0)
    for cached in (True, False):
        for length in (1, 9):
            x = rng.normal(size=(1, length, 32)).astype(np.float32)
            arrays = {"x": x, "cached": np.array(cached)}
            assert snr_db(run(model, arrays)["y"], run(int8, arrays)["y"]) > 30
    kept = emit_cpu(model, NO_TABLE, DYNAMIC, keep_float=("product",))
    assert "shared" in constants(kept)


def test_preparing_twice_changes_nothing(net: bytes) -> None:
    once = prepare(net).SerializeToString(deterministic=True)
    assert prepare(once).SerializeToString(deterministic=True) == once


@pytest.mark.slow
def test_real_hands_keep_their_landmarks(wheel_folder: Path, samples: object) -> None:
    import torch

    from deixis.export.compare import hand_inputs
    from deixis.export.models.hands import hand_landmarks
    from deixis.export.onnx_export import to_onnx

    crops = [{"image": crop} for crop in hand_inputs(wheel_folder, samples)]  # type: ignore[arg-type]
    outputs = ("landmarks", "presence", "handedness", "world_landmarks")
    net = hand_landmarks(wheel_folder)
    model = to_onnx(net, (torch.zeros(1, 3, 224, 224),), ("image",), outputs)
    table = collect_ranges(model, crops[::2])
    whole = emit_cpu(model, table, DEFAULT)
    assert len(whole) < len(model) / 3.4
    # The first layers gain no time in INT8, and make most of the noise.
    int8 = emit_cpu(model, table, DEFAULT, keep_float=("net.layers.[0134].*",))
    errors_px, presences = [], []
    for arrays in crops[1::2]:
        want, got = run(model, arrays), run(int8, arrays)
        errors_px.append(np.abs(want["landmarks"] - got["landmarks"]).mean())
        presences.append(np.abs(want["presence"] - got["presence"]).max())
    assert np.mean(errors_px) < 1.0
    assert max(presences) < 0.05
