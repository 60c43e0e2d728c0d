"""Real input for the export: to learn from, to calibrate on, to be judged on.

The samples are recorded or rendered episodes, folders with ``video.mp4`` and ``audio.wav``, and
pictures of people with their faces, in a folder ``people`` beside them, and things to be told
apart, in a folder ``things`` (``THING/*.png``). Noise is never used instead: a network that is
wrong on hands can agree on noise. What a model is judged on is never what it was fitted to: one
episode in three is held out, and all things are.

    python -c "from pathlib import Path; from deixis.export.samples import load_samples; \
print(len(load_samples(Path('tests/scenes/episodes'), 'held out').frames))"
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import MediaError

if TYPE_CHECKING:
    from deixis.export.train.object_views import Thing

SAMPLE_RATE_HZ = 16_000
FRAMES_A_SECOND = 2.0
MAX_FRAMES = 96
CROP_PX = 224
HELD_OUT_EVERY = 3

Part = Literal["all", "train", "held out"]

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Recording:
    """The sound of one episode.

    Attributes:
        name: the episode's.
        speech: float32 mono, 16 kHz, -1..1.
        text: what is said in it, in small letters; None where nobody wrote it down.
    """

    name: str
    speech: NDArray[np.float32]
    text: str | None


@dataclass(frozen=True)
class Samples:
    """Input that the exported models will meet.

    Attributes:
        frames: pictures, BGR uint8 [H,W,3].
        speech: float32 mono, 16 kHz, -1..1; at least two seconds.
        people: pictures with faces, BGR uint8 [H,W,3].
        recordings: the sound of every episode.
        episodes: the episodes' folders.
        things: single things and their pictures, to be told apart; never learnt from.
    """

    frames: tuple[NDArray[np.uint8], ...]
    speech: NDArray[np.float32]
    people: tuple[NDArray[np.uint8], ...] = ()
    recordings: tuple[Recording, ...] = ()
    episodes: tuple[Path, ...] = ()
    things: tuple[Thing, ...] = ()


def load_samples(
    folder: Path,
    part: Part = "all",
    frames_a_second: float = FRAMES_A_SECOND,
    max_frames: int = MAX_FRAMES,
) -> Samples:
    """Read frames of every episode (two a second, at most 96), the sound, the people.

    Args:
        folder: holds one folder an episode, each with ``video.mp4`` and ``audio.wav`` and, where it
            is known, ``truth.json`` with what is said; ``people`` beside it holds pictures (JPEG).
        part: ``held out`` is every third episode (and picture of people), ``train`` the others.
        frames_a_second: how densely the videos are read.
        max_frames: evenly spread over all that were read.

    Returns:
        The samples, in the episodes' alphabetic order.

    Raises:
        MediaError: if there is no episode, or one of its files cannot be read.
    """
    videos = sorted(folder.glob("*/video.mp4"))
    if not videos:
        raise MediaError(
            f"no episodes to compare the models on: {folder} has no */video.mp4",
            hint="name a folder of recorded episodes with --samples",
        )
    chosen = _part(videos, part)
    if not chosen:
        raise MediaError(
            f"{folder} has {len(videos)} episodes: too few to hold some out to judge the models on",
            hint=f"record {HELD_OUT_EVERY} or more",
        )
    frames = [frame for video in chosen for frame in _read_frames(video, frames_a_second)]
    recordings = tuple(_read_recording(video.parent) for video in chosen)
    pictures = _part(sorted((folder.parent / "people").glob("*.jpg")), part)
    return Samples(
        frames=tuple(spread(frames, max_frames)),
        speech=recordings[0].speech,
        people=tuple(_read_picture(path) for path in pictures),
        recordings=recordings,
        episodes=tuple(video.parent for video in chosen),
        things=() if part == "train" else _read_things(folder.parent / "things"),
    )


def _read_things(folder: Path) -> tuple[Thing, ...]:
    from deixis.export.train.object_views import load_things

    return tuple(load_things([folder])) if folder.is_dir() else ()


def _part(items: Sequence[_Item], part: Part) -> list[_Item]:
    if part == "all":
        return list(items)
    held_out = range(HELD_OUT_EVERY - 1, len(items), HELD_OUT_EVERY)
    return [item for i, item in enumerate(items) if (i in held_out) == (part == "held out")]


def _read_recording(episode: Path) -> Recording:
    import soundfile

    wav = episode / "audio.wav"
    try:
        speech, rate_hz = soundfile.read(wav, dtype="float32", always_2d=True)
    except (OSError, soundfile.SoundFileError) as error:
        raise MediaError(f"cannot read {wav}: {error}") from error
    if rate_hz != SAMPLE_RATE_HZ or len(speech) < 2 * rate_hz:
        raise MediaError(
            f"{wav} is {len(speech) / rate_hz:.1f} s at {rate_hz} Hz; "
            "the samples must be 16 kHz and 2 s or longer"
        )
    return Recording(episode.name, np.ascontiguousarray(speech[:, 0]), _said_in(episode))


def _said_in(episode: Path) -> str | None:
    path = episode / "truth.json"
    if not path.is_file():
        return None
    try:
        truth: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return " ".join(str(utterance["text"]).lower() for utterance in truth["utterances"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise MediaError(f"cannot read what is said in {path}: {error!r}") from error


def _read_picture(path: Path) -> NDArray[np.uint8]:
    picture = cv2.imread(str(path))
    if picture is None:
        raise MediaError(f"cannot read {path} as a picture")
    return picture.astype(np.uint8, copy=False)


def _read_frames(video: Path, a_second: float) -> list[NDArray[np.uint8]]:
    capture = cv2.VideoCapture(str(video))
    try:
        every = max(1, round((capture.get(cv2.CAP_PROP_FPS) or 30.0) / a_second))
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
