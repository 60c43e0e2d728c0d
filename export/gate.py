"""The gate: which variant of a model goes into the bundle.

Every variant is judged by the model's own task metric against the FP32 network that was not pruned,
on inputs that were held out. Where INT8 misses its floor, the layers that cost most are left in
float; where that does not help, the next precision is tried, then the network that was not pruned.
Of those that hold, the fastest is taken. Nothing falls back unseen: every step is a note.

    python -c "from deixis.export.gate import decide; print(decide.__doc__)"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from deixis.export.explain import LayerCost
from deixis.export.making import Base, Making, Score
from deixis.export.plan import ModelPlan, Precision, plan_model
from deixis.export.rows import label
from deixis.export.timing import race
from deixis.runtime import bundle as bundles
from deixis.runtime.errors import ExportError
from deixis.runtime.measured import LatencyInfo

FLOAT_TRIES = (1, 2, 4, 8)
"""How many layers are left in float, the worst first, before INT8 is given up."""
NAMED = 3
"""How many of the worst layers a note names."""
SAME_SPEED = 1.03
"""Variants within this factor of the fastest are as fast; the smallest of them is taken."""


@dataclass(frozen=True)
class Tried:
    """A variant that was made.

    Attributes:
        precision: of most of its layers.
        ratio: the mean share of channels that was removed.
        base: the float network that it was made from; None for a file as shipped.
        model: the file's bytes.
        suffix: of the file's name.
        score: the task's metric; None where nothing was asked of the model.
        held: whether it kept the floor.
        kept_float: layers that stayed in float by decision.
        why_not: why the robot's engine does not take it, in words; empty: it does.
        latency: one thread, in turns with the others; None where this machine cannot tell.
    """

    precision: bundles.Precision
    ratio: float
    base: Base | None
    model: bytes
    suffix: str
    score: Score | None
    held: bool
    kept_float: tuple[str, ...] = ()
    why_not: str = ""
    latency: LatencyInfo | None = None

    @property
    def label(self) -> str:
        """As a table names it."""
        layers = f", {len(self.kept_float)} layers float" if self.kept_float else ""
        return label(self.precision, self.ratio) + layers

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of one call; None where they were not counted."""
        return self.base.macs if self.base is not None else None


@dataclass(frozen=True)
class Decision:
    """What the gate decided for one model.

    Attributes:
        chosen: what goes into the bundle.
        reference: the FP32 network that was not pruned; None where a file is packed as shipped.
        tried: everything that was made, the reference first.
        floor: what the metric had to keep, percent.
        layers: what each layer costs and gains in INT8, where that was looked at.
        notes: what came otherwise than asked, in words.
        fell_back: what was taken instead of what was asked, in words; empty: just that.
        backend: the engine that the chosen file is for, where it is not the preset's.
    """

    chosen: Tried
    reference: Tried | None
    tried: tuple[Tried, ...]
    floor: float = 0.0
    layers: tuple[LayerCost, ...] = ()
    notes: tuple[str, ...] = ()
    fell_back: str = ""
    backend: str | None = None


def decide(
    making: Making, plan: ModelPlan, fall_back: bool = True, explain: bool = False
) -> Decision:
    """Make the variants that a plan names, judge them, take the fastest that holds.

    Args:
        making: makes them.
        plan: what was asked.
        fall_back: whether something else than was asked may be taken.
        explain: whether to look at every layer even where INT8 holds.

    Raises:
        ExportError: the reference cannot be judged, or nothing that was asked holds and falling
            back was forbidden.
    """
    if plan.untouched:
        return _untouched(making)
    refusal = making.refusal(making.reference.model)
    if refusal:
        return _on_cpu(making, plan, refusal, fall_back)
    search = _Search(making, plan, explain)
    met = search.run()
    if not met and not fall_back:
        raise ExportError(
            f"{making.recipe.role} misses its floor: {'; '.join(search.notes)}",
            hint="prune less, calibrate on more recordings, or allow falling back",
        )
    tried = _timed(making, search.tried)
    chosen = _choose(plan, tried)
    return Decision(
        chosen=chosen,
        reference=tried[0],
        tried=tried,
        floor=search.floor,
        layers=search.layers,
        notes=tuple(search.notes),
        fell_back="" if met else chosen.label,
    )


def _untouched(making: Making) -> Decision:
    if making.recipe.shipped is not None:
        model = making.shipped()
        only = Tried("as-shipped", 0.0, None, model, ".ort", None, held=True)
    else:
        base = making.reference
        only = Tried("fp32", 0.0, base, base.model, ".onnx", None, held=True)
    (timed,) = _timed(making, [only])
    reference = timed if timed.base is not None else None
    return Decision(chosen=timed, reference=reference, tried=(timed,))


def _on_cpu(making: Making, plan: ModelPlan, refusal: str, fall_back: bool) -> Decision:
    """A model that the robot's GPU engine does not take even in FP32: it runs on the CPU."""
    text = f"{making.preset.backend} does not take it ({refusal})"
    if not fall_back:
        raise ExportError(f"{making.recipe.role}: {text}", hint="allow falling back to the CPU")
    on_cpu = making.for_cpu()
    asked = plan_model(making.recipe, on_cpu.preset, plan.precisions[0], plan.ratio)
    decision = decide(on_cpu, asked)
    return replace(
        decision,
        backend=on_cpu.preset.backend,
        notes=(text, *decision.notes),
        fell_back=f"{decision.chosen.label} on {on_cpu.preset.backend}",
    )


@dataclass
class _Search:
    """Makes variants until what was asked for holds."""

    making: Making
    plan: ModelPlan
    explain: bool
    tried: list[Tried] = field(default_factory=list)
    layers: tuple[LayerCost, ...] = ()
    notes: list[str] = field(default_factory=list)
    floor: float = 0.0

    def run(self) -> bool:
        """Make and judge; whether what was asked for holds."""
        making, plan = self.making, self.plan
        base, task = making.reference, making.recipe.task
        score = making.score(base.model)
        if not score.value > 0:
            raise ExportError(
                f"{making.recipe.role}: the FP32 model itself gets {score.value:.3g} % on "
                f"{score.n} samples ({task.name})",
                hint="the samples do not show what this model is for; name others with --samples",
            )
        self.floor = score.value - task.points
        self.notes += plan.reasons
        self.tried.append(Tried("fp32", 0.0, base, base.model, ".onnx", score, held=True))
        wanted = plan.precisions[0]
        if making.recipe.shipped is not None and making.preset.emission == "cpu":
            self._judge_shipped()
        for ratio in dict.fromkeys((plan.ratio, 0.0)):
            base = making.pruned(ratio) if ratio else making.reference
            for precision in plan.precisions:
                if ratio == 0.0 and precision == "fp32":
                    continue  # the reference itself
                held = self._judge_best(base, precision, ratio)
                if held and precision == wanted and not plan.compare_all:
                    return ratio == plan.ratio
            if any(t.held and t.ratio == ratio and t.precision == wanted for t in self.tried):
                return ratio == plan.ratio
        return plan.ratio == 0.0 and (wanted == "fp32" or plan.compare_all)

    def _judge_best(self, base: Base, precision: Precision, ratio: float) -> bool:
        """One variant, in INT8 with as many layers in float as it takes; whether it holds."""
        first = self._judge(base, precision, ratio, ())
        if self.explain and precision == "int8" and not self.layers:
            self.layers = self.making.layer_costs(base)
        if first.held:
            return True
        if first.why_not:
            self.notes.append(f"{first.label} is refused: {first.why_not}")
            return False
        text = f"{first.label} gets {_percent(first)}, its floor is {self.floor:.1f} %"
        if precision != "int8":
            self.notes.append(text)
            return False
        costs = self.making.layer_costs(base)
        self.layers = self.layers or costs
        worst = [cost.name for cost in costs if not cost.kept_float]
        for n in FLOAT_TRIES:
            if self._judge(base, precision, ratio, tuple(worst[:n])).held:
                self.notes.append(f"{text}: left in float {', '.join(worst[:n])}")
                return True
        self.notes.append(f"{text}, mostly for {', '.join(worst[:NAMED])}")
        return False

    def _judge(
        self, base: Base, precision: Precision, ratio: float, keep_float: tuple[str, ...]
    ) -> Tried:
        assert precision != "auto"
        model = self.making.emit(base, precision, keep_float)
        score, refusal = self.making.score(model), self.making.refusal(model)
        held = score.value >= self.floor and not refusal
        tried = Tried(precision, ratio, base, model, ".onnx", score, held, keep_float, refusal)
        self.tried.append(tried)
        return tried

    def _judge_shipped(self) -> None:
        model = self.making.shipped()
        score = self.making.score(model, ".ort")
        held = score.value >= self.floor
        self.tried.append(Tried("as-shipped", 0.0, None, model, ".ort", score, held))


def _percent(tried: Tried) -> str:
    return f"{tried.score.value:.1f} %" if tried.score is not None else "nothing"


def _timed(making: Making, tried: Sequence[Tried]) -> tuple[Tried, ...]:
    """The variants with their latencies, where this machine has the engine they are for."""
    if making.preset.emission != "cpu":
        return tuple(tried)
    making.say("time")
    with TemporaryDirectory(prefix="deixis-export-") as folder:
        paths: dict[str, Path] = {}
        for i, variant in enumerate(tried):
            if not variant.why_not:
                paths[str(i)] = Path(folder) / f"{i}{variant.suffix}"
                paths[str(i)].write_bytes(variant.model)
        found = race(paths, making.inputs[0])
    return tuple(replace(t, latency=found.get(str(i))) for i, t in enumerate(tried))


def _choose(plan: ModelPlan, tried: Sequence[Tried]) -> Tried:
    """What was asked for, if it holds; else the fastest (the most compact where none was timed)."""
    held = [t for t in tried if t.held]
    asked = [t for t in held if (t.precision, t.ratio) == (plan.precisions[0], plan.ratio)]
    if asked and not plan.compare_all:
        return asked[-1]
    p50s_ms = [t.latency.p50_ms for t in held if t.latency is not None]
    if len(p50s_ms) == len(held):
        fast = [t for t, ms in zip(held, p50s_ms, strict=True) if ms <= SAME_SPEED * min(p50s_ms)]
        return min(fast, key=lambda t: len(t.model))
    order = {str(precision): i for i, precision in enumerate(plan.precisions)}
    return min(held, key=lambda t: (order.get(t.precision, len(order)), -t.ratio))
