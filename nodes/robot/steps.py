"""The steps that the simulated robot's actions are made of: reach, grasp, release, drive, turn.

    step = Reach(world, lambda: (0.4, 0.1, 0.2), "reaches", 0.6, 1.5)
    left_over_s = step.advance(0.02)

A step begins where the robot is when it is first advanced; after a halt it goes on from there.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Protocol

from deixis.nodes.robot.motion import Trapezoid
from deixis.nodes.robot.world import World
from deixis.runtime.messages import Vec3


class Step(Protocol):
    """A piece of an action."""

    detail: str

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""

    def advance(self, dt_s: float) -> float | None:
        """Go on for ``dt_s``; the time left over when it is finished, else None."""

    def restart(self) -> None:
        """Motion was halted: go on from rest."""


class _Line(ABC):
    """A motion from wherever it begins; subclasses say what moves."""

    def __init__(self, detail: str, max_speed: float, max_acceleration: float) -> None:
        self.detail = detail
        self._max_speed = max_speed
        self._max_acceleration = max_acceleration
        self._profile: Trapezoid | None = None
        self._elapsed_s = 0.0

    @abstractmethod
    def begin(self) -> float:
        """Remember the start; the length of the way from there."""

    @abstractmethod
    def move(self, share: float) -> None:
        """Be at this share of the way, in [0, 1]."""

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        if self._profile is None or self._profile.duration_s == 0.0:
            return 0.0
        return min(self._elapsed_s / self._profile.duration_s, 1.0)

    def restart(self) -> None:
        """Motion was halted: go on from rest."""
        self._profile = None

    def advance(self, dt_s: float) -> float | None:
        """Go on for ``dt_s``; the time left over when it is finished, else None."""
        if self._profile is None:
            self._profile = Trapezoid(self.begin(), self._max_speed, self._max_acceleration)
            self._elapsed_s = 0.0
        self._elapsed_s += dt_s
        left_s = self._elapsed_s - self._profile.duration_s
        length = self._profile.length
        self.move(self._profile.distance(self._elapsed_s) / length if length > 0.0 else 1.0)
        return left_s if left_s >= 0.0 else None


class Reach(_Line):
    """Moves the gripper in a straight line, in the base frame."""

    def __init__(
        self, world: World, target: Callable[[], Vec3], detail: str, speed: float, accel: float
    ) -> None:
        super().__init__(detail, speed, accel)
        self._world = world
        self._find = target
        self._start = self._target = world.gripper_base_m

    def begin(self) -> float:
        """Start at the gripper."""
        self._start, self._target = self._world.gripper_base_m, self._find()
        return math.dist(self._start, self._target)

    def move(self, share: float) -> None:
        """Move the gripper."""
        (ax, ay, az), (bx, by, bz) = self._start, self._target
        self._world.gripper_base_m = (
            ax + share * (bx - ax),
            ay + share * (by - ay),
            az + share * (bz - az),
        )


class Turn(_Line):
    """Turns the base by an angle, or towards a point of the world."""

    def __init__(
        self, world: World, angle: Callable[[], float], detail: str, speed: float, accel: float
    ) -> None:
        super().__init__(detail, speed, accel)
        self._world = world
        self._find = angle
        self._left: float | None = None
        self._start = self._angle = 0.0

    def begin(self) -> float:
        """Start at the base's yaw; after a halt, what is left of the turn."""
        self._start = self._world.pose_world[2]
        self._angle = self._find() if self._left is None else self._left
        return abs(self._angle)

    def move(self, share: float) -> None:
        """Turn the base."""
        x, y, _ = self._world.pose_world
        self._left = (1.0 - share) * self._angle
        self._world.pose_world = (x, y, wrap(self._start + share * self._angle))


class Drive(_Line):
    """Drives straight ahead up to a point of the world, and halts short of it."""

    def __init__(
        self,
        world: World,
        target_world_m: Vec3,
        stand_off_m: float,
        detail: str,
        speed: float,
        accel: float,
    ) -> None:
        super().__init__(detail, speed, accel)
        self._world = world
        self._target_world_m = target_world_m
        self._stand_off_m = stand_off_m
        self._start = world.pose_world
        self._length = 0.0

    def begin(self) -> float:
        """Start at the base's pose."""
        self._start = self._world.pose_world
        away_m = math.dist(self._start[:2], self._target_world_m[:2])
        self._length = max(away_m - self._stand_off_m, 0.0)
        return self._length

    def move(self, share: float) -> None:
        """Move the base."""
        x, y, yaw = self._start
        way_m = share * self._length
        self._world.pose_world = (x + way_m * math.cos(yaw), y + way_m * math.sin(yaw), yaw)


class Do:
    """Waits, then has an effect: grasp, release, press, look.

    Args:
        detail: In words.
        duration_s: How long it takes.
        effect: What has happened at the end.
    """

    def __init__(self, detail: str, duration_s: float, effect: Callable[[], None]) -> None:
        self.detail = detail
        self._duration_s = self._left_s = duration_s
        self._effect = effect

    @property
    def share(self) -> float:
        """How much of it is done, in [0, 1]."""
        return 1.0 - self._left_s / self._duration_s

    def restart(self) -> None:
        """Go on where it was."""

    def advance(self, dt_s: float) -> float | None:
        """Go on for ``dt_s``; the time left over when it is finished, else None."""
        self._left_s -= dt_s
        if self._left_s > 0.0:
            return None
        self._effect()
        return -self._left_s


def wrap(angle_rad: float) -> float:
    """An angle in (-pi, pi]."""
    return math.pi - (math.pi - angle_rad) % (2.0 * math.pi)
