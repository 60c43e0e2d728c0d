"""What a domain amounts to, for the verbs that show it; the package that reads domains says it.

    python -c "from deixis.runtime.domains import summarise; print(summarise('tabletop'))"

The runtime knows no domains: the speech package registers ``summarise`` as the entry point
``deixis.domains``.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path

import msgspec

from deixis.runtime.errors import ConfigError

GROUP = "deixis.domains"
DEFAULT = "tabletop"


class DomainSummary(msgspec.Struct, frozen=True, kw_only=True):
    """A domain in figures.

    Attributes:
        name: Its name.
        path: Its file.
        intents: Names of its intents.
        sentences: How many sentence templates it has.
        words: Size of its vocabulary.
        arcs: Size of its word graph.
        states: Likewise.
        live: Lists that names of objects in the scene are added to.
        compile_ms: How long reading, checking and compiling it took.
        warnings: What is odd about the file, with lines.
    """

    name: str
    path: str
    intents: tuple[str, ...]
    sentences: int
    words: int
    arcs: int
    states: int
    live: tuple[str, ...]
    compile_ms: float
    warnings: tuple[str, ...]


def summarise(name_or_path: str, base_dir: Path | None = None) -> DomainSummary:
    """Load, check and compile a domain.

    Args:
        name_or_path: Name of a domain that comes with deixis, or path of a YAML file.
        base_dir: Where a relative path starts.

    Raises:
        DomainError: The domain is missing or wrong.
        ConfigError: No installed package reads domains.
    """
    point = next(iter(entry_points(group=GROUP)), None)
    if point is None:
        raise ConfigError(
            f"no installed package reads domains (entry point {GROUP!r})", hint="pip install -e ."
        )
    summary: DomainSummary = point.load()(name_or_path, base_dir)
    return summary
