"""``deixis graph``: check a graph file and show how its nodes are connected.

deixis graph demo
"""

from __future__ import annotations

import argparse
import json

from rich.console import Console
from rich.table import Table

HELP = "check a graph file and show its connections"
EXAMPLE = "deixis graph nodes/graphs/demo.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("graph", help="graph file, or the name of one that comes with deixis")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NODE.PARAM=VALUE", dest="settings",
        help="override a parameter of the graph, as often as needed",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    from deixis.runtime.graph import find_graph, load_graph

    graph = load_graph(find_graph(args.graph), args.settings)
    links = [
        {
            "from": f"{link.source}/{link.output}",
            "to": f"{link.target}/{link.input}",
            "topic": link.topic.name,
            "type": link.topic.message.__name__,
            "transport": link.topic.transport,
            "queue": link.policy if link.policy == "latest" else f"all, {link.depth}",
        }
        for link in graph.links
    ]
    if args.json:
        print(json.dumps({"graph": str(graph.path), "order": list(graph.order), "links": links}))
        return 0
    table = Table("From", "To", "Topic", "Message", "Transport", "Queue", title=str(graph.path))
    for link in links:
        table.add_row(*link.values())
    console = Console()
    console.print(table)
    console.print(f"order of start: {' → '.join(graph.order)}")
    console.print("[green]the graph is sound[/green]")
    return 0
