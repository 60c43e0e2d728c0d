"""A simulated arm on a mobile base: simple kinematics that take time and change the world.

    robot = SimulatedRobot({}); robot.start(command); progress = robot.step(0.02)

The gripper moves in straight lines with trapezoidal speed, grasping takes a moment, the base turns
and drives. There are no dynamics and no collisions. Halts are instant: a stop or a pause holds from
the next control period on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from deixis.nodes.robot.driver import DriverState, Progress
from deixis.nodes.robot.steps import Do, Drive, Reach, Step, Turn, wrap
from deixis.nodes.robot.world import Thing, World
from deixis.runtime.config import convert
from deixis.runtime.errors import DeviceError
from deixis.runtime.messages import Command, Referent, Vec3

_TURN_ACCELERATION = 3.0
_DRIVE_ACCELERATION = 1.0
_SIDES = {"left": math.pi / 2, "right": -math.pi / 2, "around": math.pi}
_STATES = {"open": "open", "close": "closed", "switch_on": "on", "switch_off": "off"}


class SimulatedParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the simulated robot.

    Attributes:
        home_base_m: Where the gripper is at the start.
        person_base_m: Where things are handed over, and where the person stands.
        speed_m_s: Speed of the gripper.
        acceleration_m_s2: Its acceleration.
        drive_speed_m_s: Speed of the base.
        turn_speed_rad_s: Turning speed of the base.
        approach_m: Height above an object from which it is approached.
        grasp_s: How long closing or opening the gripper takes.
        stand_off_m: How far the base stays away from objects and people.
    """

    home_base_m: Vec3 = (0.25, 0.0, 0.35)
    person_base_m: Vec3 = (0.75, 0.0, 0.25)
    speed_m_s: float = 0.6
    acceleration_m_s2: float = 1.5
    drive_speed_m_s: float = 0.5
    turn_speed_rad_s: float = 1.5
    approach_m: float = 0.12
    grasp_s: float = 0.3
    stand_off_m: float = 0.4


class SimulatedRobot:
    """Implements :class:`deixis.nodes.robot.driver.RobotDriver` without a robot.

    Args:
        params: See :class:`SimulatedParams`.

    Raises:
        ConfigError: A parameter is wrong.
    """

    def __init__(self, params: Mapping[str, Any]) -> None:
        self._params = convert(dict(params), SimulatedParams, where="driver_params")
        self._world = World(self._params.home_base_m)
        self._command: Command | None = None
        self._steps: list[Step] = []
        self._n_steps = 0
        self._done_detail: Callable[[], str] = str
        self._paused = False

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to disconnect from."""

    @property
    def state(self) -> DriverState:
        """Where it is now."""
        held = self._world.held
        return DriverState(
            gripper_base_m=self._world.gripper_base_m,
            pose_world=self._world.pose_world,
            holding=held.object_id if held else None,
            holding_label=held.label if held else "",
            moving=self._command is not None and not self._paused,
            moved=self._world.moved(),
        )

    def start(self, command: Command) -> None:
        """Plan the steps of a command.

        Raises:
            DeviceError: It cannot be done as things are.
        """
        self._steps, self._done_detail = self._plan(command)
        self._n_steps = len(self._steps)
        self._command = command
        self._paused = False

    def step(self, dt_s: float) -> Progress | None:
        """Simulate one control period."""
        command = self._command
        if command is None:
            return None
        left_s = dt_s
        while self._steps and not self._paused:
            over_s = self._steps[0].advance(left_s)
            if over_s is None:
                break
            left_s = over_s
            self._steps.pop(0)
        object_id = command.object.object_id if command.object else None
        thing = self._world.things.get(object_id) if object_id else None
        where = self._world.position(thing) if thing else self._world.gripper_base_m
        if not self._steps:
            self._command = None
            return Progress("done", 1.0, self._done_detail(), object_id, where)
        finished = self._n_steps - len(self._steps) + self._steps[0].share
        share = finished / self._n_steps
        return Progress("running", share, self._steps[0].detail, object_id, where)

    def stop(self, reason: str) -> None:
        """Halt and give up; the gripper stays closed."""
        self._command = None
        self._steps.clear()
        self._paused = False

    def pause(self) -> None:
        """Halt."""
        self._paused = True

    def resume(self) -> None:
        """Go on from rest."""
        self._paused = False
        if self._steps:
            self._steps[0].restart()

    def cancel(self, command_id: str) -> bool:
        """Give the running command up."""
        if self._command is None or self._command.header.command_id != command_id:
            return False
        self.stop("cancelled")
        return True

    def reset(self) -> None:
        """Go home at once, in a world of which nothing is known."""
        self.stop("reset")
        self._world.reset()

    # --- plans ----------------------------------------------------------------------------------

    def _plan(self, command: Command) -> tuple[list[Step], Callable[[], str]]:
        """The steps of a command, and what to say at the end."""
        intent, target, destination = command.intent, command.object, command.destination
        p = self._params
        if intent == "pick":
            thing = self._thing(target)
            return self._take(thing), lambda: f"holds the {thing.label}"
        if intent in ("place", "bring"):
            thing = self._thing(target)
            take = self._take(thing)
            if destination is None or destination.kind == "person":
                return [*take, *self._hand_over(thing)], lambda: f"handed over the {thing.label}"
            spot, where = self._spot(thing, destination)
            return [*take, *self._set_down(thing, spot)], lambda: f"put the {thing.label} {where}"
        if intent == "release":
            return self._release(target)
        if intent in ("go", "follow"):
            return self._go(destination)
        if intent == "turn":
            angle = _SIDES.get(command.side or "")
            if angle is None:
                raise DeviceError(f"cannot turn {command.side!r}")
            turn = Turn(
                self._world, lambda: angle, f"turns {command.side}", p.turn_speed_rad_s, 3.0
            )
            return [turn], lambda: f"turned {command.side}"
        if intent == "look":
            return self._look(command)
        if intent in _STATES:
            return self._switch(self._thing(target), _STATES[intent])
        raise DeviceError(f"this robot cannot {intent!r}")

    def _thing(self, referent: Referent | None) -> Thing:
        """The object that a referent means.

        Raises:
            DeviceError: Nobody knows where it is.
        """
        if referent is None or referent.object_id is None:
            raise DeviceError("the command names no object")
        thing = self._world.learn(referent.object_id, referent.label, referent.position_base_m)
        if thing is None:
            raise DeviceError(f"it is not known where the {referent.label} is")
        return thing

    def _reach(self, target: Callable[[], Vec3], detail: str) -> Step:
        p = self._params
        return Reach(self._world, target, detail, p.speed_m_s, p.acceleration_m_s2)

    def _above(self, point: Vec3) -> Vec3:
        return point[0], point[1], point[2] + self._params.approach_m

    def _take(self, thing: Thing) -> list[Step]:
        """Approach from above, go down, close, lift; nothing if it is held already.

        Raises:
            DeviceError: The gripper is full.
        """
        world = self._world
        if world.held is thing:
            return []
        self._need_free_gripper()

        def grasp() -> None:
            world.held = thing

        return [
            self._reach(lambda: self._above(world.position(thing)), f"reaches for {thing.label}"),
            self._reach(lambda: world.position(thing), f"goes down to {thing.label}"),
            Do(f"grasps {thing.label}", self._params.grasp_s, grasp),
            self._reach(lambda: self._above(world.gripper_base_m), f"lifts {thing.label}"),
        ]

    def _set_down(self, thing: Thing, spot_world_m: Vec3) -> list[Step]:
        """Carry, go down, open, retreat."""
        world = self._world

        def spot() -> Vec3:
            return world.to_base(spot_world_m)

        return [
            self._reach(lambda: self._above(spot()), f"carries {thing.label}"),
            self._reach(spot, f"sets {thing.label} down"),
            Do("opens the gripper", self._params.grasp_s, lambda: self._let_go(thing, spot())),
            self._reach(lambda: self._above(world.gripper_base_m), "retreats"),
        ]

    def _hand_over(self, thing: Thing) -> list[Step]:
        person = self._params.person_base_m
        return [
            self._reach(lambda: person, f"brings {thing.label}"),
            Do("hands it over", self._params.grasp_s, lambda: self._let_go(thing, person)),
            self._reach(lambda: self._params.home_base_m, "goes home"),
        ]

    def _let_go(self, thing: Thing, point_base_m: Vec3) -> None:
        self._world.held = None
        self._world.put(thing, point_base_m)

    def _release(self, target: Referent | None) -> tuple[list[Step], Callable[[], str]]:
        held = self._world.held
        if held is None:
            raise DeviceError("the gripper is empty")
        if target is not None and target.object_id not in (None, held.object_id):
            raise DeviceError(f"the gripper holds the {held.label}, not the {target.label}")
        x, y, _ = self._world.to_world(self._world.gripper_base_m)
        steps = self._set_down(held, (x, y, held.rest_height_m))
        return steps[1:], lambda: f"let go of the {held.label}"

    def _go(self, destination: Referent | None) -> tuple[list[Step], Callable[[], str]]:
        p, world = self._params, self._world
        stand_off_m, label = p.stand_off_m, "to you"
        goal = world.to_world(p.person_base_m)
        if destination is not None and destination.kind != "person":
            label = f"to {destination.label}"
            if destination.object_id is not None:
                goal = self._thing(destination).position_world_m
            elif destination.position_base_m is not None:
                goal, stand_off_m = world.to_world(destination.position_base_m), 0.0
            else:
                raise DeviceError(f"it is not known where {destination.label} is")

        def heading() -> float:
            x, y, yaw = world.pose_world
            return wrap(math.atan2(goal[1] - y, goal[0] - x) - yaw)

        steps: list[Step] = [
            Turn(world, heading, "turns", p.turn_speed_rad_s, _TURN_ACCELERATION),
            Drive(
                world, goal, stand_off_m, f"drives {label}", p.drive_speed_m_s, _DRIVE_ACCELERATION
            ),
        ]
        return steps, lambda: f"came {label}"

    def _look(self, command: Command) -> tuple[list[Step], Callable[[], str]]:
        target = command.object or command.destination
        if target is None:
            raise DeviceError("the command does not say at what to look")
        steps: list[Step] = [Do(f"looks at {target.label}", 0.4, lambda: None)]
        return steps, lambda: f"looks at {target.label}"

    def _switch(self, thing: Thing, state: str) -> tuple[list[Step], Callable[[], str]]:
        self._need_free_gripper()
        world = self._world

        def effect() -> None:
            thing.state = state

        steps: list[Step] = [
            self._reach(lambda: self._above(world.position(thing)), f"reaches for {thing.label}"),
            self._reach(lambda: world.position(thing), f"touches {thing.label}"),
            Do(f"makes it {state}", self._params.grasp_s, effect),
            self._reach(lambda: self._above(world.gripper_base_m), "retreats"),
        ]
        return steps, lambda: f"the {thing.label} is {thing.state}"

    def _need_free_gripper(self) -> None:
        if self._world.held is not None:
            raise DeviceError(f"the gripper holds the {self._world.held.label}")

    def _spot(self, thing: Thing, destination: Referent) -> tuple[Vec3, str]:
        """Where something comes to stand (its centre, world frame), and how to say it."""
        if destination.object_id is None:
            if destination.position_base_m is None:
                raise DeviceError(f"it is not known where {destination.label} is")
            x, y, z = self._world.to_world(destination.position_base_m)
            return (x, y, max(z, 0.0) + thing.rest_height_m), f"at {destination.label}"
        base = self._thing(destination)
        relation = destination.relation or "next_to"
        where = f"{relation.replace('_', ' ')} the {base.label}"
        x, y, _ = base.position_world_m
        spot, seen = destination.place_base_m, destination.position_base_m
        if spot is not None and seen is not None:
            # Relative to the object, which may have been moved where no camera sees it.
            (px, py, pz), (sx, sy, _) = self._world.to_world(spot), self._world.to_world(seen)
            return (x + px - sx, y + py - sy, pz + thing.rest_height_m), where
        if relation == "in":
            return (x, y, thing.rest_height_m), where
        if relation == "on":
            return (x, y, 2.0 * base.rest_height_m + thing.rest_height_m), where
        raise DeviceError(f"the command does not say where {where}")
