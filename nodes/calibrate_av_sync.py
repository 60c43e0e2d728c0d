"""``deixis calibrate av-sync``: how much later pictures are stamped than their sound.

Clap five times in view, more than a second apart and not in a steady beat, and keep the hands
together for a moment after each. A pen that taps the table does as well. With --event flash a lamp
that is switched on with an audible click does, or a marker that jumps when it is hit.

deixis calibrate av-sync --camera /dev/video0 --mic
deixis calibrate av-sync --video clap.mp4 --wav clap.wav

The sound of a video file must be given as a file of its own: ffmpeg -i clap.mp4 -vn clap.wav. The
camera node takes the offset off its stamps: --set camera.av_sync=FILE.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from deixis.calibration.av_events import MotionMeter, impacts, onsets
from deixis.calibration.av_picture import draw_sync
from deixis.calibration.av_sync import AvSync, av_sync_path, match, save_av_sync
from deixis.calibration.drawing import write_picture
from deixis.calibration.files import now_text
from deixis.calibration.footage import device_name, safe_name
from deixis.nodes.camera import CameraParams, VideoDevice
from deixis.nodes.microphone import RATE_HZ, Device, read_audio
from deixis.runtime.clock import NS_PER_S, SystemClock
from deixis.runtime.errors import DeviceError, MediaError, UsageError

HELP = "the offset between sound and picture, from claps"
EXAMPLE = "deixis calibrate av-sync --camera /dev/video0 --mic"
_DEFAULT_FPS = 30.0
_CHUNK = RATE_HZ // 50

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Recording:
    """Sound and motion on one clock.

    Attributes:
        camera_id: Where the pictures come from.
        microphone: Where the sound comes from.
        samples: At 16 kHz; sample 0 is at 0 s, shape ``(n,)``.
        times_s: Stamps of the pictures, shape ``(m,)``.
        motion: Change up to each from the one before, shape ``(m,)``.
    """

    camera_id: str
    microphone: str
    samples: NDArray[np.float32]
    times_s: Array
    motion: Array


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--camera", metavar="DEVICE", help="a camera that runs: /dev/video0")
    source.add_argument("--video", type=Path, metavar="FILE", help="a recording of the claps")
    parser.add_argument("--wav", type=Path, metavar="FILE", help="the sound of --video")
    parser.add_argument(
        "--mic", nargs="?", const="", metavar="DEVICE",
        help="for --camera: the microphone, by number or part of its name; alone, the default one",
    )  # fmt: skip
    parser.add_argument(
        "--size", default="640x480", metavar="WxH", help="of --camera (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=12.0, metavar="S",
        help="how long to listen to --camera (default: %(default)g)",
    )  # fmt: skip
    parser.add_argument(
        "--event", choices=("clap", "flash"), default="clap",
        help="what is both seen and heard: motion that stops, or an abrupt change "
        "(default: %(default)s)",
    )  # fmt: skip
    parser.add_argument("--device-id", metavar="ID", help="what the camera is called")
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"where the calibration goes (default: {av_sync_path('ID')})",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    if args.camera is not None:
        recording = _record(args)
    elif args.wav is None:
        raise UsageError(
            f"the sound of {args.video} must be given with --wav: OpenCV reads pictures only",
            hint=f"ffmpeg -i {args.video} -vn sound.wav",
        )
    else:
        recording = _read(args.video, args.wav, Console(stderr=True))
    heard = onsets(recording.samples, RATE_HZ)
    seen = impacts(recording.times_s, recording.motion, args.event)
    found = match(heard, seen, args.event)
    camera_id = safe_name(args.device_id) if args.device_id else recording.camera_id
    path = args.out or av_sync_path(camera_id)
    picture = path.with_suffix(".png")
    sync = AvSync(
        camera_id=camera_id,
        microphone=recording.microphone,
        offset_ms=1000 * found.offset_s,
        spread_ms=1000 * found.spread_s,
        n_events=len(found.heard_s),
        kind=args.event,
        calibrated_at=now_text(),
        picture=picture.name,
    )
    save_av_sync(sync, path)
    write_picture(picture, draw_sync(sync, found, recording.times_s, recording.motion))
    if args.json:
        report = msgspec.to_builtins(sync) | {"file": str(path), "picture": str(picture)}
        report |= {"heard_s": heard.tolist(), "seen_s": seen.tolist()}
        print(json.dumps(report))
        return 0
    console = Console(highlight=False)
    side = "after" if sync.offset_ms >= 0 else "before"
    error_ms = sync.spread_ms / len(found.heard_s) ** 0.5
    console.print(
        f"pictures are stamped {abs(sync.offset_ms):.1f} ms {side} the sound of the same moment: "
        f"± {error_ms:.1f} ms from {sync.n_events} events, ± {sync.spread_ms:.1f} ms each "
        f"({len(heard)} heard, {len(seen)} seen)"
    )
    console.print(f"written to {path}, shown in {picture}", markup=False)
    console.print(f"use it: deixis run … --set camera.av_sync={path}", markup=False)
    return 0


def _read(video: Path, wav: Path, console: Console) -> Recording:
    """Sound and motion of files: sample 0 and picture 0 are at 0."""
    samples, _ = read_audio(wav)
    capture = cv2.VideoCapture(str(video)) if video.is_file() else None
    if capture is None or not capture.isOpened():
        raise MediaError(f"{video} is not a video that OpenCV can read")
    fps = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS
    total = max(0.0, capture.get(cv2.CAP_PROP_FRAME_COUNT)) or None
    meter, motion = MotionMeter(), []
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("watching", total=total)
        while (read := capture.read())[0]:
            motion.append(meter.update(np.asarray(read[1], np.uint8)))
            progress.advance(task)
    capture.release()
    return Recording(
        camera_id=safe_name(video.stem),
        microphone=wav.name,
        samples=samples,
        times_s=np.arange(len(motion)) / fps,
        motion=np.array(motion),
    )


def _record(args: argparse.Namespace) -> Recording:
    """Sound and motion of devices that run, by the stamps that the nodes would give them."""
    if args.mic is None:
        raise UsageError("--camera needs --mic", hint=EXAMPLE)
    width, _, height = args.size.partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise UsageError(f"--size {args.size!r} is not WIDTHxHEIGHT")
    wanted = int(args.mic) if args.mic.isdecimal() else args.mic or None
    console = Console(stderr=True)
    meter, chunks = MotionMeter(), []
    stamps, motion = [], []
    microphone = Device(wanted, _CHUNK)
    try:
        camera = VideoDevice(
            args.camera, CameraParams(width=int(width), height=int(height)), SystemClock()
        )
        try:
            with Progress(console=console, transient=True) as progress:
                what = "clap" if args.event == "clap" else "make it flash"
                task = progress.add_task(f"{what}, five times", total=args.seconds)
                start_ns = time.monotonic_ns()
                while (at_s := (time.monotonic_ns() - start_ns) / NS_PER_S) < args.seconds:
                    progress.update(task, completed=at_s)
                    frame = camera.read()
                    if frame is None:
                        raise DeviceError(f"camera {args.camera} has stopped answering")
                    stamps.append(frame[1])
                    motion.append(meter.update(frame[0]))
                    chunks += microphone.take(time.monotonic_ns())
        finally:
            camera.close()
    finally:
        microphone.close()
    if not chunks:
        raise DeviceError(f"the microphone {microphone.name!r} gave no sound")
    zero_ns, samples = joined(chunks)
    return Recording(
        camera_id=device_name(args.camera),
        microphone=microphone.name,
        samples=samples,
        times_s=(np.array(stamps, np.int64) - zero_ns) / NS_PER_S,
        motion=np.array(motion),
    )


def joined(
    chunks: list[tuple[int, NDArray[np.float32], int]],
) -> tuple[int, NDArray[np.float32]]:
    """One stretch of sound from chunks with their stamps.

    Single stamps jitter with the driver's buffers: their median says when the stretch began. What
    was lost is silence.

    Args:
        chunks: Time of the first sample (ns), samples, samples lost before.

    Returns:
        When the first sample was captured, and the samples.
    """
    parts, begins, n = [], [], 0
    for stamp_ns, samples, n_lost in chunks:
        parts += [np.zeros(n_lost, np.float32), samples]
        n += n_lost
        begins.append(stamp_ns - n * NS_PER_S // RATE_HZ)
        n += len(samples)
    return int(np.median(begins)), np.concatenate(parts)
