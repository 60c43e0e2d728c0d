"""What a model does not take is refused, in words that name model, input, got and wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import EngineSpecs, TensorSpec, open_engine, open_model
from deixis.runtime.engines.checks import InputCheck
from deixis.runtime.errors import EngineError
from tests.runtime.engines.models import relu

SPECS = EngineSpecs(
    inputs=(
        TensorSpec("image", np.dtype(np.float32), (1, 3, 8, 8)),
        TensorSpec("past", np.dtype(np.float32), (None, 8, None, 4)),
        TensorSpec("ids", np.dtype(np.int64), (1, None)),
    ),
    outputs=(),
)


def inputs() -> dict[str, np.ndarray]:
    return {
        "image": np.zeros((1, 3, 8, 8), np.float32),
        "past": np.zeros((2, 8, 0, 4), np.float32),
        "ids": np.zeros((1, 5), np.int64),
    }


def test_right_inputs_pass() -> None:
    InputCheck("net.onnx", SPECS)(inputs())


def with_(**changes: object) -> dict[str, object]:
    return {**inputs(), **changes}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (with_(image=np.zeros((1, 3, 9, 8), np.float32)), ["image", "1×3×9×8", "float32 1×3×8×8"]),
        (with_(image=np.zeros((3, 8, 8), np.float32)), ["'image'", "3×8×8", "float32 1×3×8×8"]),
        (with_(image=np.zeros((1, 3, 8, 8))), ["'image'", "float64 1×3×8×8", "float32 1×3×8×8"]),
        (with_(ids=np.zeros((1, 5), np.int32)), ["'ids'", "int32 1×5", "int64 1×any"]),
        (with_(ids=np.int64(5)), ["'ids'", "int64", "int64 1×any"]),
        (with_(ids=[[1, 2]]), ["'ids'", "a list", "int64 1×any"]),
        (with_(past=np.zeros((2, 7, 3, 4), np.float32)), ["'past'", "2×7×3×4", "any×8×any×4"]),
        ({k: v for k, v in inputs().items() if k != "ids"}, ["lacks", "'ids'"]),
        (with_(imag=np.zeros(1, np.float32)), ["no input 'imag'", "did you mean 'image'"]),
    ],
)  # fmt: skip
def test_wrong_inputs_are_named(given: dict[str, np.ndarray], words: list[str]) -> None:
    with pytest.raises(EngineError) as caught:
        InputCheck("net.onnx", SPECS)(given)
    for word in ["net.onnx", *words]:
        assert word in caught.value.message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_named_with_its_place(bad: float) -> None:
    given = inputs()
    given["image"][0, 2, 3, 4] = bad
    given["image"][0, 2, 7, 7] = bad
    with pytest.raises(EngineError, match=r"'image' has 2 of 192 .* at \[0, 2, 3, 4\]"):
        InputCheck("net.onnx", SPECS)(given)


def test_large_finite_values_pass() -> None:
    """Whose sum is not finite: the check must not add them up."""
    given = inputs()
    given["image"][:] = np.finfo(np.float32).max
    InputCheck("net.onnx", SPECS)(given)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda x: x[:, :3],
        lambda x: x.astype(np.float64),
        lambda x: np.where(x == x[0, 0], np.nan, x).astype(np.float32),
    ],
)
def test_an_engine_checks_before_it_runs(
    tmp_path: Path, spoil: Callable[[np.ndarray], np.ndarray]
) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(relu())
    engine = open_model(path)
    good = np.array([[-1, 2, -3, 4]], np.float32)
    assert engine.infer({"x": good})["y"].tolist() == [[0, 2, 0, 4]]
    with pytest.raises(EngineError, match=r"small\.onnx: input 'x'"):
        engine.infer({"x": spoil(good)})
    engine.close()


def test_a_real_model_refuses_an_odd_picture(bundle: Bundle) -> None:
    engine = open_engine(bundle, "hand_landmarks")
    image = np.zeros((1, 3, 224, 224), np.float32)
    assert engine.infer({"image": image})["landmarks"].shape == (1, 21, 3)
    with pytest.raises(EngineError, match=r"hand_landmarks\.onnx: input 'image' is .*1×3×225×224"):
        engine.infer({"image": np.zeros((1, 3, 225, 224), np.float32)})
    image[0, 0, 0, 0] = np.nan
    with pytest.raises(EngineError, match="1 of 150528 values that are not finite"):
        engine.infer({"image": image})
    engine.close()
