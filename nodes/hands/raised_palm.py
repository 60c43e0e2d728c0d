"""Is this hand a raised palm that says *stop*?

Five things must be seen together: an open hand (the gesture network), its fingers stretched in the
picture, its palm turned to the camera (the winding of wrist, index and little knuckle for this
hand, and the metric points' normal), the fingers up (in the picture and in the robot's base frame),
and no quick movement except upwards (a hand that reaches for a cup goes sideways or down). They
must hold in two frames running.

    palm = RaisedPalm(); since_ns = palm.update(hand, gesture, up, stamp_ns)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.hands.gestures import Gesture, palm_normal
from deixis.nodes.hands.landmarks import INDEX, LITTLE, MIDDLE, RING, WRIST
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.clock import NS_PER_MS, NS_PER_S

Array = NDArray[np.float64]

_FRAMES = 2
_FORGET_NS = 200 * NS_PER_MS
"""A raised palm that is not seen as one for this long is over."""
_OPEN_FROM, _OPEN_STILL = 0.3, 0.15
"""Probability of an open palm from which it is raised, and below which it no longer is."""
_FACING: Final = math.cos(math.radians(70))
_UP_IN_PICTURE: Final = math.cos(math.radians(50))
_UP: Final = math.sin(math.radians(28))
"""The metric points make a hand look flatter to the line of sight than it is."""
_FAST = 8.0
"""Palm lengths a second (about 0.7 m), not counting movement upwards."""
_STRETCHED_LEAST, _STRETCHED_MEAN = 1.17, 1.25
"""Distance of a fingertip from the wrist over that of the finger's middle joint, in the picture: of
the four fingers the least one, and their mean. Straight fingers have about 1.36."""
_PALM = [WRIST, *(finger[0] for finger in (INDEX, MIDDLE, RING, LITTLE))]
_TIPS = [finger[3] for finger in (INDEX, MIDDLE, RING, LITTLE)]
_MIDDLES = [finger[1] for finger in (INDEX, MIDDLE, RING, LITTLE)]
_STEEP: Final = 0.35
"""A camera that looks so steeply down that up is shorter than this in its picture: the picture's
own up serves."""


@dataclass(frozen=True, slots=True)
class Up:
    """Where up is.

    Attributes:
        picture: Unit vector in the picture, x right, y down, ``(2,)``.
        sight: Unit vector in the axes of a line of sight (x right, y down, z away), in which the
            landmark network gives its metric points, ``(3,)``.
    """

    picture: Array
    sight: Array

    @classmethod
    def at(cls, calibration: CameraCalibration, point_px: Array) -> Up:
        """The base frame's up as the camera sees it at a point of its picture."""
        x, y = calibration.normalized(point_px)[0]
        up_cam = calibration.T_base_cam[2, :3]
        up_sight = to_sight(np.array([x, y, 1.0])) @ up_cam
        length = float(np.linalg.norm(up_sight[:2]))
        if length < _STEEP:
            return PICTURE_UP
        return cls(up_sight[:2] / length, up_sight)

    @property
    def angle_rad(self) -> float:
        """Clockwise from the picture's own up."""
        return math.atan2(float(self.picture[0]), -float(self.picture[1]))


PICTURE_UP: Final = Up(np.array([0.0, -1.0]), np.array([0.0, -1.0, 0.0]))


class RaisedPalm:
    """Follows one hand."""

    def __init__(self) -> None:
        self._first_ns: int | None = None
        self._last_ns = 0
        self._frames = 0
        self._before: tuple[int, Array] | None = None

    def update(self, hand: TrackedHand, gesture: Gesture, up: Up, stamp_ns: int) -> int | None:
        """Take one frame.

        Args:
            hand: The hand in it.
            gesture: What it does.
            up: Where up is at the hand.
            stamp_ns: Capture time.

        Returns:
            While the palm is raised: capture time of the first frame that showed it; else None.
        """
        raised = self._frames >= _FRAMES
        speed = self._speed(hand, up, stamp_ns)
        is_open = gesture.palm >= (_OPEN_STILL if raised else _OPEN_FROM)
        # Once raised it stays so while it moves, and waves.
        if is_open and is_raised(hand, up) and (raised or speed <= _FAST):
            self._first_ns = stamp_ns if self._first_ns is None else self._first_ns
            self._last_ns = stamp_ns
            self._frames += 1
        elif not raised or stamp_ns - self._last_ns > _FORGET_NS:
            self._first_ns, self._frames = None, 0
        return self._first_ns if self._frames >= _FRAMES else None

    def _speed(self, hand: TrackedHand, up: Up, stamp_ns: int) -> float:
        """Palm lengths a second; movement upwards counts as none."""
        place, unit = hand.landmarks_px[_PALM].mean(axis=0), _palm_length_px(hand)
        before, self._before = self._before, (stamp_ns, place)
        if before is None or stamp_ns <= before[0]:
            return 0.0
        moved = (place - before[1]) / unit
        rise = max(0.0, float(moved @ up.picture))
        rest = moved - rise * up.picture
        return float(np.linalg.norm(rest)) * NS_PER_S / (stamp_ns - before[0])


def is_raised(hand: TrackedHand, up: Up) -> bool:
    """Whether the palm faces the camera and the fingers are stretched upwards."""
    px, metric = hand.landmarks_px, hand.landmarks_world_m
    index, little = px[INDEX[0]] - px[WRIST], px[LITTLE[0]] - px[WRIST]
    side = 1.0 if hand.handedness == "right" else -1.0
    # Seen from its palm, a right hand's index is to the right of its little finger.
    winding = side * float(little[0] * index[1] - little[1] * index[0])
    facing = side * float(palm_normal(metric)[2])
    reach = np.linalg.norm(px[_TIPS] - px[WRIST], axis=1)
    stretch = reach / np.maximum(np.linalg.norm(px[_MIDDLES] - px[WRIST], axis=1), 1e-9)
    fingers_px = px[_TIPS].mean(axis=0) - px[WRIST]
    fingers = metric[_TIPS].mean(axis=0) - metric[WRIST]
    return (
        winding > 0
        and float(stretch.min()) >= _STRETCHED_LEAST
        and float(stretch.mean()) >= _STRETCHED_MEAN
        and facing >= _FACING
        and float(fingers_px @ up.picture) >= _UP_IN_PICTURE * float(np.linalg.norm(fingers_px))
        and float(fingers @ up.sight) >= _UP * float(np.linalg.norm(fingers))
    )


def _palm_length_px(hand: TrackedHand) -> float:
    """The palm's length in the picture; foreshortened, the crop's share of it."""
    length = float(np.linalg.norm(hand.landmarks_px[MIDDLE[0]] - hand.landmarks_px[WRIST]))
    return max(length, 0.2 * hand.side_px, 1e-6)


def to_sight(rays: Array) -> Array:
    """Rotations ``(…, 3, 3)`` that turn rays ``(…, 3)`` of the camera frame into their z axis."""
    turns = np.zeros((*rays.shape, 3))
    x, y, z = np.moveaxis(rays / np.linalg.norm(rays, axis=-1, keepdims=True), -1, 0)
    level = np.hypot(x, z)
    turns[..., 0, 0], turns[..., 0, 2] = z / level, -x / level
    turns[..., 1, 0], turns[..., 1, 1], turns[..., 1, 2] = -x * y / level, level, -y * z / level
    turns[..., 2, 0], turns[..., 2, 1], turns[..., 2, 2] = x, y, z
    return turns
