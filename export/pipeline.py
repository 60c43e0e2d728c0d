"""From pretrained weights to a verified bundle.

For each model: the whole network in FP32, compared with its original; what was asked of it (pruned
and taught, calibrated, emitted in another precision), judged by its task; packed. The bundle
replaces the old one only when every model has passed; a bundle that is up to date is left alone.

    python -c "from pathlib import Path; from deixis.export.pipeline import Request, export_all; \
export_all(Request(preset='cpu', out=Path('bundles/cpu')))"
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from deixis.export import cache as steps
from deixis.export.cache import StepCache, digest
from deixis.export.compare import passes
from deixis.export.extras import require_extra, versions
from deixis.export.gate import decide
from deixis.export.making import VERSION, Making, source_hash
from deixis.export.packing import pack, row_of, row_up_to_date
from deixis.export.plan import ModelPlan, Precision, Preset, plan_model, preset_named
from deixis.export.recipes.catalogue import RECIPES
from deixis.export.recipes.recipe import Recipe
from deixis.export.rows import ExportRow
from deixis.export.sources import EpisodeSources, Sources
from deixis.export.weights import wheels
from deixis.runtime import bundle as bundles
from deixis.runtime.bundle import Bundle, Manifest, MetricInfo, ModelEntry
from deixis.runtime.errors import BundleError, ExportError, UsageError
from deixis.runtime.measured import read_measured, write_measured

TOKENIZER = "tokenizer.bin"
DEFAULT_SAMPLES = Path("tests/scenes/episodes")

Progress = Callable[[str, str, float], None]
"""Called with the model's role, the step and which share of it is done; the last is ``done``."""


@dataclass(frozen=True)
class Request:
    """What an export is asked for.

    Attributes:
        preset: a name in :data:`deixis.export.plan.PRESETS`.
        out: the bundle's folder; made, or replaced as a whole once everything has passed.
        models: recipes by role; default all that deixis has.
        only: roles to export; others that the bundle has stay in it. Default: all of ``models``.
        precision: default the preset's.
        prune: mean share of the channels to remove.
        wheels: where the pinned wheels lie.
        samples: episodes that the models are judged on: one in three, where nothing else is named
            to calibrate on.
        calib: episodes to learn from and to calibrate on; default two in three of ``samples``.
        ranges: calibration tables (``ROLE.json``) to use instead of calibrating.
        points: how many points of its metric a model may lose; default its recipe's.
        targets: compute capabilities to build for, as a proof; default the preset's.
        force: export the requested models even if they are up to date.
        fall_back: whether a model that misses its floor may become something else than was asked.
        explain: whether to look at what every layer costs and gains in INT8.
        own: the files of a model that the user brings, instead of episodes.
        cache: where steps are kept.
    """

    preset: str
    out: Path
    models: dict[str, Recipe] = field(default_factory=lambda: RECIPES)
    only: tuple[str, ...] | None = None
    precision: Precision | None = None
    prune: float = 0.0
    wheels: Path = field(default_factory=wheels.default_folder)
    samples: Path = DEFAULT_SAMPLES
    calib: Path | None = None
    ranges: Path | None = None
    points: float | None = None
    targets: tuple[tuple[int, int], ...] | None = None
    force: bool = False
    fall_back: bool = True
    explain: bool = False
    own: Sources | None = None
    cache: Path = field(default_factory=steps.default_folder)

    def roles(self) -> set[str]:
        """The roles to export.

        Raises:
            UsageError: one is unknown.
        """
        unknown = sorted(set(self.only or ()) - set(self.models))
        if unknown:
            known = ", ".join(self.models)
            raise UsageError(f"there is no model {unknown[0]!r}; there are: {known}")
        return set(self.only or self.models)

    def sources(self) -> Sources:
        """Where the samples come from."""
        return self.own or EpisodeSources(self.samples, self.calib)

    def robot(self) -> Preset:
        """The preset, for the GPUs that are asked for.

        Raises:
            UsageError: there is no such preset.
        """
        preset = preset_named(self.preset)
        return replace(preset, compute_capabilities=self.targets or preset.compute_capabilities)

    def plan(self) -> dict[str, ModelPlan]:
        """What is to be done to each model.

        Raises:
            UsageError: unknown preset or model, or the preset has no such precision.
        """
        preset, wanted = self.robot(), self.roles()
        return {
            role: plan_model(_judged(recipe, self.points), preset, self.precision, self.prune)
            for role, recipe in self.models.items()
            if role in wanted
        }


def export_all(request: Request, progress: Progress | None = None) -> list[ExportRow]:
    """Bring a bundle up to date.

    Args:
        request: what is asked for.
        progress: called as the export goes on.

    Returns:
        One row a model of the bundle.

    Raises:
        UsageError: unknown preset, precision or model; the bundle is of another preset.
        WeightsError: a wheel is missing or is not the pinned one.
        MediaError: there are no samples.
        MissingExtraError: the export's packages are not installed.
        ExportError: a model falls below its floor, or ``out`` is something else than a bundle.
    """
    plans = request.plan()
    out = request.out.resolve()
    old = _old_bundle(out, request)
    sources = request.sources()
    entries = {} if old is None else dict(old.manifest.models)
    times = {} if old is None else dict(read_measured(old).models)
    report = progress or (lambda role, step, share: None)
    timed = request.robot().emission == "cpu"
    current = {
        role
        for role, plan in plans.items()
        if role in entries
        and entries[role].fingerprint == _fingerprint(request, plan, sources)
        and (role in times or not timed)
    }
    todo = [role for role in plans if request.force or role not in current]
    order = [
        role for role in dict.fromkeys((*request.models, *entries)) if role in {*plans, *entries}
    ]
    rows: dict[str, ExportRow] = {}
    if todo:
        require_extra()
        sources.everything()  # what cannot be read is said before anything is begun
        store = StepCache(request.cache)
        with bundles.replacing(out) as root:
            for role in order:
                if role in todo:
                    plan = plans[role]
                    making = Making(
                        plan.recipe,
                        request.robot(),
                        request.wheels,
                        sources,
                        store,
                        request.ranges,
                        partial(report, role),
                    )
                    checks = _checked(making, plan)
                    decision = decide(making, plan, request.fall_back, request.explain)
                    fingerprint = _fingerprint(request, plan, sources)
                    entries[role], new = pack(root, making, decision, checks, fingerprint)
                    times.pop(role, None)
                    if new is not None:
                        times[role] = new
                    rows[role] = row_of(making, decision, entries[role], new)
                elif old is not None:
                    _keep(old, root, entries[role])
                report(role, "done", 1.0)
            files = {}
            if request.own is None:
                (root / TOKENIZER).write_bytes(wheels.read_member(wheels.TOKENIZER, request.wheels))
                files["tokenizer"] = bundles.file_entry(root, TOKENIZER)
            bundles.write_manifest(root, _manifest(request, entries, order, files))
            write_measured(root, {role: times[role] for role in order if role in times})
    else:
        for role in order:
            report(role, "done", 1.0)
    return [rows.get(r) or row_up_to_date(entries[r], times.get(r)) for r in order]


def _old_bundle(out: Path, request: Request) -> Bundle | None:
    """The whole bundle at ``out``, if there is one; a broken one is made anew."""
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out} is a file", hint="name a folder with --out")
    if not out.is_dir() or not any(out.iterdir()):
        return None
    if not (out / bundles.MANIFEST).is_file():
        raise ExportError(
            f"{out} has files but no {bundles.MANIFEST}: it is not a bundle and is left as it is",
            hint="name another folder with --out, or remove it",
        )
    try:
        bundle = Bundle.open(out)
        bundle.verify()
    except BundleError:
        return None
    if bundle.manifest.preset != request.preset and request.only is not None:
        raise UsageError(
            f"{out} was made with --preset {bundle.manifest.preset}; a bundle is for one kind of "
            f"robot, so some of its models cannot be for {request.preset}",
            hint="export all, or name another folder with --out",
        )
    return bundle


def _checked(making: Making, plan: ModelPlan) -> tuple[MetricInfo, ...]:
    """The FP32 file (or the shipped one) against its original.

    Raises:
        ExportError: it computes something else.
    """
    checks = making.parity(shipped=plan.untouched and plan.recipe.shipped is not None)
    for metric in checks:
        if not passes(metric):
            sign = "≥" if metric.better == "higher" else "≤"
            raise ExportError(
                f"{making.recipe.role} is not its original: {metric.name} is {metric.value:.4g}, "
                f"must be {sign} {metric.floor:g} (on {metric.n} samples)",
                hint="report it with the versions of torch and onnx; the old bundle is unchanged",
            )
    return checks


def _fingerprint(request: Request, plan: ModelPlan, sources: Sources) -> str:
    """A hash of everything that a model's file in the bundle depends on."""
    recipe = plan.recipe
    return digest(
        VERSION,
        request.preset,
        recipe.role,
        source_hash(recipe),
        plan.precisions,
        plan.ratio,
        plan.untouched,
        repr(recipe.pruning),
        repr(recipe.quantization),
        recipe.task.points,
        request.fall_back,
        [] if request.ranges is None else digest(*sorted(request.ranges.glob("*.json"))),
        sources.hash if plan.ratio or "int8" in plan.precisions else "",
        versions(),
    )


def _keep(old: Bundle, root: Path, entry: ModelEntry) -> None:
    """Take a model over from the bundle that is replaced."""
    for file in (entry.file, entry.calibration):
        if file is not None:
            (root / file.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(old.root / file.path, root / file.path)


def _manifest(
    request: Request,
    entries: Mapping[str, ModelEntry],
    order: list[str],
    files: dict[str, bundles.FileEntry],
) -> Manifest:
    models = {role: entries[role] for role in order}
    return Manifest(
        schema=bundles.SCHEMA,
        preset=request.preset,
        fingerprint=digest({role: entry.fingerprint for role, entry in models.items()}),
        versions=versions(),
        models=models,
        files=files,
    )


def _judged(recipe: Recipe, points: float | None) -> Recipe:
    """The recipe, with another floor where one is asked for."""
    if points is None:
        return recipe
    return replace(recipe, task=replace(recipe.task, points=points))
