"""Real input for comparing converted models with their originals: frames, people, speech.

The samples are recorded or rendered episodes, folders with ``video.mp4`` and ``audio.wav``, and
pictures of people with their faces, in a folder ``people`` beside them. Noise is never used
instead: a network that is wrong on hands can agree on noise.

    python -c "from pathlib import Path; from deixis.export.samples import load_samples; \
print(len(load_samples(Path('tests/scenes/episodes')).frames))"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import MediaError

SAMPLE_RATE_HZ = 16_000
FRAMES_A_SECOND = 2.0
MAX_FRAMES = 96
CROP_PX = 224

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Samples:
    """Input that the exported models will meet.

    Attributes:
        frames: pictures, BGR uint8 [H,W,3].
        speech: float32 mono, 16 kHz, -1..1; at least two seconds.
        people: pictures with faces, BGR uint8 [H,W,3].
    """

    frames: tuple[NDArray[np.uint8], ...]
    speech: NDArray[np.float32]
    people: tuple[NDArray[np.uint8], ...] = ()


def load_samples(folder: Path) -> Samples:
    """Read two frames a second of every episode (at most 96), the first one's sound, the people.

    Args:
        folder: holds one folder an episode, each with ``video.mp4`` and ``audio.wav``; ``people``
            beside it holds pictures (JPEG).

    Returns:
        The samples, in the episodes' alphabetic order.

    Raises:
        MediaError: if there is no episode, or one of its files cannot be read.
    """
    import soundfile

    videos = sorted(folder.glob("*/video.mp4"))
    if not videos:
        raise MediaError(
            f"no episodes to compare the models on: {folder} has no */video.mp4",
            hint="name a folder of recorded episodes with --samples",
        )
    frames = spread([frame for video in videos for frame in _read_frames(video)], MAX_FRAMES)
    wav = videos[0].with_name("audio.wav")
    try:
        speech, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise MediaError(f"cannot read {wav}: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or len(speech) < 2 * rate_hz:
        raise MediaError(
            f"{wav} is {len(speech) / rate_hz:.1f} s at {rate_hz} Hz; "
            "the samples must be 16 kHz and 2 s or longer"
        )
    people = [_read_picture(path) for path in sorted((folder.parent / "people").glob("*.jpg"))]
    return Samples(tuple(frames), np.ascontiguousarray(speech[:, 0]), tuple(people))


def _read_picture(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise MediaError(f"cannot read {path} as a picture")
    return picture.astype(np.uint8, copy=False)


def _read_frames(video: Path) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(video))
    try:
        every = max(1, round((capture.get(cv2.CAP_PROP_FPS) or 30.0) / FRAMES_A_SECOND))
        frames: list[NDArray[np.uint8]] = []
        index = 0
        while capture.grab():
            if index % every == 0:
                ok, bgr = capture.retrieve()
                if ok:
                    frames.append(bgr.astype(np.uint8, copy=False))
            index += 1
    finally:
        capture.release()
    if not frames:
        raise MediaError(f"cannot read any frame of {video}")
    return frames


def object_crops(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Six overlapping views of a frame as input of the crop embedding.

    Args:
        frame: BGR uint8 [H,W,3].

    Returns:
        [6,3,224,224] float32, RGB 0..255.
    """
    height, width = frame.shape[:2]
    side = height // 2
    views = [
        frame[top : top + side, left : left + side]
        for top in (height // 4, height - side)
        for left in (0, (width - side) // 2, width - side)
    ]
    return cv2.dnn.blobFromImages(views, size=(CROP_PX, CROP_PX), swapRB=True).astype(
        np.float32, copy=False
    )


def spread(items: Sequence[_Item], count: int) -> list[_Item]:
    """At most ``count`` of the items, evenly spaced."""
    picks = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[round(p)] for p in picks]
