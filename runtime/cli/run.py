"""``deixis run``: the daemon, in the foreground until Ctrl-C.

deixis run demo --bundle bundles/cpu
deixis run demo --domain examples/domains/coffee.yaml
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from deixis.runtime.bundle import Bundle
from deixis.runtime.control import run_dir
from deixis.runtime.errors import UsageError

if TYPE_CHECKING:
    from deixis.runtime.graph import Graph

HELP = "run a graph: start its nodes, watch them, serve commands, until Ctrl-C"
EXAMPLE = "deixis run demo --bundle bundles/cpu"
DEFAULT_BUNDLE = Path("bundles/cpu")
SPEECH = "speech"
"""The node that has a domain."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("graph", help="graph file, or the name of one that comes with deixis")
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="bundle of models (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.PARAM=VALUE", dest="settings",
        help="override a parameter of the graph, as often as needed",
    )  # fmt: skip
    parser.add_argument(
        "--domain", metavar="NAME|FILE.yaml",
        help="what can be said: a domain that comes with deixis, or a file of your own",
    )  # fmt: skip
    add_name(parser)
    parser.add_argument(
        "--log", choices=("debug", "info", "warning", "error"), default="info", help="log level"
    )
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT",
        help="serve Prometheus metrics on http://127.0.0.1:PORT/metrics",
    )  # fmt: skip


def add_name(parser: argparse.ArgumentParser) -> None:
    """Declare ``--name``, which all verbs that meet a daemon share."""
    parser.add_argument(
        "--name", default="default", help="name of the daemon, when several run (default: default)"
    )


def domain_settings(graph: Path, domain: str | None) -> list[str]:
    """``--domain`` as overrides of the graph's speech nodes.

    Raises:
        UsageError: The graph has none.
    """
    from deixis.runtime.graph import read_graph

    if domain is None:
        return []
    is_file = domain.endswith((".yaml", ".yml"))
    name = str(Path(domain).expanduser().resolve()) if is_file else domain
    ids = [node.id for node in read_graph(graph).nodes if node.node == SPEECH]
    if not ids:
        raise UsageError(f"--domain {domain}: {graph} has no speech node")
    # JSON is YAML with quotes, which a path may need.
    return [f"{node_id}.domain={json.dumps(name)}" for node_id in ids]


def domains_of(graph: Graph) -> list[str]:
    """The domains of a graph's speech nodes; a mistake in one shows before anything is started."""
    nodes = [node.id for node in graph.spec.nodes if node.node == SPEECH]
    return [str(msgspec.structs.asdict(graph.params[node_id])["domain"]) for node_id in nodes]


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from deixis.runtime.daemon import Daemon
    from deixis.runtime.domains import summarise
    from deixis.runtime.graph import find_graph, load_graph

    level = getattr(logging, args.log.upper())
    logging.basicConfig(level=level, format="%(asctime)s daemon     %(levelname)s %(message)s")
    path = find_graph(args.graph)
    settings = [*domain_settings(path, args.domain), *args.settings]
    graph = load_graph(path, settings)
    for name in domains_of(graph):
        for warning in summarise(name, path.parent).warnings:
            logging.getLogger("deixis").warning("%s", warning)
    bundle = Bundle.open(args.bundle)
    daemon = Daemon(
        graph, bundle, run_dir(args.name), log_level=level, metrics_port=args.metrics_port
    )
    return daemon.run()
