"""Finds nodes and command-line verbs by name, through the entry points of installed packages.

A package adds a node of its own with ``[project.entry-points."deixis.nodes"]`` in its
pyproject.toml: ``my_node = "my_package.my_node:MyNode"``. A graph file may also name a class
directly, as ``my_package.my_node:MyNode``.

    python -c "from deixis.runtime.registry import node_names; print(node_names())"
"""

from __future__ import annotations

import importlib
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError, GraphError, NodeError
from deixis.runtime.node import Node, check_declaration

NODES = "deixis.nodes"
VERBS = "deixis.verbs"
CALIBRATIONS = "deixis.calibrations"
CHECKS = "deixis.checks"


def node_names() -> list[str]:
    """Names of the nodes that are installed."""
    return sorted(p.name for p in entry_points(group=NODES))


def verb_names() -> list[str]:
    """Names of the verbs that are installed."""
    return sorted(p.name for p in entry_points(group=VERBS))


def node_class(name: str) -> type[Node[Any]]:
    """The class of a node, by its name or as ``module:Class``.

    Raises:
        GraphError: There is no such node, or it cannot be imported.
        NodeError: It declares an input that it does not handle.
    """
    point = EntryPoint(name, name, NODES) if ":" in name else _find(NODES, name)
    if point is None:
        known = node_names()
        raise GraphError(
            f"unknown node {name!r}{nearest(name, known)}",
            hint=f"installed nodes: {', '.join(known)}; or name a class as module:Class",
        )
    try:
        loaded = point.load()
    except (ImportError, AttributeError) as cause:
        raise GraphError(f"node {name!r} cannot be imported from {point.value}: {cause}") from cause
    if not (isinstance(loaded, type) and issubclass(loaded, Node)):
        raise NodeError(f"{point.value} is not a deixis Node")
    check_declaration(loaded)
    return loaded


def verb_module(name: str) -> ModuleType:
    """The module of a verb.

    Raises:
        ConfigError: There is no such verb.
    """
    point = _find(VERBS, name)
    if point is None:
        raise ConfigError(f"unknown verb {name!r}{nearest(name, verb_names())}")
    return importlib.import_module(point.value)


def modules(group: str) -> dict[str, ModuleType]:
    """The modules of a group of entry points, by name: calibrations, checks of the doctor."""
    points = sorted(entry_points(group=group), key=lambda p: p.name)
    return {p.name: importlib.import_module(p.value) for p in points}


def _find(group: str, name: str) -> EntryPoint | None:
    return next(iter(entry_points(group=group, name=name)), None)
