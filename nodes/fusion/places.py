"""Where something goes: a spot on the table that is free for it, alone or beside a thing.

    finder = PlaceFinder(FusionParams())
    result = finder.there(slot, ray, scene, load)

*There* is, in this order:

1. the container, plate, book or shelf that the ray means (into it, onto it);
2. a question, if the ray meets anything else squarely: nobody knows whether on it or next to it;
3. the point under the ray, or the free spot next to that point, no farther than the ray is
   uncertain; if there is none, there is no room, which is a question, too.

Something that is put beside a thing gets a free spot beside it, as close as there is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from deixis.nodes.fusion.objects import by_probability, object_candidates, referent_of
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.posterior import BACKGROUND_PER_SR, posterior, ray_likelihood
from deixis.nodes.fusion.rays import Ray, hit_plane, pointed_at
from deixis.nodes.fusion.referents import Problem, SlotResult
from deixis.nodes.fusion.relations import View
from deixis.nodes.fusion.space import Disc, free_beside, nearest_free
from deixis.runtime.messages import Candidate, Referent, Scene, SceneObject, Slot, Vec2, Vec3

_REACH_SIGMAS = 2.0
_SIDE_SPREAD_RAD = math.radians(40.0)


@dataclass(frozen=True, slots=True)
class Load:
    """What is put down.

    Attributes:
        radius_m: Half of its extent.
        object_id: Its id; where it stands now is free for it.
        held: Id of what the gripper holds, which stands nowhere.
    """

    radius_m: float
    object_id: str | None = None
    held: str | None = None

    def discs(self, scene: Scene | None, clearance_m: float, but: str | None = None) -> list[Disc]:
        """What stands in its way; ``but`` is the id of one thing that does not count."""
        return [
            Disc(o.position_base_m[:2], o.radius_m + clearance_m)
            for o in (scene.objects if scene else ())
            if o.object_id not in (self.object_id, self.held, but)
        ]


class PlaceFinder:
    """Finds spots.

    Args:
        params: Names of containers and supports, the workspace, distances.
    """

    def __init__(self, params: FusionParams) -> None:
        self._params = params
        self._personal_rad = math.radians(params.personal_sigma_deg)

    def named(
        self, slot: Slot, ray: Ray | None, scene: Scene | None, load: Load | None
    ) -> SlotResult:
        """A place with a name; pointing says where on it.

        Args:
            slot: What was said.
            ray: Where the hand pointed meanwhile.
            scene: What stands there.
            load: What is put down, if anything is.
        """
        wish, reach_m = self._params.places[str(slot.noun)], math.inf
        if ray is not None and (hit := hit_plane(ray, self._personal_rad)) is not None:
            wish, reach_m = hit[0], self._reach_m(hit[1])
        pointed = pointed_at(slot, ray, self._personal_rad)
        label = f"the {slot.noun}"
        point = wish if load is None else self._free(wish, scene, load, reach_m)
        spot = point or wish
        candidate = Candidate(None, label, 1.0, spot)
        place = Referent("place", label, 1.0, None, spot)
        problem: Problem | None = None if point is not None else "no_room"
        return SlotResult(slot, place, (candidate,), pointed, problem)

    def there(self, slot: Slot, ray: Ray, scene: Scene | None, load: Load | None) -> SlotResult:
        """*There*: what the ray means, be it a thing that takes things or a spot.

        Args:
            slot: What was said.
            ray: Where the hand pointed.
            scene: What stands there.
            load: What is put down, if anything is: without, every point is a place.
        """
        p = self._params
        pointed = pointed_at(slot, ray, self._personal_rad)
        hit = hit_plane(ray, self._personal_rad)
        things = [
            o
            for o in (scene.objects if scene and load else ())
            if load and o.object_id not in (load.object_id, load.held)
        ]
        takers = [o for o in things if self._takes(o)[0] >= 0.5 and self._over(ray, o, 0.5)]
        likelihoods = ray_likelihood(ray, takers, self._personal_rad)
        priors = [o.confidence * self._takes(o)[0] for o in takers]
        place_prior = 1.0 - p.container_prior if takers else 1.0
        shares = posterior(likelihoods, priors, BACKGROUND_PER_SR, place_prior)
        free = Candidate(None, _place_label(hit and hit[0]), float(shares[-1]), hit and hit[0])
        ranked = by_probability([*object_candidates(takers, shares), free])
        if ranked[0].object_id is not None:
            best = int(np.argmax(shares[:-1]))
            relation = slot.relation or self._takes(takers[best])[1]
            referent = referent_of(takers[best], float(shares[best]), relation)
            return SlotResult(slot, referent, ranked, pointed)
        if hit is None:
            return SlotResult(slot, None, ranked, pointed, "off_plane")
        place = Referent("place", free.label, free.probability, None, hit[0])
        if hit[1] > p.place_sigma_limit_m:
            return SlotResult(slot, place, ranked, pointed, "unclear_place")
        if load is None:
            return SlotResult(slot, place, ranked, pointed)
        met = [o for o in things if o not in takers and self._over(ray, o, 0.0)]
        if met:
            nearest = min(met, key=lambda o: math.dist(o.position_base_m, ray.origin_base_m))
            in_the_way = referent_of(nearest, nearest.confidence, None)
            return SlotResult(slot, in_the_way, ranked, pointed, "occupied")
        reach_m = self._reach_m(hit[1])
        spot = self._free(hit[0], scene, load, reach_m)
        if spot is None:
            outside = p.workspace.distance_m(hit[0][:2]) > 0.0
            return SlotResult(slot, place, ranked, pointed, "out_of_area" if outside else "no_room")
        free = Candidate(None, _place_label(spot), free.probability, spot)
        ranked = by_probability([*object_candidates(takers, shares), free])
        place = Referent("place", free.label, free.probability, None, spot)
        return SlotResult(slot, place, ranked, pointed)

    def at_object(
        self, result: SlotResult, base: SceneObject | None, scene: Scene | None, load: Load,
        view: View,
    ) -> SlotResult:  # fmt: skip
        """A spot in, on or beside the object that a destination was resolved to.

        Args:
            result: The destination. Without a relation said, something is put into a container,
                onto what carries things, and next to anything else.
            base: The object as it was last seen; None if it never was.
            scene: What else stands there.
            load: What is put down.
            view: Whose sides are meant.
        """
        referent = result.referent
        if referent is None or result.problem is not None:
            return result
        relation = referent.relation
        if relation is None:
            share, default = self._takes(base) if base else (0.0, "in")
            relation = default if share >= 0.5 else "next_to"
        related = msgspec.structs.replace(referent, relation=relation)
        if base is None or referent.position_base_m is None:
            # The gripper holds it: where it will stand, only the robot knows.
            return replace(result, referent=related)
        x, y, z = base.position_base_m
        if relation in ("in", "on"):
            top_m = 0.0 if relation == "in" else base.height_m or 2.0 * max(z, 0.0)
            spot: Vec2 | None = (x, y)
        else:
            top_m = 0.0
            towards = view.direction(relation, (x, y))
            spot = free_beside(
                Disc((x, y), base.radius_m),
                load.radius_m,
                load.discs(scene, self._params.clearance_m, but=base.object_id),
                self._params.workspace,
                self._params.beside_gaps_m,
                towards,
                math.pi if towards is None else _SIDE_SPREAD_RAD,
            )
        if spot is None:
            return replace(result, referent=related, problem="no_room")
        related = msgspec.structs.replace(related, place_base_m=(*spot, top_m))
        return replace(result, referent=related)

    def _free(self, wish: Vec3, scene: Scene | None, load: Load, reach_m: float) -> Vec3 | None:
        """The free spot for a load nearest to a point."""
        p = self._params
        discs = load.discs(scene, p.clearance_m)
        spot = nearest_free(wish[:2], load.radius_m, discs, p.workspace, reach_m)
        return None if spot is None else (*spot, wish[2])

    def _reach_m(self, sigma_m: float) -> float:
        """How far from where a ray meets the table its place may be."""
        return min(_REACH_SIGMAS * sigma_m, self._params.place_sigma_limit_m)

    def _over(self, ray: Ray, thing: SceneObject, spare_sigmas: float) -> bool:
        """Whether a ray meets an object's footprint at half its height.

        A place beside a container is a place, however wide the ray's covariance is: that is why
        only half a sigma is to spare.
        """
        if (hit := hit_plane(ray, self._personal_rad, thing.position_base_m[2])) is None:
            return False
        away_m = math.dist(hit[0][:2], thing.position_base_m[:2])
        return away_m <= thing.radius_m + spare_sigmas * hit[1]

    def _takes(self, thing: SceneObject) -> tuple[float, Literal["in", "on"]]:
        """Probability that something can be put into it, or onto it, and which."""
        into, onto = (
            _share(thing, names) for names in (self._params.containers, self._params.supports)
        )
        return (into, "in") if into >= onto else (onto, "on")


def _share(thing: SceneObject, names: Sequence[str]) -> float:
    return math.fsum(thing.names.get(name, 0.0) for name in names)


def _place_label(point: Vec3 | None) -> str:
    return f"the place at x={point[0]:.2f} y={point[1]:.2f}" if point else "a place"
