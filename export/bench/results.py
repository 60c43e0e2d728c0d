"""Result files: figures with the machine, the date and the commit that they were measured on.

write_result(Path("bench/results/hands.json"), figures)
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deixis.runtime.machine import describe_machine


def circumstances() -> dict[str, Any]:
    """Machine, load, date (UTC) and commit of a measurement."""
    machine = describe_machine()
    return {
        "load_average": round(os.getloadavg()[0], 2),
        "machine": machine,
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": machine["commit"],
    }


def write_result(path: Path, figures: Mapping[str, Any]) -> None:
    """Write figures as JSON; folders on the way are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
