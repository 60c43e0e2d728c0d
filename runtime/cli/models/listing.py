"""``deixis models list``: the models of a bundle and the domain, with what was measured of them.

deixis models --bundle bundles/cpu --domain examples/domains/coffee.yaml
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.runtime.bundle import Bundle, ModelEntry
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.domains import DEFAULT, DomainSummary, summarise
from deixis.runtime.measured import ModelTimes, Reading, read_measured
from deixis.runtime.signing import SignatureInfo, signature_of, signature_text

HELP = "list the models of a bundle and a domain: sizes, hashes, measured figures"
EXAMPLE = "deixis models --bundle bundles/cpu --domain examples/domains/coffee.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the sub-command; left out, those of the verb hold."""
    _add_bundle(parser, argparse.SUPPRESS)
    add_domain(parser, argparse.SUPPRESS)


def add_defaults(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb without a sub-command."""
    _add_bundle(parser, DEFAULT_BUNDLE)
    add_domain(parser)


def _add_bundle(parser: argparse.ArgumentParser, default: Path | str) -> None:
    parser.add_argument(
        "--bundle", type=Path, default=default, metavar="DIR",
        help=f"bundle of models (default: {DEFAULT_BUNDLE})",
    )  # fmt: skip


def add_domain(parser: argparse.ArgumentParser, default: str = DEFAULT) -> None:
    """Declare ``--domain``, which the verbs share that only look at one."""
    parser.add_argument(
        "--domain", default=default, metavar="NAME|FILE.yaml",
        help=f"what can be said: a domain that comes with deixis, or a file (default: {DEFAULT})",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    bundle = Bundle.open(args.bundle)
    signature = signature_of(bundle)
    reading = read_measured(bundle)
    unchanged = {role: _unchanged(bundle, m) for role, m in bundle.manifest.models.items()}
    domain = summarise(args.domain)
    sound = all(unchanged.values())
    if args.json:
        about = {
            "path": str(bundle.root),
            "preset": bundle.manifest.preset,
            "signature": msgspec.to_builtins(signature),
            "measured_at": reading.measured.created_at if reading.measured else None,
            "machine": reading.measured.machine if reading.measured else None,
            "note": reading.note,
            "models": [
                _model(m, reading.models.get(role), unchanged[role])
                for role, m in bundle.manifest.models.items()
            ],
        }
        print(json.dumps({"bundle": about, "domain": msgspec.to_builtins(domain)}))
        return 0 if sound else 1
    console = Console()
    console.print(_table(bundle, reading, unchanged))
    _show_remarks(console, bundle, reading, signature)
    if not sound:
        text = f"a file has changed since the bundle was made\n  → {bundle.remake}"
        console.print(text, markup=False)
    show_domain(console, domain)
    return 0 if sound else 1


def show_domain(console: Console, domain: DomainSummary) -> None:
    """Print a domain's figures and what is odd about it."""
    console.print(f"domain [bold]{escape(domain.name)}[/]: {escape(domain_text(domain))}")
    console.print(f"  intents: {', '.join(domain.intents)}", highlight=False, markup=False)
    if domain.live:
        lists = ", ".join(f"{{{name}}}" for name in domain.live)
        console.print(f"  objects in the scene are added to {lists}", markup=False)
    for warning in domain.warnings:
        console.print(f"  [yellow]○[/] {escape(warning)}", highlight=False)


def domain_text(domain: DomainSummary) -> str:
    """A domain's figures in one line."""
    return (
        f"{domain.path}, {_n(len(domain.intents), 'intent')}, {_n(domain.sentences, 'template')}, "
        f"{domain.words} words, {domain.arcs} arcs"
    )


def figure_text(entry: ModelEntry) -> str:
    """How good a model is: its task, or where there is none, how far it is from its original."""
    if entry.task is not None:
        task = entry.task
        return (
            f"{task.name} {task.value:.1f} % ({task.value - task.reference:+.1f}, "
            f"≥ {task.floor:.1f}, n {task.n})"
        )
    if not entry.checks:
        return "–"
    check = entry.checks[0]
    sign = "≥" if check.better == "higher" else "≤"
    return f"{check.name} {check.value:.3g} ({sign} {check.floor:g}, n {check.n})"


def _unchanged(bundle: Bundle, entry: ModelEntry) -> bool:
    files = (entry.file, entry.calibration)
    return all(bundle.unchanged(file) for file in files if file is not None)


def _model(entry: ModelEntry, times: ModelTimes | None, unchanged: bool) -> dict[str, Any]:
    plain = msgspec.to_builtins(entry)
    return {
        "role": entry.role,
        "file": entry.file.path,
        "mb": round(entry.file.size_bytes / 1e6, 1),
        "sha256_ok": unchanged,
        **{name: plain[name] for name in (
            "format", "precision", "backend", "pruned", "macs", "checks", "task", "reference",
            "calibration", "notes",
        )},
        "times": msgspec.to_builtins(times),
        "source": f"{entry.source.package} {entry.source.version}",
        "licence": entry.source.licence,
    }  # fmt: skip


def _table(bundle: Bundle, reading: Reading, unchanged: dict[str, bool]) -> Table:
    title = f"{bundle.root} (preset {bundle.manifest.preset})"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_edge=False, padding=0)
    for name in ("model", "precision"):
        table.add_column(name, no_wrap=True)
    for name in ("MB", "M MACs", "p50 ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("sha256", no_wrap=True)
    table.add_column("measured at export")
    for role, entry in bundle.manifest.models.items():
        times = reading.models.get(role)
        table.add_row(
            role,
            f"{entry.precision} −{entry.pruned:.0%}" if entry.pruned else entry.precision,
            f"{entry.file.size_bytes / 1e6:.1f}",
            f"{entry.macs / 1e6:.0f}" if entry.macs is not None else "–",
            f"{times.p50_ms:.1f}" if times else "–",
            "[green]✓[/]" if unchanged[role] else "[red]✗ changed[/]",
            escape(figure_text(entry)),
        )
    return table


def _show_remarks(
    console: Console, bundle: Bundle, reading: Reading, signature: SignatureInfo | None
) -> None:
    for role, entry in bundle.manifest.models.items():
        for note in entry.notes:
            console.print(f"  [yellow]○[/] {role}: {escape(note)}", highlight=False)
    if reading.measured is not None:
        machine = reading.measured.machine.get("cpu")
        console.print(f"measured {reading.measured.created_at} on {machine}", markup=False)
    if reading.note:
        console.print(f"  [yellow]○[/] {escape(reading.note)}", highlight=False)
    console.print(signature_text(signature), highlight=False, markup=False)


def _n(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
