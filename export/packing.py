"""From what the gate decided to a bundle's entry, its files, and a row of the table.

python -c "from deixis.export.packing import pack; print(pack.__doc__)"
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deixis.calibration.ranges import write_table
from deixis.export.explain import LayerCost
from deixis.export.extras import version_of
from deixis.export.gate import Decision, Tried
from deixis.export.making import Making, as_file
from deixis.export.recipes.recipe import Recipe
from deixis.export.rows import ExportRow, Variant
from deixis.export.weights import wheels
from deixis.runtime import bundle as bundles
from deixis.runtime.bundle import (
    MetricInfo,
    ModelEntry,
    ReferenceInfo,
    SourceInfo,
    TaskInfo,
    TensorInfo,
)
from deixis.runtime.engines import EngineSpecs, open_model
from deixis.runtime.measured import ModelTimes

UNPRUNED = "FP32, not pruned"
LEFT_IN_FLOAT = "left in float: the metric would fall under its floor"


def pack(
    root: Path,
    making: Making,
    decision: Decision,
    checks: tuple[MetricInfo, ...],
    fingerprint: str,
) -> tuple[ModelEntry, ModelTimes | None]:
    """Write what was chosen into the bundle's folder and describe it.

    Args:
        root: the bundle's folder.
        making: of the model.
        decision: the gate's.
        checks: the FP32 file against its original.
        fingerprint: of what was asked, see :class:`deixis.runtime.bundle.ModelEntry`.

    Returns:
        The model's entry in the manifest, and its times where they were taken.
    """
    recipe, chosen = making.recipe, decision.chosen
    path = root / "models" / f"{recipe.role}{chosen.suffix}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(chosen.model)
    calibration = None
    if chosen.precision == "int8" and chosen.base is not None and making.calibrated:
        table = root / "calibration" / f"{recipe.role}.json"
        table.parent.mkdir(exist_ok=True)
        write_table(making.ranges(chosen.base), table)
        calibration = bundles.file_entry(root, f"calibration/{table.name}")
    specs = _specs(chosen)
    reference, score = decision.reference, chosen.score
    task = None
    if score is not None and reference is not None and reference.score is not None:
        task = TaskInfo(
            name=recipe.task.name,
            value=score.value,
            reference=reference.score.value,
            floor=decision.floor,
            n=score.n,
        )
    entry = ModelEntry(
        role=recipe.role,
        file=bundles.file_entry(root, f"models/{path.name}"),
        format="ort" if chosen.suffix == ".ort" else "onnx",
        precision=chosen.precision,
        backend=decision.backend or making.preset.backend,
        pruned=chosen.ratio,
        macs=chosen.macs,
        inputs=tuple(_tensor(spec.name, str(spec.dtype), spec.shape) for spec in specs.inputs),
        outputs=tuple(_tensor(spec.name, str(spec.dtype), spec.shape) for spec in specs.outputs),
        checks=checks,
        task=task,
        reference=(
            ReferenceInfo(size_bytes=len(reference.model), macs=reference.macs)
            if reference is not None
            else None
        ),
        calibration=calibration,
        notes=decision.notes,
        fingerprint=fingerprint,
        source=_source(recipe),
    )
    return entry, _times(making, decision, entry)


def row_of(
    making: Making, decision: Decision, entry: ModelEntry, times: ModelTimes | None
) -> ExportRow:
    """The table's row for a model that was made now."""
    chosen = decision.chosen
    fresh = "as shipped" if chosen.precision == "as-shipped" else "converted"
    return _row(
        entry,
        times,
        status=f"fell back: {decision.fell_back}" if decision.fell_back else fresh,
        variants=[_variant(making, decision, tried) for tried in decision.tried],
        layers=[
            replace(cost, kept_float=True, why=LEFT_IN_FLOAT)
            if cost.name in chosen.kept_float
            else cost
            for cost in decision.layers
        ],
    )


def row_up_to_date(entry: ModelEntry, times: ModelTimes | None) -> ExportRow:
    """The table's row for a model that the bundle already had."""
    return _row(entry, times, "up to date", [], [])


def _row(
    entry: ModelEntry,
    times: ModelTimes | None,
    status: str,
    variants: list[Variant],
    layers: list[LayerCost],
) -> ExportRow:
    task, reference = entry.task, entry.reference
    return ExportRow(
        name=entry.role,
        status=status,
        precision=entry.precision,
        format=entry.format.upper(),
        pruned=entry.pruned,
        backend=entry.backend,
        timed_on=times.timed_on if times else "",
        mb=entry.file.size_bytes / 1e6,
        mb_fp32=reference.size_bytes / 1e6 if reference else None,
        macs=entry.macs,
        macs_fp32=reference.macs if reference else None,
        metric=task.value if task else None,
        metric_name=task.name if task else "",
        metric_fp32=task.reference if task else None,
        floor=task.floor if task else None,
        p50_ms=times.p50_ms if times else None,
        p50_ms_fp32=times.p50_ms_fp32 if times else None,
        p95_ms=times.p95_ms if times else None,
        p95_ms_fp32=times.p95_ms_fp32 if times else None,
        notes=list(entry.notes),
        variants=variants,
        layers=layers,
    )


def _variant(making: Making, decision: Decision, tried: Tried) -> Variant:
    chosen = tried is decision.chosen
    return Variant(
        label=UNPRUNED if tried is decision.reference else tried.label,
        precision=tried.precision,
        pruned=tried.ratio,
        backend=decision.backend or making.preset.backend,
        mb=len(tried.model) / 1e6,
        macs=tried.macs,
        metric=tried.score.value if tried.score else None,
        p50_ms=tried.latency.p50_ms if tried.latency else None,
        p95_ms=tried.latency.p95_ms if tried.latency else None,
        held=tried.held,
        chosen=chosen,
        why=tried.why_not or ("chosen" if chosen else "" if tried.held else "under its floor"),
    )


def _times(making: Making, decision: Decision, entry: ModelEntry) -> ModelTimes | None:
    latency = decision.chosen.latency
    if latency is None:
        return None
    whole = decision.reference.latency if decision.reference is not None else None
    return ModelTimes(
        sha256=entry.file.sha256,
        p50_ms=latency.p50_ms,
        p95_ms=latency.p95_ms,
        n=latency.n,
        threads=1,
        timed_on=making.recipe.timed_on,
        backend=entry.backend,
        p50_ms_fp32=whole.p50_ms if whole else None,
        p95_ms_fp32=whole.p95_ms if whole else None,
        speedup=whole.p50_ms / latency.p50_ms if whole else None,
    )


def _specs(chosen: Tried) -> EngineSpecs:
    with as_file(chosen.model, chosen.suffix) as path:
        engine = open_model(path)
        specs = engine.specs
        engine.close()
    return specs


def _tensor(name: str, dtype: str, shape: tuple[int | None, ...]) -> TensorInfo:
    return TensorInfo(name=name, dtype=dtype, shape=tuple(-1 if n is None else n for n in shape))


def _source(recipe: Recipe) -> SourceInfo:
    """Where a model's weights come from: a pinned wheel, deixis itself, or the user."""
    if isinstance(recipe.source, Path):
        return SourceInfo(
            package=recipe.owner,
            version=version_of(recipe.owner) if recipe.owner == "deixis" else "",
            sha256=bundles.sha256_of(recipe.source),
            member=recipe.source.name,
            licence="Apache-2.0" if recipe.owner == "deixis" else "",
        )
    wheel = wheels.pinned(recipe.source.package)
    return SourceInfo(
        package=wheel.package,
        version=wheel.version,
        sha256=wheel.sha256,
        member=recipe.source.path,
        licence=wheel.licence,
    )
