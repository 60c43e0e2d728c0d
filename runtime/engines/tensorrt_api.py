"""TensorRT 10.3 to 11.x and TensorRT-RTX 1.x behind one small class; all differences are here.

| | TensorRT 10.3–10.16 | 11.x | TensorRT-RTX 1.x |
|---|---|---|---|
| module | ``tensorrt`` | ``tensorrt`` | ``tensorrt_rtx`` |
| explicit batch | flag, ignored since 10.0 | no flag | no flag |
| strongly typed | flag, value 1 | always; flag, ignored | always; flag, value 0 |
| FP16, INT8 flags | there, not used | gone | gone |
| chosen GPU | the one that is there | the same | compute capabilities, no GPU needed |
| what a build keeps | timing cache | timing cache | no-op; kernels are made at run time and kept |
| CUDA graphs | captured by the caller | the same | ``cuda_graph_strategy`` |

Networks are always strongly typed: precision is what the ONNX file says, with Q/DQ pairs for INT8.
That is the one way that all of these versions share.

Run with tensorrt-rtx 1.7.1.116 (parse, build, refusals, loading without a driver). Of TensorRT
10.3.0, 10.13.3, 10.16.1 and 11.4.0 the names and signatures used here were checked against their
published Python bindings; nothing was run, for the libraries and a GPU were not at hand.

    trt = load_tensorrt("tensorrt-rtx")
    parsed = trt.parse(model)
    plan = trt.build(parsed, profile, compute_capability=(8, 6)).plan
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from deixis.runtime.engines import EngineSpecs, Progress, TensorSpec
from deixis.runtime.engines.tensorrt_listeners import make_log, make_monitor
from deixis.runtime.errors import EngineError

Shape = tuple[int, ...]
Profile = Mapping[str, tuple[Shape, Shape, Shape]]
"""Input with dynamic axes → its shortest, likeliest and longest shape."""

_MODULES = {"tensorrt": "tensorrt", "tensorrt-rtx": "tensorrt_rtx"}
_HINTS = {
    "tensorrt": "on a Jetson: sudo apt install python3-libnvinfer, and a virtual environment with "
    "--system-site-packages; elsewhere: pip install 'deixis[tensorrt]'",
    "tensorrt-rtx": "pip install 'deixis[rtx]' (x86-64 with an RTX GPU, 7.5 or later)",
}
_DTYPES = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}
_MOST_NODES = 3
"""Of several refused nodes, this many are put into a message."""


@dataclass(frozen=True)
class Input:
    """One input of a network: -1 and a symbolic name (``None`` elsewhere) for dynamic axes."""

    name: str
    shape: Shape
    symbols: tuple[str | None, ...]


@dataclass(frozen=True)
class Parsed:
    """A network that TensorRT has read, with what must outlive it."""

    builder: Any
    network: Any
    parser: Any
    inputs: tuple[Input, ...]


@dataclass(frozen=True)
class Built:
    """A serialized engine, and the timings to keep for the next build (empty with RTX)."""

    plan: bytes
    timings: bytes


class RefusedError(EngineError):
    """TensorRT does not take a model; the message names the nodes."""


@cache
def load_tensorrt(backend: str) -> TensorRt:
    """TensorRT or TensorRT-RTX, as installed.

    Args:
        backend: ``tensorrt`` or ``tensorrt-rtx``.

    Raises:
        EngineError: It is not installed, cannot be loaded, or is older than 10.3.
    """
    name = _MODULES[backend]
    try:
        module = import_module(name)
    except ModuleNotFoundError as cause:
        if cause.name not in (name, f"{name}_bindings"):
            raise
        raise EngineError(f"{name} is not installed", hint=_HINTS[backend]) from None
    # A library that its wheel did not bring, or one of another CUDA version.
    except (ImportError, OSError) as cause:
        raise EngineError(f"{name} cannot be loaded: {cause}", hint=_HINTS[backend]) from None
    version = tuple(int(part) for part in module.__version__.split(".")[:2])
    if backend == "tensorrt" and version < (10, 3):
        raise EngineError(
            f"TensorRT {module.__version__} is too old: 10.3 is the first that is supported",
            hint="JetPack 6.2 has 10.3",
        )
    return TensorRt(module, is_rtx=backend == "tensorrt-rtx")


class TensorRt:
    """One TensorRT; use :func:`load_tensorrt`.

    Attributes:
        version: ``TensorRT 10.3.0``, ``TensorRT-RTX 1.7.1.116``.
        captures_graphs: whether it captures CUDA graphs by itself.
    """

    def __init__(self, module: Any, is_rtx: bool) -> None:
        self._trt = module
        self._log = make_log(module)
        self._runtime: Any = None
        self.is_rtx = is_rtx
        self.version = f"TensorRT{'-RTX' * is_rtx} {module.__version__}"
        self.captures_graphs = is_rtx

    def parse(self, model: bytes) -> Parsed:
        """Read an ONNX model into a strongly typed network.

        Raises:
            RefusedError: A node is not supported; the message names it.
        """
        trt = self._trt
        self._log.clear()
        builder = trt.Builder(self._log)
        if not builder:
            raise self._failed("cannot make a builder")
        strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(strongly_typed)
        parser = trt.OnnxParser(network, self._log)
        if not parser.parse(model):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            raise RefusedError(f"{self.version} refuses the model: {_refusals(errors)}")
        # What is not ONNX at all passes for an empty network.
        if not network.num_outputs:
            raise RefusedError(f"{self.version} finds no network: this is not an ONNX model")
        tensors = [network.get_input(i) for i in range(network.num_inputs)]
        return Parsed(builder, network, parser, tuple(_input(tensor) for tensor in tensors))

    def build(
        self,
        parsed: Parsed,
        profile: Profile,
        compute_capability: tuple[int, int] | None = None,
        timings: bytes = b"",
        progress: Progress | None = None,
    ) -> Built:
        """Compile a network.

        Args:
            parsed: what :meth:`parse` gave.
            profile: the shapes of every input with dynamic axes.
            compute_capability: with RTX the architecture to build for, whether or not it is here;
                without RTX the engine is always for the GPU that is here.
            timings: of an earlier build on this GPU with this version; speeds this one up.
            progress: hears of the outermost phases.

        Raises:
            RefusedError: It cannot be built.
            EngineError: RTX has no kernels for this architecture.
        """
        self._log.clear()
        config = parsed.builder.create_builder_config()
        self._add_profile(parsed, config, profile)
        if self.is_rtx and compute_capability is not None:
            config.num_compute_capabilities = 1
            config.set_compute_capability(self._capability(compute_capability), 0)
        if not self.is_rtx:
            self._add_timings(config, timings)
        # Kept in a variable: the configuration does not keep the monitor alive.
        monitor = make_monitor(self._trt, progress) if progress else None
        if monitor is not None:
            config.progress_monitor = monitor
        plan = parsed.builder.build_serialized_network(parsed.network, config)
        if monitor is not None and monitor.interrupted is not None:
            raise monitor.interrupted
        if plan is None:
            raise RefusedError(f"{self.version} cannot build the model: {self._log.reasons()}")
        kept = b"" if self.is_rtx else bytes(config.get_timing_cache().serialize())
        return Built(bytes(plan), kept)

    def load(self, plan: bytes) -> Any:
        """An engine (``ICudaEngine``) from its serialized form.

        Raises:
            EngineError: It is of another version or GPU, is broken, or there is no driver.
        """
        self._log.clear()
        if self._runtime is None:
            self._runtime = self._trt.Runtime(self._log)
        engine = self._runtime.deserialize_cuda_engine(plan) if self._runtime else None
        if engine is None:
            raise self._failed("cannot load the engine")
        return engine

    def context(self, engine: Any, kernels: Any = None) -> Any:
        """An execution context of an engine.

        Args:
            engine: what :meth:`load` gave.
            kernels: what :meth:`kernel_cache` gave.

        Raises:
            EngineError: Memory is short, or the driver failed.
        """
        self._log.clear()
        if self.is_rtx:
            config = engine.create_runtime_config()
            # It captures by itself, and again when a kernel for the shape has been made.
            config.cuda_graph_strategy = self._trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            if kernels is not None:
                config.set_runtime_cache(kernels)
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context()
        if context is None:
            raise self._failed("cannot make an execution context")
        return context

    def kernel_cache(self, engine: Any, kept: bytes) -> Any:
        """RTX makes its kernels at run time: the cache that holds them, filled from ``kept``.

        Returns:
            An object with ``serialize()``; None without RTX.
        """
        if not self.is_rtx:
            return None
        kernels = engine.create_runtime_config().create_runtime_cache()
        # What is of another driver or version is rejected whole; the cache is then empty.
        if kept:
            kernels.deserialize(kept)
        return kernels

    def specs(self, engine: Any) -> EngineSpecs:
        """What goes into an engine and comes out of it.

        Raises:
            EngineError: It has a tensor of a type that numpy lacks, or one that lives on the host.
        """
        inputs: list[TensorSpec] = []
        outputs: list[TensorSpec] = []
        for i in range(engine.num_io_tensors):
            name = engine.get_tensor_name(i)
            dtype = _DTYPES.get(engine.get_tensor_dtype(name).name)
            if dtype is None:
                raise EngineError(f"tensor {name!r} is {engine.get_tensor_dtype(name).name}")
            if engine.is_shape_inference_io(name):
                raise EngineError(f"tensor {name!r} is a shape, which is not handled")
            shape = tuple(None if n < 0 else n for n in engine.get_tensor_shape(name))
            spec = TensorSpec(name, np.dtype(dtype), shape)
            is_input = engine.get_tensor_mode(name) == self._trt.TensorIOMode.INPUT
            (inputs if is_input else outputs).append(spec)
        return EngineSpecs(tuple(inputs), tuple(outputs))

    def capabilities(self) -> tuple[tuple[int, int], ...]:
        """Architectures that RTX can build for; empty without RTX."""
        if not self.is_rtx:
            return ()
        names = [n.removeprefix("SM") for n in self._trt.ComputeCapability.__members__]
        return tuple((int(n[:-1]), int(n[-1])) for n in names if n.isdigit())

    def _capability(self, wanted: tuple[int, int]) -> Any:
        if wanted not in self.capabilities():
            known = ", ".join(f"{major}.{minor}" for major, minor in self.capabilities())
            raise EngineError(
                f"{self.version} has no kernels for compute capability {wanted[0]}.{wanted[1]}; "
                f"it has them for {known}",
                hint="use the backend tensorrt on this GPU",
            )
        return self._trt.ComputeCapability.__members__[f"SM{wanted[0]}{wanted[1]}"]

    def _add_profile(self, parsed: Parsed, config: Any, profile: Profile) -> None:
        dynamic = [one.name for one in parsed.inputs if -1 in one.shape]
        missing = sorted(set(dynamic) - set(profile))
        if missing:
            raise EngineError(f"input {missing[0]!r} has dynamic axes and no profile")
        if not dynamic:
            return
        shapes = parsed.builder.create_optimization_profile()
        for name in dynamic:
            shapes.set_shape(name, *profile[name])
        if config.add_optimization_profile(shapes) < 0:
            raise RefusedError(f"{self.version} refuses the profile: {self._log.reasons()}")

    def _add_timings(self, config: Any, kept: bytes) -> None:
        timings = config.create_timing_cache(kept)
        # False: of another GPU or version.
        if timings is None or not config.set_timing_cache(timings, False):
            config.set_timing_cache(config.create_timing_cache(b""), False)

    def _failed(self, what: str) -> EngineError:
        return EngineError(f"{self.version} {what}: {self._log.reasons()}")


def _input(tensor: Any) -> Input:
    shape = tuple(tensor.shape)
    symbols = tuple(tensor.get_dimension_name(axis) or None for axis in range(len(shape)))
    return Input(tensor.name, shape, symbols)


def _refusals(errors: list[Any]) -> str:
    """Each refused node with its reason."""
    texts = []
    for error in errors[:_MOST_NODES]:
        node = error.node_name()
        place = f"node {node!r} ({error.node_operator()}): " if node else ""
        texts.append(place + " ".join(error.desc().split()))
    more = len(errors) - len(texts)
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "") or "no reason given"
