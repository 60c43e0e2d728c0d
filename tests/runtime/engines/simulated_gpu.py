"""A GPU made of host memory: what an engine's runner needs of CUDA and TensorRT, with their rules.

It shows that the runner lays its memory out right, feeds and reads it right for every shape, and
obeys the rules for graphs. It says nothing of the real libraries.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from deixis.runtime.engines import EngineSpecs, TensorSpec
from deixis.runtime.errors import EngineError

SPECS = EngineSpecs(
    inputs=(
        TensorSpec("x", np.dtype(np.float32), (None, 4)),
        TensorSpec("k", np.dtype(np.int64), (1,)),
    ),
    outputs=(
        TensorSpec("y", np.dtype(np.float32), (None, 4)),
        TensorSpec("positive", np.dtype(np.bool_), (None, 4)),
    ),
)
STATIC = EngineSpecs(
    inputs=tuple(TensorSpec(s.name, s.dtype, tuple(n or 2 for n in s.shape)) for s in SPECS.inputs),
    outputs=SPECS.outputs,
)
LONGEST = {"x": ((1, 4), (2, 4), (16, 4)), "k": ((1,), (1,), (1,))}


class SimulatedCuda:
    """Memory at real addresses; work is enqueued and runs when waited for."""

    def __init__(self, has_graphs: bool = True) -> None:
        self.has_graphs = has_graphs
        self.stream = 7
        self.queue: list[Callable[[], None]] = []
        self.kept: list[np.ndarray] = []
        self.allocations = 0
        self.launches = 0
        self.can_capture = True

    def activate(self) -> None: ...

    def device(self, size: int) -> int:
        return int(self.pinned(size).ctypes.data)

    def pinned(self, size: int) -> np.ndarray:
        self.allocations += 1
        # What is not written must not look like an answer.
        self.kept.append(np.full(size, 255, np.uint8))
        return self.kept[-1]

    def upload(self, device: int, host: np.ndarray) -> None:
        self._copy(device, host.ctypes.data, host)

    def download(self, host: np.ndarray, device: int) -> None:
        self._copy(host.ctypes.data, device, host)

    def _copy(self, to: int, source: int, host: np.ndarray) -> None:
        assert host.flags.c_contiguous
        assert any(host.base is not None and np.shares_memory(host, k) for k in self.kept)
        self.queue.append(lambda: ctypes.memmove(to, source, host.nbytes) and None)

    def capture(self, work: Callable[[], None]) -> Any:
        assert not self.queue, "captured while work was pending"
        work()
        graph, self.queue = self.queue, []
        if not self.can_capture:
            raise EngineError("CUDA's cudaStreamEndCapture failed")
        return graph

    def launch(self, graph: Any) -> None:
        self.launches += 1
        self.queue.extend(graph)

    def synchronize(self) -> None:
        for work in self.queue:
            work()
        self.queue = []

    def close(self) -> None:
        self.kept.clear()


class SimulatedContext:
    """Computes ``y = x · k``, ``positive = y > 0`` at whatever addresses it was given."""

    def __init__(self, cuda: SimulatedCuda) -> None:
        self.cuda = cuda
        self.shapes = {"x": (-1, 4), "k": (1,)}
        self.addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.shapes[name] = shape
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return self.shapes["k"] if name == "k" else self.shapes["x"]

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def get_max_output_size(self, name: str) -> int:
        return int(np.prod(self.shapes["x"])) * (4 if name == "y" else 1)

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == self.cuda.stream
        # A graph keeps what the context was when it was captured.
        shape, addresses = self.shapes["x"], dict(self.addresses)

        def work() -> None:
            def at(name: str, kind: Any, size: int) -> np.ndarray:
                pointer = ctypes.cast(addresses[name], ctypes.POINTER(kind))
                return np.ctypeslib.as_array(pointer, (size,))

            n = int(np.prod(shape))
            y = at("x", ctypes.c_float, n) * at("k", ctypes.c_int64, 1)
            at("y", ctypes.c_float, n)[:] = y
            at("positive", ctypes.c_uint8, n)[:] = y > 0

        self.cuda.queue.append(work)
        return True


class SimulatedTensorRt:
    """Hands out contexts and counts them."""

    def __init__(self, cuda: SimulatedCuda, specs: EngineSpecs, captures_graphs: bool) -> None:
        self.cuda = cuda
        self._specs = specs
        self.captures_graphs = captures_graphs
        self.is_rtx = captures_graphs
        self.contexts = 0

    def engine(self) -> Any:
        return SimpleNamespace(get_tensor_profile_shape=lambda name, index: self._profile(name))

    def _profile(self, name: str) -> tuple[tuple[int, ...], ...]:
        static = next(s.shape for s in self._specs.inputs if s.name == name)
        return LONGEST[name] if None in static else (static,) * 3  # type: ignore[return-value]

    def specs(self, engine: Any) -> EngineSpecs:
        return self._specs

    def kernel_cache(self, engine: Any, kept: bytes) -> Any:
        return SimpleNamespace(serialize=lambda: kept + b"!") if self.is_rtx else None

    def context(self, engine: Any, kernels: Any = None) -> SimulatedContext:
        self.contexts += 1
        return SimulatedContext(self.cuda)
