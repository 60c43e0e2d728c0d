"""Hands: landmarks, pointing rays and gestures against what is known, and the time per frame.

FOLDER (or one JSON file) holds pictures and videos with golden landmarks, 21 points a hand, wrist
first: {"image": "a.jpg", "hands": [[[x, y], …], …], "tolerance_px": 20} and {"video": "v.mp4",
"frames": [[[x, y], …], …], "world": [[[x, y, z], …], …], "tolerance_px": 26, "tolerance_m": 0.015},
one entry or a list of them in a file. A frame is null or [] (no hand to be seen), one hand, or a
list of hands; "gesture" may name what each hand does. Or it holds episodes: folders with video.mp4
and truth.json, camera.json in them or one above; those have true pointing rays.

Everything is shown to the real hands node on one CPU thread: a picture from nothing and then as
often as a still camera would (5 times, the last counts), a video once, with tracking. Hands are
matched by least distance; their order and handedness do not matter. A hand of which nothing is
found within its own size is missed and has no error. Metric points are compared about their mean,
rays while the person points (phase hold).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deixis.export.bench.settings import add_shared, node_params

if TYPE_CHECKING:
    from deixis.export.bench.hands_golden import Golden
    from deixis.export.bench.hands_playing import Player
    from deixis.export.bench.hands_scoring import Scores

HELP = "hands: landmark and ray error, missed hands, gestures, time per frame"
EXAMPLE = "deixis bench hands --data tests/scenes/episodes --out bench/results/hands.json"


@dataclass
class Measured:
    """What a player did.

    Attributes:
        scores: Errors of all frames.
        times_ms: Milliseconds of every look at a frame, by the number of hands that it found.
        by_name: Errors by picture or video.
        complete: Whether everything was played.
    """

    scores: Scores
    times_ms: dict[int, list[float]] = field(default_factory=dict)
    by_name: dict[str, Scores] = field(default_factory=dict)
    complete: bool = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_shared(
        parser,
        data="golden landmarks with their pictures and videos, or episodes",
        limited="pictures and videos",
        node="hands",
        example="max_hands=4",
    )
    parser.add_argument(
        "--mediapipe", action="store_true", help="also measure MediaPipe's own tracker"
    )


def run(args: argparse.Namespace) -> int:
    """Run the benchmark."""
    import cv2
    from rich.console import Console

    from deixis.export.bench import hands_report
    from deixis.export.bench.hands_golden import load_goldens
    from deixis.export.bench.hands_playing import NodePlayer
    from deixis.export.bench.results import circumstances, write_result
    from deixis.runtime.bundle import Bundle

    goldens = load_goldens(args.data, args.limit)
    params = node_params(args.settings, example="max_hands=4")
    bundle = Bundle.open(args.bundle)
    other = None
    if args.mediapipe:
        from deixis.export.bench.hands_mediapipe import MediaPipePlayer

        other = MediaPipePlayer(params.get("max_hands", 2))
    cv2.setNumThreads(1)
    with NodePlayer(bundle, params) as player:
        ours = measure(player, goldens, "deixis")
    columns = {"deixis": ours}
    if other is not None and ours.complete:
        columns["MediaPipe"] = measure(other, goldens, "MediaPipe")
    complete = all(m.complete for m in columns.values())
    console = Console(quiet=args.json)
    hands_report.show(console, columns, goldens)
    if args.out:
        figures = {name: hands_report.full_figures(m) for name, m in columns.items()}
        about = {
            "data": args.data.resolve().name,
            "bundle": str(args.bundle),
            "params": params,
            "interrupted": not complete,
        }
        write_result(args.out, {**figures.pop("deixis"), **figures, **about, **circumstances()})
        console.print(f"written to {args.out}")
    if args.json:
        print(json.dumps(hands_report.figures(ours)))
    return 0 if complete else 1


def measure(player: Player, goldens: Sequence[Golden], name: str) -> Measured:
    """Play everything and compare, with a progress bar; an interrupt ends it.

    Raises:
        MediaError: A picture or video cannot be read.
    """
    from rich.console import Console
    from rich.progress import Progress

    from deixis.export.bench.hands_scoring import Scores

    measured = Measured(Scores(player.gives_rays))
    terminal = Console(stderr=True)
    total = sum(len(g.frames) for g in goldens)
    done = 0
    try:
        with Progress(
            console=terminal, transient=True, disable=not terminal.is_terminal
        ) as progress:
            task = progress.add_task(name, total=total)
            for golden in goldens:
                own = measured.by_name.setdefault(golden.name, Scores(player.gives_rays))
                for known, (found, times_ms) in zip(
                    golden.frames, player.play(golden), strict=True
                ):
                    measured.scores.add(golden, known, found)
                    own.add(golden, known, found)
                    measured.times_ms.setdefault(len(found), []).extend(times_ms)
                    done += 1
                    progress.update(task, advance=1, description=f"{name}: {golden.name}")
    except KeyboardInterrupt:
        print(f"interrupted after {done} of {total} frames", file=sys.stderr)
        measured.complete = False
    return measured
