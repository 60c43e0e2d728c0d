"""Which object a slot means: a posterior over the scene from its words, its ray and its neighbours.

    finder = ObjectFinder(FusionParams())
    result = finder.find(slot, ray, scene, memory, takes_held=True)

*It* is what the gripper holds, else what was last spoken of; everything else is Bayes' rule over
the objects of the scene and *none of them* (:mod:`deixis.nodes.fusion.posterior`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.posterior import (
    BACKGROUND_PER_SR,
    posterior,
    ray_likelihood,
    word_likelihood,
)
from deixis.nodes.fusion.rays import Ray, pointed_at
from deixis.nodes.fusion.referents import Memory, Problem, SlotResult
from deixis.nodes.fusion.relations import View
from deixis.runtime.messages import Candidate, Referent, Relation, Scene, SceneObject, Slot

Array = NDArray[np.float64]

_HELD_PRIOR = 0.01
_CERTAIN = 0.98
_LEAST_FIT = 0.01


@dataclass(frozen=True, slots=True)
class Beside:
    """What the object stands beside: *the one next to the bowl*.

    Attributes:
        relation: How.
        base: What the slot of the neighbour was resolved to.
        view: Whose sides are meant.
    """

    relation: Relation
    base: SlotResult
    view: View

    def likelihoods(self, objects: Sequence[SceneObject]) -> Array:
        """Probability per object that it is said to stand so, shape ``(n,)``."""
        by_id = {o.object_id: o for o in objects}
        bases = [(by_id[c.object_id], c.probability) for c in self.base.candidates if c.object_id]
        fits = [
            math.fsum(
                share * self.view.fit(self.relation, thing, base)
                for base, share in bases
                if base is not thing
            )
            for thing in objects
        ]
        return np.maximum(np.array(fits, dtype=np.float64), _LEAST_FIT)


class ObjectFinder:
    """Resolves slots to objects.

    Args:
        params: Priors and floors.
    """

    def __init__(self, params: FusionParams) -> None:
        self._params = params
        self._personal_rad = math.radians(params.personal_sigma_deg)

    def find(
        self,
        slot: Slot,
        ray: Ray | None,
        scene: Scene | None,
        memory: Memory,
        *,
        takes_held: bool,
        exclude: Sequence[str] = (),
        beside: Beside | None = None,
    ) -> SlotResult:
        """The object that a slot means.

        Args:
            slot: What was said.
            ray: Where the hand pointed meanwhile.
            scene: The scene at that moment.
            memory: What the robot holds and what was spoken of.
            takes_held: Whether it may well be what the gripper holds.
            exclude: Ids of objects that it cannot be.
            beside: What it stands beside.
        """
        if slot.kind == "anaphor":
            return _anaphor(slot, scene, memory, exclude)
        pointed = pointed_at(slot, ray, self._personal_rad)
        if ray is None and beside is None and slot.noun is None and slot.colour is None:
            return SlotResult(slot, None, problem="no_pointing")
        objects = [o for o in scene.objects if o.object_id not in exclude] if scene else []
        if not objects:
            return SlotResult(slot, None, pointed=pointed, problem="no_scene")

        p = self._params
        fits = self._word_likelihoods(objects, slot)
        none_likelihood = p.unknown_share ** sum(w is not None for w in (slot.noun, slot.colour))
        if beside is not None:
            fits = fits * beside.likelihoods(objects)
            none_likelihood *= p.unknown_share
        likelihoods = fits
        if ray is not None:
            weight = 1.0 if slot.kind == "deictic" else p.named_gesture_weight
            likelihoods = likelihoods * ray_likelihood(ray, objects, self._personal_rad, weight)
            none_likelihood *= BACKGROUND_PER_SR
        priors = [
            o.confidence * (1.0 if takes_held or o.object_id != memory.holding else _HELD_PRIOR)
            for o in objects
        ]
        shares = posterior(likelihoods, priors, none_likelihood, p.none_prior)
        candidates = object_candidates(objects, shares)
        candidates.append(Candidate(None, "none of them", float(shares[-1])))
        ranked = by_probability(candidates)
        best = int(np.argmax(shares[:-1]))
        referent = referent_of(objects[best], float(shares[best]), slot.relation)
        problem: Problem | None = None
        if ranked[0].object_id is None or (ray is None and fits[best] < p.named_fit):
            problem = "none_of_them"
        elif fits[best] < p.pointed_fit:
            problem = "mismatch"
        return SlotResult(slot, referent, ranked, pointed, problem, float(fits[best]))

    def _word_likelihoods(self, objects: Sequence[SceneObject], slot: Slot) -> Array:
        p = self._params
        return np.array(
            [
                word_likelihood(o.names, slot.noun, p.noun_floor, p.unknown_share)
                * word_likelihood(o.colours, slot.colour, p.colour_floor, p.unknown_share)
                for o in objects
            ]
        )


def object_candidates(objects: Sequence[SceneObject], shares: Array) -> list[Candidate]:
    """Objects with their posterior; ``shares`` may have more entries after theirs."""
    return [
        Candidate(o.object_id, o.label(), float(share), o.position_base_m)
        for o, share in zip(objects, shares, strict=False)
    ]


def by_probability(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The most probable first."""
    return tuple(sorted(candidates, key=lambda c: -c.probability))


def referent_of(thing: SceneObject, probability: float, relation: Relation | None) -> Referent:
    """An object as what a slot means."""
    return Referent(
        "object", thing.label(), probability, thing.object_id, thing.position_base_m, relation
    )


def _anaphor(slot: Slot, scene: Scene | None, memory: Memory, exclude: Sequence[str]) -> SlotResult:
    """*It*: what the gripper holds, else what was last spoken of."""
    seen = {o.object_id: o for o in scene.objects} if scene else {}
    if memory.robot is not None and memory.robot.holding is not None:
        # No position: it is wherever the gripper is when the robot gets to it.
        referent = Referent(
            "object",
            memory.robot.holding_label,
            _CERTAIN,
            memory.robot.holding,
            relation=slot.relation,
        )
    elif memory.spoken is not None:
        last = memory.spoken.referent
        now = seen.get(last.object_id) if last.object_id else None
        position = now.position_base_m if now else last.position_base_m
        referent = Referent("object", last.label, _CERTAIN, last.object_id, position, slot.relation)
    else:
        return SlotResult(slot, None, problem="unknown_it")
    if referent.object_id in exclude:
        return SlotResult(slot, None, problem="unknown_it")
    candidate = Candidate(referent.object_id, referent.label, _CERTAIN, referent.position_base_m)
    return SlotResult(slot, referent, (candidate,))
