"""Videos and pictures to search: which there are, and samples of them at a steady pace.

for file in media_files([Path("recordings")]):
    for sample in samples(file, every_s=0.5): sample.image, sample.at_s
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deixis.calibration.footage import read_picture
from deixis.nodes.objects.source import Image
from deixis.runtime.errors import MediaError

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".avi", ".webm"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
_DEFAULT_FPS = 30.0
_RECORDING = ".mcap"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One picture of a file.

    Attributes:
        image: BGR uint8, shape ``(height, width, 3)``.
        at_s: When in the video, seconds from its start; 0 for a picture.
    """

    image: Image
    at_s: float


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file to search.

    Attributes:
        path: Where it is.
        named: Whether the user named it itself rather than a folder: then it must be readable.
    """

    path: Path
    named: bool

    @property
    def is_video(self) -> bool:
        """Whether it has times."""
        return self.path.suffix.lower() in VIDEOS


def media_files(paths: Sequence[Path]) -> list[MediaFile]:
    """The files that are named, and those in folders that are, in the order of their names.

    Raises:
        MediaError: A path is not there or nothing that can be searched, or a folder has no such
            file in it.
    """
    found: dict[Path, MediaFile] = {}
    for path in paths:
        if path.is_dir():
            # A recording among them is told of as a file that cannot be read.
            inside = [p for p in sorted(path.rglob("*")) if _searchable(p) or _is_recording(p)]
            if not any(map(_searchable, inside)):
                raise MediaError(f"there is no video or picture in {path}", hint=_kinds())
            for file in inside:
                found.setdefault(file.resolve(), MediaFile(file, named=False))
        else:
            _check(path)
            found[path.resolve()] = MediaFile(path, named=True)
    return list(found.values())


def duration_s(file: MediaFile) -> float:
    """About how long a video is; 0 for a picture and where the video does not say."""
    if not file.is_video:
        return 0.0
    capture = cv2.VideoCapture(str(file.path))
    frames, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return float(frames / fps) if frames > 0 and fps > 0 else 0.0


def samples(file: MediaFile, every_s: float) -> Iterator[Sample]:
    """The picture itself, or a video's frames at least so many seconds apart.

    Raises:
        MediaError: It cannot be read.
    """
    _check(file.path)
    if not file.is_video:
        yield Sample(read_picture(file.path), 0.0)
        return
    capture = cv2.VideoCapture(str(file.path))
    try:
        fps = capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS
        index, due_s, count = 0, 0.0, 0
        while capture.grab():
            # Telephones record at uneven rates: the frame's own time counts, where it has one.
            stamp_ms = capture.get(cv2.CAP_PROP_POS_MSEC)
            at_s = stamp_ms / 1000 if stamp_ms > 0 else index / fps
            index += 1
            if at_s < due_s:
                continue
            good, image = capture.retrieve()
            if good:
                count += 1
                due_s = at_s + every_s - 0.5 / fps
                yield Sample(np.asarray(image, np.uint8), at_s)
        if not count:
            raise MediaError(f"{file.path} is not a video that OpenCV can read")
    finally:
        capture.release()


def _searchable(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS | PICTURES and not path.name.startswith(".")


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() == _RECORDING and not path.name.startswith(".")


def _check(path: Path) -> None:
    if not path.exists():
        raise MediaError(f"there is no file or folder {path}")
    if _is_recording(path):
        raise MediaError(
            f"{path}: recordings in MCAP are not searched yet", hint="give its videos or pictures"
        )
    if not _searchable(path):
        raise MediaError(f"{path} is neither a video nor a picture", hint=_kinds())


def _kinds() -> str:
    return f"videos are {', '.join(sorted(VIDEOS))}; pictures are {', '.join(sorted(PICTURES))}"
