"""The contract between the robot node and a robot, simulated or real.

    class MyArm:  # satisfies RobotDriver; named in the graph as driver: "my_package.arm:MyArm"
        ...

The node owns the queue, the limits, the deadlines and the watchdog; a driver carries out one
command at a time and is called from one thread only. No call may block: motion happens in
:meth:`RobotDriver.step`, or in the robot's own controller, which ``step`` asks for its state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from deixis.runtime.messages import Command, Vec3


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the running command is.

    Attributes:
        state: ``running`` until it is ``done`` or has ``failed``.
        progress: 0 to 1.
        detail: In words: what is being done, what came of it, or why it failed.
        object_id: The object acted on.
        position_base_m: Where that object is now, or the gripper if there is none.
    """

    state: Literal["running", "done", "failed"]
    progress: float
    detail: str
    object_id: str | None = None
    position_base_m: Vec3 | None = None


@dataclass(frozen=True, slots=True)
class DriverState:
    """Where the robot is and what it holds.

    Attributes:
        gripper_base_m: Position of the gripper, base frame.
        pose_world: Base pose x (m), y (m), yaw (rad) from where it started.
        holding: Id of the object in the gripper.
        holding_label: What it is called.
        moving: Whether a command is being carried out.
        moved: Where objects were put, base frame.
    """

    gripper_base_m: Vec3
    pose_world: Vec3
    holding: str | None
    holding_label: str
    moving: bool
    moved: dict[str, Vec3] = field(default_factory=dict)


@runtime_checkable
class RobotDriver(Protocol):
    """What a robot must be able to do. Constructed with the node's ``driver_params``."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """Raises a ConfigError if the parameters are wrong."""

    def open(self) -> None:
        """Connect. Raises a DeviceError if the robot does not answer."""

    def start(self, command: Command) -> None:
        """Begin a command; the previous one has ended. Raises a DeviceError if it cannot."""

    def step(self, dt_s: float) -> Progress | None:
        """Go on for one control period; None when nothing runs. Raises a DeviceError."""

    def stop(self, reason: str) -> None:
        """Halt all motion at once and give the running command up; keep holding what is held."""

    def pause(self) -> None:
        """Halt, and keep the running command."""

    def resume(self) -> None:
        """Go on with it."""

    def cancel(self, command_id: str) -> bool:
        """Give the command up if it is the running one; whether it was."""

    def reset(self) -> None:
        """A new scene begins: forget the world (a simulation also goes home)."""

    def close(self) -> None:
        """Disconnect."""

    @property
    def state(self) -> DriverState:
        """Where it is now."""
