"""One model on its way into a bundle: its reference, what pruning leaves of it, its emissions.

Everything here is kept in the step cache by what it was made from, so asking twice costs nothing.
What to ask for, and what to do with the answer, is the gate's business (:mod:`deixis.export.gate`).

    python -c "from deixis.export.making import Making; print(Making.__doc__)"
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from deixis.calibration.ranges import CalibrationTable, read_table
from deixis.export.cache import StepCache, digest
from deixis.export.extras import versions
from deixis.export.making_smaller import Step, code, make_smaller, pruning_code, shares
from deixis.export.plan import PRESETS, Precision, Preset
from deixis.export.recipes.recipe import Inputs, Quantization, Recipe
from deixis.export.sources import Sources
from deixis.export.weights import wheels
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import open_model
from deixis.runtime.errors import ExportError

# Raise it when a step would make something else from the same inputs with the same code.
VERSION = 2

if TYPE_CHECKING:
    from torch import nn

    from deixis.export.explain import LayerCost

EXPLAIN_INPUTS = 8
NO_RANGES = CalibrationTable(model_sha256="", n=0, inputs_sha256=(), tensors={})


class Base(msgspec.Struct, frozen=True):
    """A float network as ONNX, whole or pruned.

    Attributes:
        model: the file's bytes.
        macs: multiply-accumulates of one call, on the input that is timed.
        ratios: share of its channels that each pruned layer lost.
    """

    model: bytes
    macs: int
    ratios: dict[str, float] = {}


class Score(msgspec.Struct, frozen=True):
    """What a task's metric gave, percent, on ``n`` things."""

    value: float
    n: int


class Making:
    """Makes everything that can be made of one model.

    Args:
        recipe: the model's.
        preset: the robot's kind.
        wheel_folder: the wheels with the weights.
        sources: the samples.
        cache: where steps are kept.
        ranges: folder of calibration tables to use instead of calibrating.
        step: told what is being done.
    """

    def __init__(
        self,
        recipe: Recipe,
        preset: Preset,
        wheel_folder: Path,
        sources: Sources,
        cache: StepCache,
        ranges: Path | None,
        step: Step,
    ) -> None:
        self.recipe = recipe
        self.preset = preset
        self._wheel_folder = wheel_folder
        self._sources = sources
        self._cache = cache
        self._ranges = ranges
        self._key: tuple[Any, ...] = (VERSION, recipe.role, versions(), source_hash(recipe))
        if recipe.network is not None:
            self._key = (*self._key, code(recipe.network.build))
        self._step = step

    @cached_property
    def inputs(self) -> list[Inputs]:
        """Real inputs to calibrate on; the first is timed."""
        return self.recipe.inputs(self._wheel_folder, self._sources.train().samples)

    @cached_property
    def reference(self) -> Base:
        """The whole network in FP32."""
        self.say("convert")
        if self.recipe.network is None:
            return self._own()
        return self._cache.value("fp32", self._key, Base, lambda: self._as_base(self._network()))

    def shipped(self) -> bytes:
        """The file as its authors ship it.

        Raises:
            ExportError: they ship none that can be run as it is.
        """
        if self.recipe.shipped is None:
            raise ExportError(f"{self.recipe.role} is not shipped as a file that can be run")
        return wheels.read_member(self.recipe.shipped, self._wheel_folder)

    @property
    def calibrated(self) -> bool:
        """Whether its INT8 form is made with ranges of recorded inputs."""
        quantization = self._quantization()
        return quantization is not None and quantization.method == "static"

    def say(self, step: str) -> None:
        """Tell what is being done."""
        self._step(step, 0.0)

    def parity(self, shipped: bool = False) -> tuple[MetricInfo, ...]:
        """How far the FP32 file is from its original, on all samples.

        Args:
            shipped: the shipped file is packed, so only its bytes are compared.
        """
        self.say("compare")
        recipe = self.recipe
        if shipped:
            return self._same_bytes()
        if recipe.parity is None:
            return ()
        source, model, parity = self._sources.everything(), self.reference.model, recipe.parity
        key = (digest(model), source.hash, code(parity))

        def compare() -> tuple[MetricInfo, ...]:
            with as_file(model) as path:
                return parity(path, self._wheel_folder, source.samples)

        return self._cache.value("parity", key, tuple[MetricInfo, ...], compare)

    def pruned(self, ratio: float) -> Base:
        """The network without this share of its channels or pixels, taught by the whole one.

        Raises:
            ExportError: the recipe does not allow it.
        """
        pruning, recovery = self.recipe.pruning, self.recipe.recovery
        if pruning is None:
            raise ExportError(f"{self.recipe.role} is not to be pruned")
        key: tuple[Any, ...] = (self._key, ratio, repr(pruning))
        key = (*key, pruning_code())
        if recovery is not None:
            key = (
                *key,
                self._sources.train().hash,
                (recovery.steps, recovery.learning_rate),
                code(recovery.batches, recovery.loss),
            )
        return self._cache.value("pruned", key, Base, lambda: self._prune(ratio, key))

    def ranges(self, base: Base) -> CalibrationTable:
        """The ranges of a float network's tensors on the recorded inputs."""
        from deixis.export.quantize import collect_ranges

        if self._ranges is not None:
            return read_table(self._ranges / f"{self.recipe.role}.json")
        source = self._sources.train()
        key = (digest(base.model), source.hash, code(self.recipe.inputs, collect_ranges))
        progress = shares(self._step, "calibrate")
        return self._cache.value(
            "ranges",
            key,
            CalibrationTable,
            lambda: collect_ranges(base.model, self.inputs, progress),
        )

    def layer_costs(self, base: Base) -> tuple[LayerCost, ...]:
        """What each layer of a float network costs and gains in INT8, the worst first."""
        from deixis.export.explain import layer_costs

        quantization = self._quantization()
        if quantization is None:
            return ()
        self.say("explain")
        table = self.ranges(base)
        return layer_costs(base.model, table, quantization, self.inputs[:EXPLAIN_INPUTS])

    def emit(self, base: Base, precision: Precision, keep_float: Collection[str] = ()) -> bytes:
        """A float network in another precision, in the form that the preset wants."""
        from deixis.export.half import store_half, to_fp16
        from deixis.export.quantize import emit_cpu, emit_tensorrt

        quantization = self._quantization()
        if precision == "fp32":
            return base.model
        self.say(f"emit {precision}")
        key: tuple[Any, ...] = (
            digest(base.model),
            precision,
            self.preset.emission,
            sorted(keep_float),
        )
        if precision == "fp16":
            halve = store_half if self.preset.emission == "cpu" else to_fp16
            return self._cache.made("fp16", (key, code(halve)), lambda: halve(base.model))
        if quantization is None:
            raise ExportError(f"{self.recipe.role} has no recipe for INT8")
        emission = emit_cpu if self.preset.emission == "cpu" else emit_tensorrt
        table = self.ranges(base) if self.calibrated else NO_RANGES
        key = (*key, repr(quantization), digest(msgspec.json.encode(table)), code(emission))
        return self._cache.made(
            "int8", key, lambda: emission(base.model, table, quantization, keep_float)
        )

    def refusal(self, model: bytes) -> str:
        """Why the robot's engine would not take a file, in words; empty: it would.

        The file's structure is checked, and it is built with TensorRT-RTX where that is installed.
        """
        from deixis.export.compile import compile_rtx
        from deixis.export.quantize import check_tensorrt

        if self.preset.emission != "tensorrt":
            return ""
        problems = check_tensorrt(model)
        if problems:
            return "; ".join(problems)
        if not can_compile():
            return ""
        self.say("compile")
        key = (digest(model), self.preset.compute_capabilities, code(compile_rtx))
        refused = self._cache.value(
            "compiled",
            key,
            list[str],
            lambda: [
                f"{build.compiler} for {build.compute_capability}: {build.reason}"
                for build in compile_rtx(model, self.preset.compute_capabilities)
                if not build.built
            ],
        )
        return "; ".join(refused)

    def for_cpu(self) -> Making:
        """The same model on its way to the robot's CPU."""
        return Making(
            self.recipe,
            PRESETS["cpu"],
            self._wheel_folder,
            self._sources,
            self._cache,
            self._ranges,
            self._step,
        )

    def score(self, model: bytes, suffix: str = ".onnx") -> Score:
        """The task's metric of a file, on the samples that were held out."""
        self.say("judge")
        task = self.recipe.task
        source = self._sources.held_out()
        key = (digest(model), source.hash, task.name, code(task.prepare, task.score))

        def judge() -> Score:
            with as_file(model, suffix) as path:
                engine = open_model(path)
                try:
                    value = task.score(engine, self._truth)
                finally:
                    engine.close()
            return Score(value, task.n(self._truth))

        return self._cache.value("score", key, Score, judge)

    @cached_property
    def _truth(self) -> Any:
        return self.recipe.task.prepare(self._wheel_folder, self._sources.held_out().samples)

    def _quantization(self) -> Quantization | None:
        """The recipe's; TensorRT does not measure activations at run time."""
        quantization = self.recipe.quantization
        if quantization is None or self.preset.emission == "cpu":
            return quantization
        return replace(quantization, method="static")

    def _same_bytes(self) -> tuple[MetricInfo, ...]:
        from deixis.export.compare import same_bytes

        assert self.recipe.shipped is not None
        source = self._sources.everything()
        with as_file(self.shipped(), ".ort") as path:
            return same_bytes(self.recipe.shipped)(path, self._wheel_folder, source.samples)

    def _own(self) -> Base:
        """The ONNX file that a user brought."""
        from deixis.export.onnx_macs import count_macs

        model = Path(str(self.recipe.source)).read_bytes()
        return Base(model, count_macs(model, self.inputs[0]))

    def _network(self) -> nn.Module:
        assert self.recipe.network is not None
        return self.recipe.network.build(self._wheel_folder)

    def _as_base(self, net: nn.Module, ratios: dict[str, float] | None = None) -> Base:
        from deixis.export.prune import count_macs

        network = self.recipe.network
        assert network is not None
        macs = count_macs(net, network.tensors(self.inputs[0]))
        return Base(network.emit(net), macs, ratios or {})

    def _prune(self, ratio: float, key: Any) -> Base:
        checkpoint = self._cache.checkpoint("distil", key)
        samples = self._sources.train().samples
        net, ratios = make_smaller(
            self.recipe, self._wheel_folder, samples, ratio, checkpoint, self._step
        )
        base = self._as_base(net, ratios)
        checkpoint.unlink(missing_ok=True)
        return base


@contextmanager
def as_file(model: bytes, suffix: str = ".onnx") -> Iterator[Path]:
    """A model as a file, for as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="deixis-export-") as folder:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(model)
        yield path


def can_compile() -> bool:
    """Whether TensorRT-RTX is installed: it builds engines without a GPU."""
    return importlib.util.find_spec("tensorrt_rtx") is not None


def source_hash(recipe: Recipe) -> str:
    """A hash of the weights that a model is made from."""
    if isinstance(recipe.source, Path):
        return digest(recipe.source)
    return wheels.pinned(recipe.source.package).sha256
