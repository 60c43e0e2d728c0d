"""Engines run the models of a bundle; every backend keeps the same small contract.

``open_engine`` gives a ready engine: ``specs`` says what goes in and out, ``infer`` maps arrays by
name to arrays by name, ``close`` releases it. ONNX Runtime on the CPU is the default and the
reference that every other backend is compared with.

    engine = open_engine(bundle, "hand_landmarks")
    outputs = engine.infer({"image": crop})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.bundle import Bundle
from deixis.runtime.errors import EngineError

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Name, numpy dtype and shape (None for a dynamic dimension) of an input or output."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class EngineSpecs:
    """Inputs and outputs of an engine."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Engine(Protocol):
    """A compiled model that can be run."""

    @property
    def specs(self) -> EngineSpecs:
        """Inputs and outputs."""
        ...

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            inputs: Array per input name, with the dtypes and shapes of ``specs``.

        Returns:
            Array per output name; valid until the next call.

        Raises:
            EngineError: A wrong input, or the backend failed.
        """
        ...

    def close(self) -> None:
        """Release the model."""
        ...


def open_model(path: Path, backend: str = "onnxruntime-cpu", threads: int = 1) -> Engine:
    """Open a model file.

    Args:
        path: ONNX or ORT file.
        backend: Name of the backend.
        threads: Threads within one operator.

    Raises:
        EngineError: Unknown backend, or it cannot read the file.
    """
    if backend == "onnxruntime-cpu":
        from deixis.runtime.engines.onnxruntime_cpu import OnnxRuntimeCpu

        return OnnxRuntimeCpu(path, threads=threads)
    raise EngineError(f"unknown backend {backend!r}", hint="backends: onnxruntime-cpu")


def open_engine(
    bundle: Bundle, role: str, backend: str = "onnxruntime-cpu", threads: int = 1
) -> Engine:
    """Open the model of a bundle that has this role; see :func:`open_model`.

    Raises:
        BundleError: The bundle has no such model.
        EngineError: Unknown backend, or it cannot read the model.
    """
    return open_model(bundle.model_path(role), backend=backend, threads=threads)
