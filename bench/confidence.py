"""Fits how sure the recogniser says it is: collects evidence from recordings, then regresses.

    python -m bench.confidence collect --domain tabletop --data FOLDER --out tabletop.jsonl
    python -m bench.confidence fit tabletop.jsonl coffee.jsonl

``collect`` plays labelled recordings (the format of ``deixis bench speech``) into the recogniser
and notes, for every utterance, the evidence for its best complete reading and whether that was
right. ``fit`` prints the weights that belong into ``nodes/speech/confidence.py``, and how the
regression alone would do (there it is also guarded by the loss and by better readings).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.labels import Recording, load_labels
from deixis.export.bench.mixing import RATE_HZ, Floats, surrounded
from deixis.export.bench.playing import HeardSlot
from deixis.export.bench.scoring import calibration_error, slot_agrees
from deixis.nodes.microphone import read_audio
from deixis.nodes.speech.confidence import Evidence
from deixis.nodes.speech.endpoint import Limits
from deixis.nodes.speech.grammar import Grammar, Reading, open_grammar
from deixis.nodes.speech.moonshine import Moonshine
from deixis.nodes.speech.recognizer import EventKind, Recognizer, Settings, Utterance
from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import AudioChunk, Header

CHUNK = RATE_HZ // 50
RIDGE = 1e-2
Rows = list[dict[str, Any]]


def collect(
    recordings: Sequence[Recording],
    grammar: Grammar,
    moonshine: Moonshine,
    noise: Floats | None,
    snrs_db: Sequence[float | None],
) -> Iterator[dict[str, Any]]:
    """Evidence and truth for every utterance of the recordings."""
    slot_names = {name for r in recordings for name in r.label.slots}
    best: list[Reading] = []

    def note(kind: EventKind, utterance: Utterance, reason: str) -> None:
        complete = [r for r in utterance.readings if r.parse.complete and r.evidence]
        if kind in ("final", "rejected") and complete:
            best.append(complete[0])

    silences = grammar.domain.silences
    limits = Limits(**msgspec.structs.asdict(silences))
    settings = Settings(limits=limits, partial_ms=500.0)
    recognizer = Recognizer(moonshine, grammar, settings, note)
    for snr_db in snrs_db:
        for recording in recordings:
            samples = surrounded(recording.name, read_audio(recording.path)[0], noise, snr_db)
            best.clear()
            recognizer.reset("the next file")
            for first in range(0, len(samples) - CHUNK + 1, CHUNK):
                stamp_ns = first * NS_PER_S // RATE_HZ
                data = samples[first : first + CHUNK].astype("<f4").tobytes()
                recognizer.feed(AudioChunk(Header(stamp_ns), data, stream=recording.name), stamp_ns)
            for reading in best:
                if reading.evidence is not None:
                    yield {
                        **asdict(reading.evidence),
                        "file": recording.name,
                        "snr_db": snr_db,
                        "in_domain": recording.label.in_domain,
                        "sentence": reading.parse.text,
                        "right": _is_right(recording, reading, slot_names),
                    }


def _is_right(recording: Recording, reading: Reading, slot_names: set[str]) -> bool:
    slots = {s.name: HeardSlot(s.text, s.relation, s.value) for s in reading.parse.slots}
    label = recording.label
    return (
        reading.parse.intent == label.intent
        and not (set(slots) & slot_names) - set(label.slots)
        and all(slot_agrees(said, slots.get(name)) for name, said in label.slots.items())
    )


def fit(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights and bias of a logistic regression, by Newton's method.

    Args:
        x: Features, shape ``(n, k)``.
        y: 1 for right, 0 for wrong, shape ``(n,)``.

    Returns:
        Shape ``(k + 1,)``, the bias last.
    """
    x = np.column_stack([x, np.ones(len(x))])
    w = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ w, -40, 40)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + RIDGE * np.eye(len(w))
        w += np.linalg.solve(hessian, x.T @ (y - p) - RIDGE * w)
    return w


def features(rows: Rows) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features and truth of collected rows."""
    fields = ("posterior", "loss", "spelling", "words", "letters", "cost", "hearing")
    x = [Evidence(*(row[f] for f in fields)).features() for row in rows]
    return np.array(x, np.float64), np.array([row["right"] for row in rows], np.float64)


def main(argv: Sequence[str] | None = None) -> int:
    """Collect or fit."""
    parser = argparse.ArgumentParser(prog="python -m bench.confidence", description=__doc__)
    jobs = parser.add_subparsers(dest="job", required=True)
    collecting = jobs.add_parser("collect")
    collecting.add_argument("--domain", default="tabletop")
    collecting.add_argument("--data", type=Path, required=True)
    collecting.add_argument("--labels", type=Path)
    collecting.add_argument("--none", action="store_true", help="nothing in the files is a command")
    collecting.add_argument("--limit", type=int)
    collecting.add_argument("--noise", type=Path)
    collecting.add_argument("--snr", type=float, nargs="*", default=[])
    collecting.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE)
    collecting.add_argument("--out", type=Path, required=True)
    fitting = jobs.add_parser("fit")
    fitting.add_argument("evidence", type=Path, nargs="+")
    args = parser.parse_args(argv)
    if args.job == "collect":
        _collect(args)
    else:
        _fit(args.evidence)
    return 0


def _collect(args: argparse.Namespace) -> None:
    recordings = load_labels(args.data, args.labels, args.limit)
    if args.none:
        label = type(recordings[0].label)(intent=None)
        recordings = [Recording(r.name, r.path, label) for r in recordings]
    grammar = open_grammar(args.domain, Path.cwd())
    moonshine = Moonshine.from_bundle(Bundle.open(args.bundle))
    noise = None if args.noise is None else read_audio(args.noise)[0]
    with args.out.open("w", encoding="utf-8") as file:
        for row in collect(recordings, grammar, moonshine, noise, [None, *args.snr]):
            file.write(json.dumps(row) + "\n")
    moonshine.close()


def _fit(paths: Sequence[Path]) -> None:
    per_file = [[json.loads(line) for line in path.read_text().splitlines()] for path in paths]
    x, y = features([row for rows in per_file for row in rows])
    w = fit(x, y)
    print(
        f"WEIGHTS = {tuple(round(float(v), 2) for v in w[:-1])}\nBIAS = {w[-1]:.2f}  (n {len(y)})"
    )
    for path, rows in zip(paths, per_file, strict=True):
        x, y = features(rows)
        p = 1.0 / (1.0 + np.exp(-(np.column_stack([x, np.ones(len(x))]) @ w)))
        inside = np.array([row["in_domain"] for row in rows], bool)
        ece = calibration_error(list(zip(p.tolist(), (y > 0).tolist(), strict=True)))
        accepted = p >= 0.5
        print(
            f"{path.name}: n {len(y)}, right {y.sum():.0f}, accepted right "
            f"{(accepted & (y > 0)).sum()}, accepted wrong {(accepted & (y == 0) & inside).sum()}, "
            f"false accepts {(accepted & ~inside).sum()}, calibration error {ece:.3f}"
        )


if __name__ == "__main__":
    sys.exit(main())
