"""Which sources of objects there are, and how a graph file chooses them.

sources, external = make_sources(SourceParams(sources=("tabletop",)), base, "objects")
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from deixis.nodes.objects.detector import DetectorParams, DetectorSource
from deixis.nodes.objects.external import ExternalSource
from deixis.nodes.objects.fiducials import FiducialParams, FiducialSource
from deixis.nodes.objects.source import Source
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource
from deixis.nodes.objects.workspace import Workspace
from deixis.runtime.errors import ConfigError

_MEASURED_AT_ONCE = 2

Name = Literal["fiducials", "tabletop", "detector", "external"]


class SourceParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What finds objects; the objects node's parameters begin with these.

    Attributes:
        sources: Any of ``fiducials`` (printed tags), ``tabletop`` (whatever stands on a table,
            plain or patterned), ``detector`` (an ONNX file of yours), ``external`` (the ``scene``
            of another stack, connected to the input of that name).
        workspace: Where on the table to look.
        fiducials: The tags.
        tabletop: Thresholds.
        detector: The detector.
    """

    sources: tuple[Name, ...] = ("fiducials", "tabletop")
    workspace: Workspace = Workspace()
    fiducials: FiducialParams = FiducialParams()
    tabletop: TabletopParams = TabletopParams()
    detector: DetectorParams = DetectorParams()


def make_sources(
    params: SourceParams, base: Path, node_id: str
) -> tuple[list[Source], ExternalSource | None]:
    """Make the sources that a graph file names.

    Args:
        params: The node's parameters.
        base: Folder that relative paths start from.
        node_id: The node, for messages.

    Returns:
        Those that look at pictures, and the one for scenes from outside if it is named.

    Raises:
        ConfigError: There is none, or a source's own parameters are wrong.
        EngineError: The detector's file is no model.
    """
    sources: list[Source] = []
    # Without tags there is nothing that the fiducials could report.
    if "fiducials" in params.sources and params.fiducials.tags:
        sources.append(FiducialSource(params.fiducials))
    if "detector" in params.sources:
        sources.append(DetectorSource(params.detector, params.workspace, base))
    if "tabletop" in params.sources:
        sources.append(TabletopSource(params.tabletop, params.workspace, _MEASURED_AT_ONCE))
    external = ExternalSource() if "external" in params.sources else None
    if not sources and external is None:
        raise ConfigError(
            f"node {node_id!r} has no source of objects",
            hint="sources: [fiducials, tabletop, detector, external]; fiducials needs tags",
        )
    return sources, external
