"""Render the episodes: video, audio and ground truth, the same on every run.

Needs chromium, node and ffmpeg, ``npm ci`` in this folder and ``requirements.txt`` in Python.

Example:
    python -m tests.scenes.render --only pick_that --out /tmp/episodes
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .episode import FPS, Plan, plan, truth
from .geometry import CAMERA
from .script import EPISODES, Episode
from .skeleton import Hand
from .sound import mix
from .speech import RATE_HZ, Voice
from .stage import HERE, Picture, RenderError, Scene, draw
from .world import KINDS, place

CRF = 18
SENSOR_NOISE = 1.2
"""Standard deviation of the camera's noise, grey levels."""
GALLERY_PX = 128
GALLERY_SEED = 97
GALLERY_PLACES = ((0.42, -0.2, 0.4), (0.45, 0.21, 2.2), (0.64, -0.08, 3.6), (0.6, 0.17, 5.1))
"""x, y (metres) and yaw (radians) of the taught views."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.render",
        description="Render episodes with ground truth: video.mp4, audio.wav, truth.json.",
        epilog="example: python -m tests.scenes.render --only pick_that --out /tmp/scenes",
    )
    names = [e.name for e in EPISODES]
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[*names, "gallery"],
        help=f"render only this (may be given again): gallery, {', '.join(names)}",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=HERE, help="where to write (default: here)")
    args = parser.parse_args(argv)
    if shutil.which("ffmpeg") is None:
        print("ffmpeg is needed: apt-get install ffmpeg", file=sys.stderr)
        return 1
    wanted = args.only or ["gallery", *names]
    out: Path = args.out
    out.mkdir(parents=True, exist_ok=True)
    (out / "camera.json").write_text(json.dumps(CAMERA.to_json(), indent=1) + "\n")
    try:
        with Progress(
            TextColumn("{task.description:22}"), BarColumn(), MofNCompleteColumn(),
            TimeRemainingColumn(),
        ) as progress:  # fmt: skip
            if "gallery" in wanted:
                task = progress.add_task("gallery", total=len(KINDS) * len(GALLERY_PLACES))
                for _ in gallery(out / "gallery"):
                    progress.advance(task)
            chosen = [e for e in EPISODES if e.name in wanted]
            if chosen:
                voice, hand = Voice(), Hand.load()
            for episode in chosen:
                task = progress.add_task(episode.name, total=None)
                for done, total in render(episode, voice, hand, out / "episodes" / episode.name):
                    progress.update(task, completed=done, total=total)
    except (RenderError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def render(episode: Episode, voice: Voice, hand: Hand, folder: Path) -> Iterator[tuple[int, int]]:
    """Write one episode's folder; yields (frames done, frames in all) as it goes."""
    planned = plan(episode, voice, hand)
    folder.mkdir(parents=True, exist_ok=True)
    write_truth(folder / "truth.json", truth(planned))
    track = mix(planned.placed, planned.duration_s, episode.seed, episode.snr_db)
    with wave.open(str(folder / "audio.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(track.tobytes())
    with encoder(folder / "video.mp4", (CAMERA.width, CAMERA.height), FPS) as sink:
        for index, picture in enumerate(pictures(planned)):
            sink.write(picture.tobytes())
            yield index + 1, len(planned.frames)


@contextmanager
def encoder(path: Path, size: tuple[int, int], fps: int) -> Iterator[IO[bytes]]:
    """Takes the bytes of BGR pictures of one size (width, height) and writes them as H.264.

    Raises:
        RenderError: ffmpeg failed.
    """
    process = subprocess.Popen(
        [
            "ffmpeg", "-loglevel", "error", "-y", "-f", "rawvideo", "-pix_fmt", "bgr24",
            "-video_size", f"{size[0]}x{size[1]}", "-framerate", str(fps), "-i", "-",
            "-c:v", "libx264", "-preset", "slow", "-crf", str(CRF), "-pix_fmt", "yuv420p",
            "-g", "60", "-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact",
            "-movflags", "+faststart", str(path),
        ],
        stdin=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        process.stdin.close()
        status = process.wait()
    if status != 0:
        raise RenderError(f"ffmpeg could not write {path}; see its message above")


def pictures(planned: Plan) -> Iterator[Picture]:
    """The episode's frames with sensor noise; the empty table is drawn only once."""
    with_hand = [f.bones for f in planned.frames if f.bones is not None]
    drawn = draw([Scene(planned.things, [None, *with_hand], planned.episode.seed)])
    table = next(drawn)
    rng = np.random.default_rng(planned.episode.seed)
    for frame in planned.frames:
        picture = table if frame.bones is None else next(drawn)
        noisy = picture + SENSOR_NOISE * rng.standard_normal(picture.shape, np.float32)
        yield np.clip(np.round(noisy), 0, 255).astype(np.uint8)


def gallery(folder: Path) -> Iterator[None]:
    """Write the taught views: each object alone, cropped square; yields after each picture."""
    folder.mkdir(parents=True, exist_ok=True)
    index = {k: {"names": list(v.names), "colour": v.colour} for k, v in KINDS.items()}
    (folder / "gallery.json").write_text(json.dumps(index, indent=1) + "\n")
    views = [
        (kind_id, number, place(kind_id, x, y, yaw))
        for kind_id in KINDS
        for number, (x, y, yaw) in enumerate(GALLERY_PLACES)
    ]
    drawn = draw([Scene([thing], [None], GALLERY_SEED) for _, _, thing in views])
    for (kind_id, number, thing), picture in zip(views, drawn, strict=True):
        (folder / kind_id).mkdir(exist_ok=True)
        left, top, right, bottom = thing.box_px()
        side = 1.16 * max(right - left, bottom - top)
        scale = GALLERY_PX / side
        shift = scale * (side / 2 - np.array([left + right, top + bottom]) / 2)
        crop = cv2.warpAffine(
            picture,
            np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]),
            (GALLERY_PX, GALLERY_PX),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REPLICATE,
        )
        cv2.imwrite(str(folder / kind_id / f"{number}.png"), crop)
        yield None


def write_truth(path: Path, contents: dict[str, object]) -> None:
    """Write JSON with one line a video frame, so that it can be read and compared."""
    hand = contents.pop("hand")
    assert isinstance(hand, list)
    head = json.dumps(contents, indent=1)
    rows = ",\n".join("  " + json.dumps(row, separators=(",", ":")) for row in hand)
    path.write_text(f'{head[:-2]},\n "hand": [\n{rows}\n ]\n}}\n')


if __name__ == "__main__":
    sys.exit(main())
