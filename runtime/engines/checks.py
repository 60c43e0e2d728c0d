"""Checks what goes into a model, the same for every backend, before any backend sees it.

A backend's own message is about buffers and bindings, and none of them minds a NaN, which then
comes out as a hand in the corner of the picture. The check for it reads the input once: 15 µs for
a picture of 3×224×224, against milliseconds of inference.

    check = InputCheck("hand_landmarks.onnx", engine.specs)
    check({"image": crop})
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from deixis.runtime.config import nearest
from deixis.runtime.engines import Array, EngineSpecs, TensorSpec
from deixis.runtime.errors import EngineError


class InputCheck:
    """Refuses inputs that are not what a model takes.

    Args:
        model: name of the model, for messages.
        specs: what it takes.
    """

    def __init__(self, model: str, specs: EngineSpecs) -> None:
        self._model = model
        self._specs = tuple(
            (spec, None in spec.shape, bool(np.issubdtype(spec.dtype, np.floating)))
            for spec in specs.inputs
        )
        self._names = {spec.name for spec in specs.inputs}

    def __call__(self, inputs: Mapping[str, Array]) -> None:
        """Check one call's inputs.

        Raises:
            EngineError: Naming the model, the input, what it got and what it takes.
        """
        if inputs.keys() != self._names:
            raise self._wrong_names(inputs)
        for spec, dynamic, floating in self._specs:
            value = inputs[spec.name]
            if not isinstance(value, np.ndarray):
                raise self._wrong(spec, f"a {type(value).__name__}")
            if value.dtype != spec.dtype or not (
                _fits(value.shape, spec.shape) if dynamic else value.shape == spec.shape
            ):
                raise self._wrong(spec, f"{value.dtype} {_by(value.shape)}")
            if floating and not np.isfinite(value).all():
                raise self._not_finite(spec, value)

    def _wrong(self, spec: TensorSpec, got: str) -> EngineError:
        return EngineError(
            f"{self._model}: input {spec.name!r} is {got}, must be {spec.dtype} {_by(spec.shape)}"
        )

    def _wrong_names(self, inputs: Mapping[str, Array]) -> EngineError:
        wanted = sorted(self._names)
        hint = f"inputs: {', '.join(wanted)}"
        unknown = sorted(inputs.keys() - self._names)
        if unknown:
            text = f"has no input {unknown[0]!r}{nearest(unknown[0], wanted)}"
        else:
            text = f"lacks its input {sorted(self._names - inputs.keys())[0]!r}"
        return EngineError(f"{self._model} {text}", hint=hint)

    def _not_finite(self, spec: TensorSpec, value: Array) -> EngineError:
        bad = ~np.isfinite(value)
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        return EngineError(
            f"{self._model}: input {spec.name!r} has {int(bad.sum())} of {value.size} values that "
            f"are not finite, first {value[first]} at {list(first)}; must be finite",
            hint="the model is not at fault: look at what makes this input (a division by zero, a "
            "logarithm of zero, a buffer that was never written)",
        )


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        want is None or have == want for have, want in zip(shape, wanted, strict=True)
    )


def _by(shape: tuple[int | None, ...]) -> str:
    """``1×3×224×224``; ``any`` for a dimension that may have any length."""
    return "×".join("any" if n is None else str(n) for n in shape) or "scalar"
