"""The hands node: frames in, tracked hands and pointing rays out.

bench = NodeBench(HandsNode, {"calibration": "tests/scenes/camera.json"}, bundle=bundle)
bench.send("frame", Frame(Header(stamp_ns=1), image))
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import PointingCalibration, load_pointing
from deixis.calibration.quality import extra_sigma_rad
from deixis.calibration.store import check_stands, load_camera
from deixis.nodes.hands.face import FaceDetector, FaceLandmarker
from deixis.nodes.hands.heads import HeadTracker
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.palm import PalmDetector
from deixis.nodes.hands.pointing import PointingEstimator, PointingRay
from deixis.nodes.hands.signs import Sign, SignReader
from deixis.nodes.hands.slope import SlopeNet
from deixis.nodes.hands.tracker import HandTracker, TrackedHand
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.engines import Engine, open_engine
from deixis.runtime.errors import CalibrationError
from deixis.runtime.messages import Frame, Hand, Hands, Playback, Pointing
from deixis.runtime.node import Node


class HandsParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the hands node.

    Attributes:
        calibration: The camera's calibration file.
        max_hands: How many hands are followed at most.
        min_palm_score: Least probability of a palm to look at it closely; one that is unlikely
            (below 0.5) must be a hand the more surely then, and mostly counts only where something
            has moved.
        min_presence: Below this presence a hand is lost.
        detect_every: Frames from one palm detection to the next while no hand is tracked and
            something moves.
        detect_more_every: The same while some but not all hands are tracked, or nothing moves.
        hand_scale: Length of the user's hand (wrist crease to middle fingertip) over 18.2 cm.
        pointing_calibration: The user's pointing calibration; its hand scale takes the place of
            ``hand_scale``.
        heads: Whether to look for the eye that looks over the fingertip; without it rays follow
            the finger.
        palm_stop: Whether to look for a raised palm, which stops the robot.
        min_cutoff_hz: Smoothing of a still hand; lower is steadier.
        beta: How fast smoothing yields to speed (Hz per hand size and second).
    """

    calibration: str
    max_hands: int = 2
    min_palm_score: float = 0.05
    min_presence: float = 0.5
    detect_every: int = 1
    detect_more_every: int = 10
    hand_scale: float = 1.0
    pointing_calibration: str | None = None
    heads: bool = True
    palm_stop: bool = True
    min_cutoff_hz: float = 1.5
    beta: float = 20.0


_EYE_SETTLES_NS = 2 * NS_PER_S
"""For so long hands point with, or without, an eye before the node's note says so."""
_POINTING_ABOVE = 0.3


class HandsNode(Node[HandsParams]):
    """Tracks hands and says where they point."""

    inputs = {"frame": topics.FRAME, "playback": topics.PLAYBACK}
    optional = frozenset({"playback"})
    outputs = {"hands": topics.HANDS, "pointing": topics.POINTING}
    Params = HandsParams
    priority = ("playback",)

    def setup(self) -> None:
        """Load the calibrations and the models."""
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
        self._signs = SignReader(self._open("gestures"), palms=p.palm_stop)
        self._heads = self._open_heads()
        self._slope = SlopeNet()
        self._user: PointingCalibration | None = None
        if p.pointing_calibration is not None:
            self._user = load_pointing(self.path(p.pointing_calibration))
        self._eye_missed = False
        self._eye_changed_ns: int | None = None
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
        camera = None if estimator is None else estimator.calibration
        signs = self._signs.update(hands, camera, stamp_ns)
        seen = tuple(_hand(hand, signs[hand.track_id]) for hand in hands)
        self.publish("hands", Hands(self.header(stamp_ns), seen))
        if estimator is None:
            return
        estimator.keep_only({h.track_id for h in hands})
        heads = []
        if self._heads is not None:
            heads = self._heads.update(image, estimator.calibration, stamp_ns)
        for hand in hands:
            ray = estimator.update(hand, stamp_ns, heads)
            if ray is not None:
                self.publish("pointing", self._message(hand, ray, stamp_ns))
                if self._heads is not None and ray.confidence >= _POINTING_ABOVE:
                    self._note_eye(ray.eye_base_m is None, stamp_ns)

    def on_playback(self, playback: Playback) -> None:
        """A new scene begins: forget the hands of the old one."""
        if playback.reset:
            self._reset()

    def close(self) -> None:
        """Release the models."""
        for engine in getattr(self, "_engines", []):
            engine.close()

    def _open(self, role: str) -> Engine:
        engine = open_engine(self.bundle(), role, note=partial(self.note, "engine"))
        self._engines.append(engine)
        return engine

    def _open_heads(self) -> HeadTracker | None:
        """What follows heads; None if it is not wanted or the bundle has no models for it."""
        if not self.params.heads:
            return None
        roles = ("face_detector", "face_landmarks")
        if any(role not in self.bundle().manifest.models for role in roles):
            self.note("eye", "rays follow the finger: the bundle has no models of faces")
            return None
        detector, landmarks = map(self._open, roles)
        return HeadTracker(FaceDetector(detector), FaceLandmarker(landmarks))

    def _note_eye(self, missing: bool, stamp_ns: int) -> None:
        """Say that no eye is seen where hands point, once that has lasted a while."""
        if missing == self._eye_missed:
            self._eye_changed_ns = None
        elif self._eye_changed_ns is None:
            self._eye_changed_ns = stamp_ns
        elif stamp_ns - self._eye_changed_ns >= _EYE_SETTLES_NS:
            self._eye_missed, self._eye_changed_ns = missing, None
            if missing:
                self.note("eye", "rays follow the finger: no head is seen an arm's length away")
            else:
                self.clear_note("eye")

    def _reset(self) -> None:
        self._tracker.reset()
        self._signs.reset()
        self._eye_changed_ns = None
        if self._heads is not None:
            self._heads.reset()
        if self._pointing is not None:
            self._pointing.keep_only(set())

    def _estimator(self, width: int, height: int) -> PointingEstimator | None:
        """The estimator for pictures of this size; None if the calibration does not serve them."""
        if self._size != (width, height):
            self._size = (width, height)
            self._pointing = None
            try:
                calibration = self._calibration.for_frame(width, height)
                check_stands(calibration, self.params.calibration)
            except CalibrationError as error:
                # Hands and gestures are seen all the same.
                self.note("calibration", f"no pointing rays: {error.message}; {error.hint}")
            else:
                self._pointing = PointingEstimator(
                    calibration,
                    self.params.hand_scale,
                    user=self._user,
                    extra_sigma_rad=extra_sigma_rad(calibration, datetime.now(UTC)),
                    slope=self._slope,
                )
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
            phase_since_ns=ray.phase_since_ns,
            finger_direction_base=_flat(ray.finger_direction_base),
            eye_base_m=None if ray.eye_base_m is None else _flat(ray.eye_base_m),
            personal_sigma_rad=ray.personal_sigma_rad,
            hand_scale=self._user.hand_scale if self._user else self.params.hand_scale,
        )


def _hand(hand: TrackedHand, sign: Sign) -> Hand:
    return Hand(
        track_id=hand.track_id,
        handedness=hand.handedness,
        confidence=hand.confidence,
        landmarks_px=tuple(map(_flat, hand.landmarks_px)),
        landmarks_world_m=tuple(map(_flat, hand.landmarks_world_m)),
        gesture=sign.gesture.name,
        gesture_confidence=sign.gesture.confidence,
        palm_raised_ns=sign.palm_raised_ns,
    )


def _flat(array: NDArray[np.float64]) -> Any:
    """The numbers of an array, row by row, as a tuple."""
    return tuple(array.ravel().tolist())
