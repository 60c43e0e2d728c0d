"""The camera node: a video file in real time, a still picture, or a device through OpenCV.

A file's frame k is published at ``start_ns + k / fps`` and carries that moment as its stamp, so
that sound and picture of one recording stay together. A frame that is late is skipped and counted:
delay never builds up. A device's frame carries the time at which it was grabbed.

``NodeBench(CameraNode, {"source": "clip.mp4"}).advance(1000)`` plays one second of a file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.av_sync import load_av_sync
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S, Clock
from deixis.runtime.devices import open_camera
from deixis.runtime.errors import DeviceError, MediaError
from deixis.runtime.messages import Frame, Playback
from deixis.runtime.node import Node

Image = NDArray[np.uint8]

_FIRST_RETRY_NS, _LAST_RETRY_NS = NS_PER_S // 2, 8 * NS_PER_S
_PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp"})


class CameraParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the camera node.

    Attributes:
        source: ``none`` (idle until a playback), a device (``0``, ``/dev/video0``), a video file,
            or a picture that stands still.
        width: Wanted width in pixels of a device's pictures.
        height: Wanted height.
        fps: Wanted rate of a device; also that of a file that does not say its own.
        loop: Whether a file begins again when it ends.
        av_sync: The camera's offset from the sound (``deixis calibrate av-sync``), which is taken
            off the stamps of its own frames; what is played back is stamped as it is.
    """

    source: str | int = "none"
    width: int = 640
    height: int = 480
    fps: float = 30.0
    loop: bool = False
    av_sync: str | None = None


class Source(Protocol):
    """Where frames come from."""

    lost: int

    def next_ns(self) -> int | None:
        """When the next frame is due; None when there is none."""
        ...

    def read(self) -> tuple[Image, int] | None:
        """The frame that is due and its capture time; None when there is none any more."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class VideoFile:
    """A video file, paced in real time; the next frame is decoded ahead of its moment.

    Args:
        path: The file.
        start_ns: When frame 0 counts as captured.
        clock: The node's clock.
        default_fps: Rate of a file that does not say its own.

    Raises:
        MediaError: The file is missing or holds no picture.
    """

    def __init__(self, path: Path, start_ns: int, clock: Clock, default_fps: float) -> None:
        if not path.is_file():
            raise MediaError(f"there is no video file {path}")
        self._capture = cv2.VideoCapture(str(path))
        fps = self._capture.get(cv2.CAP_PROP_FPS) if self._capture.isOpened() else 0.0
        self._fps = fps if 0 < fps < 1000 else default_fps
        self._start_ns, self._clock = start_ns, clock
        self._index = 0
        self.lost = 0
        self._next = self._decode()
        if self._next is None:
            self._capture.release()
            raise MediaError(f"{path} is not a video that OpenCV can read")

    def next_ns(self) -> int | None:
        """When the next frame is due."""
        return None if self._next is None else self._due_ns(self._index)

    def end_ns(self) -> int:
        """When the frame after the last one that was read would be due."""
        return self._due_ns(self._index)

    def read(self) -> tuple[Image, int] | None:
        """The frame that is due; frames whose moment has passed are skipped."""
        self._skip_late()
        if self._next is None:
            return None
        frame = (self._next, self._due_ns(self._index))
        self._index += 1
        self._next = self._decode()
        return frame

    def close(self) -> None:
        """Close the file."""
        self._capture.release()

    def _skip_late(self) -> None:
        skipped = False
        # Late is a frame whose successor is due already; grab() skips it without converting it.
        while self._next is not None and self._due_ns(self._index + 1) <= self._clock.now_ns():
            self._index += 1
            self.lost += 1
            skipped = True
            if not self._capture.grab():
                self._next = None
                return
        if skipped:
            ok, image = self._capture.retrieve()
            self._next = np.asarray(image, np.uint8) if ok else None

    def _decode(self) -> Image | None:
        ok, image = self._capture.read()
        return np.asarray(image, np.uint8) if ok else None

    def _due_ns(self, index: int) -> int:
        return self._start_ns + round(index * NS_PER_S / self._fps)


class StillPicture:
    """A picture that is published over and over: a scene in which nothing moves.

    Args:
        path: The file.
        fps: How often.
        clock: The node's clock.

    Raises:
        MediaError: The file is missing or no picture.
    """

    def __init__(self, path: Path, fps: float, clock: Clock) -> None:
        image = cv2.imread(str(path))
        if image is None:
            raise MediaError(f"{path} is not a picture that OpenCV can read")
        self._image = np.asarray(image, np.uint8)
        self._period_ns = round(NS_PER_S / fps)
        self._due_ns = clock.now_ns()
        self._clock = clock
        self.lost = 0

    def next_ns(self) -> int | None:
        """When it is published again."""
        return self._due_ns

    def read(self) -> tuple[Image, int] | None:
        """The picture, stamped with the moment it is due."""
        stamp_ns = self._due_ns
        # Moments that were missed are left out: nothing new was to be seen in them.
        self._due_ns = max(stamp_ns + self._period_ns, self._clock.now_ns())
        return self._image, stamp_ns

    def close(self) -> None:
        """Nothing to release."""


class VideoDevice:
    """A camera that OpenCV opens (V4L2 on Linux).

    Args:
        device: ``0`` or ``/dev/video0``.
        params: Size and rate to ask it for.
        clock: The node's clock.

    Raises:
        DeviceError: It is not there or delivers no picture.
    """

    def __init__(self, device: str, params: CameraParams, clock: Clock) -> None:
        self._capture = open_camera(
            device, width=params.width, height=params.height, fps=params.fps
        )
        self._clock = clock
        self.lost = 0

    def next_ns(self) -> int | None:
        """At once: reading waits for the next frame."""
        return self._clock.now_ns()

    def read(self) -> tuple[Image, int] | None:
        """The next frame; None when the camera has gone."""
        if not self._capture.grab():
            return None
        # Exposure and transfer lie before this moment: a constant offset, which calibration finds
        # and the node takes off (av_sync).
        stamp_ns = self._clock.now_ns()
        ok, image = self._capture.retrieve()
        return (np.asarray(image, np.uint8), stamp_ns) if ok else None

    def close(self) -> None:
        """Release the camera."""
        self._capture.release()


class CameraNode(Node[CameraParams]):
    """Publishes frames of a file or device, or of whatever is played back in its place."""

    inputs = {"playback": topics.PLAYBACK}
    optional = frozenset({"playback"})
    outputs = {"frame": topics.FRAME}
    Params = CameraParams

    def setup(self) -> None:
        """Open the source.

        Raises:
            CalibrationError: The offset's file is missing or damaged.
            DeviceError: The camera is not there or delivers no picture.
            MediaError: The file is missing or holds no picture.
        """
        self._offset_ns = 0
        if self.params.av_sync is not None:
            self._offset_ns = round(
                load_av_sync(self.path(self.params.av_sync)).offset_ms * NS_PER_MS
            )
        self._source: Source | None = None
        self._stream = ""
        self._n_streams = 0
        self._playing_back = False
        self._retry_ns: int | None = None
        self._retry_wait_ns = _FIRST_RETRY_NS
        self._reported_lost = 0
        self._report_ns = 0
        self._open_own()

    def next_tick_ns(self) -> int | None:
        """When the next frame is due, or the next attempt to open the device again."""
        return self._source.next_ns() if self._source is not None else self._retry_ns

    def on_tick(self) -> None:
        """Publish the frame that is due."""
        if self._source is None:
            self._reopen()
            return
        frame = self._source.read()
        self._report_lost()
        if frame is not None:
            image, stamp_ns = frame
            if not self._playing_back:
                stamp_ns -= self._offset_ns
            self.publish("frame", Frame(self.header(stamp_ns), image, self._stream))
        if frame is None or self._source.next_ns() is None:
            self._ended()

    def on_playback(self, playback: Playback) -> None:
        """Play a file in place of the source, at once; afterwards the source goes on."""
        if playback.video_path is None:
            return
        path = self.path(playback.video_path)
        try:
            video = VideoFile(path, playback.start_ns, self.clock, self.params.fps)
        except MediaError as error:
            self.note("playback", f"playback refused: {error.message}")
            return
        self.clear_note("playback")
        self._retry_ns = None
        self._playing_back = True
        self._use(video, path.name)

    def close(self) -> None:
        """Close the source."""
        source = getattr(self, "_source", None)
        if source is not None:
            source.close()

    def _use(self, source: Source | None, name: str) -> None:
        self.close()
        self._source = source
        self._reported_lost = 0
        # Every switch is a new stream: nodes downstream forget what they tracked in the old one.
        self._stream = f"{name}#{self._n_streams}"
        self._n_streams += 1

    def _open_own(self, start_ns: int | None = None) -> None:
        """Open the source of the parameters; a file starts at ``start_ns``, or now."""
        p = self.params
        self._playing_back = False
        source = str(p.source)
        if source == "none":
            self._use(None, source)
        elif source.isdecimal() or source.startswith("/dev/"):
            self._use(VideoDevice(source, p, self.clock), source)
        else:
            path = self.path(source)
            if path.suffix.lower() in _PICTURES:
                self._use(StillPicture(path, p.fps, self.clock), path.name)
                return
            start_ns = self.clock.now_ns() if start_ns is None else start_ns
            self._use(VideoFile(path, start_ns, self.clock, p.fps), path.name)

    def _ended(self) -> None:
        """The source has no more frames: a file is over, or a device has gone."""
        self.log.info("%s has ended", self._stream)
        if isinstance(self._source, VideoDevice):
            self.note("device", f"camera {self.params.source} stopped; opening it again")
        start_ns = None
        again = True
        if isinstance(self._source, VideoFile) and not self._playing_back:
            again = self.params.loop
            # Without a gap, unless the node was held up for long.
            start_ns = max(self._source.end_ns(), self.clock.now_ns() - NS_PER_S)
        self._use(None, "none")
        if again:
            self._retry_wait_ns = _FIRST_RETRY_NS
            self._reopen(start_ns)

    def _reopen(self, start_ns: int | None = None) -> None:
        """Go back to the source of the parameters; try again later if it is not there."""
        self._retry_ns = None
        try:
            self._open_own(start_ns)
        except (DeviceError, MediaError) as error:
            self.note("device", f"{error.message}; trying again")
            self._retry_ns = self.clock.now_ns() + self._retry_wait_ns
            self._retry_wait_ns = min(2 * self._retry_wait_ns, _LAST_RETRY_NS)
        else:
            self.clear_note("device")

    def _report_lost(self) -> None:
        """Say how many frames were skipped, at most once a second."""
        now_ns = self.clock.now_ns()
        if self._source is None or self._source.lost == self._reported_lost:
            return
        if now_ns - self._report_ns >= NS_PER_S:
            n = self._source.lost - self._reported_lost
            self.log.warning("%d frames of %s were late and skipped", n, self._stream)
            self._reported_lost, self._report_ns = self._source.lost, now_ns
