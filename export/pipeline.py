"""From pretrained weights to a verified bundle.

For each model: read the weights, emit the file, compare it with its original on real input, time
it. The bundle replaces the old one only when every model has passed; a bundle that is up to date is
left alone.

    python -c "from pathlib import Path; from deixis.export.pipeline import export_all as e; \
e('cpu', Path('bundles/cpu'), Path('.cache/wheels'), Path('tests/scenes/episodes'))"
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from deixis.export.compare import measure, passes
from deixis.export.recipes import RECIPES, Recipe
from deixis.export.samples import Samples, load_samples
from deixis.export.weights import wheels
from deixis.runtime import bundle as bundles
from deixis.runtime.bundle import Bundle, LatencyInfo, Manifest, MetricInfo, ModelEntry
from deixis.runtime.engines import TensorSpec, open_model
from deixis.runtime.errors import BundleError, ExportError, MissingExtraError, UsageError

# Raise it when the export would write other bytes or other manifest content from the same weights.
EXPORT_VERSION = 1
TOKENIZER = "tokenizer.bin"
STEPS = ("convert", "compare", "time")


@dataclass(frozen=True)
class Preset:
    """What a preset asks for."""

    precision: str


PRESETS = {"cpu": Preset(precision="fp32")}

# Packages whose version can change the emitted bytes, and those that only take part.
_CONVERTERS = ("onnx", "onnxscript", "tflite", "torch")
_MODULES = {"ai-edge-litert": "ai_edge_litert"}

Progress = Callable[[str, str], None]
"""Called with the model's role and the step that begins; the last step is ``done``."""


@dataclass(frozen=True)
class ExportRow:
    """One line of the export's table.

    Attributes:
        model: the role.
        format: ``ONNX`` or ``ORT``.
        precision: ``fp32`` or ``as-shipped``.
        status: ``converted``, ``as shipped`` or ``up to date``.
        size_mb: size of the file, 10⁶ bytes.
        metric: the check it passed.
        latency: measured with one thread.
        timed_on: what the latency is for.
    """

    model: str
    format: str
    precision: str
    status: str
    size_mb: float
    metric: MetricInfo
    latency: LatencyInfo
    timed_on: str


def export_all(
    preset: str,
    out: Path,
    wheel_folder: Path,
    sample_folder: Path,
    only: Sequence[str] | None = None,
    precision: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> list[ExportRow]:
    """Bring the bundle at ``out`` up to date.

    Args:
        preset: a name in :data:`PRESETS`.
        out: the bundle's folder; made, or replaced as a whole once everything has passed.
        wheel_folder: where the pinned wheels lie.
        sample_folder: episodes to compare the models on.
        only: roles to export (default all); others that the bundle has stay in it.
        precision: default the preset's.
        force: export the requested models even if they are up to date.
        progress: called as the export goes on.

    Returns:
        One row a model of the bundle.

    Raises:
        UsageError: unknown preset, precision or model.
        WeightsError: a wheel is missing or is not the pinned one.
        MediaError: there are no samples.
        MissingExtraError: the export's packages are not installed.
        ExportError: a model falls below its floor, or ``out`` is something else than a bundle.
    """
    chosen = _preset(preset, precision)
    requested = _roles(only)
    out = out.resolve()
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file", hint="name a folder with --out")
    if out.is_dir() and any(out.iterdir()) and not (out / bundles.MANIFEST).is_file():
        raise ExportError(
            f"{out} has files but no {bundles.MANIFEST}: it is not a bundle and is left as it is",
            hint="name another folder with --out, or remove it",
        )
    fingerprint = _fingerprint(preset, chosen.precision)
    old = _current(out, fingerprint)
    kept = {} if old is None else dict(old.manifest.models)
    wanted = [role for role in RECIPES if role in requested or role in _roles_of(out)]
    todo = [r for r in wanted if r not in kept or (force and r in requested)]
    report = progress or (lambda role, step: None)
    entries: dict[str, ModelEntry] = {}
    if todo:
        _require_extra()
        samples = load_samples(sample_folder)
        with bundles.replacing(out) as root:
            (root / "models").mkdir()
            for role in wanted:
                if role in todo:
                    recipe = RECIPES[role]
                    entries[role] = _export(recipe, chosen, root, wheel_folder, samples, report)
                else:
                    shutil.copy2(out / kept[role].file.path, root / kept[role].file.path)
                    entries[role] = kept[role]
                report(role, "done")
            (root / TOKENIZER).write_bytes(wheels.read_member(wheels.TOKENIZER, wheel_folder))
            bundles.write_manifest(root, _manifest(out, root, preset, fingerprint, entries))
    else:
        entries = {role: kept[role] for role in wanted}
        for role in wanted:
            report(role, "done")
    return [_row(RECIPES[role], entries[role], role in todo) for role in wanted]


def _preset(name: str, precision: str | None) -> Preset:
    chosen = PRESETS.get(name)
    if chosen is None:
        raise UsageError(f"there is no preset {name!r} yet; there is: {', '.join(PRESETS)}")
    if precision not in (None, chosen.precision):
        raise UsageError(
            f"preset {name!r} has no precision {precision!r} yet; there is: {chosen.precision}"
        )
    return chosen


def _roles(only: Sequence[str] | None) -> set[str]:
    unknown = sorted(set(only or ()) - set(RECIPES))
    if unknown:
        raise UsageError(f"there is no model {unknown[0]!r}; there are: {', '.join(RECIPES)}")
    return set(only or RECIPES)


def _current(out: Path, fingerprint: str) -> Bundle | None:
    """The bundle at ``out`` if it is whole and was made from the same inputs."""
    try:
        bundle = Bundle.open(out)
        bundle.verify()
    except BundleError:
        return None
    return bundle if bundle.manifest.fingerprint == fingerprint else None


def _roles_of(out: Path) -> set[str]:
    """What the bundle at ``out`` holds, current or not: an export does not drop models."""
    try:
        return set(Bundle.open(out).manifest.models)
    except BundleError:
        return set()


def _fingerprint(preset: str, precision: str) -> str:
    parts = {
        "export": EXPORT_VERSION,
        "preset": preset,
        "precision": precision,
        "wheels": {w.package: w.sha256 for w in wheels.WHEELS},
        "trained": {
            role: bundles.sha256_of(recipe.member)
            for role, recipe in RECIPES.items()
            if isinstance(recipe.member, Path) and recipe.member.is_file()
        },
        "versions": {name: _version(name) for name in _CONVERTERS},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _require_extra() -> None:
    for package in (*_CONVERTERS, *_MODULES):
        if importlib.util.find_spec(_MODULES.get(package, package)) is None:
            raise MissingExtraError(package, "export")


def _export(
    recipe: Recipe,
    preset: Preset,
    root: Path,
    wheel_folder: Path,
    samples: Samples,
    report: Progress,
) -> ModelEntry:
    """Emit one model into ``root`` and check it."""
    report(recipe.role, "convert")
    path = root / recipe.file
    path.write_bytes(recipe.emit(wheel_folder))
    report(recipe.role, "compare")
    metrics = recipe.compare(path, wheel_folder, samples)
    for metric in metrics:
        if not passes(metric):
            sign = "≥" if metric.better == "higher" else "≤"
            raise ExportError(
                f"{recipe.role} is not its original: {metric.name} is {metric.value:.4g}, "
                f"must be {sign} {metric.floor:g} (on {metric.n} samples)",
                hint="report it with the versions of torch and onnx; the old bundle is unchanged",
            )
    report(recipe.role, "time")
    latency = measure(path, recipe.timed(wheel_folder, samples))
    engine = open_model(path)
    specs = engine.specs
    engine.close()
    return ModelEntry(
        role=recipe.role,
        file=bundles.file_entry(root, recipe.file),
        precision=preset.precision if recipe.format == "ONNX" else "as-shipped",
        inputs=tuple(_tensor(spec) for spec in specs.inputs),
        outputs=tuple(_tensor(spec) for spec in specs.outputs),
        metric=metrics[0],
        latency=latency,
        source=_source(recipe),
    )


def _source(recipe: Recipe) -> bundles.SourceInfo:
    """Where a model's weights come from: a pinned wheel, or deixis itself."""
    if isinstance(recipe.member, Path):
        return bundles.SourceInfo(
            package="deixis",
            version=_version("deixis"),
            sha256=bundles.sha256_of(recipe.member),
            member=recipe.member.name,
            licence="Apache-2.0",
        )
    wheel = wheels.pinned(recipe.member.package)
    return bundles.SourceInfo(
        package=wheel.package,
        version=wheel.version,
        sha256=wheel.sha256,
        member=recipe.member.path,
        licence=wheel.licence,
    )


def _tensor(spec: TensorSpec) -> bundles.TensorInfo:
    shape = tuple(-1 if n is None else n for n in spec.shape)
    return bundles.TensorInfo(name=spec.name, dtype=str(spec.dtype), shape=shape)


def _manifest(
    out: Path, root: Path, preset: str, fingerprint: str, models: dict[str, ModelEntry]
) -> Manifest:
    packages = ("deixis", "onnxruntime", *_CONVERTERS, *_MODULES)
    return Manifest(
        schema=bundles.SCHEMA,
        name=out.name,
        preset=preset,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        fingerprint=fingerprint,
        versions={package: _version(package) for package in packages},
        models=models,
        files={"tokenizer": bundles.file_entry(root, TOKENIZER)},
    )


def _row(recipe: Recipe, entry: ModelEntry, made: bool) -> ExportRow:
    if entry.metric is None or entry.latency is None:
        raise ExportError(f"the manifest has no figures for {recipe.role}", hint="add --force")
    fresh = "converted" if recipe.format == "ONNX" else "as shipped"
    return ExportRow(
        model=recipe.role,
        format=recipe.format,
        precision=entry.precision,
        status=fresh if made else "up to date",
        size_mb=entry.file.size_bytes / 1e6,
        metric=entry.metric,
        latency=entry.latency,
        timed_on=recipe.timed_on,
    )
