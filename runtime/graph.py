"""Graph files: which nodes run and how they are connected, checked before anything starts.

    name: tabletop
    nodes:
      - id: camera
        node: camera                      # an installed node, or module:Class
        params: {source: /dev/video0}
      - id: hands
        node: hands
        inputs:
          frame: camera/frame             # <node id>/<output>
      - id: fusion
        node: fusion
        inputs:
          robot_state: {from: robot/robot_state, feedback: true}

    deixis graph nodes/graphs/demo.yaml

The daemon takes part as the node ``daemon``, with the outputs ``typed``, ``talk``,
``playback`` and ``heartbeat``. ``require_signature: robot.pub`` beside ``name`` refuses bundles
that were not signed with that key. Relative paths start at the graph file's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Literal

import msgspec

from deixis.runtime import topics
from deixis.runtime.config import convert, load_yaml, nearest
from deixis.runtime.errors import ConfigError, GraphError
from deixis.runtime.node import Node
from deixis.runtime.registry import node_class
from deixis.runtime.topics import Policy, Topic

DAEMON = "daemon"
DAEMON_OUTPUTS: Mapping[str, Topic] = {
    "typed": topics.TYPED,
    "talk": topics.TALK,
    "playback": topics.PLAYBACK,
    "heartbeat": topics.HEARTBEAT,
}


class InputSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Long form of an input.

    Attributes:
        sources: ``from``: one ``node/output`` or several.
        queue: Overrides the topic's queue policy.
        depth: Overrides the topic's queue depth.
        feedback: This input closes a loop on purpose; it does not count for the order of start.
    """

    sources: str | list[str] = msgspec.field(name="from")
    queue: Policy | None = None
    depth: int | None = None
    feedback: bool = False


class NodeSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node of a graph file.

    Attributes:
        id: Its name in this graph.
        node: Installed node, or ``module:Class``.
        params: Its parameters.
        inputs: Source (or :class:`InputSpec`) per input.
        restart: When the daemon starts it again.
        max_restarts: How often within a minute before the daemon gives up.
        budget_ms: How long one call of a handler should take at most (shown by status, profile).
    """

    id: str
    node: str
    params: dict[str, Any] = {}
    inputs: dict[str, str | InputSpec] = {}
    restart: Literal["on-failure", "never"] = "on-failure"
    max_restarts: int = 5
    budget_ms: float | None = None


class GraphSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A graph file.

    Attributes:
        name: What it is called.
        description: What it is for.
        require_signature: File of a public key; the bundle must be signed by it
            (:mod:`deixis.runtime.signing`).
        nodes: Its nodes.
    """

    name: str
    description: str = ""
    require_signature: str | None = None
    nodes: list[NodeSpec]


@dataclass(frozen=True, slots=True)
class Link:
    """One connection: an output of one node to an input of another.

    Attributes:
        source: Node id.
        output: Its output.
        target: Node id.
        input: Its input.
        topic: What travels.
        policy: Queue policy at the receiver.
        depth: Queue depth at the receiver.
    """

    source: str
    output: str
    target: str
    input: str
    topic: Topic
    policy: Policy
    depth: int


@dataclass(frozen=True)
class Graph:
    """A checked graph.

    Attributes:
        spec: As written.
        path: Where it was read from.
        classes: Class per node id.
        params: Typed parameters per node id.
        links: All connections.
        order: Node ids, sources first.
    """

    spec: GraphSpec
    path: Path
    classes: Mapping[str, type[Node[Any]]]
    params: Mapping[str, msgspec.Struct]
    links: Sequence[Link]
    order: Sequence[str]

    def node(self, node_id: str) -> NodeSpec:
        """The entry of a node."""
        return next(n for n in self.spec.nodes if n.id == node_id)


def packaged_graphs() -> Path:
    """The folder of the graphs that come with the package."""
    from importlib.resources import files

    return Path(str(files("deixis.nodes"))) / "graphs"


def find_graph(name: str) -> Path:
    """A graph file by its path, or by the name of one that comes with the package.

    Raises:
        GraphError: There is no such file.
    """
    path = Path(name)
    packaged = packaged_graphs()
    for candidate in (path, packaged / path.name, packaged / f"{path.name}.yaml"):
        if candidate.is_file():
            return candidate.resolve()
    known = sorted(p.name for p in packaged.glob("*.yaml"))
    raise GraphError(
        f"there is no graph file {name}{nearest(path.name, known)}",
        hint=f"graphs that come with deixis: {', '.join(known)}",
    )


def read_graph(path: Path) -> GraphSpec:
    """Read a graph file without looking at its nodes.

    Raises:
        GraphError: It is missing, not YAML, or has unknown keys.
    """
    return convert(load_yaml(path, GraphError), GraphSpec, str(path), GraphError)


def load_graph(path: Path, settings: Sequence[str] = ()) -> Graph:
    """Read and check a graph file.

    Args:
        path: The YAML file.
        settings: Overrides of parameters, as ``node.param=value`` (the value is YAML).

    Raises:
        GraphError: Anything that would keep the graph from running, with file and place.
    """
    spec = read_graph(path)
    by_id = {n.id: n for n in spec.nodes}
    if len(by_id) != len(spec.nodes) or DAEMON in by_id:
        ids = [n.id for n in spec.nodes]
        double = next((i for i in ids if ids.count(i) > 1), DAEMON)
        raise GraphError(f"{path}: the node id {double!r} is taken twice")
    overrides = _parse_settings(settings, by_id)
    classes = {n.id: _class_of(path, n) for n in spec.nodes}
    params = {
        n.id: convert(
            {**n.params, **overrides.get(n.id, {})},
            classes[n.id].Params,
            f"{path}: node {n.id!r}: params",
            GraphError,
        )
        for n in spec.nodes
    }
    links: list[Link] = []
    before: dict[str, set[str]] = {n.id: set() for n in spec.nodes}
    for node in spec.nodes:
        for name, value in node.inputs.items():
            long = value if isinstance(value, InputSpec) else InputSpec(sources=value)
            sources = [long.sources] if isinstance(long.sources, str) else long.sources
            for source in sources:
                link = _link(path, node, name, source, long, classes)
                links.append(link)
                if link.source != DAEMON and not long.feedback:
                    before[node.id].add(link.source)
        node_type = classes[node.id]
        for name in node_type.inputs:
            if name not in node.inputs and name not in node_type.optional:
                raise GraphError(
                    f"{path}: node {node.id!r}: its input {name!r} is not connected",
                    hint=f"it takes the topic {node_type.inputs[name].name!r}",
                )
    try:
        order = list(TopologicalSorter(before).static_order())
    except CycleError as cause:
        # graphlib lists each node before the one that depends on it.
        cycle = " → ".join(reversed(cause.args[1]))
        raise GraphError(
            f"{path}: the graph has a cycle: {cycle}",
            hint="if a loop is meant (a state that comes back), mark that input: "
            "{from: …, feedback: true}",
        ) from None
    return Graph(spec, path, classes, params, links, order)


def _class_of(path: Path, node: NodeSpec) -> type[Node[Any]]:
    try:
        return node_class(node.node)
    except GraphError as cause:
        raise GraphError(f"{path}: node {node.id!r}: {cause.message}", hint=cause.hint) from cause


def _link(
    path: Path,
    node: NodeSpec,
    name: str,
    source: str,
    long: InputSpec,
    classes: Mapping[str, type[Node[Any]]],
) -> Link:
    """Check one connection."""
    place = f"{path}: node {node.id!r}: input {name!r}"
    inputs = classes[node.id].inputs
    if name not in inputs:
        raise GraphError(
            f"{place}: node {node.node!r} has no such input{nearest(name, list(inputs))}",
            hint=f"its inputs: {', '.join(inputs) or 'none'}",
        )
    source_id, _, output = source.partition("/")
    if not output:
        raise GraphError(f"{place}: {source!r} is not of the form <node id>/<output>")
    known = [*classes, DAEMON]
    if source_id not in known:
        raise GraphError(
            f"{place}: there is no node {source_id!r}{nearest(source_id, known)}",
            hint=f"nodes of this graph: {', '.join(known)}",
        )
    outputs = DAEMON_OUTPUTS if source_id == DAEMON else classes[source_id].outputs
    if output not in outputs:
        raise GraphError(
            f"{place}: node {source_id!r} has no output {output!r}{nearest(output, list(outputs))}",
            hint=f"its outputs: {', '.join(outputs) or 'none'}",
        )
    wanted, given = inputs[name], outputs[output]
    if wanted is not given:
        raise GraphError(
            f"{place} takes {wanted.message.__name__} (topic {wanted.name!r}), but {source} gives "
            f"{given.message.__name__} (topic {given.name!r})"
        )
    return Link(
        source=source_id,
        output=output,
        target=node.id,
        input=name,
        topic=wanted,
        policy=long.queue or wanted.policy,
        depth=long.depth or wanted.depth,
    )


def _parse_settings(
    settings: Sequence[str], by_id: Mapping[str, NodeSpec]
) -> dict[str, dict[str, Any]]:
    import yaml

    result: dict[str, dict[str, Any]] = {}
    for setting in settings:
        key, equals, text = setting.partition("=")
        node_id, dot, param = key.partition(".")
        if not equals or not dot:
            raise ConfigError(f"--set {setting}: not of the form node.param=value")
        if node_id not in by_id:
            raise ConfigError(
                f"--set {setting}: no node {node_id!r}{nearest(node_id, list(by_id))}"
            )
        result.setdefault(node_id, {})[param] = yaml.safe_load(text)
    return result
