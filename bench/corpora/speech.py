"""Makes a corpus.

python -m bench.corpora.speech --out /tmp/corpora/dev --set dev
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import other, pauses, robust, spoken

MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dev": lambda out: spoken.make(out, "dev"),
    "held": lambda out: spoken.make(out, "held"),
    "pauses": lambda out: pauses.make_pauses(out, "dev"),
    "pauses_held": lambda out: pauses.make_pauses(out, "held"),
    "stop": lambda out: pauses.make_stop(out, "dev"),
    "stop_held": lambda out: pauses.make_stop(out, "held"),
}


def main() -> None:
    """Parse the arguments, make the corpus, print its report."""
    parser = argparse.ArgumentParser(prog="python -m bench.corpora.speech", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    sets = [*MAKERS, "other", "robust"]
    parser.add_argument("--set", choices=sets, required=True, help="which corpus")
    parser.add_argument(
        "--packages",
        type=Path,
        help="other, robust: folder where Debian packages are unpacked, downloaded when absent",
    )
    parser.add_argument("--clips", type=Path, help="other: folder of real clips to join")
    options = parser.parse_args()
    if options.set in MAKERS:
        report = MAKERS[options.set](options.out)
    elif options.packages is None:
        parser.error(f"--set {options.set} needs --packages FOLDER")
    elif options.set == "other":
        report = other.make(options.out, options.packages, options.clips)
    else:
        report = robust.make(options.out, options.packages)
    print(json.dumps(report, indent=1, ensure_ascii=False))
    for voice, reason in report.get("voices_missing", {}).items():
        print(f"skipped {voice}: {reason}", file=sys.stderr)


if __name__ == "__main__":
    main()
