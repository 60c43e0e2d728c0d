from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deixis.export.plan import PRESETS, Preset, plan_model, preset_named
from deixis.export.recipes.recipe import Pruning, Quantization, Recipe, Task
from deixis.export.weights import wheels
from deixis.runtime.errors import UsageError


def recipe(**changes: Any) -> Recipe:
    task = Task("right (%)", 1.0, lambda *_: None, lambda *_: 100.0, lambda _: 1)
    plain = Recipe(
        role="some_model",
        source=Path("weights"),
        network=None,
        parity=None,
        inputs=lambda *_: [],
        timed_on="one input",
        task=task,
        pruning=Pruning(),
    )
    return replace(plain, **changes)


CPU = PRESETS["cpu"]


def test_nothing_asked_keeps_the_shipped_file() -> None:
    plan = plan_model(recipe(shipped=wheels.SPEECH_ENCODER), CPU, None, 0.0)
    assert plan.untouched
    assert plan.precisions == ("fp32",)


@pytest.mark.parametrize(("precision", "ratio"), [("fp32", 0.0), ("int8", 0.0), (None, 0.3)])
def test_anything_asked_converts_it(precision: Any, ratio: float) -> None:
    plan = plan_model(recipe(shipped=wheels.SPEECH_ENCODER), CPU, precision, ratio)
    assert not plan.untouched


@pytest.mark.parametrize("preset", PRESETS.values(), ids=list(PRESETS))
def test_a_precision_falls_back_to_those_below_it(preset: Preset) -> None:
    assert plan_model(recipe(), preset, "int8", 0.0).precisions == ("int8", "fp16", "fp32")
    assert plan_model(recipe(), preset, "fp16", 0.0).precisions == ("fp16", "fp32")
    assert plan_model(recipe(), preset, "fp32", 0.0).precisions == ("fp32",)


def test_auto_compares_all_and_a_named_precision_does_not() -> None:
    assert plan_model(recipe(), CPU, "auto", 0.0).compare_all
    assert not plan_model(recipe(), CPU, "int8", 0.0).compare_all


def test_what_a_recipe_forbids_is_said() -> None:
    plan = plan_model(recipe(pruning=None, quantization=None), CPU, "int8", 0.3)
    assert plan.ratio == 0.0
    assert plan.precisions == ("fp16", "fp32")
    assert len(plan.reasons) == 2
    assert plan_model(recipe(quantization=Quantization()), CPU, "int8", 0.3).reasons == ()


@pytest.mark.parametrize("ratio", [-0.1, 0.76, float("nan")])
def test_ratios_out_of_range_are_refused(ratio: float) -> None:
    with pytest.raises(UsageError, match="--prune"):
        plan_model(recipe(), CPU, None, ratio)


def test_an_unknown_preset_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="cpu, jetson-orin, jetson-thor, rtx, server"):
        preset_named("orin")
