"""What an export is asked to do: presets for kinds of robots, and the plan for each model.

A preset says in what form models go to a robot; a recipe (:mod:`deixis.export.recipes`) what may be
done to a model. The plan joins them, with what pruning is predicted to leave, before anything long
is begun.

    python -c "from deixis.export.plan import PRESETS; print(*PRESETS)"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from deixis.export.recipes.recipe import Recipe
from deixis.runtime.errors import UsageError

Precision = Literal["fp32", "fp16", "int8", "auto"]
WALK: tuple[Precision, ...] = ("int8", "fp16", "fp32")
"""What ``auto`` tries, and what a precision that misses its floor falls back to."""
MAX_RATIO = 0.75


@dataclass(frozen=True)
class Preset:
    """In what form models go to one kind of robot.

    Attributes:
        name: as ``--preset`` takes it.
        robot: what it is for, in words.
        backend: the engine that the files are emitted for.
        emission: ``cpu`` (INT8 with uint8 activations; FP16 is how weights are stored, computed in
            FP32) or ``tensorrt`` (INT8 with zero point 0; FP16 is computed in FP16).
        precision: where none is asked for.
        compute_capabilities: the GPUs that engines are built for, as a proof, where TensorRT-RTX is
            installed; it builds for 8.0, 8.6, 8.9, 12.0 and 12.1 only, so for a Jetson the nearest.
    """

    name: str
    robot: str
    backend: str
    emission: Literal["cpu", "tensorrt"]
    precision: Precision
    compute_capabilities: tuple[tuple[int, int], ...] = ()


PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            name="cpu",
            robot="any CPU, x86-64 or aarch64",
            backend="onnxruntime-cpu",
            emission="cpu",
            precision="fp32",
        ),
        Preset(
            name="jetson-orin",
            robot="Jetson Orin, JetPack 6 and 7 (TensorRT 10.3 and later)",
            backend="tensorrt",
            emission="tensorrt",
            precision="auto",
            compute_capabilities=((8, 6),),
        ),
        Preset(
            name="jetson-thor",
            robot="Jetson Thor, JetPack 7 (TensorRT 10.13 and later)",
            backend="tensorrt",
            emission="tensorrt",
            precision="auto",
            compute_capabilities=((12, 0),),
        ),
        Preset(
            name="rtx",
            robot="a PC with a GeForce or RTX card of 2018 or later (TensorRT-RTX)",
            backend="tensorrt-rtx",
            emission="tensorrt",
            precision="auto",
            compute_capabilities=((8, 6), (8, 9), (12, 0)),
        ),
        Preset(
            name="server",
            robot="a data-centre GPU (TensorRT 10.3 and later)",
            backend="tensorrt",
            emission="tensorrt",
            precision="auto",
            compute_capabilities=((8, 0),),
        ),
    )
}


@dataclass(frozen=True)
class ModelPlan:
    """What is to be done to one model.

    Attributes:
        recipe: the model's.
        ratio: mean share of channels to remove, 0 where it is not pruned.
        precisions: what is tried, best first.
        compare_all: all of them are tried and the fastest that holds is taken, not the first.
        untouched: nothing was asked of the model: it is packed as it is shipped, or in FP32, and
            there is nothing to judge.
        reasons: why it differs from what was asked, in words.
    """

    recipe: Recipe
    ratio: float
    precisions: tuple[Precision, ...]
    compare_all: bool
    untouched: bool
    reasons: tuple[str, ...] = ()


def preset_named(name: str) -> Preset:
    """The preset of this name.

    Raises:
        UsageError: there is none.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise UsageError(f"there is no preset {name!r}; there are: {', '.join(PRESETS)}")
    return preset


def plan_model(
    recipe: Recipe, preset: Preset, precision: Precision | None, ratio: float
) -> ModelPlan:
    """What is to be done to one model.

    Args:
        recipe: the model's.
        preset: the robot's kind.
        precision: as asked; None: the preset's.
        ratio: as asked with ``--prune``.

    Raises:
        UsageError: the ratio is out of range.
    """
    if not 0.0 <= ratio <= MAX_RATIO:
        raise UsageError(f"--prune {ratio:g}: the share of channels is between 0 and {MAX_RATIO:g}")
    asked = precision or preset.precision
    precisions = WALK if asked == "auto" else WALK[WALK.index(asked) :]
    reasons = []
    if ratio > 0 and recipe.pruning is None:
        reasons.append("not pruned: its recipe does not allow it")
    if recipe.quantization is None and precisions[0] == "int8":
        reasons.append("not in INT8: its recipe does not allow it")
        precisions = precisions[1:]
    ratio = ratio if recipe.pruning is not None else 0.0
    untouched = precision is None and ratio == 0.0 and precisions == ("fp32",)
    return ModelPlan(recipe, ratio, precisions, asked == "auto", untouched, tuple(reasons))
