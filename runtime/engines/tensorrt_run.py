"""Runs TensorRT engines: memory laid out once, one stream a model, a CUDA graph for each shape.

A call copies its inputs into pinned memory, launches one graph (upload, network, download) and
waits; it allocates nothing. With TensorRT the first call of a shape runs plainly and the second is
captured, in an execution context of its own, for a graph fixes the shapes and addresses of the
context that it was captured from. TensorRT-RTX captures by itself, also again once it has made
better kernels for a shape, and is left to it.

Not run yet: it needs a GPU. It is written against the documentation of TensorRT 10.3 to 11.4
("Working with dynamic shapes", "CUDA Graphs" under performance) and of TensorRT-RTX 1.7 ("Working
with RTX CUDA Graphs", "Working with runtime cache"). Where there is a GPU,
``tests/runtime/engines/test_on_gpu.py`` compares it with the CPU and ``deixis bench engines`` times
it.

    engine = open_model(Path("hand_landmarks.onnx"), backend="tensorrt", progress=show)
    outputs = engine.infer({"image": crop})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from deixis.runtime.engines import Array, BackendState, Note, Options
from deixis.runtime.engines.checks import InputCheck
from deixis.runtime.engines.cuda_memory import Bytes, Cuda, binding, open_cuda
from deixis.runtime.engines.gpu import find_gpu
from deixis.runtime.engines.tensorrt_api import Profile, Shape, TensorRt, load_tensorrt
from deixis.runtime.engines.tensorrt_build import EngineCache, replace_file
from deixis.runtime.errors import EngineError

MOST_GRAPHS = 8
"""Shapes of one model that have a graph; each costs the memory of an execution context."""


def state(name: str) -> BackendState:
    """Whether TensorRT, a binding to CUDA and a GPU are here."""
    try:
        trt = load_tensorrt(name)
        package = binding()
        gpu = find_gpu()
    except EngineError as error:
        return BackendState(name, False, error.message, error.hint)
    if trt.is_rtx and gpu.compute_capability not in trt.capabilities():
        return BackendState(name, False, f"{trt.version} has no kernels for {gpu}")
    return BackendState(name, True, f"{trt.version}, {package}, {gpu}")


def open_file(path: Path, backend: str, options: Options) -> TensorRtEngine:
    """Open a model, building its engine if need be; see :class:`EngineCache`."""
    trt = load_tensorrt(backend)
    binding()
    plans = EngineCache(trt, find_gpu())
    kept = plans.plan_path(path)
    was_kept = kept.is_file()
    plan = plans.plan(path, options.note, options.progress)
    try:
        engine = trt.load(plan)
    except EngineError as error:
        if not was_kept:
            raise
        # It fitted by its side file and still does not load: another driver, for one.
        plan = plans.plan(path, options.note, options.progress, broken=error.message)
        engine = trt.load(plan)
    return TensorRtEngine(path, trt, engine, options.note, kept)


class TensorRtEngine:
    """A TensorRT engine, ready to run.

    Args:
        path: the model's file, for messages.
        trt: the TensorRT that loaded it.
        engine: what it loaded.
        note: hears when graphs cannot be used.
        kept: where the engine is kept; RTX keeps its kernels beside it.

    Raises:
        EngineError: It has tensors that are not handled, or memory is short.
    """

    def __init__(self, path: Path, trt: TensorRt, engine: Any, note: Note, kept: Path) -> None:
        self._name = path.name
        self._trt = trt
        self._note = note
        self._kernels_path = kept.with_suffix(".kernels")
        self._engine = engine
        self.specs = trt.specs(self._engine)
        self._check = InputCheck(path.name, self.specs)
        self._cuda: Cuda = open_cuda()
        self._kernels = trt.kernel_cache(self._engine, _read(self._kernels_path))
        self._context = trt.context(self._engine, self._kernels)
        self._ranges: Profile = {s.name: self._range(s.name) for s in self.specs.inputs}
        self._buffers = self._lay_out()
        self._is_static = all(None not in spec.shape for spec in self.specs.inputs)
        self._can_capture = self._cuda.has_graphs and not trt.captures_graphs
        self._plain: _Call | None = None
        self._captured: dict[tuple[Shape, ...], _Call] = {}
        self._seen: set[tuple[Shape, ...]] = set()

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once; see :class:`deixis.runtime.engines.Engine`."""
        self._check(inputs)
        self._cuda.activate()
        shapes = tuple(inputs[spec.name].shape for spec in self.specs.inputs)
        call = self._captured.get(shapes) or self._prepare(shapes)
        for name, host in call.inputs.items():
            np.copyto(host, inputs[name])
        if call.graph is not None:
            self._cuda.launch(call.graph)
        else:
            self._enqueue(call)
        self._cuda.synchronize()
        return call.outputs

    def close(self) -> None:
        """Release the engine, its memory and its graphs; RTX's kernels are kept."""
        self._cuda.activate()
        self._cuda.synchronize()
        if self._kernels is not None:
            try:
                replace_file(self._kernels_path, bytes(self._kernels.serialize()))
            except OSError as cause:
                self._note(f"the kernels of {self._name} are made anew next time: {cause}")
        self._captured.clear()
        self._plain = None
        del self._context, self._kernels, self._engine
        self._cuda.close()

    def _range(self, name: str) -> tuple[Shape, Shape, Shape]:
        least, likely, most = self._engine.get_tensor_profile_shape(name, 0)
        return tuple(least), tuple(likely), tuple(most)

    def _lay_out(self) -> dict[str, tuple[Bytes, int]]:
        """Pinned and device memory of each tensor, for the longest shapes."""
        sizes = {}
        for spec in self.specs.inputs:
            longest = self._ranges[spec.name][2]
            self._context.set_input_shape(spec.name, longest)
            sizes[spec.name] = prod(longest) * spec.dtype.itemsize
        for spec in self.specs.outputs:
            sizes[spec.name] = self._context.get_max_output_size(spec.name)
        return {name: (self._cuda.pinned(n), self._cuda.device(n)) for name, n in sizes.items()}

    def _prepare(self, shapes: tuple[Shape, ...]) -> _Call:
        """How to run shapes that have no graph: plainly, and from the second time on by one."""
        if self._can_capture and shapes in self._seen and len(self._captured) < MOST_GRAPHS:
            captured = self._capture(shapes)
            if captured is not None:
                return captured
        if self._plain is None or self._plain.shapes != shapes:
            self._check_lengths(shapes)
            self._plain = self._bind(self._context, shapes)
            self._seen.add(shapes)
        return self._plain

    def _capture(self, shapes: tuple[Shape, ...]) -> _Call | None:
        """A call with a graph; None, and a note, where it cannot be captured."""
        try:
            own = self._context
            if not self._is_static:
                own = self._trt.context(self._engine, self._kernels)
            call = self._bind(own, shapes)
            # Once plainly: TensorRT finishes setting a context up for its shapes then.
            self._enqueue(call)
            self._cuda.synchronize()
            call.graph = self._cuda.capture(lambda: self._enqueue(call))
        except EngineError as error:
            self._can_capture = False
            self._note(f"{self._name} runs without CUDA graphs: {error.message}")
            return None
        self._captured[shapes] = call
        return call

    def _check_lengths(self, shapes: tuple[Shape, ...]) -> None:
        for spec, shape in zip(self.specs.inputs, shapes, strict=True):
            least, _, most = self._ranges[spec.name]
            if not all(a <= n <= b for a, n, b in zip(least, shape, most, strict=True)):
                raise EngineError(
                    f"{self._name}: input {spec.name!r} has the shape {shape}; the engine was "
                    f"built for {least} to {most}"
                )

    def _bind(self, context: Any, shapes: tuple[Shape, ...]) -> _Call:
        """Give a context its shapes and addresses; the call has views of the pinned memory."""
        for spec, shape in zip(self.specs.inputs, shapes, strict=True):
            if not context.set_input_shape(spec.name, shape):
                raise EngineError(f"{self._name}: TensorRT refuses {spec.name!r} of shape {shape}")
        views = {}
        for spec in (*self.specs.inputs, *self.specs.outputs):
            pinned, device = self._buffers[spec.name]
            context.set_tensor_address(spec.name, device)
            shape = tuple(context.get_tensor_shape(spec.name))
            size = prod(shape) * spec.dtype.itemsize
            views[spec.name] = pinned[:size].view(spec.dtype).reshape(shape)
        return _Call(
            context,
            shapes,
            inputs={spec.name: views[spec.name] for spec in self.specs.inputs},
            outputs={spec.name: views[spec.name] for spec in self.specs.outputs},
        )

    def _enqueue(self, call: _Call) -> None:
        for name, host in call.inputs.items():
            self._cuda.upload(self._buffers[name][1], host)
        if not call.context.execute_async_v3(self._cuda.stream):
            raise EngineError(f"{self._name}: TensorRT failed to run it")
        for name, host in call.outputs.items():
            self._cuda.download(host, self._buffers[name][1])


@dataclass
class _Call:
    """One combination of input shapes.

    Attributes:
        context: what runs it.
        shapes: of the inputs.
        inputs: pinned memory that a call is written into.
        outputs: pinned memory that the answer comes in.
        graph: upload, network and download; None: they are enqueued one by one.
    """

    context: Any
    shapes: tuple[Shape, ...]
    inputs: dict[str, Array]
    outputs: dict[str, Array]
    graph: Any = None


def _read(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""
