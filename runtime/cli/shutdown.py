"""``deixis shutdown``: end a running daemon in order.

deixis shutdown
"""

from __future__ import annotations

import argparse
import json

from deixis.runtime.cli.run import add_name
from deixis.runtime.control import Client, run_dir

HELP = "end a running daemon in order"
EXAMPLE = "deixis shutdown"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_name(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    client = Client(run_dir(args.name))
    pid = client.status().pid
    client.shutdown()
    print(json.dumps({"pid": pid}) if args.json else f"the daemon (pid {pid}) is closing")
    return 0
