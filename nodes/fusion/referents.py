"""What resolution rests on and what it yields: fusion's memory, and the result per slot.

    memory = Memory(RayHistory(), SceneHistory()); memory.rays.add(pointing)

Plain data; :mod:`deixis.nodes.fusion.resolve` does the work.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from deixis.nodes.fusion.history import RayHistory, SceneHistory
from deixis.runtime.messages import Candidate, PointedAt, Referent, RobotState, Slot

Problem = Literal[
    "no_pointing",  # a deictic word without a hold
    "no_scene",  # no objects are known
    "none_of_them",  # something else is more probable than any object
    "unknown_it",  # nothing is held, nothing was spoken of
    "off_plane",  # the ray does not come down to the table
    "unclear_place",  # it does, but nobody knows where precisely
    "mismatch",  # what was pointed at is not what was named
]


@dataclass(frozen=True, slots=True)
class Spoken:
    """The object of the last command that was given."""

    referent: Referent
    time_ns: int


@dataclass(slots=True)
class Memory:
    """What fusion knows besides the words."""

    rays: RayHistory
    scenes: SceneHistory
    robot: RobotState | None = None
    spoken: Spoken | None = None

    @property
    def holding(self) -> str | None:
        """Id of the object in the gripper."""
        return self.robot.holding if self.robot else None


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
