"""``deixis calibrate pointing``: how one person points, from five known spots or more.

Mark the spots on the table, one in each corner and one in the middle, and measure where they are in
the base frame. With the daemon running, point at each in turn as it is asked for, and keep still
for a second. It fits the size of the hand, how far the lines of eye and finger count, and the bias;
the error after is measured at spots that were left out of the fit.

deixis calibrate pointing --user anna --targets "0.4,0,0; 0.25,-0.3,0; 0.25,0.3,0; 0.55,-0.3,0; \
0.55,0.3,0" --calibration camera.json
deixis calibrate pointing --user anna --targets spots.json --video f.mp4 --calibration camera.json

For recordings, spots.json says when the hand holds at which spot: {"spots": [{"target_base_m":
[0.4, 0, 0], "from_s": 1.2, "to_s": 2.4, "video": "another.mp4"}, …]}.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from deixis.calibration.drawing import write_picture
from deixis.calibration.footage import safe_name
from deixis.calibration.pointing import PointingCalibration, pointing_path, save_pointing
from deixis.calibration.pointing_estimate import MODEL_HAND_M
from deixis.calibration.pointing_fit import PointingFit, fit_pointing
from deixis.calibration.pointing_guide import HoldCollector, ListedSpot, read_spots, spot_of
from deixis.calibration.pointing_holds import MIN_SPOTS
from deixis.calibration.pointing_picture import draw_plan
from deixis.calibration.store import load_standing_camera
from deixis.runtime import topics
from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.run import DEFAULT_BUNDLE, add_name
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.control import Client, Tap, run_dir
from deixis.runtime.errors import CalibrationError, DaemonError, UsageError
from deixis.runtime.messages import Pointing

HELP = "how a person points, from five known spots"
EXAMPLE = (
    'deixis calibrate pointing --user anna --targets "0.4,0,0; 0.25,-0.3,0; 0.25,0.3,0; '
    '0.55,-0.3,0; 0.55,0.3,0" --calibration camera.json'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--targets", required=True, metavar='SPOTS.json|"X,Y,Z; …"',
        help="where the spots are, metres in the base frame",
    )  # fmt: skip
    parser.add_argument("--user", default="user", metavar="NAME", help="whose calibration it is")
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE",
        help="the camera's; without it the size of the hand is not fitted",
    )  # fmt: skip
    parser.add_argument(
        "--hand-length-cm", type=float, metavar="CM",
        help="wrist crease to the tip of the middle finger, if you can measure it",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"where the calibration goes (default: {pointing_path('NAME')})",
    )  # fmt: skip
    parser.add_argument(
        "--timeout", type=float, default=30.0, metavar="S",
        help="how long to wait for a hold at each spot (default: %(default)g s)",
    )  # fmt: skip
    parser.add_argument(
        "--video", type=Path, metavar="FILE",
        help="a recording instead of the running daemon; the spots say when the hand holds",
    )  # fmt: skip
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR",
        help="models for --video (default: %(default)s)",
    )  # fmt: skip
    add_name(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    listed = read_spots(args.targets)
    if len(listed) < MIN_SPOTS:
        raise UsageError(
            f"{len(listed)} spots are too few; point at {MIN_SPOTS} or more", hint=EXAMPLE
        )
    if args.hand_length_cm is not None and not 10.0 <= args.hand_length_cm <= 30.0:
        raise UsageError(f"--hand-length-cm: a hand is not {args.hand_length_cm:g} cm long")
    recorded = args.video is not None or any(spot.video for spot in listed)
    if recorded and args.calibration is None:
        raise UsageError("a recording needs the camera's --calibration", hint=EXAMPLE)
    camera_base_m: NDArray[np.float64] | None = None
    if args.calibration is not None:
        camera_base_m = load_standing_camera(args.calibration).T_base_cam[:3, 3]
    # What is asked of the person goes to stderr, so that --json stays one object.
    console = Console(stderr=True)
    if recorded:
        # Only here, so that other verbs start without the models' libraries.
        from deixis.nodes.hands.recorded_holds import recorded_holds

        frames = recorded_holds(
            listed, args.video, Bundle.open(args.bundle), args.calibration, console
        )
    else:
        frames = _guide(listed, Client(run_dir(args.name)), args.timeout, console)
    length_m = None if args.hand_length_cm is None else args.hand_length_cm / 100
    fit = fit_pointing(
        args.user,
        [spot_of(spot) for spot in listed],
        frames,
        camera_base_m=camera_base_m,
        hand_length_m=length_m,
    )
    path = args.out or pointing_path(safe_name(args.user))
    picture = path.with_suffix(".png")
    user = msgspec.structs.replace(fit.user, picture=picture.name)
    save_pointing(user, path)
    write_picture(picture, draw_plan(fit))
    if args.json:
        print(json.dumps(_report(fit, user, path, picture)))
    else:
        _show(Console(), fit, path, picture, sized=camera_base_m is not None)
    return 0


def _guide(
    spots: Sequence[ListedSpot], client: Client, timeout_s: float, console: Console
) -> list[list[Pointing]]:
    """Ask for one spot after the other and collect a hold at each."""
    outputs = client.status().outputs_of(topics.POINTING)
    if not outputs:
        raise DaemonError("the running graph has no node that says where hands point")
    frames: list[list[Pointing]] = []
    columns = (TextColumn("{task.description}"), BarColumn())
    with (
        Tap(client.run_dir, outputs) as tap,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        for spot in spots:
            x, y, z = spot.target_base_m
            where = f"spot {spot.name} at x={x:.2f} y={y:.2f} z={z:.2f}"
            task = progress.add_task(f"point at {where} and keep still", total=1.0)
            collector = HoldCollector(frames[-1] if frames else ())
            deadline_ns = time.monotonic_ns() + int(timeout_s * NS_PER_S)
            while not collector.done:
                if time.monotonic_ns() > deadline_ns:
                    raise _no_hold(spot, collector, timeout_s)
                item = tap.next(50)
                if item is not None and isinstance(item[1], Pointing):
                    collector.add(item[1])
                    progress.update(task, completed=collector.progress)
            frames.append(collector.frames)
            progress.remove_task(task)
            console.print(f"{where}: held", highlight=False)
    return frames


def _no_hold(spot: ListedSpot, collector: HoldCollector, timeout_s: float) -> CalibrationError:
    seen = "a hand was seen, but it did not point and keep still"
    return CalibrationError(
        f"spot {spot.name}: no steady hold within {timeout_s:g} s; "
        f"{seen if collector.hand_seen else 'no hand was seen'}",
        hint="stretch the index finger, keep still for a second; deixis status shows what is seen",
    )


def _report(
    fit: PointingFit, user: PointingCalibration, path: Path, picture: Path
) -> dict[str, Any]:
    return {
        **msgspec.to_builtins(user),
        "file": str(path),
        "picture": str(picture),
        "eye_seen": fit.eye_seen,
        "improved": fit.improved,
        "hand_scale_sd": fit.scale_sd,
        "spots": [
            {
                "name": r.spot.name,
                "target_base_m": list(r.spot.target_base_m),
                "before_m": r.before.passes_m,
                "after_m": r.after.passes_m,
                "before_at_2_m": r.before.far_m,
                "after_at_2_m": r.after.far_m,
                "hit_before_base_m": r.before.hit_base_m,
                "hit_after_base_m": r.after.hit_base_m,
            }
            for r in fit.spots
        ],
    }


def _show(console: Console, fit: PointingFit, path: Path, picture: Path, *, sized: bool) -> None:
    user = fit.user
    table = Table(
        title="how far the ray passes from each spot, in cm; after: fitted to the others",
        title_justify="left",
    )
    table.add_column("spot")
    for column in ("before", "after", "before, at 2 m", "after, at 2 m"):
        table.add_column(column, justify="right")
    rows = [
        (f"{r.spot.name} ({', '.join(f'{v:.2f}' for v in r.spot.target_base_m[:2])})",
         r.before.passes_m, r.after.passes_m, r.before.far_m, r.after.far_m)
        for r in fit.spots
    ]  # fmt: skip
    for name, *values in rows:
        table.add_row(name, *(f"{100 * v:.1f}" for v in values), end_section=name == rows[-1][0])
    means = [float(np.mean([row[k] for row in rows])) for k in range(1, 5)]
    table.add_row("mean", *(f"{100 * v:.1f}" for v in means), style="bold")
    console.print(table)
    line, yaw, pitch, sigma = (
        ("eye to fingertip", user.bias_yaw_rad, user.bias_pitch_rad, user.sigma_rad)
        if fit.eye_seen
        else (
            "finger (no eye was seen at each spot)",
            user.finger_bias_yaw_rad,
            user.finger_bias_pitch_rad,
            user.finger_sigma_rad,
        )
    )
    size = f"{100 * MODEL_HAND_M * user.hand_scale:.1f} cm (scale {user.hand_scale:.3f}"
    size += f" ± {fit.scale_sd:.3f})" if sized else ", not fitted: no --calibration)"
    console.print(
        f"line: {line}, weight of the eye {user.eye_weight:.2f}; turned by "
        f"{math.degrees(yaw):+.1f}° to the left and {math.degrees(pitch):+.1f}° up; "
        f"left: {math.degrees(sigma):.1f}° per axis; hand: {size}",
        highlight=False,
    )
    if not fit.improved:
        console.print(
            "[yellow]no better than without: only the scatter is stored, no correction[/]"
        )
    console.print(f"written to {path}, shown in {picture}", markup=False, highlight=False)
    console.print(
        f"use it: deixis run … --set hands.pointing_calibration={path}",
        markup=False, highlight=False,
    )  # fmt: skip
