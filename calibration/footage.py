"""Pictures to calibrate from: a folder or glob of files, a video, or a camera that is running.

for shot in picture_files("shots/*.png").shots: ...
"""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from deixis.calibration.dictionaries import Image
from deixis.runtime.devices import open_camera
from deixis.runtime.errors import CalibrationError, DeviceError, MediaError

_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})
_MOST_FRAMES = 600
_BY_ID = Path("/dev/v4l/by-id")
_UNSAFE = str.maketrans(dict.fromkeys(' /\\:*?"<>|', "-"))


@dataclass(frozen=True)
class Shot:
    """One picture and what it is called."""

    name: str
    image: Image


@dataclass(frozen=True)
class Footage:
    """Pictures of one camera.

    Attributes:
        device_id: What the camera is called unless the user says otherwise.
        total: How many pictures there are; None for a camera that is running.
        shots: The pictures; can be gone through once.
    """

    device_id: str
    total: int | None
    shots: Iterator[Shot]


def picture_files(pattern: str) -> Footage:
    """The pictures of a folder or glob, in the order of their names.

    Raises:
        MediaError: There is none.
    """
    folder = Path(pattern)
    found = folder.iterdir() if folder.is_dir() else map(Path, glob.glob(pattern))
    paths = sorted(p for p in found if p.suffix.lower() in _PICTURES)
    if not paths:
        raise MediaError(
            f"there is no picture at {pattern}",
            hint=f"name a folder, or a glob in quotes; pictures are {', '.join(sorted(_PICTURES))}",
        )
    name = paths[0].resolve().parent.name
    return Footage(safe_name(name), len(paths), _read_all(paths))


def video_frames(path: Path) -> Footage:
    """The frames of a video, at most 600 of them, evenly over its length.

    Raises:
        MediaError: The file is missing or no video.
    """
    if not path.is_file():
        raise MediaError(f"there is no video file {path}")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise MediaError(f"{path} is not a video that OpenCV can read")
    n = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    step = 1 + n // _MOST_FRAMES
    return Footage(safe_name(path.stem), n // step or None, _decode(capture, step))


def camera_frames(
    device: str, *, width: int, height: int, fps: float = 30.0, seconds: float
) -> Footage:
    """The pictures of a camera as they come, for a limited time.

    Raises:
        DeviceError: It is not there or delivers no picture.
    """
    capture = open_camera(device, width=width, height=height, fps=fps)
    return Footage(device_name(device), None, _grab(capture, device, seconds))


def device_name(device: str) -> str:
    """A camera's name that stays the same whichever socket it is in, where udev knows one."""
    path = Path(f"/dev/video{device}" if device.isdecimal() else device)
    if _BY_ID.is_dir():
        for link in sorted(_BY_ID.iterdir()):
            if link.resolve() == path.resolve():
                return safe_name(link.name.removeprefix("usb-").removesuffix("-video-index0"))
    return safe_name(path.name)


def safe_name(text: str) -> str:
    """A text that can be the name of a file."""
    return text.translate(_UNSAFE).strip(".-") or "camera"


def read_picture(path: Path) -> Image:
    """One picture file, BGR.

    Raises:
        MediaError: It is missing or no picture.
    """
    if not path.is_file():
        raise MediaError(f"there is no picture {path}")
    image = cv2.imread(str(path))
    if image is None:
        raise MediaError(f"{path} is not a picture that OpenCV can read")
    return np.asarray(image, np.uint8)


def one_size(name: str, image: Image, first: tuple[str, Image] | None) -> None:
    """Refuse a picture whose size differs from the first one's.

    Raises:
        CalibrationError: It does.
    """
    if first is not None and image.shape[:2] != first[1].shape[:2]:
        (h, w), (h0, w0) = image.shape[:2], first[1].shape[:2]
        raise CalibrationError(
            f"the pictures have different sizes: {first[0]} is {w0}x{h0}, {name} is {w}x{h}",
            hint="calibrate with pictures of one camera at the size it runs with",
        )


def _read_all(paths: list[Path]) -> Iterator[Shot]:
    first: tuple[str, Image] | None = None
    for path in paths:
        image = read_picture(path)
        one_size(path.name, image, first)
        first = first or (path.name, image)
        yield Shot(path.name, image)


def _decode(capture: cv2.VideoCapture, step: int) -> Iterator[Shot]:
    try:
        index = 0
        while capture.grab():
            if index % step == 0:
                ok, image = capture.retrieve()
                if ok:
                    yield Shot(f"frame {index}", np.asarray(image, np.uint8))
            index += 1
    finally:
        capture.release()


def _grab(capture: cv2.VideoCapture, device: str, seconds: float) -> Iterator[Shot]:
    started_s = time.monotonic()
    try:
        index = 0
        while time.monotonic() - started_s < seconds:
            ok, image = capture.read()
            if not ok:
                raise DeviceError(f"camera {device} stopped", hint="is it still plugged in?")
            yield Shot(f"picture {index}", np.asarray(image, np.uint8))
            index += 1
    finally:
        capture.release()
