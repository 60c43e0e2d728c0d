"""``deixis models diff``: what is different between two bundles.

deixis models diff bundles/cpu bundles/cpu-int8

Exit code 0: their manifests are the same, byte for byte, and so are all files that they describe;
1: they differ. Latencies lie outside the manifest: they are shown for models that differ, and never
make a difference themselves. Whether the files are as described says ``deixis models verify``.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from deixis.runtime.bundle import Bundle, Manifest, ModelEntry
from deixis.runtime.measured import read_measured

HELP = "show what is different between two bundles (exit code 0: nothing, 1: something)"
EXAMPLE = "deixis models diff bundles/cpu bundles/cpu-int8"
_HASH = re.compile(r"[0-9a-f]{64}")
_HASH_DIGITS = 12

Value = str | float | int | None


class Change(msgspec.Struct, frozen=True):
    """One thing that differs.

    Attributes:
        of: Role of the model, or ``bundle``.
        what: Path in the manifest, or ``p50_ms``; ``model``: it is only in one of them.
        a: Its value in the first bundle; None: it has none.
        b: Its value in the second.
    """

    of: str
    what: str
    a: Value
    b: Value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    for name in ("a", "b"):
        parser.add_argument(name, type=Path, metavar=name.upper(), help="folder of a bundle")


def run(args: argparse.Namespace) -> int:
    """Run the sub-command."""
    a, b = Bundle.open(args.a), Bundle.open(args.b)
    same = a.manifest_bytes == b.manifest_bytes
    changes = list(changes_of(a, b))
    if args.json:
        plain = msgspec.to_builtins(changes)
        print(json.dumps({"same": same, "a": str(a.root), "b": str(b.root), "changes": plain}))
        return 0 if same else 1
    console = Console()
    if same:
        console.print("[green]the same, byte for byte[/]")
        return 0
    console.print(_table(a, b, changes))
    if not changes:
        console.print("the manifests say the same in other bytes: one was not written by deixis")
    return 1


def changes_of(a: Bundle, b: Bundle) -> Iterator[Change]:
    """Everything that differs between two bundles."""
    yield from _compare("bundle", _flat(_without_models(a)), _flat(_without_models(b)))
    models_a, models_b = a.manifest.models, b.manifest.models
    times_a, times_b = read_measured(a).models, read_measured(b).models
    for role in sorted(models_a.keys() | models_b.keys()):
        one, other = models_a.get(role), models_b.get(role)
        if one is None or other is None:
            yield Change(role, "model", _brief(one), _brief(other))
        elif one != other:
            yield from _compare(role, _flat(one), _flat(other))
            p50s_ms = (t[role].p50_ms if role in t else None for t in (times_a, times_b))
            yield Change(role, "p50_ms", *p50s_ms)


def _compare(of: str, a: Mapping[str, Value], b: Mapping[str, Value]) -> Iterator[Change]:
    for what in dict.fromkeys((*a, *b)):
        if a.get(what) != b.get(what):
            yield Change(of, what, a.get(what), b.get(what))


def _without_models(bundle: Bundle) -> Manifest:
    return msgspec.structs.replace(bundle.manifest, models={})


def _flat(content: msgspec.Struct) -> dict[str, Value]:
    """All values of a struct by the path to them; what has a name goes by it."""
    found: dict[str, Value] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                walk(item, f"{path}.{key}" if path else key)
        elif isinstance(value, tuple) and value and isinstance(value[0], dict):
            for item in value:
                walk({k: v for k, v in item.items() if k != "name"}, f"{path}.{item['name']}")
        else:
            found[path] = ", ".join(map(str, value)) or None if isinstance(value, tuple) else value

    walk(msgspec.to_builtins(content), "")
    return found


def _brief(entry: ModelEntry | None) -> str | None:
    return None if entry is None else f"{entry.precision}, {entry.file.size_bytes / 1e6:.1f} MB"


def _table(a: Bundle, b: Bundle, changes: list[Change]) -> Table:
    title = f"A {a.root}\nB {b.root}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, show_edge=False, padding=0)
    for name in ("model", "what"):
        table.add_column(name, no_wrap=name == "model")
    for name in ("A", "B", "change"):
        table.add_column(name, justify="right")
    before = ""
    for change in changes:
        if change.of != before:
            table.add_section()
        cells = (_cell(change.a), _cell(change.b), _change(change))
        table.add_row(change.of if change.of != before else "", escape(change.what), *cells)
        before = change.of
    return table


def _cell(value: Value) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    return escape(value[:_HASH_DIGITS] if _HASH.fullmatch(value) else value)


def _change(change: Change) -> str:
    a, b = change.a, change.b
    if change.what == "model":
        return "[green]added[/]" if a is None else "[red]removed[/]"
    if isinstance(a, str | None) or isinstance(b, str | None):
        return ""
    if change.what.startswith("task."):
        return f"{b - a:+.2f}"
    return f"× {b / a:.2f}" if a else ""
