"""Arguments that several benchmarks share: ``--set PARAM=VALUE`` and counts.

node_params(["max_hands=4"], example="max_hands=4")  # {"max_hands": 4}
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from deixis.runtime.errors import UsageError


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
