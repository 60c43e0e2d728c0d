"""What a hand does: point, open palm, fist, thumb up, thumb down, beckon, or none of them.

A small network reads the last 0.7 s of each hand. Frames come at any rate: what it reads is
interpolated at fixed ages from the stamps, and before a hand was seen it counts as having been as
it is in its first frame, so that the first frame already has an answer.

    recognizer = GestureRecognizer(open_engine(bundle, "gestures"))
    gestures = recognizer.update(hands, stamp_ns)   # by track id
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.landmarks import INDEX, LITTLE, MIDDLE, RING, WRIST
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.engines import Engine

Array = NDArray[np.float64]
Features = NDArray[np.float32]

POINT, PALM, FIST, THUMB_UP, THUMB_DOWN, BECKON, NONE = range(7)
GESTURES: Final = ("point", "palm", "fist", "thumb_up", "thumb_down", "beckon", "none")
"""Names of the classes, in the order of the network's answers."""

STEPS: Final = 15
STEP_NS: Final = 50 * NS_PER_MS
"""The network sees the present and 14 moments before it, 50 ms apart."""
_GAP_NS: Final = 250 * NS_PER_MS
"""After a longer gap a hand is looked at anew: what lies between is not known."""

THUMB: Final = (1, 2, 3, 4)
_CHAINS = np.array([(WRIST, *finger) for finger in (THUMB, INDEX, MIDDLE, RING, LITTLE)])
_TIPS = _CHAINS[:, -1]
N_POINTS, N_SHAPE = 40, 25
N_IMAGE: Final = N_POINTS + N_SHAPE
N_METRIC: Final = N_SHAPE + 1
"""Of the metric points: their shape, and how edge-on the palm is seen."""
N_FEATURES: Final = N_IMAGE + N_METRIC + 1
"""The last one says whether there are metric points."""


@dataclass(frozen=True, slots=True)
class Gesture:
    """A hand's gesture in one frame.

    Attributes:
        name: One of :data:`GESTURES`.
        confidence: Its probability in [0, 1].
        palm: Probability in [0, 1] of an open palm, whatever the most probable gesture is.
    """

    name: str
    confidence: float
    palm: float


class GestureRecognizer:
    """Follows each hand's gesture.

    Args:
        engine: The model: ``features`` ``(n, STEPS, N_FEATURES)`` to ``probabilities`` ``(n, 7)``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[int, deque[tuple[int, Features]]] = {}

    def reset(self) -> None:
        """Forget all hands."""
        self._seen.clear()

    def update(
        self, hands: Sequence[TrackedHand], stamp_ns: int, up_rad: Sequence[float] = ()
    ) -> dict[int, Gesture]:
        """The gestures of all hands in a frame, in one run of the network.

        Args:
            hands: The frame's hands; what was known of others is forgotten.
            stamp_ns: Its capture time.
            up_rad: Where up is in the picture at each hand, clockwise from the picture's own up;
                the picture's up if left out.

        Returns:
            Gesture by track id.

        Raises:
            EngineError: The model failed.
        """
        self._seen = {h.track_id: self._seen.get(h.track_id, deque()) for h in hands}
        if not hands:
            return {}
        for hand, angle_rad in zip(hands, up_rad or [0.0] * len(hands), strict=True):
            image_px = turned(hand.landmarks_px, -angle_rad)
            _remember(
                self._seen[hand.track_id], stamp_ns, features(image_px, hand.landmarks_world_m)
            )
        windows = np.stack([_window(self._seen[h.track_id]) for h in hands])
        answers = self._engine.infer({"features": windows})["probabilities"]
        best = answers.argmax(axis=1)
        return {
            hand.track_id: Gesture(GESTURES[k], float(row[k]), float(row[PALM]))
            for hand, row, k in zip(hands, answers, best, strict=True)
        }


def features(image: Array, metric_m: Array | None) -> Features:
    """What the network reads of a frame.

    The picture keeps its up (a thumb down is a thumb up upside down) and loses place and size; the
    metric points give what does not depend on the view.

    Args:
        image: Landmarks in the picture, any unit, y down, shape ``(…, 21, 2)``.
        metric_m: Metric landmarks, ``(…, 21, 3)``; None where there are none.

    Returns:
        Shape ``(…, N_FEATURES)``.
    """
    points = image - image[..., :1, :]
    size = np.sqrt((points**2).sum(axis=-1).mean(axis=-1))[..., None, None]
    points = points / np.maximum(size, 1e-9)
    out = np.zeros((*image.shape[:-2], N_FEATURES), np.float32)
    out[..., :N_POINTS] = points[..., 1:, :].reshape(*image.shape[:-2], N_POINTS)
    out[..., N_POINTS:N_IMAGE] = _shape(points)
    if metric_m is not None:
        palm = np.linalg.norm(metric_m[..., MIDDLE[0], :] - metric_m[..., WRIST, :], axis=-1)
        scaled = metric_m / np.maximum(palm, 1e-9)[..., None, None]
        out[..., N_IMAGE:-2] = _shape(scaled)
        out[..., -2] = np.abs(palm_normal(metric_m)[..., 2])
        out[..., -1] = 1.0
    return out


def turned(points: Array, angle_rad: float) -> Array:
    """Picture points ``(…, 2)``, turned clockwise as one sees them."""
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    out: Array = points @ np.array([[cos, sin], [-sin, cos]])
    return out


def _shape(points: Array) -> Array:
    """How fingers bend, how far tips are from the wrist, and from the thumb, ``(…, N_SHAPE)``."""
    chains = points[..., _CHAINS, :]
    bones = np.diff(chains, axis=-2)
    bones = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    bends = (bones[..., 1:, :] * bones[..., :-1, :]).sum(axis=-1)
    thumb = points[..., THUMB[-1] : THUMB[-1] + 1, :]
    from_wrist = points[..., _TIPS, :] - points[..., WRIST : WRIST + 1, :]
    from_thumb = points[..., [*_TIPS[1:], INDEX[0]], :] - thumb
    flat = bends.reshape(*points.shape[:-2], -1)
    distances = (np.linalg.norm(part, axis=-1) for part in (from_wrist, from_thumb))
    return np.concatenate([flat, *distances], axis=-1)


def palm_normal(points: Array) -> Array:
    """Unit normal ``(…, 3)`` of the palm of metric points ``(…, 21, 3)``.

    In camera axes it points away from the camera where a right hand shows its palm, or a left hand
    its back.
    """
    wrist = points[..., WRIST, :]
    normal = np.cross(points[..., LITTLE[0], :] - wrist, points[..., INDEX[0], :] - wrist)
    unit: Array = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-12)
    return unit


def _remember(seen: deque[tuple[int, Features]], stamp_ns: int, now: Features) -> None:
    if seen and not 0 < stamp_ns - seen[-1][0] <= _GAP_NS:
        seen.clear()
    seen.append((stamp_ns, now))
    # One older than the window stays: its start is interpolated from there.
    while len(seen) > 1 and seen[1][0] <= stamp_ns - (STEPS - 1) * STEP_NS:
        seen.popleft()


def _window(seen: deque[tuple[int, Features]]) -> Features:
    """Features at the fixed ages, oldest first, shape ``(STEPS, N_FEATURES)``."""
    stamps = np.array([stamp for stamp, _ in seen])
    rows = np.stack([row for _, row in seen])
    wanted = stamps[-1] - STEP_NS * np.arange(STEPS - 1, -1, -1)
    after = np.clip(np.searchsorted(stamps, wanted), 0, len(stamps) - 1)
    before = np.maximum(after - 1, 0)
    span = np.maximum(stamps[after] - stamps[before], 1)
    # Clipped: before its first frame the hand counts as having been as it is there.
    share = np.clip((wanted - stamps[before]) / span, 0.0, 1.0)[:, None]
    window: Features = ((1 - share) * rows[before] + share * rows[after]).astype(np.float32)
    return window
