"""Compare MediaPipe's hands with the truth of the episodes: found, landmarks, ray.

Needs ``pip install mediapipe==0.10.21 rich`` in an environment of its own.

Example:
    python -m tests.scenes.check pick_that put_it_there
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from .geometry import CAMERA, Array, apply, unit

EPISODES = Path(__file__).parent / "episodes"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    names = sorted(p.name for p in EPISODES.iterdir())
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.check",
        description="Run MediaPipe's hand tracking over episodes; compare it with the truth.",
        epilog="example: python -m tests.scenes.check pick_that",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of: {', '.join(names)}")
    args = parser.parse_args(argv)
    if unknown := set(args.names) - set(names):
        parser.error(f"no such episode: {', '.join(sorted(unknown))}; known: {', '.join(names)}")
    table = Table(
        "episode", "held frames", "found", "false", "landmarks px", "ray deg p50/p90",
        "ray to target cm p50/p90",
    )  # fmt: skip
    together: list[Array] = []
    for name in args.names or names:
        held, false, rows = measure(EPISODES / name)
        if held == 0:
            continue
        table.add_row(name, str(held), f"{len(rows) / held:.0%}", str(false), *summary(rows))
        together.append(rows)
    if together:
        table.add_row("all", "", "", "", *summary(np.concatenate(together)), style="bold")
    Console(width=110).print(table)
    return 0


def summary(rows: Array) -> tuple[str, str, str]:
    """Cells for landmark error, ray angle and miss distance."""
    if not len(rows):
        return ("–", "–", "–")
    px, deg, miss = (np.percentile(column, [50, 90]) for column in rows.T)
    miss *= 100
    return f"{px[0]:.1f}", f"{deg[0]:.1f} / {deg[1]:.1f}", f"{miss[0]:.1f} / {miss[1]:.1f}"


def measure(folder: Path) -> tuple[int, int, Array]:
    """Held frames, frames with a hand found where none is, and errors of the found ones.

    The errors are rows of: median landmark error (px), angle of the ray (deg), distance at which
    the ray passes its target (m). The hand's pose is solved from its metric landmarks (SQPnP).
    """
    import mediapipe

    truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
    video = cv2.VideoCapture(str(folder / "video.mp4"))
    tracker = mediapipe.solutions.hands.Hands(max_num_hands=1, model_complexity=1)
    size = np.array([CAMERA.width, CAMERA.height])
    held = false = 0
    rows = []
    for row in truth["hand"]:
        found, frame = video.read()
        if not found:
            raise OSError(f"{folder / 'video.mp4'} ends at frame {row['frame']}")
        result = tracker.process(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB))
        seen = result.multi_hand_landmarks is not None
        false += seen and row["phase"] == "none"
        if row["phase"] != "hold":
            continue
        held += 1
        if not seen:
            continue
        image = np.array([[p.x, p.y] for p in result.multi_hand_landmarks[0].landmark]) * size - 0.5
        world = np.array([[p.x, p.y, p.z] for p in result.multi_hand_world_landmarks[0].landmark])
        _, turn, shift = cv2.solvePnP(world, image, CAMERA.K, None, flags=cv2.SOLVEPNP_SQPNP)
        cam = world @ cv2.Rodrigues(turn)[0].T + shift.ravel()
        base = apply(CAMERA.T_base_cam, cam)
        ray = unit(base[8] - base[5])
        cosine = np.clip(ray @ np.array(row["ray_direction_base"]), -1, 1)
        rows.append(
            (
                np.median(np.linalg.norm(image - row["landmarks_px"], axis=1)),
                np.degrees(np.arccos(cosine)),
                np.linalg.norm(np.cross(np.array(row["target_base_m"]) - base[5], ray)),
            )
        )
    return held, false, np.array(rows).reshape(-1, 3)


if __name__ == "__main__":
    sys.exit(main())
