"""Arguments that the benchmarks of nodes share: what to play, with which models and parameters.

node_params(["max_hands=4"], example="max_hands=4")  # {"max_hands": 4}
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.errors import UsageError


def add_shared(
    parser: argparse.ArgumentParser, *, data: str, limited: str, node: str, example: str
) -> None:
    """Add ``--data``, ``--bundle``, ``--limit``, ``--set`` and ``--out``.

    Args:
        parser: Of the benchmark.
        data: What the folder holds.
        limited: What ``--limit`` counts.
        node: The node that is played to.
        example: A parameter of it, for ``--set``.
    """
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help=data)
    add(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="the models (default: %(default)s)",
    )  # fmt: skip
    add("--limit", type=count, metavar="N", help=f"only N {limited}, spread evenly")
    add(
        "--set", action="append", default=[], metavar="PARAM=VALUE", dest="settings",
        help=f"a parameter of the {node} node, such as {example}",
    )  # fmt: skip
    add(
        "--out", type=Path, metavar="FILE", help="write the figures, with machine and date, as JSON"
    )


def node_params(settings: Sequence[str], example: str) -> dict[str, Any]:
    """``PARAM=VALUE`` as a mapping; values as in YAML.

    Args:
        settings: As given.
        example: For the hint.

    Raises:
        UsageError: One is not of this form.
    """
    import yaml

    params = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {setting}: expected PARAM=VALUE", hint=f"--set {example}")
        try:
            params[key] = yaml.safe_load(value)
        except yaml.YAMLError as cause:
            raise UsageError(f"--set {setting}: the value is not valid YAML") from cause
    return params


def count(text: str) -> int:
    """A whole number of at least 1.

    Raises:
        ArgumentTypeError: It is less.
        ValueError: It is no number.
    """
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
