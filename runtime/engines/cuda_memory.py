"""One stream with its device and pinned host memory, over cuda-python or pycuda.

An engine allocates at its start and copies and launches afterwards. cuda-python (its
``cuda.bindings.runtime``, 12.6 to 13) is preferred; pycuda serves where that is what an image has
(it must be built where the CUDA headers are), without CUDA graphs, which it does not offer.

Not run on a GPU yet: the calls follow the CUDA runtime API and the packages' documentation; what
they answer without a driver was tried with cuda-python 12.6.2 and 13.4.4.

    memory = open_cuda()
    host = memory.pinned(1024)
    device = memory.device(1024)
    memory.upload(device, host)
    memory.synchronize()
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.engines import Array
from deixis.runtime.engines.gpu import no_driver
from deixis.runtime.errors import EngineError

Bytes = NDArray[np.uint8]

HINT = "pip install 'cuda-python>=12.6', or pycuda where the CUDA headers are"
_INSUFFICIENT_DRIVER = 35


class Cuda(Protocol):
    """One stream and the memory that goes with it; released together by ``close``."""

    stream: int
    """Its handle."""
    has_graphs: bool
    """Whether ``capture`` can be used."""

    def activate(self) -> None:
        """Make the GPU current in this thread; first in every call from outside."""

    def device(self, size: int) -> int:
        """Address of ``size`` new bytes on the device."""

    def pinned(self, size: int) -> Bytes:
        """``size`` new bytes of pinned host memory, uint8 ``(size,)``."""

    def upload(self, device: int, host: Array) -> None:
        """Enqueue a copy of contiguous pinned memory to the device."""

    def download(self, host: Array, device: int) -> None:
        """Enqueue a copy from the device into contiguous pinned memory."""

    def capture(self, work: Callable[[], None]) -> Any:
        """What ``work`` enqueues, as a graph for ``launch``; it does not run yet."""

    def launch(self, graph: Any) -> None:
        """Enqueue a captured graph."""

    def synchronize(self) -> None:
        """Wait until all that was enqueued is done."""

    def close(self) -> None:
        """Release the memory, the graphs and the stream."""


def open_cuda() -> Cuda:
    """A new stream, with whichever package is here.

    Raises:
        EngineError: Neither package is here, or there is no driver.
    """
    _, module, open_stream = _find()
    return open_stream(module)


def binding() -> str:
    """Name of the package that :func:`open_cuda` uses: ``cuda-python`` or ``pycuda``.

    Raises:
        EngineError: Neither is here.
    """
    return _find()[0]


def _find() -> tuple[str, Any, Callable[[Any], Cuda]]:
    for name, module, open_stream in _BINDINGS:
        try:
            return name, import_module(module), open_stream
        except ImportError:
            continue
    raise EngineError("neither cuda-python nor pycuda is installed", hint=HINT)


class CudaPython:
    """A stream through cuda-python; see :class:`Cuda`."""

    has_graphs = True

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._devices: list[int] = []
        self._hosts: list[int] = []
        self._graphs: list[Any] = []
        # Blocking streams would wait for the default stream, and so for other models.
        self._stream = self._call("cudaStreamCreateWithFlags", runtime.cudaStreamNonBlocking)
        self.stream = int(self._stream)

    def activate(self) -> None:
        """The runtime's device is current in every thread."""

    def device(self, size: int) -> int:
        """See :meth:`Cuda.device`."""
        address = int(self._call("cudaMalloc", max(size, 1)))
        self._devices.append(address)
        return address

    def pinned(self, size: int) -> Bytes:
        """See :meth:`Cuda.pinned`."""
        address = int(self._call("cudaMallocHost", max(size, 1)))
        self._hosts.append(address)
        return np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))

    def upload(self, device: int, host: Array) -> None:
        """See :meth:`Cuda.upload`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._call("cudaMemcpyAsync", device, host.ctypes.data, host.nbytes, kind, self._stream)

    def download(self, host: Array, device: int) -> None:
        """See :meth:`Cuda.download`."""
        kind = self._runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._call("cudaMemcpyAsync", host.ctypes.data, device, host.nbytes, kind, self._stream)

    def capture(self, work: Callable[[], None]) -> Any:
        """See :meth:`Cuda.capture`."""
        # Thread-local: models in other threads go on allocating meanwhile.
        mode = self._runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        self._call("cudaStreamBeginCapture", self._stream, mode)
        try:
            work()
        finally:
            # It must end whatever happened, or the stream stays unusable.
            graph = self._call("cudaStreamEndCapture", self._stream)
        try:
            executable = self._call("cudaGraphInstantiate", graph, 0)
        finally:
            self._call("cudaGraphDestroy", graph)
        self._graphs.append(executable)
        return executable

    def launch(self, graph: Any) -> None:
        """See :meth:`Cuda.launch`."""
        self._call("cudaGraphLaunch", graph, self._stream)

    def synchronize(self) -> None:
        """See :meth:`Cuda.synchronize`."""
        self._call("cudaStreamSynchronize", self._stream)

    def close(self) -> None:
        """See :meth:`Cuda.close`."""
        for graph in self._graphs:
            self._call("cudaGraphExecDestroy", graph)
        for address in self._devices:
            self._call("cudaFree", address)
        for address in self._hosts:
            self._call("cudaFreeHost", address)
        self._call("cudaStreamDestroy", self._stream)
        self._graphs, self._devices, self._hosts = [], [], []

    def _call(self, name: str, *args: Any) -> Any:
        """Call the runtime: its one result, or None.

        Raises:
            EngineError: It failed; without a driver with what to do about it.
        """
        try:
            status, *results = getattr(self._runtime, name)(*args)
        # Without libcuda.so.1: 12.6 raises RuntimeError, 13 also DynamicLibNotFoundError (its
        # subclass) where it does not answer with error 35.
        except RuntimeError as cause:
            raise no_driver(str(cause)) from None
        if int(status) == _INSUFFICIENT_DRIVER:
            raise no_driver(f"{name} answers error 35: none, or older than this CUDA")
        if int(status):
            raise EngineError(f"CUDA's {name} failed: {status.name} ({int(status)})")
        return results[0] if results else None


class PyCuda:
    """A stream through pycuda; see :class:`Cuda`. It has no graphs."""

    has_graphs = False

    def __init__(self, driver: Any) -> None:
        self._driver = driver
        try:
            driver.init()
            # TensorRT works in the primary context, as everything over the CUDA runtime does.
            self._context = driver.Device(0).retain_primary_context()
        except driver.Error as cause:
            raise no_driver(str(cause)) from None
        self._thread = -1
        self.activate()
        self._stream = driver.Stream()
        self.stream = int(self._stream.handle)
        self._devices: list[Any] = []

    def activate(self) -> None:
        """See :meth:`Cuda.activate`."""
        if threading.get_ident() != self._thread:
            self._context.push()
            self._thread = threading.get_ident()

    def device(self, size: int) -> int:
        """See :meth:`Cuda.device`."""
        allocation = self._driver.mem_alloc(max(size, 1))
        self._devices.append(allocation)
        return int(allocation)

    def pinned(self, size: int) -> Bytes:
        """See :meth:`Cuda.pinned`."""
        memory: Bytes = self._driver.pagelocked_empty(max(size, 1), np.uint8)[:size]
        return memory

    def upload(self, device: int, host: Array) -> None:
        """See :meth:`Cuda.upload`."""
        self._driver.memcpy_htod_async(device, host, self._stream)

    def download(self, host: Array, device: int) -> None:
        """See :meth:`Cuda.download`."""
        self._driver.memcpy_dtoh_async(host, device, self._stream)

    def capture(self, work: Callable[[], None]) -> Any:
        """Pycuda has no graphs."""
        raise EngineError("pycuda has no CUDA graphs", hint="pip install 'cuda-python>=12.6'")

    def launch(self, graph: Any) -> None:
        """Pycuda has no graphs."""
        raise EngineError("pycuda has no CUDA graphs", hint="pip install 'cuda-python>=12.6'")

    def synchronize(self) -> None:
        """See :meth:`Cuda.synchronize`."""
        self._stream.synchronize()

    def close(self) -> None:
        """See :meth:`Cuda.close`."""
        self.activate()
        for allocation in self._devices:
            allocation.free()
        self._devices = []
        self._context.pop()


_BINDINGS: tuple[tuple[str, str, Callable[[Any], Cuda]], ...] = (
    ("cuda-python", "cuda.bindings.runtime", CudaPython),
    ("pycuda", "pycuda.driver", PyCuda),
)
