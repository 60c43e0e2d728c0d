"""Resolves the slots of one parse to objects and places: whose referent, how sure, from what.

    resolver = Resolver(FusionParams())
    resolved = resolver.resolve(parse, event.words, memory)

The answer depends on nothing but the parse and what :meth:`Resolver.signature` names, so it can be
worked out ahead of time on a partial and used again at the final.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.fusion.history import Span
from deixis.nodes.fusion.intents import RULES, IntentRule
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.posterior import (
    BACKGROUND_PER_SR,
    posterior,
    ray_likelihood,
    word_likelihood,
)
from deixis.nodes.fusion.rays import Ray, hit_plane, ray_to_point, vec3
from deixis.nodes.fusion.referents import Memory, Problem, Resolved, SlotResult
from deixis.runtime.messages import (
    Candidate,
    Parse,
    PointedAt,
    Referent,
    Scene,
    SceneObject,
    Slot,
    Word,
)

Array = NDArray[np.float64]

TOP_CANDIDATES = 5
_HELD_PRIOR = 0.01
_CERTAIN = 0.98
_PLACE_NOUNS = frozenset({"place", "spot", "position", "side"})
_PLACE_WORDS = frozenset({"there", "here"})
_OBJECT_WORDS = frozenset({"that", "this", "those", "these", "one"})
_PERSON_WORDS = frozenset({"me", "us"})


class Resolver:
    """Geometric and lexical resolution of referents.

    Args:
        params: Priors, floors and limits.
    """

    def __init__(self, params: FusionParams) -> None:
        self._params = params
        self._personal_rad = math.radians(params.personal_sigma_deg)

    def signature(self, parse: Parse, words: Sequence[Word], memory: Memory) -> Hashable:
        """Everything that :meth:`resolve` depends on; equal signatures give equal answers."""
        evidence = []
        for slot in parse.slots:
            span = slot_span(slot, words)
            scene = self._scene(memory, span)
            evidence.append(
                (
                    slot,
                    memory.rays.signature(span) if span else None,
                    scene.header.stamp_ns if scene else None,
                )
            )
        return parse.intent, tuple(evidence), memory.holding, memory.spoken

    def resolve(self, parse: Parse, words: Sequence[Word], memory: Memory) -> Resolved:
        """Resolve the object and the destination of a parse.

        Args:
            parse: The reading; its intent must be in :data:`RULES`.
            words: The utterance's words, for slots that carry no times of their own.
            memory: Rays, scenes, the robot's state and the last object.
        """
        rule = RULES[parse.intent]
        object_slot, destination_slot = parse.slot("object"), parse.slot("destination")
        rays = self._rays([object_slot, destination_slot], words, memory)

        target = None
        if object_slot is not None and rule.object != "none":
            scene = self._scene(memory, slot_span(object_slot, words))
            target = self._object(object_slot, rays[0], scene, memory, rule.takes_held, ())
        destination = None
        if rule.destination != "none":
            moved = target.referent.object_id if target and target.referent else None
            destination = self._destination(
                destination_slot, rays[1], words, memory, rule, (moved,) if moved else ()
            )
        pointed = tuple(r.pointed for r in (target, destination) if r and r.pointed)
        return Resolved(target, destination, pointed)

    def _rays(
        self, slots: Sequence[Slot | None], words: Sequence[Word], memory: Memory
    ) -> list[Ray | None]:
        """The ray of each slot: deictic words share out the holds, named ones take what is left."""
        rays: list[Ray | None] = [None] * len(slots)
        spans: dict[int, Span] = {}
        for i, slot in enumerate(slots):
            if slot is None:
                continue
            if slot.point_base_m is not None:
                rays[i] = ray_to_point(slot.point_base_m)
            elif slot.kind in ("deictic", "named") and (span := slot_span(slot, words)):
                spans[i] = span
        used: set[int] = set()
        for kind in ("deictic", "named"):
            group = sorted(
                (i for i in spans if (s := slots[i]) is not None and s.kind == kind),
                key=lambda i: spans[i],
            )
            found = memory.rays.lookup([spans[i] for i in group], exclude=used)
            for i, hit in zip(group, found, strict=True):
                if hit is not None:
                    rays[i], number = hit
                    used.add(number)
        return rays

    @staticmethod
    def _scene(memory: Memory, span: Span | None) -> Scene | None:
        """The scene when a word was said; the newest for words without a time."""
        return memory.scenes.at(span[1]) if span else memory.scenes.newest

    def _object(
        self,
        slot: Slot,
        ray: Ray | None,
        scene: Scene | None,
        memory: Memory,
        takes_held: bool,
        exclude: Sequence[str],
    ) -> SlotResult:
        if slot.kind == "anaphor":
            return _anaphor(slot, scene, memory, exclude)
        pointed = self._pointed(slot, ray)
        if ray is None and slot.noun is None and slot.colour is None:
            return SlotResult(slot, None, problem="no_pointing")
        objects = [o for o in scene.objects if o.object_id not in exclude] if scene else []
        if not objects:
            return SlotResult(slot, None, pointed=pointed, problem="no_scene")

        p = self._params
        fits = self._word_likelihoods(objects, slot)
        likelihoods = fits
        none_likelihood = p.unknown_share ** sum(w is not None for w in (slot.noun, slot.colour))
        if ray is not None:
            weight = 1.0 if slot.kind == "deictic" else p.named_gesture_weight
            likelihoods = likelihoods * ray_likelihood(ray, objects, self._personal_rad, weight)
            none_likelihood *= BACKGROUND_PER_SR
        priors = [
            o.confidence * (1.0 if takes_held or o.object_id != memory.holding else _HELD_PRIOR)
            for o in objects
        ]
        shares = posterior(likelihoods, priors, none_likelihood, p.none_prior)
        candidates = [
            Candidate(o.object_id, o.label(), float(share), o.position_base_m)
            for o, share in zip(objects, shares[:-1], strict=True)
        ]
        candidates.append(Candidate(None, "none of them", float(shares[-1])))
        ranked = _ranked(candidates)
        best = int(np.argmax(shares[:-1]))
        referent = _referent(objects[best], float(shares[best]), slot)
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

    def _destination(
        self,
        slot: Slot | None,
        ray: Ray | None,
        words: Sequence[Word],
        memory: Memory,
        rule: IntentRule,
        exclude: Sequence[str],
    ) -> SlotResult | None:
        if slot is None:
            return SlotResult(None, _person()) if rule.to_person and rule.object != "none" else None
        said = slot.text.lower().split()
        scene = self._scene(memory, slot_span(slot, words))
        if _PERSON_WORDS & set(said):
            return SlotResult(slot, _person())
        if slot.noun in self._params.places and slot.colour is None:
            return self._named_place(slot, ray)
        if slot.noun or slot.colour or not _is_place(said):
            result = self._object(slot, ray, scene, memory, True, exclude)
            return self._with_relation(result, scene, rule)
        if ray is None:
            if rule.to_person and said[-1] == "here":
                return SlotResult(slot, _person())
            return SlotResult(slot, None, problem="no_pointing")
        return self._place(slot, ray, scene, rule, exclude)

    def _named_place(self, slot: Slot, ray: Ray | None) -> SlotResult:
        """A place with a name; pointing says where on it."""
        point = self._params.places[str(slot.noun)]
        if ray is not None and (hit := hit_plane(ray, self._personal_rad)) is not None:
            point = hit[0]
        label = f"the {slot.noun}"
        candidate = Candidate(None, label, 1.0, point)
        place = Referent("place", label, 1.0, None, point)
        return SlotResult(slot, place, (candidate,), self._pointed(slot, ray))

    def _place(
        self,
        slot: Slot,
        ray: Ray,
        scene: Scene | None,
        rule: IntentRule,
        exclude: Sequence[str],
    ) -> SlotResult:
        """*There*: the point under the ray, or the container that the ray means."""
        p = self._params
        pointed = self._pointed(slot, ray)
        hit = hit_plane(ray, self._personal_rad)
        containers = [
            o
            for o in (scene.objects if scene and rule.puts_down else ())
            if o.object_id not in exclude and self._container(o) >= 0.5 and self._over(ray, o)
        ]
        likelihoods = ray_likelihood(ray, containers, self._personal_rad)
        priors = [o.confidence * self._container(o) for o in containers]
        place_prior = 1.0 - p.container_prior if containers else 1.0
        shares = posterior(likelihoods, priors, BACKGROUND_PER_SR, place_prior)
        candidates = [
            Candidate(o.object_id, o.label(), float(share), o.position_base_m)
            for o, share in zip(containers, shares[:-1], strict=True)
        ]
        free = Candidate(None, _place_label(hit), float(shares[-1]), hit[0] if hit else None)
        ranked = _ranked([*candidates, free])
        if ranked[0].object_id is not None:
            best = int(np.argmax(shares[:-1]))
            referent = _referent(containers[best], float(shares[best]), slot, default="in")
            return SlotResult(slot, referent, ranked, pointed)
        if hit is None:
            return SlotResult(slot, None, ranked, pointed, "off_plane")
        place = Referent("place", free.label, free.probability, None, hit[0])
        unclear = hit[1] > p.place_sigma_limit_m
        return SlotResult(slot, place, ranked, pointed, "unclear_place" if unclear else None)

    def _with_relation(
        self, result: SlotResult, scene: Scene | None, rule: IntentRule
    ) -> SlotResult:
        """Something is put into a container and beside anything else, unless it was said."""
        referent = result.referent
        if referent is None or referent.relation is not None or not rule.puts_down:
            return result
        into = any(
            o.object_id == referent.object_id and self._container(o) >= 0.5
            for o in (scene.objects if scene else ())
        )
        related = msgspec.structs.replace(referent, relation="in" if into else "next_to")
        return replace(result, referent=related)

    def _over(self, ray: Ray, thing: SceneObject) -> bool:
        """Whether a ray meets an object's footprint at half its height, with half a sigma to spare.

        A place beside a container is a place, however wide the ray's covariance is.
        """
        if (hit := hit_plane(ray, self._personal_rad, thing.position_base_m[2])) is None:
            return False
        away_m = math.dist(hit[0][:2], thing.position_base_m[:2])
        return away_m <= thing.radius_m + 0.5 * hit[1]

    def _container(self, thing: SceneObject) -> float:
        """Probability that something can be put into it."""
        return sum(thing.names.get(name, 0.0) for name in self._params.containers)

    def _pointed(self, slot: Slot, ray: Ray | None) -> PointedAt | None:
        if ray is None:
            return None
        hit = hit_plane(ray, self._personal_rad)
        return PointedAt(
            slot=slot.name,
            word=slot.text,
            word_ns=slot.start_ns,
            origin_base_m=vec3(ray.origin_base_m),
            direction_base=vec3(ray.direction_base),
            hit_base_m=hit[0] if hit else None,
            sigma_rad=ray.sigma_rad,
            n_rays=ray.n_rays,
        )


def slot_span(slot: Slot, words: Sequence[Word]) -> Span | None:
    """When a slot's words were said; None if nobody knows (typed)."""
    if slot.end_ns > slot.start_ns:
        return slot.start_ns, slot.end_ns
    own = [words[i] for i in slot.word_indices if i < len(words)]
    if not own or own[-1].end_ns <= own[0].start_ns:
        return None
    return own[0].start_ns, own[-1].end_ns


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


def _referent(
    thing: SceneObject,
    probability: float,
    slot: Slot,
    default: Literal["in", "on", "next_to"] | None = None,
) -> Referent:
    relation = slot.relation or default
    return Referent(
        "object", thing.label(), probability, thing.object_id, thing.position_base_m, relation
    )


def _person() -> Referent:
    return Referent("person", "you", 1.0)


def _is_place(said: Sequence[str]) -> bool:
    """Whether *there*, *over here*, *this spot* is a place, not the object "that one there"."""
    if not said:
        return False
    if said[-1] in _PLACE_NOUNS:
        return True
    return said[-1] in _PLACE_WORDS and said[0] not in _OBJECT_WORDS


def _place_label(hit: tuple[tuple[float, float, float], float] | None) -> str:
    return f"the place at x={hit[0][0]:.2f} y={hit[0][1]:.2f}" if hit else "a place"


def _ranked(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    return tuple(sorted(candidates, key=lambda c: -c.probability))
