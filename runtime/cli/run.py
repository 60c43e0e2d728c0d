"""``deixis run``: the daemon, in the foreground until Ctrl-C.

deixis run demo --bundle bundles/cpu
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

from deixis.runtime.bundle import Bundle
from deixis.runtime.control import run_dir

HELP = "run a graph: start its nodes, watch them, serve commands, until Ctrl-C"
EXAMPLE = "deixis run demo --bundle bundles/cpu"
DEFAULT_BUNDLE = Path("bundles/cpu")


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


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from deixis.runtime.daemon import Daemon
    from deixis.runtime.graph import find_graph, load_graph

    level = getattr(logging, args.log.upper())
    logging.basicConfig(level=level, format="%(asctime)s daemon     %(levelname)s %(message)s")
    graph = load_graph(find_graph(args.graph), args.settings)
    bundle = Bundle.open(args.bundle)
    daemon = Daemon(
        graph, bundle, run_dir(args.name), log_level=level, metrics_port=args.metrics_port
    )
    return daemon.run()
