"""What the simulated robot knows of the world: where it is, and where objects are.

    world = World(home_base_m=(0.3, 0.0, 0.3)); world.learn("cup", "red cup", (0.4, 0.1, 0.05))

Objects are kept in the world frame (the base frame at the start), so that they stay where they are
when the base drives; what goes out is in the base frame of the moment.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from deixis.runtime.messages import Vec3


@dataclass(slots=True)
class Thing:
    """An object the robot was told of.

    Attributes:
        object_id: Its id.
        label: What it is called.
        position_world_m: Its centre.
        rest_height_m: Height of its centre above what it stands on.
        moved: Whether the robot has moved it.
        state: ``open``, ``closed``, ``on``, ``off`` where the robot made it so.
    """

    object_id: str
    label: str
    position_world_m: Vec3
    rest_height_m: float
    moved: bool = False
    state: str = ""


class World:
    """Robot and objects.

    Args:
        home_base_m: Where the gripper is at the start.
    """

    def __init__(self, home_base_m: Vec3) -> None:
        self._home_base_m = home_base_m
        self.gripper_base_m: Vec3 = home_base_m
        self.pose_world: Vec3 = (0.0, 0.0, 0.0)
        self.things: dict[str, Thing] = {}
        self.held: Thing | None = None

    def reset(self) -> None:
        """Go home and forget all objects."""
        self.gripper_base_m = self._home_base_m
        self.pose_world = (0.0, 0.0, 0.0)
        self.things.clear()
        self.held = None

    def learn(self, object_id: str, label: str, position_base_m: Vec3 | None) -> Thing | None:
        """Take in what a command says of an object.

        What the robot moved by itself stays where it put it: in a simulation no camera sees that.

        Returns:
            The object, or None if nothing is known of where it is.
        """
        known = self.things.get(object_id)
        if known is not None and (known.moved or known is self.held or position_base_m is None):
            return known
        if position_base_m is None:
            return None
        thing = Thing(
            object_id, label, self.to_world(position_base_m), max(position_base_m[2], 0.0)
        )
        self.things[object_id] = thing
        return thing

    def put(self, thing: Thing, position_base_m: Vec3) -> None:
        """The robot has put an object somewhere."""
        thing.position_world_m = self.to_world(position_base_m)
        thing.moved = True

    def position(self, thing: Thing) -> Vec3:
        """Where an object is now, base frame."""
        return self.gripper_base_m if thing is self.held else self.to_base(thing.position_world_m)

    def moved(self) -> dict[str, Vec3]:
        """Where the robot has put objects, base frame."""
        return {i: self.position(t) for i, t in self.things.items() if t.moved}

    def to_world(self, point_base_m: Vec3) -> Vec3:
        """A point of the base frame in the world frame."""
        x, y, yaw = self.pose_world
        cos, sin = math.cos(yaw), math.sin(yaw)
        px, py, pz = point_base_m
        return x + cos * px - sin * py, y + sin * px + cos * py, pz

    def to_base(self, point_world_m: Vec3) -> Vec3:
        """A point of the world frame in the base frame."""
        x, y, yaw = self.pose_world
        cos, sin = math.cos(yaw), math.sin(yaw)
        dx, dy = point_world_m[0] - x, point_world_m[1] - y
        return cos * dx + sin * dy, -sin * dx + cos * dy, point_world_m[2]
