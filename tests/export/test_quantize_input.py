from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from deixis.export.quantize import collect_ranges, emit_cpu
from deixis.export.quantize_input import with_quick_input
from deixis.export.recipes.recipe import Quantization
from tests.export.onnx_models import Inputs, constant, run, small_net, to_model, weights


def net(mean: float = 127.0, spread: float = 128.0, channels: int = 3) -> bytes:
    """Pixels of 0 to 255, moved and scaled, and two convolutions."""
    node = helper.make_node
    nodes = [
        node("Sub", ["image", "mean"], ["moved"], name="move"),
        node("Div", ["moved", "spread"], ["small"], name="scale"),
        node(
            "Conv", ["small", "w0", "b0"], ["y0"], name="first", strides=[2, 2], pads=[1, 1, 1, 1]
        ),
        node("Relu", ["y0"], ["x1"], name="relu"),
        node("Conv", ["x1", "w1", "b1"], ["y"], name="second"),
    ]
    constants = [
        constant("mean", mean), constant("spread", spread),
        constant("w0", weights(0, 16, channels, 3, 3)), constant("b0", weights(1, 16)),
        constant("w1", weights(2, 8, 16, 1, 1)), constant("b1", weights(3, 8)),
    ]  # fmt: skip
    return to_model(nodes, [("image", ["N", channels, 24, 24])], ["y"], constants)


def pixels(n: int, channels: int = 3) -> list[Inputs]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (n, 2, channels, 4, 4))
    images = np.kron(coarse, np.ones((6, 6))).astype(np.float32)
    images[0, 0, 0, 0, :2] = 0, 255
    return [{"image": image} for image in images]


def int8(model: bytes, images: list[Inputs]) -> bytes:
    return emit_cpu(model, collect_ranges(model, images), Quantization())


def kinds(model: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_model_from_string(model).graph.node]


def test_what_is_computed_stays_the_same_to_the_bit() -> None:
    images = pixels(8)
    plain = int8(net(), images)
    quick = with_quick_input(plain)
    assert {"Sub", "Div"} <= set(kinds(plain))
    assert not {"Sub", "Div"} & set(kinds(quick))
    assert kinds(quick).count("Pad") == 1
    for image in images:
        np.testing.assert_array_equal(run(quick, image)["y"], run(plain, image)["y"])
    assert with_quick_input(plain) == quick


def test_the_first_convolution_has_four_inputs() -> None:
    graph = onnx.load_model_from_string(with_quick_input(int8(net(), pixels(8)))).graph
    shapes = [numpy_helper.to_array(t).shape for t in graph.initializer]
    assert (16, 4, 3, 3) in shapes
    assert (16, 3, 3, 3) not in shapes


def test_where_the_zero_point_would_be_between_two_steps_pixels_are_moved_in_float() -> None:
    images = pixels(8)
    plain = int8(net(mean=-40.3, spread=97.0), images)
    quick = with_quick_input(plain)
    assert {"Sub", "Div", "Pad"} <= set(kinds(quick))
    for image in images:
        np.testing.assert_array_equal(run(quick, image)["y"], run(plain, image)["y"])


def test_four_channels_need_no_more() -> None:
    quick = with_quick_input(int8(net(channels=4), pixels(8, 4)))
    assert "Pad" not in kinds(quick)


@pytest.mark.parametrize("model", [net(), small_net()], ids=["float", "small"])
def test_a_model_in_float_is_left_alone(model: bytes) -> None:
    assert with_quick_input(model) == model
