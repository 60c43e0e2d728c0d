"""``deixis run``: the daemon, in the foreground until Ctrl-C.

deixis run demo --bundle bundles/cpu
deixis run demo --domain examples/domains/coffee.yaml
deixis run demo --require-signature robot.pub
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
    from deixis.runtime.signing import SignatureInfo

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
    parser.add_argument(
        "--require-signature", type=Path, metavar="K.pub",
        help="run only with a bundle that was signed with this public key's secret half "
        "(default: what the graph's require_signature says)",
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


def checked_signature(
    bundle: Bundle, graph: Graph, public_key: Path | None
) -> SignatureInfo | None:
    """Who signed the bundle, checked if the command line or the graph requires it.

    Args:
        bundle: The models.
        graph: Its ``require_signature`` holds where the command line names no key.
        public_key: Of the command line.

    Raises:
        SignatureError: The bundle is not signed by the required key.
        MissingExtraError: A signature is required and py-minisign is not installed.
    """
    from deixis.runtime.signing import require_signature, signature_of

    named = graph.spec.require_signature
    required = public_key or (graph.path.parent / named if named else None)
    return require_signature(bundle, required) if required else signature_of(bundle)


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
        graph,
        bundle,
        run_dir(args.name),
        log_level=level,
        metrics_port=args.metrics_port,
        signature=checked_signature(bundle, graph, args.require_signature),
    )
    return daemon.run()
