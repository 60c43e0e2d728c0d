"""Shows pictures and videos to the real hands node, as the robot's camera would.

with NodePlayer(bundle, {}) as player:
    for found, ms in player.play(golden): ...
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, save_camera
from deixis.export.bench.hands_golden import Golden
from deixis.nodes.hands.node import HandsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.closing import Closing
from deixis.runtime.errors import MediaError
from deixis.runtime.messages import Frame, Header
from deixis.runtime.testing import NodeBench

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

IMAGE_PASSES: Final = 12
"""So often a picture is shown, as a camera would that sees a scene in which nothing moves."""
_DEFAULT_FPS: Final = 30.0
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class FoundHand:
    """One hand that was found in a frame.

    Attributes:
        landmarks_px: Shape ``(21, 2)``.
        world_m: Shape ``(21, 3)``, camera axes.
        gesture: Its gesture, where it is known.
        direction_base: Unit vector of its pointing ray.
        direction_cov_rad2: Covariance of the direction, ``(3, 3)``.
    """

    landmarks_px: Array
    world_m: Array
    gesture: str | None = None
    direction_base: Array | None = None
    direction_cov_rad2: Array | None = None


class Player(Protocol):
    """Finds the hands of pictures and videos.

    Attributes:
        gives_rays: Whether it says where hands point.
    """

    gives_rays: bool

    def play(self, golden: Golden) -> Iterator[tuple[list[FoundHand], list[float]]]:
        """The hands of each frame, and the milliseconds that each look at it took."""
        ...


class NodePlayer(Closing):
    """The hands node on one CPU thread.

    Args:
        bundle: The models.
        params: Parameters of the node.
    """

    gives_rays = True

    def __init__(self, bundle: Bundle, params: Mapping[str, Any]) -> None:
        self._bundle = bundle
        self._params = dict(params)
        self._folder = tempfile.TemporaryDirectory()
        self._benches: dict[Path, NodeBench] = {}
        self._streams = 0

    def play(self, golden: Golden) -> Iterator[tuple[list[FoundHand], list[float]]]:
        """Show a picture several times (only the last look counts), a video once.

        Raises:
            MediaError: The file cannot be read, or the video ends too soon.
        """
        passes = 1 if golden.is_video else IMAGE_PASSES
        self._streams += 1
        stream = f"{golden.name}#{self._streams}"
        for index, (image, period_ns) in enumerate(read_frames(golden)):
            node = self._node(golden.camera)
            times_ms = []
            for number in range(passes):
                # Not 0: a stamp of 0 is that of no frame.
                stamp_ns = (1 + index * passes + number) * period_ns
                node.outputs.clear()
                before_s = time.perf_counter()
                node.send("frame", Frame(Header(stamp_ns), image, stream))
                times_ms.append(1000 * (time.perf_counter() - before_s))
            yield _found(node), times_ms

    def close(self) -> None:
        """Release the models."""
        for bench in self._benches.values():
            bench.close()
        self._folder.cleanup()

    def _node(self, camera: Path | None) -> NodeBench:
        path = (camera or self._unknown_camera()).resolve()
        if path not in self._benches:
            params = {**self._params, "calibration": str(path)}
            bench = NodeBench(HandsNode, params, bundle=self._bundle)
            bench.node.log.addFilter(_is_news)
            self._benches[path] = bench
        return self._benches[path]

    def _unknown_camera(self) -> Path:
        """A camera whose pictures have a shape that no picture has: the node gives no rays then."""
        path = Path(self._folder.name) / "unknown.json"
        if not path.is_file():
            unknown = CameraCalibration(
                device_id=_UNKNOWN,
                width=1,
                height=1000,
                K=np.eye(3),
                distortion=np.zeros(5),
                T_base_cam=np.eye(4),
                calibrated_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                reprojection_error_px=0.0,
            )
            save_camera(unknown, path)
        return path


def _is_news(record: logging.LogRecord) -> bool:
    """Whether to log it: that the unknown camera gives no rays is as intended."""
    return repr(_UNKNOWN) not in record.getMessage()


def read_frames(golden: Golden) -> Iterator[tuple[Image, int]]:
    """The pictures that are golden, and the time from each to the next in nanoseconds.

    Raises:
        MediaError: The file is no picture or video, or has too few frames.
    """
    if not golden.is_video:
        image = cv2.imread(str(golden.media))
        if image is None:
            raise MediaError(f"{golden.media} is not a picture that OpenCV can read")
        yield np.asarray(image, np.uint8), round(NS_PER_S / _DEFAULT_FPS)
        return
    video = cv2.VideoCapture(str(golden.media))
    try:
        fps = video.get(cv2.CAP_PROP_FPS) if video.isOpened() else 0.0
        period_ns = round(NS_PER_S / (fps if 0 < fps < 1000 else _DEFAULT_FPS))
        for index in range(len(golden.frames)):
            ok, image = video.read()
            if not ok and index == 0:
                raise MediaError(f"{golden.media} is not a video that OpenCV can read")
            if not ok:
                raise MediaError(
                    f"{golden.media} ends after {index} frames; there are golden landmarks for "
                    f"{len(golden.frames)}"
                )
            yield np.asarray(image, np.uint8), period_ns
    finally:
        video.release()


def _found(node: NodeBench) -> list[FoundHand]:
    rays = {ray.track_id: ray for ray in node.outputs["pointing"]}
    found = []
    for hand in node.outputs["hands"][-1].hands:
        ray = rays.get(hand.track_id)
        found.append(
            FoundHand(
                landmarks_px=np.array(hand.landmarks_px),
                world_m=np.array(hand.landmarks_world_m),
                gesture=hand.gesture,
                direction_base=None if ray is None else np.array(ray.direction_base),
                direction_cov_rad2=None
                if ray is None
                else np.array(ray.direction_cov_rad2).reshape(3, 3),
            )
        )
    return found
