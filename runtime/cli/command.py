"""``deixis command``: give one command to a running daemon, and see what it makes of it.

deixis command "put that there" --point-at 0.42,0.10,0 --point-at 0.60,-0.15,0
deixis command --wav speech.wav --video hand.mp4
deixis command --talk 4
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from rich.console import Console

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.cli import show
from deixis.runtime.cli.run import add_name
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.control import Client, Tap, run_dir
from deixis.runtime.errors import DaemonError, MediaError, UsageError
from deixis.runtime.replay import OutcomeCollector, notes

HELP = "give one command, typed or as recorded sound and picture, to a running daemon"
EXAMPLE = 'deixis command "put that there" --point-at 0.42,0.10,0 --point-at 0.60,-0.15,0'
# After the clip's end: the longest silence the endpointer waits for, and then some.
_LISTEN_MS = 1500.0
_LONGEST_TALK_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("text", nargs="?", help="the sentence")
    parser.add_argument(
        "--point-at", action="append", default=[], metavar="X,Y,Z", type=_point,
        help="where the hand points, metres in the base frame; one for each deictic word",
    )  # fmt: skip
    parser.add_argument("--wav", type=Path, metavar="FILE", help="speak this recording instead")
    parser.add_argument("--video", type=Path, metavar="FILE", help="show this recording")
    parser.add_argument(
        "--talk", type=_seconds, metavar="S",
        help="hold push-to-talk for so long (from the start of --wav, or for the microphone)",
    )  # fmt: skip
    parser.add_argument(
        "--reset", action="store_true", help="the recording is a new scene: forget the old one"
    )
    parser.add_argument(
        "--wait", type=float, default=15.0, metavar="S",
        help="how long to wait for the robot to finish (default: %(default)s s)",
    )  # fmt: skip
    add_name(parser)


def _point(text: str) -> m.Vec3:
    try:
        x, y, z = (float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,z in metres") from None
    return (x, y, z)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.0 < seconds <= _LONGEST_TALK_S:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a time in seconds, up to {_LONGEST_TALK_S:g}"
        )
    return seconds


def _check(args: argparse.Namespace) -> None:
    spoken = args.wav is not None or args.talk is not None
    if (args.text is not None) == spoken:
        raise UsageError(
            "give either a sentence or --wav (or --talk)",
            hint='deixis command "pick up that" --point-at x,y,z',
        )
    if spoken and args.point_at:
        raise UsageError(
            "--point-at goes with a typed sentence; with --wav, show the hand: --video"
        )
    if args.wav is None and args.video is not None:
        raise UsageError("--video goes with --wav; a typed sentence points with --point-at x,y,z")


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    _check(args)
    for path in (args.wav, args.video):
        if path is not None and not path.is_file():
            raise MediaError(f"there is no file {path}")
    client = Client(run_dir(args.name))
    status = client.status()
    outputs = status.outputs_of(topics.RESOLUTION, topics.FEEDBACK)
    collector = OutcomeCollector()
    clip_s = _duration_s(args.wav) if args.wav else 0.0
    with Tap(client.run_dir, outputs) as tap:
        if args.text is not None:
            zero_ns = time.monotonic_ns()
            client.type_command(args.text, args.point_at)
        elif args.wav is not None:
            zero_ns = client.play(args.wav, args.video, reset=args.reset)
        else:
            zero_ns = time.monotonic_ns()
        if args.talk is not None:
            client.talk((zero_ns - time.monotonic_ns()) / NS_PER_S + args.talk)
        clip_s = max(clip_s, args.talk or 0.0)
        listen_ns = zero_ns + int(clip_s * NS_PER_S + _LISTEN_MS * NS_PER_MS)
        limit_ns = listen_ns + int(args.wait * NS_PER_S)
        while (now_ns := time.monotonic_ns()) < limit_ns:
            if (
                collector.settled
                and collector.outcomes
                and (args.text is not None or now_ns > listen_ns)
            ):
                break
            if not collector.outcomes and now_ns > listen_ns:
                break
            item = tap.next(50)
            if item is not None:
                collector.add(item[1])
    outcomes = list(collector.outcomes.values())
    # A file that was resampled, or refused: the nodes note it.
    remarks = notes(client.status())
    if args.json:
        shown = [show.outcome_json(o, zero_ns=zero_ns) for o in outcomes]
        print(json.dumps({"outcomes": shown, "notes": remarks}))
    elif outcomes:
        console = Console()
        for outcome in outcomes:
            show.show_outcome(console, outcome, zero_ns=zero_ns)
    if not args.json:
        for remark in remarks:
            print(f"note: {remark}", file=sys.stderr)
    if not outcomes:
        raise DaemonError(
            "no command was heard"
            if args.text is None
            else "the daemon did not answer the command",
            hint="deixis status shows what each node receives",
        )
    acted = [o for o in outcomes if o.resolution.outcome in ("act", "stop", "answer")]
    refused = any(f.state in ("refused", "failed") for o in acted for f in o.feedback)
    return 0 if acted and not refused else 1


def _duration_s(path: Path) -> float:
    import soundfile

    try:
        return float(soundfile.info(str(path)).duration)
    except soundfile.LibsndfileError as cause:
        raise MediaError(f"cannot read {path}: {cause}") from cause
