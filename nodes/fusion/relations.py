"""Left of, behind, next to, in: where that is, seen by whom, and how well things stand so.

    python -c "from deixis.nodes.fusion.relations import View; \
print(View().direction('left_of', (0.5, 0)))"

*Left* and *behind* are the speaker's where their eye is known: behind the cup is then farther from
them, and left is what they have on their left when they look at it. Where no eye is known they are
the robot's own, which looks along +x of the base frame and has +y on its left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from deixis.runtime.messages import Relation, SceneObject, Vec2, Vec3

_CLOSE_M = 0.08
"""Things this far apart or less stand next to each other; farther, less and less so."""
_SIDE_CLOSE_M = 0.15
_SIDE_RAD = math.radians(30.0)
"""Off the very left by one of these, a thing is still rather left than not."""
_TURNS = {"behind": 0.0, "left_of": 90.0, "in_front_of": 180.0, "right_of": -90.0}


@dataclass(frozen=True, slots=True)
class View:
    """Whose sides are meant.

    Attributes:
        eye_base_m: The speaker's eye; None for the robot's own view.
    """

    eye_base_m: Vec3 | None = None

    def direction(self, relation: Relation, at_base_m: Vec2) -> Vec2 | None:
        """Direction on the table, of length 1, that a relation to a thing leads in.

        Args:
            relation: The relation.
            at_base_m: Where the thing stands.

        Returns:
            None for relations that are no sides.
        """
        if relation not in _TURNS:
            return None
        ahead_rad = 0.0
        if self.eye_base_m is not None:
            ahead_rad = math.atan2(
                at_base_m[1] - self.eye_base_m[1], at_base_m[0] - self.eye_base_m[0]
            )
        angle = ahead_rad + math.radians(_TURNS[relation])
        return math.cos(angle), math.sin(angle)

    def side(self, thing: SceneObject, base: SceneObject) -> Relation:
        """On which side of another one a thing stands."""
        sides: tuple[Relation, ...] = ("left_of", "right_of", "behind", "in_front_of")
        return min(sides, key=lambda side: self._off_rad(side, thing, base))

    def fit(self, relation: Relation, thing: SceneObject, base: SceneObject) -> float:
        """How well a thing can be said to stand so to another one, in [0, 1]."""
        if relation in ("in", "on"):
            return 1.0 if within(thing, base) else 0.0
        if within(thing, base) or within(base, thing):
            return 0.0
        gap_m = gap(thing, base)
        if relation == "next_to":
            return _fall(gap_m, _CLOSE_M)
        off_rad = self._off_rad(relation, thing, base)
        return _fall(gap_m, _SIDE_CLOSE_M) * math.exp(-0.5 * (off_rad / _SIDE_RAD) ** 2)

    def _off_rad(self, relation: Relation, thing: SceneObject, base: SceneObject) -> float:
        """Angle between where a thing is, seen from another, and where the relation leads."""
        towards = self.direction(relation, base.position_base_m[:2])
        if towards is None:
            raise ValueError(f"{relation!r} is no side")
        dx = thing.position_base_m[0] - base.position_base_m[0]
        dy = thing.position_base_m[1] - base.position_base_m[1]
        along = dx * towards[0] + dy * towards[1]
        across = dy * towards[0] - dx * towards[1]
        return abs(math.atan2(across, along))


def gap(one: SceneObject, other: SceneObject) -> float:
    """Free way between two things on the table (m); 0 where they overlap."""
    away_m = math.dist(one.position_base_m[:2], other.position_base_m[:2])
    return max(away_m - one.radius_m - other.radius_m, 0.0)


def within(thing: SceneObject, base: SceneObject) -> bool:
    """Whether a thing's middle is inside the outline of a wider one: it is in it or on it."""
    away_m = math.dist(thing.position_base_m[:2], base.position_base_m[:2])
    return thing.radius_m < base.radius_m and away_m < base.radius_m


def words(relation: Relation) -> str:
    """A relation as it is said."""
    return relation.replace("_", " ")


def _fall(gap_m: float, close_m: float) -> float:
    """1 within ``close_m``, then a Gaussian of that width."""
    return math.exp(-0.5 * (max(gap_m - close_m, 0.0) / close_m) ** 2)
