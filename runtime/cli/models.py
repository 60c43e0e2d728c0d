"""``deixis models``: the models of a bundle and the domain, with what was measured of them.

deixis models --bundle bundles/cpu --domain examples/domains/coffee.yaml
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.runtime.bundle import Bundle, FileEntry, ModelEntry, sha256_of
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.domains import DEFAULT, DomainSummary, summarise

HELP = "show the models of a bundle and a domain: sizes, hashes, measured figures"
EXAMPLE = "deixis models --bundle bundles/cpu --domain examples/domains/coffee.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="bundle of models (default: %(default)s)",
    )  # fmt: skip
    add_domain(parser)


def add_domain(parser: argparse.ArgumentParser) -> None:
    """Declare ``--domain``, which the verbs share that only look at one."""
    parser.add_argument(
        "--domain", default=DEFAULT, metavar="NAME|FILE.yaml",
        help="what can be said: a domain that comes with deixis, or a file (default: %(default)s)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    bundle = Bundle.open(args.bundle)
    models = [_model(bundle, entry) for entry in bundle.manifest.models.values()]
    domain = summarise(args.domain)
    sound = all(model["sha256_ok"] for model in models)
    if args.json:
        about = {"path": str(bundle.root), "preset": bundle.manifest.preset, "models": models}
        print(json.dumps({"bundle": about, "domain": msgspec.to_builtins(domain)}))
        return 0 if sound else 1
    console = Console()
    console.print(_table(bundle, models))
    if not sound:
        remake = f"deixis export all --preset {bundle.manifest.preset} --out {args.bundle}"
        console.print(f"a file has changed since the bundle was made\n  → {remake}", markup=False)
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


def _model(bundle: Bundle, entry: ModelEntry) -> dict[str, Any]:
    return {
        "role": entry.role,
        "file": entry.file.path,
        "precision": entry.precision,
        "mb": round(entry.file.size_bytes / 2**20, 1),
        "sha256_ok": _unchanged(bundle, entry.file),
        "metric": msgspec.to_builtins(entry.metric),
        "latency": msgspec.to_builtins(entry.latency),
        "source": f"{entry.source.package} {entry.source.version}",
        "licence": entry.source.licence,
    }


def _unchanged(bundle: Bundle, entry: FileEntry) -> bool:
    path = bundle.root / entry.path
    return path.stat().st_size == entry.size_bytes and sha256_of(path) == entry.sha256


def _table(bundle: Bundle, models: list[dict[str, Any]]) -> Table:
    table = Table(title=f"{bundle.root} (preset {bundle.manifest.preset})", title_justify="left")
    for name in ("model", "precision"):
        table.add_column(name)
    for name in ("MB", "p50 ms"):
        table.add_column(name, justify="right")
    table.add_column("sha256")
    table.add_column("check at export")
    for model in models:
        metric, latency = model["metric"], model["latency"]
        check = (
            f"{metric['name']} {metric['value']:.3g} "
            f"({'≥' if metric['better'] == 'higher' else '≤'} {metric['floor']:g}, n {metric['n']})"
        ) if metric else "–"  # fmt: skip
        table.add_row(
            model["role"], model["precision"], f"{model['mb']:.1f}",
            f"{latency['p50_ms']:.1f}" if latency else "–",
            "[green]✓[/]" if model["sha256_ok"] else "[red]✗ changed[/]",
            escape(check),
        )  # fmt: skip
    return table


def _n(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
