"""The endpointing curve: how much sooner a command is committed, and how often too soon.

    points, complete = measure(recordings, load_domain("tabletop"), setup, workers=2)
    draw(points, Path("endpoint.svg"))

The semantic endpoint, with the domain's silences scaled, beside one that waits equally long after
everything. The commands are played once for every point, without partials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from deixis.export.bench.labels import Recording
from deixis.export.bench.report import Result, milliseconds, share
from deixis.export.bench.scoring import STOP
from deixis.export.bench.speech import play
from deixis.export.bench.workers import Job, Setup
from deixis.nodes.speech.domain import Domain
from deixis.runtime.errors import ConfigError, MissingExtraError, UsageError

SCALES: Final = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
FIXED_S: Final = (0.25, 0.7, 1.0)
NO_PARTIALS_MS: Final = 60_000.0
FORMATS: Final = (".svg", ".png")


class Silences(msgspec.Struct, frozen=True):
    """One setting of the endpoint."""

    name: str
    kind: str
    complete_ms: float
    extendable_ms: float
    incomplete_ms: float
    unknown_ms: float


def check(path: Path) -> None:
    """See that a picture can be drawn there, before hours are spent on it.

    Raises:
        UsageError: The file has another ending.
        MissingExtraError: matplotlib is not installed.
    """
    import importlib.util

    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"--curve {path}: the picture can be {' or '.join(FORMATS)}")
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "export")


def settings_of(domain: Domain) -> list[Silences]:
    """The points of the curve for a domain."""
    own = domain.silences
    semantic = [
        Silences(
            f"semantic ×{scale:g}",
            "semantic",
            own.complete_ms * scale,
            own.extendable_ms * scale,
            own.incomplete_ms * scale,
            own.unknown_ms * scale,
        )
        for scale in SCALES
    ]
    fixed = [Silences(f"fixed {s:g} s", "fixed", *[1000.0 * s] * 4) for s in FIXED_S]
    return [*semantic, *fixed]


def measure(
    recordings: Sequence[Recording], domain: Domain, setup: Setup, workers: int
) -> tuple[list[dict[str, Any]], bool]:
    """Play the commands at every setting, on the simulated clock.

    Returns:
        The points (those that are complete), and whether they are all.

    Raises:
        ConfigError: There is no command among the recordings.
    """
    commands = [r for r in recordings if r.label.intent not in (None, STOP)]
    if not commands:
        raise ConfigError("no curve: none of the recordings is a command other than stop")
    settings = settings_of(domain)
    jobs = [Job(r, s.name, None, _params(s, domain)) for s in settings for r in commands]
    results, complete = play(jobs, recordings, replace(setup, real_time=False), workers)
    points = []
    for setting in settings:
        own = [r for r in results if r.job.condition == setting.name]
        if len(own) == len(commands):
            points.append(_point(setting, own))
    return points, complete


def draw(points: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw premature commits, and commands right, against median latency.

    An endpoint that cuts a sentence before it means anything commits nothing: that is not
    premature, but the command is lost. So the two belong together.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("premature", "premature commits, %"), ("accuracy", "commands fully right, %"))
    for axes, (measure_name, label) in zip(figure.subplots(1, 2), panels, strict=True):
        for kind, style in (("semantic", "o-"), ("fixed", "s--")):
            own = [p for p in points if p["kind"] == kind and p["latency_ms"]["p50"] is not None]
            xs = [p["latency_ms"]["p50"] for p in own]
            ys = [100.0 * p[measure_name] for p in own]
            axes.plot(xs, ys, style, label=f"{kind} endpoint")
            for point, x, y in zip(own, xs, ys, strict=True):
                axes.annotate(
                    point["name"].removeprefix(kind).strip(),
                    (x, y),
                    textcoords="offset points",
                    # To the right: on the left there is the axis.
                    xytext=(6, 5),
                    fontsize=7,
                )
        axes.margins(x=0.12, y=0.12)
        axes.autoscale_view()
        axes.set_xlim(left=0.0)
        axes.set_xlabel("end of speech → commit, median, ms")
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _params(setting: Silences, domain: Domain) -> dict[str, Any]:
    return {
        "domain": str(domain.path),
        "complete_ms": setting.complete_ms,
        "extendable_ms": setting.extendable_ms,
        "incomplete_ms": setting.incomplete_ms,
        "unknown_ms": setting.unknown_ms,
        "partial_ms": NO_PARTIALS_MS,
    }


def _point(setting: Silences, results: Sequence[Result]) -> dict[str, Any]:
    judged = [r.judged for r in results]
    return {
        **msgspec.structs.asdict(setting),
        "n": len(judged),
        "premature": share(sum(j.premature for j in judged), len(judged)),
        "accuracy": share(sum(j.right for j in judged), len(judged)),
        "latency_ms": milliseconds(j.latency_ms for j in judged if j.latency_ms is not None),
    }
