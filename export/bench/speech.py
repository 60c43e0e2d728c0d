"""Spoken commands: what is understood, how soon, and what is wrongly acted on.

FOLDER holds WAV or FLAC files and labels.json: {"a.flac": {"intent": "pick", "slots": {"object":
"red cup"}}, "b.wav": {"intent": "none"}}. Slot values are the words as said, without article; with
intent none nothing may be accepted. Optional per file: text, speech_end_s, stop_end_s, words
([word, start_s, end_s] each), kind.

Each file is played into the real speech node, 20 ms at a time, with quiet (or the noise) around it.
A file is right if exactly one command is committed, with the intent, every labelled slot and none
too many. The clock is simulated but counts the time that the node really takes; partials come every
500 ms then (every 60 ms, as in the robot, where something is said that might be taken for a stop).
With --stream the audio comes in real time and partials as in the robot.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deixis.runtime.cli.run import DEFAULT_BUNDLE
from deixis.runtime.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from deixis.export.bench.labels import Recording
    from deixis.export.bench.report import Result
    from deixis.export.bench.workers import Job, Setup
    from deixis.nodes.speech.domain import Domain

HELP = "spoken commands: accuracy, false accepts, latency, stop, calibration"
EXAMPLE = "deixis bench speech --data recordings --noise kitchen.flac --snr 6,12,24 --stream"
COARSE_PARTIAL_MS: Final = 500.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add = parser.add_argument
    add("--data", type=Path, required=True, metavar="FOLDER", help="recordings with labels.json")
    add("--labels", type=Path, metavar="FILE", help="labels in place of FOLDER/labels.json")
    add("--domain", default="tabletop", help="name or YAML file (default: %(default)s)")
    add("--bundle", type=Path, default=DEFAULT_BUNDLE, help="the models (default: %(default)s)")
    add("--noise", type=Path, metavar="FILE", help="noise to add, a WAV or FLAC file")
    add(
        "--snr", type=_levels, default=(), metavar="DB,…",
        help="levels of the noise: ratio of the loudest frames' energies; clean comes first",
    )  # fmt: skip
    add("--stream", action="store_true", help="in real time instead of on a simulated clock")
    add(
        "--partial-ms", type=_positive, metavar="MS",
        help="audio between two partials, for all files",
    )  # fmt: skip
    add("--limit", type=_count, metavar="N", help="only N files, spread evenly over the list")
    add("--workers", type=_count, default=2, metavar="N", help="processes (default: %(default)s)")
    add("--predictions", type=Path, metavar="FILE", help="write what was understood, as JSON")
    add(
        "--out", type=Path, metavar="FILE", help="write the figures, with machine and date, as JSON"
    )
    add(
        "--curve", type=Path, metavar="FILE",
        help="draw premature commits against latency for several silences (SVG or PNG); plays the "
        "commands once for each",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    from rich.console import Console

    from deixis.export.bench import curve, tables
    from deixis.export.bench.labels import load_labels
    from deixis.export.bench.report import predictions_of, summary_of
    from deixis.export.bench.results import write_result
    from deixis.export.bench.workers import Setup
    from deixis.nodes.microphone import read_audio
    from deixis.nodes.speech.domain import load_domain
    from deixis.runtime.bundle import Bundle

    if (args.noise is None) != (not args.snr):
        raise UsageError("--noise and --snr go together", hint="--noise kitchen.flac --snr 6,12")
    if args.curve:
        curve.check(args.curve)
    recordings = load_labels(args.data, args.labels, args.limit)
    domain = load_domain(args.domain)
    check_intents(recordings, domain, args.labels or args.data / "labels.json")
    Bundle.open(args.bundle)
    if args.noise is not None:
        # Better now than in every worker.
        read_audio(args.noise)
    setup = Setup(args.bundle.resolve(), real_time=args.stream, noise=args.noise)
    jobs = jobs_for(recordings, domain, args)
    results, complete = play(jobs, recordings, setup, args.workers)
    report = summary_of(results)
    report |= {"interrupted": not complete, **_facts(args, domain, len(recordings))}
    console = Console(quiet=args.json)
    published = bool(recordings) and all(
        r.label.intent == tables.PUBLISHED_INTENT for r in recordings
    )
    tables.show(console, report, published)
    if args.curve and complete:
        points, complete = curve.measure(recordings, domain, setup, args.workers)
        report["curve"] = points
        tables.show_curve(console, points)
        curve.draw(points, args.curve)
        console.print(f"curve drawn in {args.curve}")
    for path, content in ((args.predictions, predictions_of(results)), (args.out, report)):
        if path is not None:
            write_result(path, content)
            console.print(f"written to {path}")
    if args.json:
        print(json.dumps(report, ensure_ascii=False))
    _say_how(console, args, report)
    return 0 if complete else 1


def check_intents(recordings: Sequence[Recording], domain: Domain, source: Path) -> None:
    """See that the labels are of this domain.

    Raises:
        ConfigError: A label's intent is none of the domain's.
    """
    from deixis.runtime.config import nearest

    for recording in recordings:
        intent = recording.label.intent
        if intent is not None and intent not in domain.intents:
            known = nearest(intent, list(domain.intents))
            raise ConfigError(
                f"{source}: {recording.name}: intent: the domain {domain.name!r} has no "
                f"intent {intent!r}{known}",
                hint="name the domain of these recordings with --domain",
            )


def jobs_for(
    recordings: Sequence[Recording], domain: Domain, args: argparse.Namespace
) -> list[Job]:
    """What is to be played: all recordings clean, then at each level of noise."""
    from deixis.export.bench.scoring import STOP
    from deixis.export.bench.workers import Job

    coarse = {"partial_ms": COARSE_PARTIAL_MS}
    if args.partial_ms is not None:
        coarse = {"partial_ms": args.partial_ms}
    jobs = []
    for snr_db in (None, *args.snr):
        condition = "clean" if snr_db is None else f"{snr_db:g} dB"
        for recording in recordings:
            # A stop must come from a partial, and so may a false one.
            may_stop = recording.label.intent in (None, STOP) and bool(domain.interrupts)
            fine = args.partial_ms is None and (args.stream or may_stop)
            params = {"domain": str(domain.path), **({} if fine else coarse)}
            jobs.append(Job(recording, condition, snr_db, params))
    return jobs


def play(
    jobs: Sequence[Job], recordings: Sequence[Recording], setup: Setup, workers: int
) -> tuple[list[Result], bool]:
    """Play and judge, with a progress bar; an interrupt ends it.

    Returns:
        The results, and whether they are all.
    """
    from contextlib import closing

    from rich.console import Console
    from rich.progress import Progress

    from deixis.export.bench.report import Result
    from deixis.export.bench.scoring import judge
    from deixis.export.bench.workers import play_all

    slot_names = frozenset(name for r in recordings for name in r.label.slots)
    terminal = Console(stderr=True)
    results: list[Result] = []
    try:
        with (
            Progress(
                console=terminal, transient=True, disable=not terminal.is_terminal
            ) as progress,
            closing(play_all(jobs, setup, workers)) as played,
        ):
            task = progress.add_task("playing", total=len(jobs))
            for job, done in played:
                judged = judge(job.recording, done.played, done.end_s, done.estimated, slot_names)
                results.append(Result(job, done, judged))
                progress.update(task, advance=1, description=job.condition)
    except KeyboardInterrupt:
        print(f"interrupted after {len(results)} of {len(jobs)} files", file=sys.stderr)
        return results, False
    return results, True


def _facts(args: argparse.Namespace, domain: Domain, n_files: int) -> dict[str, Any]:
    from deixis.export.bench.results import circumstances

    return {
        "data": args.data.resolve().name,
        "files": n_files,
        "domain": domain.name,
        "bundle": str(args.bundle),
        "noise": args.noise.name if args.noise else None,
        "streamed": args.stream,
        "partial_ms": args.partial_ms,
        "workers": args.workers,
        **circumstances(),
    }


def _say_how(console: Console, args: argparse.Namespace, report: dict[str, Any]) -> None:
    how = "in real time" if args.stream else "on a simulated clock that counts the work"
    partials = "as in the robot" if args.stream else "every 500 ms, for stop as in the robot"
    if args.partial_ms is not None:
        partials = f"every {args.partial_ms:g} ms"
    console.print(
        f"played {how}; partials {partials}; load average {report['load_average']:.1f} on "
        f"{report['machine']['cores']} cores",
        style="bright_black",
    )
    if report["load_average"] > report["machine"]["cores"] + 0.5:
        console.print(
            "other programs kept the machine busy: the latencies include waiting for them",
            style="yellow",
        )


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of levels such as 6,12") from None
    return tuple(dict.fromkeys(levels))


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0.0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
