"""Engines run the models of a bundle; every backend keeps the same small contract.

``open_engine`` gives a ready engine: ``specs`` says what goes in and out, ``infer`` maps arrays by
name to arrays by name, ``close`` releases it. ONNX Runtime on the CPU is the default and the
reference that every other backend is compared with. No backend falls back to another one: what
cannot be used here says why, in :func:`backends` and when it is opened.

    engine = open_engine(bundle, "hand_landmarks")
    outputs = engine.infer({"image": crop})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.bundle import Bundle
from deixis.runtime.config import nearest
from deixis.runtime.errors import EngineError

Array = NDArray[Any]
Note = Callable[[str], None]
"""Called with what is not as it could be (a rebuilt engine, operators on the CPU); goes on."""
Progress = Callable[[str, int, int], None]
"""Called while an engine is built: the phase, steps done, steps in all."""

BACKENDS = {
    "onnxruntime-cpu": "onnxruntime_cpu",
    "onnxruntime-cuda": "onnxruntime_gpu",
    "onnxruntime-tensorrt": "onnxruntime_gpu",
    "tensorrt": "tensorrt_run",
    "tensorrt-rtx": "tensorrt_run",
}
"""Names of the backends → the module of this package that has each."""
DEFAULT_BACKEND = "onnxruntime-cpu"


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


@dataclass(frozen=True, slots=True)
class BackendState:
    """Whether a backend can be used on this machine.

    Attributes:
        name: a key of :data:`BACKENDS`.
        usable: whether an engine can be opened with it.
        detail: what runs it, or why it cannot be used.
        hint: how to get it, where it cannot be used.
    """

    name: str
    usable: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """How to open a model.

    Attributes:
        threads: threads within one operator, on a CPU.
        note: hears what is not as it could be.
        progress: hears of a build as it goes on.
    """

    threads: int
    note: Note
    progress: Progress


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
            EngineError: An input is missing, unknown, of a wrong dtype or shape, or not finite; or
                the backend failed.
        """
        ...

    def close(self) -> None:
        """Release the model."""
        ...


def backends() -> tuple[BackendState, ...]:
    """Every backend, and whether it can be used here."""
    return tuple(_module(name).state(name) for name in BACKENDS)


def open_model(
    path: Path,
    backend: str = DEFAULT_BACKEND,
    threads: int = 1,
    note: Note | None = None,
    progress: Progress | None = None,
) -> Engine:
    """Open a model file.

    Args:
        path: ONNX file (ONNX Runtime also reads its own ORT files).
        backend: A key of :data:`BACKENDS`.
        threads: Threads within one operator, on a CPU.
        note: Hears what is not as it could be.
        progress: Hears of the engine's build, where the backend builds one (minutes on a robot, at
            the first time only).

    Raises:
        EngineError: Unknown backend, it cannot be used here, or it cannot read the file.
    """
    if backend not in BACKENDS:
        known = list(BACKENDS)
        raise EngineError(
            f"unknown backend {backend!r}{nearest(backend, known)}",
            hint=f"backends: {', '.join(known)}",
        )
    if not path.is_file():
        raise EngineError(f"there is no model at {path}")
    options = Options(threads, note or _unheard, progress or _unheard)
    engine: Engine = _module(backend).open_file(path, backend, options)
    return engine


def open_engine(
    bundle: Bundle,
    role: str,
    backend: str | None = None,
    threads: int = 1,
    note: Note | None = None,
    progress: Progress | None = None,
) -> Engine:
    """Open the model of a bundle that has this role; see :func:`open_model`.

    Args:
        bundle: The bundle.
        role: The model's.
        backend: Default: what the bundle's file was emitted for.
        threads: Threads within one operator, on a CPU.
        note: Hears what is not as it could be.
        progress: Hears of the engine's build.

    Raises:
        BundleError: The bundle has no such model.
        EngineError: Unknown backend, it cannot be used here, or it cannot read the model.
    """
    backend = backend or bundle.model(role).backend
    return open_model(bundle.model_path(role), backend, threads, note, progress)


def _unheard(*_: object) -> None:
    """Nobody listens."""


def _module(backend: str) -> Any:
    """The module of a backend: it has ``state(name)`` and ``open_file(path, name, options)``."""
    return import_module(f"{__name__}.{BACKENDS[backend]}")
