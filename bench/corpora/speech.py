"""Makes a corpus.

python -m bench.corpora.speech --out /tmp/corpora/dev --set dev
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deixis.nodes.speech.moonshine import read_tokenizer
from deixis.runtime.bundle import Bundle

from . import letters, other, pauses, robust, spoken

MAKERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "dev": lambda out: spoken.make(out, "dev"),
    "held": lambda out: spoken.make(out, "held"),
    "pauses": lambda out: pauses.make_pauses(out, "dev"),
    "pauses_held": lambda out: pauses.make_pauses(out, "held"),
    "stop": lambda out: pauses.make_stop(out, "dev"),
    "stop_held": lambda out: pauses.make_stop(out, "held"),
    "letters": lambda out: letters.make(out, frequent_words()),
}


DICTIONARY = Path("/usr/share/dict/words")


def frequent_words(bundle: Path = Path("bundles/cpu")) -> list[str]:
    """English words of the recogniser's vocabulary, which is in the order of their frequency."""
    if not DICTIONARY.is_file():
        sys.exit(f"{DICTIONARY} is missing: apt-get install wamerican")
    english = set(DICTIONARY.read_text(encoding="utf-8").split())
    pieces = read_tokenizer(Bundle.open(bundle).file_path("tokenizer"))
    words = [piece.decode("utf-8", "ignore")[1:] for piece in pieces if piece[:3] == "▁".encode()]
    return [w for w in words if w in english and re.fullmatch("a|i|[a-z]{2,}", w)]


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
