"""The hands node: frames in, tracked hands and pointing rays out.

bench = NodeBench(HandsNode, {"calibration": "tests/scenes/camera.json"}, bundle=bundle)
bench.send("frame", Frame(Header(stamp_ns=1), image))
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, load_camera
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.palm import PalmDetector
from deixis.nodes.hands.pointing import PointingEstimator, PointingRay
from deixis.nodes.hands.tracker import HandTracker, TrackedHand
from deixis.runtime import topics
from deixis.runtime.engines import Engine, open_engine
from deixis.runtime.errors import CalibrationError
from deixis.runtime.messages import Frame, Hand, Hands, Playback, Pointing
from deixis.runtime.node import Node


class HandsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the hands node.

    Attributes:
        calibration: The camera's calibration file.
        max_hands: How many hands are followed at most.
        min_palm_score: Least probability of a palm to look at it closely.
        min_presence: Below this presence a hand is lost.
        detect_every: Frames from one palm detection to the next while no hand is tracked.
        detect_more_every: The same while some but not all hands are tracked.
        hand_scale: Length of the user's hand (wrist crease to middle fingertip) over 18.2 cm.
        min_cutoff_hz: Smoothing of a still hand; lower is steadier.
        beta: How fast smoothing yields to speed (Hz per hand size and second).
    """

    calibration: str
    max_hands: int = 2
    min_palm_score: float = 0.5
    min_presence: float = 0.5
    detect_every: int = 2
    detect_more_every: int = 10
    hand_scale: float = 1.0
    min_cutoff_hz: float = 1.5
    beta: float = 20.0


class HandsNode(Node[HandsParams]):
    """Tracks hands and says where they point."""

    inputs = {"frame": topics.FRAME, "playback": topics.PLAYBACK}
    optional = frozenset({"playback"})
    outputs = {"hands": topics.HANDS, "pointing": topics.POINTING}
    Params = HandsParams
    priority = ("playback",)

    def setup(self) -> None:
        """Load the calibration and both models."""
        p = self.params
        self._calibration = load_camera(self.path(p.calibration))
        self._engines: list[Engine] = []
        palm = self._open("palm_detector")
        landmarks = self._open("hand_landmarks")
        self._tracker = HandTracker(
            PalmDetector(palm, min_score=p.min_palm_score),
            HandLandmarker(landmarks),
            max_hands=p.max_hands,
            min_presence=p.min_presence,
            detect_every=p.detect_every,
            detect_more_every=p.detect_more_every,
            min_cutoff_hz=p.min_cutoff_hz,
            beta=p.beta,
        )
        self._stream: str | None = None
        self._size: tuple[int, int] | None = None
        self._pointing: PointingEstimator | None = None

    def on_frame(self, frame: Frame) -> None:
        """Find the hands of one picture and publish them and their rays."""
        image: NDArray[np.uint8] = frame.image
        if frame.stream != self._stream:
            self._stream = frame.stream
            self._reset()
        stamp_ns = frame.header.stamp_ns
        hands = self._tracker.update(image, stamp_ns)
        estimator = self._estimator(image.shape[1], image.shape[0])
        self.publish("hands", Hands(self.header(stamp_ns), tuple(map(_hand, hands))))
        if estimator is None:
            return
        estimator.keep_only({h.track_id for h in hands})
        for hand in hands:
            ray = estimator.update(hand, stamp_ns)
            if ray is not None:
                self.publish("pointing", self._message(hand, ray, stamp_ns))

    def on_playback(self, playback: Playback) -> None:
        """A new scene begins: forget the hands of the old one."""
        if playback.reset:
            self._reset()

    def close(self) -> None:
        """Release the models."""
        for engine in getattr(self, "_engines", []):
            engine.close()

    def _open(self, role: str) -> Engine:
        engine = open_engine(self.bundle(), role)
        self._engines.append(engine)
        return engine

    def _reset(self) -> None:
        self._tracker.reset()
        if self._pointing is not None:
            self._pointing.keep_only(set())

    def _estimator(self, width: int, height: int) -> PointingEstimator | None:
        """The estimator for pictures of this size; None if the calibration does not fit them."""
        if self._size != (width, height):
            self._size = (width, height)
            self._pointing = None
            try:
                calibration: CameraCalibration = self._calibration.for_frame(width, height)
            except CalibrationError as error:
                self.note("calibration", f"no pointing rays: {error.message}")
            else:
                self._pointing = PointingEstimator(calibration, self.params.hand_scale)
                self.clear_note("calibration")
        return self._pointing

    def _message(self, hand: TrackedHand, ray: PointingRay, stamp_ns: int) -> Pointing:
        return Pointing(
            self.header(stamp_ns),
            track_id=hand.track_id,
            origin_base_m=_flat(ray.origin_base_m),
            direction_base=_flat(ray.direction_base),
            origin_cov_m2=_flat(ray.origin_cov_m2),
            direction_cov_rad2=_flat(ray.direction_cov_rad2),
            confidence=ray.confidence,
            phase=ray.phase,
        )


def _hand(hand: TrackedHand) -> Hand:
    return Hand(
        track_id=hand.track_id,
        handedness=hand.handedness,
        confidence=hand.presence,
        landmarks_px=tuple(map(_flat, hand.landmarks_px)),
        landmarks_world_m=tuple(map(_flat, hand.landmarks_world_m)),
    )


def _flat(array: NDArray[np.float64]) -> Any:
    """The numbers of an array, row by row, as a tuple."""
    return tuple(array.ravel().tolist())
