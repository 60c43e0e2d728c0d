"""What resolution rests on and what it yields: fusion's memory, and the result per slot.

    memory = Memory(RayHistory(), SceneHistory()); memory.rays.add(pointing)

Plain data; :mod:`deixis.nodes.fusion.resolve` does the work.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from deixis.nodes.fusion.history import RayHistory, SceneHistory
from deixis.runtime.messages import (
    Candidate,
    PointedAt,
    Referent,
    RobotState,
    Scene,
    SceneObject,
    Slot,
    Vec3,
)

Problem = Literal[
    "no_pointing",  # a deictic word without a hold
    "no_scene",  # no objects are known
    "none_of_them",  # something else is more probable than any object
    "unknown_it",  # nothing is held, nothing was spoken of
    "off_plane",  # the ray does not come down to the table
    "unclear_place",  # it does, but nobody knows where precisely
    "mismatch",  # what was pointed at is not what was named
    "occupied",  # something stands at the place that nothing can be put into or onto
    "no_room",  # no free spot is near enough
    "out_of_area",  # the place is not where things may be put
]


@dataclass(frozen=True, slots=True)
class Spoken:
    """The object of the last command that was given."""

    referent: Referent
    time_ns: int


_MAX_THINGS = 256
_HEAD_MOVED_M = 0.1
"""A head that moves by less has the same things on its left."""


@dataclass(slots=True)
class Memory:
    """What fusion knows besides the words.

    Attributes:
        rays: Where hands pointed.
        scenes: What was on the table.
        robot: What the robot does and holds.
        spoken: The object of the last command.
        things: Every object as it was last seen.
        eye_base_m: Where the eye of the person who points is, if it was seen.
        eye_seen_ns: When it was.
    """

    rays: RayHistory
    scenes: SceneHistory
    robot: RobotState | None = None
    spoken: Spoken | None = None
    things: dict[str, SceneObject] = field(default_factory=dict)
    eye_base_m: Vec3 | None = None
    eye_seen_ns: int = 0

    @property
    def holding(self) -> str | None:
        """Id of the object in the gripper."""
        return self.robot.holding if self.robot else None

    def see(self, scene: Scene) -> None:
        """Take in a scene."""
        self.scenes.add(scene)
        for thing in scene.objects:
            known = self.things.get(thing.object_id)
            if known is None or thing.last_seen_ns >= known.last_seen_ns:
                self.things[thing.object_id] = thing
        while len(self.things) > _MAX_THINGS:
            del self.things[min(self.things, key=lambda i: self.things[i].last_seen_ns)]

    def see_eye(self, eye_base_m: Vec3, stamp_ns: int) -> None:
        """Take in where the speaker's eye is."""
        if self.eye_base_m is None or math.dist(self.eye_base_m, eye_base_m) > _HEAD_MOVED_M:
            self.eye_base_m = eye_base_m
        self.eye_seen_ns = stamp_ns

    def forget(self) -> None:
        """A new scene begins."""
        self.rays.clear()
        self.scenes.clear()
        self.robot = self.spoken = self.eye_base_m = None
        self.things.clear()


@dataclass(frozen=True, slots=True)
class SlotResult:
    """What a slot was resolved to.

    Attributes:
        slot: The slot; None for one that was not said (the person, by default).
        referent: The most probable referent, if there is any.
        candidates: All of them with their probabilities, most probable first.
        pointed: Where the hand pointed.
        problem: Why the referent cannot be acted on.
        fit: Probability that a person calls the referent what was said: its share of the evidence
            for this reading, which ``candidates`` (normalised over the objects) no longer show.
    """

    slot: Slot | None
    referent: Referent | None
    candidates: tuple[Candidate, ...] = ()
    pointed: PointedAt | None = None
    problem: Problem | None = None
    fit: float = 1.0


@dataclass(frozen=True, slots=True)
class Resolved:
    """All slots of one parse, resolved."""

    object: SlotResult | None = None
    destination: SlotResult | None = None
    pointed_at: tuple[PointedAt, ...] = field(default=())
