"""A model that the user brings: an ONNX file, a metric, a folder to calibrate on.

The metric is a function in a file of the user's. It gets something to run the model with and the
files that were held out (one in three of the folder's), and gives percent, more is better. The same
file may say how the folder's files become the model's inputs; else they are ``.npz`` files with an
array an input, or pictures.

    deixis export detector.onnx --task my_metric.py:metric --calib pictures --precision int8
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

from deixis.export.cache import digest
from deixis.export.recipes.recipe import Inputs, Quantization, Recipe, Task
from deixis.export.samples import HELD_OUT_EVERY, Samples
from deixis.export.sources import Source
from deixis.runtime.engines import Engine, TensorSpec, open_model
from deixis.runtime.errors import ExportError, UsageError

PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")

Run = Callable[[Inputs], Inputs]
"""What a metric runs the model with: arrays by input name → arrays by output name."""


@dataclass(frozen=True)
class OwnSources:
    """The files of the user's folder: one in three is held out."""

    files: tuple[Path, ...]

    @classmethod
    def of(cls, folder: Path) -> OwnSources:
        """All files below a folder.

        Raises:
            ExportError: there are too few.
        """
        files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")
        if len(files) < HELD_OUT_EVERY:
            raise ExportError(
                f"{folder} has {len(files)} files; one in {HELD_OUT_EVERY} is held out to judge "
                f"the model on, so there must be {HELD_OUT_EVERY} or more",
                hint="name a folder of recorded inputs with --calib",
            )
        return cls(tuple(files))

    def train(self) -> Source:
        """What is calibrated on."""
        return _source(f for i, f in enumerate(self.files) if (i + 1) % HELD_OUT_EVERY)

    def held_out(self) -> Source:
        """What the variants are judged on."""
        return _source(f for i, f in enumerate(self.files) if not (i + 1) % HELD_OUT_EVERY)

    def everything(self) -> Source:
        """All files."""
        return _source(self.files)

    @property
    def hash(self) -> str:
        """Of all files."""
        return self.everything().hash


def own_recipe(model: Path, task: str, points: float) -> Recipe:
    """A recipe for a file: nothing is pruned, everything that may be is put into INT8.

    Args:
        model: an ONNX file in FP32.
        task: ``FILE.py:FUNCTION``.
        points: how many points of the metric a variant may lose.

    Raises:
        UsageError: there is no such file or function.
        ExportError: the file is not a model.
    """
    if not model.is_file():
        raise UsageError(f"there is no model at {model}")
    file, _, function = task.partition(":")
    module = _load(Path(file))
    metric = getattr(module, function or "metric", None)
    if not callable(metric):
        raise UsageError(f"{file} has no function {function or 'metric'!r}")
    engine = open_model(model)
    specs = engine.specs.inputs
    engine.close()
    make = getattr(module, "inputs", None) or partial(read_inputs, specs)
    return Recipe(
        role=model.stem,
        source=model,
        network=None,
        parity=None,
        inputs=lambda wheel_folder, samples: _inputs(make, samples.episodes, model),
        timed_on="one input",
        task=Task(
            name=(metric.__doc__ or function or "metric").strip().splitlines()[0].rstrip("."),
            points=points,
            prepare=lambda wheel_folder, samples: samples.episodes,
            score=partial(_score, metric, task),
            n=len,
        ),
        quantization=Quantization(),
        owner="user",
    )


def read_inputs(specs: Sequence[TensorSpec], files: Iterable[Path]) -> list[Inputs]:
    """Recorded inputs: ``.npz`` files with an array an input, or pictures.

    A picture becomes float32 RGB, 0..1, stretched to the size of the model's one input [N,3,H,W].

    Args:
        specs: the model's inputs.
        files: others than these are passed over.
    """
    found: list[Inputs] = []
    for file in files:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as arrays:
                found.append({name: arrays[name] for name in arrays.files})
        elif file.suffix.lower() in PICTURES:
            found.append({specs[0].name: _picture(file, specs)})
    return found


def _picture(file: Path, specs: Sequence[TensorSpec]) -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = specs[0].shape
    if len(specs) != 1 or len(shape) != 4 or shape[1] != 3 or None in shape[2:]:
        raise ExportError(
            f"pictures do not fit the model's inputs {[(s.name, s.shape) for s in specs]}",
            hint="give .npz files, or a function inputs(files) in the metric's file",
        )
    picture = cv2.imread(str(file))
    if picture is None:
        raise ExportError(f"cannot read {file} as a picture")
    blob = cv2.dnn.blobFromImage(picture, 1 / 255, (shape[3] or 0, shape[2] or 0), swapRB=True)
    return np.asarray(blob, np.float32)


def _inputs(
    make: Callable[..., Iterable[Inputs]], files: Sequence[Path], model: Path
) -> list[Inputs]:
    found = list(make(files))
    if not found:
        raise ExportError(
            f"no recorded inputs for {model.name} in {len(files)} files",
            hint="give .npz files or pictures, or a function inputs(files) in the metric's file",
        )
    return found


def _score(metric: Callable[..., float], task: str, engine: Engine, files: Sequence[Path]) -> float:
    value = float(metric(engine.infer, list(files)))
    if not 0.0 <= value <= 100.0:
        raise ExportError(
            f"{task} gives {value:g}; a metric is percent, between 0 and 100, more is better"
        )
    return value


def _load(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"deixis_task_{file.stem}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise UsageError(f"there is no Python file {file}", hint="--task FILE.py:FUNCTION")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _source(files: Iterable[Path]) -> Source:
    chosen = tuple(files)
    return Source(Samples((), np.zeros(0, np.float32), episodes=chosen), digest(*chosen))
