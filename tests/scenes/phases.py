"""Measure when the hands node sees a hand come to rest and set off, against the episodes' truth.

A rendered reach or retraction is a movement of minimum jerk, all but still at either end. The node
stamps a phase with the moment the fingertip passed a speed; how long before or after the true
change that is, and how late it is known, is what is printed.

Example:
    python -m tests.scenes.phases tests/scenes/episodes --bundle bundles/cpu
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from deixis.nodes.hands.node import HandsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import DeixisError
from deixis.runtime.messages import Frame, Header, Pointing
from deixis.runtime.testing import NodeBench

_START_NS = NS_PER_S
"""A stamp of 0 is that of no frame."""
Change = tuple[str, float, float]
"""A change (``hold`` or ``release``): its error, and how long after it it was known; both in ms."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.phases",
        description="Errors of the times at which a pointing hand comes to rest and sets off.",
        epilog="example: python -m tests.scenes.phases tests/scenes/episodes",
    )
    parser.add_argument("episodes", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("bundles/cpu"))
    args = parser.parse_args(argv)
    changes: list[Change] = []
    try:
        bundle = Bundle.open(args.bundle)
        for folder in sorted(p.parent for p in args.episodes.glob("*/truth.json")):
            changes += measure(folder, args.episodes.parent / "camera.json", bundle)
    except (DeixisError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    table = Table("change", "n", "error ms p50", "error ms, worst", "known after ms p50")
    for kind in ("hold", "release"):
        errors = np.array([e for k, e, _ in changes if k == kind])
        late = [after for k, _, after in changes if k == kind]
        worst = errors[np.argmax(np.abs(errors))]
        table.add_row(kind, str(len(errors)), f"{np.median(errors):.0f}", f"{worst:.0f}",
                      f"{np.median(late):.0f}")  # fmt: skip
    Console().print(table)
    return 0


def measure(folder: Path, camera: Path, bundle: Bundle) -> list[Change]:
    """The changes of one episode that the node saw."""
    truth = json.loads((folder / "truth.json").read_text())
    video = cv2.VideoCapture(str(folder / "video.mp4"))
    rays: list[Pointing] = []
    params = {"calibration": str(camera), "heads": False}
    with NodeBench(HandsNode, params, bundle=bundle) as bench:
        for row in truth["hand"]:
            found, picture = video.read()
            if not found:
                raise OSError(f"{folder / 'video.mp4'} ends at frame {row['frame']}")
            image: NDArray[np.uint8] = np.asarray(picture, np.uint8)
            stamp_ns = _START_NS + row["frame"] * NS_PER_S // truth["fps"]
            bench.send("frame", Frame(Header(stamp_ns), image, "episode"))
        rays = list(bench.outputs["pointing"])
    changes = []
    for kind, frame in true_changes([row["phase"] for row in truth["hand"]]):
        true_ns = _START_NS + frame * NS_PER_S // truth["fps"]
        seen = [r for r in rays if abs((r.phase_since_ns or 0) - true_ns) < NS_PER_S // 2]
        seen = [r for r in seen if r.phase == ("hold" if kind == "hold" else "retract")]
        if seen:
            error = (seen[0].phase_since_ns or 0) - true_ns
            after = seen[0].header.stamp_ns - true_ns
            changes.append((kind, error / NS_PER_MS, after / NS_PER_MS))
    return changes


def true_changes(phases: Sequence[str]) -> list[tuple[str, int]]:
    """At which frames the hand comes to rest (``hold``) and sets off again (``release``)."""
    changes = []
    for frame in range(1, len(phases)):
        if phases[frame] == "hold" != phases[frame - 1]:
            changes.append(("hold", frame))
        if phases[frame - 1] == "hold" != phases[frame]:
            changes.append(("release", frame))
    return changes


if __name__ == "__main__":
    sys.exit(main())
