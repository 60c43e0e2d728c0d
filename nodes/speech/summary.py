"""A domain in figures, for ``deixis doctor``, ``models`` and ``run``.

python -c "from deixis.nodes.speech.summary import summarise; print(summarise('tabletop').words)"
"""

from __future__ import annotations

import time
from pathlib import Path

from deixis.nodes.speech.domain import load_domain
from deixis.nodes.speech.wordgraph import compile_domain
from deixis.runtime.domains import DomainSummary


def summarise(name_or_path: str, base_dir: Path | None = None) -> DomainSummary:
    """Load, check and compile a domain.

    Args:
        name_or_path: Name of a domain that comes with deixis, or path of a YAML file.
        base_dir: Where a relative path starts.

    Raises:
        DomainError: The domain is missing or wrong.
    """
    start = time.perf_counter()
    domain = load_domain(name_or_path, base_dir)
    graph = compile_domain(domain)
    return DomainSummary(
        name=domain.name,
        path=str(domain.path),
        intents=domain.intents,
        sentences=sum(len(templates) for templates in domain.sentences.values()),
        words=len(graph.words),
        arcs=int(graph.src.size),
        states=len(graph.intent),
        live=tuple(name for name, entry in domain.lists.items() if entry.live),
        compile_ms=round((time.perf_counter() - start) * 1000, 1),
        warnings=domain.warnings,
    )
