"""Shows scenes to the real objects node, as the robot's camera would, with the real hands node.

with ScenePlayer(bundle, {}, gallery) as player:
    for look in player.play(scene): ...
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.objects_data import TableScene
from deixis.nodes.hands.node import HandsNode
from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import MediaError
from deixis.runtime.messages import Frame, Header, SceneObject
from deixis.runtime.testing import NodeBench

Image = NDArray[np.uint8]

STILL_LOOKS: Final = 24
"""So often a picture is shown; only the last look is compared with the truth."""
STILL_FPS: Final = 10.0
SETTLE_S: Final = 1.2
"""After a change, the node is given this long to have seen, named and numbered everything."""
COUNTED_S: Final = 1.0
"""One look in this time counts in a video: pictures of the same things are no new evidence."""
NOISE: Final = 1.0
"""Standard deviation of the noise, grey levels, by which two looks at a still picture differ."""


@dataclass(frozen=True, slots=True)
class Look:
    """One picture that the node renewed the scene from.

    Attributes:
        frame: Which frame of the scene.
        objects: What it published.
        ms: How long that took.
        state: ``full`` (all is new, or a hand moves), ``settling`` or ``still``.
        counts: Whether to compare it with the truth.
    """

    frame: int
    objects: tuple[SceneObject, ...]
    ms: float
    state: str
    counts: bool


class ScenePlayer:
    """The objects node, and the hands node before it, on one CPU thread.

    Args:
        bundle: The models.
        params: Parameters of the objects node.
        gallery: Folder of taught views; without one, nothing is named.
    """

    def __init__(self, bundle: Bundle, params: Mapping[str, Any], gallery: Path | None) -> None:
        self._bundle = bundle
        self._params = dict(params)
        if gallery is not None:
            self._params["gallery"] = str(gallery.resolve())

    def play(self, scene: TableScene) -> Iterator[Look]:
        """Show a scene.

        Raises:
            MediaError: A file cannot be read, or the video ends too soon.
        """
        calibration = str(scene.camera.resolve())
        params = {**self._params, "calibration": calibration}
        if scene.workspace is not None:
            params.setdefault("workspace", dict(scene.workspace))
        with NodeBench(ObjectsNode, params, bundle=self._bundle) as node:
            if not scene.is_video and len(scene.media) == 1:
                yield from self._still(scene, node)
                return
            hand_params = {"calibration": calibration}
            with NodeBench(HandsNode, hand_params, bundle=self._bundle) as hands:
                # How it gets along with rays is not the matter here.
                hands.node.log.setLevel(logging.WARNING)
                yield from self._moving(scene, node, hands)

    def _still(self, scene: TableScene, node: NodeBench) -> Iterator[Look]:
        (image,) = read_frames(scene)
        rng = np.random.default_rng(0)
        for number in range(STILL_LOOKS):
            noisy = image + NOISE * rng.standard_normal(image.shape, np.float32)
            pixels = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
            stamp_ns = round((1 + number) * NS_PER_S / STILL_FPS)
            settling = number < SETTLE_S * STILL_FPS
            state = "full" if number == 0 else "settling" if settling else "still"
            yield from _look(node, scene, pixels, 0, stamp_ns, state, number == STILL_LOOKS - 1)

    def _moving(self, scene: TableScene, node: NodeBench, hands: NodeBench) -> Iterator[Look]:
        settled_s = due_s = SETTLE_S
        for k, image in enumerate(read_frames(scene)):
            now_s = k / scene.fps
            stamp_ns = NS_PER_S + round(now_s * NS_PER_S)
            header = Header(stamp_ns)
            hands.outputs.clear()
            hands.send("frame", Frame(header, image, scene.name))
            for seen in hands.outputs["hands"]:
                node.send("hands", seen)
            if scene.hand[k]:
                settled_s = now_s + SETTLE_S
            moves = k == 0 or scene.hand[k]
            state = "full" if moves else "settling" if now_s < settled_s else "still"
            for look in _look(node, scene, image, k, stamp_ns, state, now_s >= due_s):
                if look.counts:
                    due_s = now_s + COUNTED_S
                yield look


def _look(
    node: NodeBench, scene: TableScene, image: Image, frame: int, stamp_ns: int, state: str,
    counts: bool,
) -> Iterator[Look]:  # fmt: skip
    node.outputs.clear()
    before_s = time.perf_counter()
    node.send("frame", Frame(Header(stamp_ns), image, scene.name))
    ms = 1000 * (time.perf_counter() - before_s)
    # Pictures that the node skips, because its scene is not due yet, are no looks.
    for published in node.outputs["scene"]:
        yield Look(frame, published.objects, ms, state, counts)


def read_frames(scene: TableScene) -> Iterator[Image]:
    """The pictures of a scene, BGR.

    Raises:
        MediaError: A file is no picture or video, or the video has too few frames.
    """
    if not scene.is_video:
        for path in scene.media:
            picture = cv2.imread(str(path))
            if picture is None:
                raise MediaError(f"{path} is not a picture that OpenCV can read")
            yield np.asarray(picture, np.uint8)
        return
    video = cv2.VideoCapture(str(scene.media[0]))
    try:
        for index in range(len(scene.frames)):
            ok, picture = video.read()
            if not ok:
                raise MediaError(
                    f"{scene.media[0]} ends after {index} frames; {len(scene.frames)} are known"
                )
            yield np.asarray(picture, np.uint8)
    finally:
        video.release()
