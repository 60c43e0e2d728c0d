"""What this robot may do: an allow-list of intents and bounds on where and how fast.

    python -c "from deixis.nodes.robot.limits import Limits; print(Limits().why_not)"

Limits are checked when a command is received; the speed is watched while the robot moves.
"""

from __future__ import annotations

import math

import msgspec

from deixis.runtime.messages import Command, Referent, Vec3

INTENTS = (
    "pick", "place", "bring", "go", "look", "open", "close", "switch_on", "switch_off", "turn",
    "release", "follow", "pause", "resume", "cancel", "yes", "no",
)  # fmt: skip
_ARM = frozenset({"pick", "place", "bring", "open", "close", "switch_on", "switch_off"})
_CARRY = frozenset({"place", "bring"})


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one robot.

    Attributes:
        intents: Intents it may carry out.
        reach_min_base_m: Lower corner of the box that the gripper may enter, base frame.
        reach_max_base_m: Upper corner.
        drive_m: How far the base may drive at once.
        speed_m_s: Speed of the gripper above which the robot is stopped.
    """

    intents: tuple[str, ...] = INTENTS
    reach_min_base_m: Vec3 = (-0.2, -0.8, -0.05)
    reach_max_base_m: Vec3 = (1.2, 0.8, 0.8)
    drive_m: float = 5.0
    speed_m_s: float = 1.0

    def why_not(self, command: Command, holding: str | None) -> str | None:
        """The limit that a command would break, in words; None if it may be done.

        Args:
            command: The command.
            holding: Id of the object in the gripper, which need not be reached for.
        """
        if command.intent not in self.intents:
            return f"limit intents: this robot may not {command.intent!r}"
        for referent in (command.object, command.destination):
            for point in (referent.position_base_m, referent.place_base_m) if referent else ():
                if point is not None and not all(math.isfinite(c) for c in point):
                    return "a position in the command is not a finite number"
        target = command.object
        if command.intent in _ARM and not (target and holding and target.object_id == holding):
            reason = self._out_of_reach(target)
            if reason is not None:
                return reason
        if command.intent in _CARRY:
            return self._out_of_reach(command.destination)
        if command.intent == "go" and command.destination and command.destination.position_base_m:
            away_m = math.hypot(*command.destination.position_base_m[:2])
            if away_m > self.drive_m:
                return f"limit drive_m: {away_m:.1f} m is farther than {self.drive_m:.1f} m"
        return None

    def _out_of_reach(self, referent: Referent | None) -> str | None:
        # What is put beside an object must be within reach, the object itself need not be.
        point = (referent.place_base_m or referent.position_base_m) if referent else None
        if referent is None or point is None:
            return None
        low, high = self.reach_min_base_m, self.reach_max_base_m
        for i, value in enumerate(point):
            if not low[i] <= value <= high[i]:
                return (
                    f"limit reach: {referent.label} is at {'xyz'[i]}={value:.2f} m, "
                    f"outside {low[i]:.2f} to {high[i]:.2f} m"
                )
        return None
