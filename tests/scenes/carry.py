"""A hand that reaches over a table: it carries a thing to another place, or only sweeps by.

Reaches follow the minimum-jerk profile, as in :mod:`.hand`.

``python -c "import tests.scenes.carry as c; print(c.Carry.DURATIONS_S)"``
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from .geometry import Array, Camera, pose, unit
from .hand import minimum_jerk
from .skeleton import RELAX, Hand, Posture, blend

GRASP: Posture = {
    "thumb": (18, 22, 18, 6),
    "index-finger": (40, 34, 22, 0),
    "middle-finger": (44, 36, 22, 0),
    "ring-finger": (48, 38, 24, 0),
    "pinky-finger": (52, 40, 26, 0),
}
_TIPS = (4, 8, 12)
"""The landmarks that hold a thing between them: thumb, index and middle finger."""


@dataclass(frozen=True)
class Moment:
    """One picture of the hand; bones (25, 4, 4) in the base frame, or None while it is away.

    Attributes:
        bones: The joints' poses.
        lift_m: How far the thing has moved from its first place, base frame, shape ``(3,)``.
        held: Whether the thing is off the table.
    """

    bones: Array | None
    lift_m: Array
    held: bool


@dataclass(frozen=True)
class Carry:
    """A movement over the table.

    Attributes:
        hand: The hand.
        camera: It is away when this does not see it.
        start_base_m: Where the thing is gripped.
        end_base_m: Where it is let go; a sweep only passes there.
        azimuth_rad: Where the arm comes from, seen from the thing.
        elevation_rad: How steeply it comes down.
        carries: Whether it takes the thing along.
    """

    DURATIONS_S: ClassVar[tuple[tuple[str, float], ...]] = (
        ("before", 1.4), ("reach", 0.7), ("close", 0.2), ("lift", 0.35), ("move", 0.8),
        ("lower", 0.35), ("open", 0.2), ("retract", 0.7), ("after", 1.8),
    )  # fmt: skip
    LIFT_M: ClassVar[float] = 0.07

    hand: Hand
    camera: Camera
    start_base_m: Array
    end_base_m: Array
    azimuth_rad: float
    elevation_rad: float
    carries: bool = True
    _away: Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        out = np.array([math.cos(self.azimuth_rad), math.sin(self.azimuth_rad), 0.0])
        for far_m in np.arange(0.4, 2.0, 0.05):
            away = self.start_base_m + far_m * out + np.array([0, 0, 0.12 + 0.2 * far_m])
            points = self.hand.landmarks(self._bones(away, 0.0))
            if not self._seen(points):
                break
        object.__setattr__(self, "_away", away)

    @property
    def duration_s(self) -> float:
        """Of the whole movement."""
        return sum(seconds for _, seconds in self.DURATIONS_S)

    def at(self, time_s: float) -> Moment:
        """The hand at a time since the beginning."""
        start, end = self.start_base_m, self.end_base_m
        up = np.array([0, 0, self.LIFT_M])
        none = np.zeros(3)
        for phase, seconds in self.DURATIONS_S:
            if time_s < seconds or phase == "after":
                break
            time_s -= seconds
        share = minimum_jerk(time_s / seconds)
        whole = end - start if self.carries else none
        lifted = up if self.carries else none
        if phase in ("before", "after"):
            return Moment(None, whole if phase == "after" else none, held=False)
        # phase -> grip from, grip to, closed from, closed to, moved from, moved to
        steps = {
            "reach": (self._away, start, 0.0, 0.0, none, none),
            "close": (start, start, 0.0, 1.0, none, none),
            "lift": (start, start + up, 1.0, 1.0, none, lifted),
            "move": (start + up, end + up, 1.0, 1.0, lifted, whole + lifted),
            "lower": (end + up, end, 1.0, 1.0, whole + lifted, whole),
            "open": (end, end, 1.0, 0.0, whole, whole),
            "retract": (end, self._away, 0.0, 0.0, whole, whole),
        }
        a, b, closed_a, closed_b, moved_a, moved_b = steps[phase]
        grip = a + share * (b - a)
        if phase in ("reach", "retract"):
            grip = grip + np.array([0, 0, 0.08 * math.sin(math.pi * share)])
        bones = self._bones(grip, closed_a + share * (closed_b - closed_a))
        held = self.carries and phase in ("lift", "move", "lower")
        return Moment(bones, moved_a + share * (moved_b - moved_a), held)

    def _bones(self, grip_base_m: Array, closed: float) -> Array:
        """Joint poses with the grip at a point, the hand coming down towards it."""
        local = self.hand.bones(blend(RELAX, GRASP, 0.4 + 0.6 * closed))
        points = self.hand.landmarks(self.hand.bones(GRASP))
        grip = points[list(_TIPS)].mean(axis=0)
        along = unit(grip - points[0])
        back = np.array([1.0, 0, 0])
        back = unit(back - back.dot(along) * along)
        frame = np.stack([along, back, np.cross(along, back)], axis=1)
        level = math.cos(self.elevation_rad)
        way = -np.array(
            [
                level * math.cos(self.azimuth_rad),
                level * math.sin(self.azimuth_rad),
                math.sin(self.elevation_rad),
            ]
        )
        up = np.array([0, 0, 1.0])
        up = unit(up - up.dot(way) * way)
        turn = np.stack([way, up, np.cross(way, up)], axis=1) @ frame.T
        return np.asarray(pose(turn, grip_base_m - turn @ grip) @ local)

    def _seen(self, points: Array) -> bool:
        ahead = (points - self.camera.T_base_cam[:3, 3]) @ self.camera.T_base_cam[:3, 2]
        visible = points[ahead > 0.05]
        return bool(len(visible) and self.camera.in_view(self.camera.project(visible), -20).any())
