"""What the hands node says of recordings while a hand holds at known spots.

frames = recorded_holds(spots, Path("f.mp4"), bundle, Path("camera.json"), console)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.progress import Progress

from deixis.calibration.pointing_guide import ListedSpot, held_between
from deixis.nodes.hands.node import HandsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import CalibrationError, MediaError
from deixis.runtime.messages import Frame, Header, Pointing
from deixis.runtime.testing import NodeBench

_RUN_UP_S = 1.0
"""The hand is tracked from so long before a hold, so that it is known to hold when it does."""
_DEFAULT_FPS = 30.0


def recorded_holds(
    spots: Sequence[ListedSpot],
    video: Path | None,
    bundle: Bundle,
    calibration: Path,
    console: Console,
) -> list[list[Pointing]]:
    """The holding frames at each spot, by the real models.

    Args:
        spots: With their times, and their videos where it is not ``video``.
        video: The recording.
        bundle: The models.
        calibration: The camera's file.
        console: Shows the progress.

    Raises:
        CalibrationError: A spot has no times or no video.
        MediaError: A video cannot be read.
    """
    windows: dict[Path, list[tuple[int, float, float]]] = {}
    for k, spot in enumerate(spots):
        source = Path(spot.video) if spot.video is not None else video
        if source is None or spot.from_s is None or spot.to_s is None:
            raise CalibrationError(
                f"spot {spot.name}: when does the hand hold, and in which video?",
                hint='{"target_base_m": [0.4, 0, 0], "video": "f.mp4", "from_s": 1.2, "to_s": 2.4}',
            )
        windows.setdefault(source, []).append((k, spot.from_s, spot.to_s))
    frames: list[list[Pointing]] = [[] for _ in spots]
    params = {"calibration": str(calibration.resolve())}
    with (
        NodeBench(HandsNode, params, bundle=bundle) as bench,
        Progress(console=console, transient=True) as progress,
    ):
        task = progress.add_task("watching", total=len(spots))
        for path, times in windows.items():
            pointings = _watch(path, times, bench)
            for k, from_s, to_s in times:
                frames[k] = held_between(
                    pointings, round(from_s * NS_PER_S), round(to_s * NS_PER_S)
                )
                progress.advance(task)
    return frames


def _watch(
    path: Path, times: Sequence[tuple[int, float, float]], bench: NodeBench
) -> list[Pointing]:
    """Rays of a video around some times; its frame 0 is at 0."""
    capture = cv2.VideoCapture(str(path)) if path.is_file() else None
    if capture is None or not capture.isOpened():
        raise MediaError(f"{path} is not a video that OpenCV can read")
    fps = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS
    end_s = max(to_s for _, _, to_s in times)
    bench.outputs["pointing"] = []
    index = 0
    while index / fps <= end_s and capture.grab():
        at_s = index / fps
        index += 1
        if not any(from_s - _RUN_UP_S <= at_s <= to_s for _, from_s, to_s in times):
            continue
        ok, image = capture.retrieve()
        if ok:
            frame = Frame(Header(round(at_s * NS_PER_S)), np.asarray(image, np.uint8), str(path))
            bench.send("frame", frame)
    capture.release()
    pointings: list[Pointing] = bench.outputs["pointing"]
    return pointings
