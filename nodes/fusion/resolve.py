"""Resolves the slots of one parse to objects and places: whose referent, how sure, from what.

    resolver = Resolver(FusionParams())
    resolved = resolver.resolve(parse, event.words, memory)

The answer depends on nothing but the parse and what :meth:`Resolver.signature` names, so it can be
worked out ahead of time on a partial and used again at the final.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import cast, get_args

import msgspec

from deixis.nodes.fusion.history import Span
from deixis.nodes.fusion.intents import RULES, IntentRule
from deixis.nodes.fusion.objects import Beside, ObjectFinder
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.places import Load, PlaceFinder
from deixis.nodes.fusion.rays import Ray, ray_to_point
from deixis.nodes.fusion.referents import Memory, Resolved, SlotResult
from deixis.nodes.fusion.relations import View
from deixis.runtime.messages import Parse, Referent, Relation, Scene, Slot, Word

_PLACE_NOUNS = frozenset({"place", "spot", "position", "side"})
_PLACE_WORDS = frozenset({"there", "here"})
_OBJECT_WORDS = frozenset({"that", "this", "those", "these", "one"})
_PERSON_WORDS = frozenset({"me", "us"})


@dataclass(frozen=True, slots=True)
class _Task:
    """One parse, with what all of its slots are resolved from."""

    rule: IntentRule
    words: Sequence[Word]
    memory: Memory
    view: View

    def scene(self, slot: Slot) -> Scene | None:
        """The scene when a slot's words were said; the newest for words without a time."""
        span = slot_span(slot, self.words)
        return self.memory.scenes.at(span[1]) if span else self.memory.scenes.newest


class Resolver:
    """Geometric and lexical resolution of referents.

    Args:
        params: Priors, floors and limits.
    """

    def __init__(self, params: FusionParams) -> None:
        self._params = params
        self._objects = ObjectFinder(params)
        self._places = PlaceFinder(params)

    def signature(self, parse: Parse, words: Sequence[Word], memory: Memory) -> Hashable:
        """Everything that :meth:`resolve` depends on; equal signatures give equal answers."""
        evidence = []
        for slot in parse.slots:
            span = slot_span(slot, words)
            scene = memory.scenes.at(span[1]) if span else memory.scenes.newest
            evidence.append(
                (
                    slot,
                    memory.rays.signature(span) if span else None,
                    scene.header.stamp_ns if scene else None,
                )
            )
        return (
            parse.intent, tuple(evidence), memory.holding, memory.spoken, self.view(memory),
        )  # fmt: skip

    def resolve(self, parse: Parse, words: Sequence[Word], memory: Memory) -> Resolved:
        """Resolve the object and the destination of a parse.

        Args:
            parse: The reading; its intent must be in :data:`RULES`.
            words: The utterance's words, for slots that carry no times of their own.
            memory: Rays, scenes, the robot's state and the last object.
        """
        rule = RULES[parse.intent]
        task = _Task(rule, words, memory, self.view(memory))
        slots = parse.slot("object"), _related(parse, "reference"), _related(parse, "destination")
        rays = _rays(slots, words, memory)

        target = None
        if slots[0] is not None and rule.object != "none":
            target = self._object(slots[0], rays[0], slots[1], rays[1], task)
        destination = None
        if rule.destination != "none":
            destination = self._destination(slots[2], rays[2], target, task)
        pointed = tuple(r.pointed for r in (target, destination) if r and r.pointed)
        return Resolved(target, destination, pointed)

    def view(self, memory: Memory) -> View:
        """Whose sides are meant."""
        return View(memory.eye_base_m if self._params.sides_of == "speaker" else None)

    def _object(
        self, slot: Slot, ray: Ray | None, reference: Slot | None, towards: Ray | None, task: _Task
    ) -> SlotResult:
        scene, beside = task.scene(slot), None
        if reference is not None and reference.relation is not None:
            base = self._objects.find(
                reference, towards, task.scene(reference), task.memory, takes_held=False
            )
            if base.problem is not None:
                return base
            beside = Beside(reference.relation, base, task.view)
        return self._objects.find(
            slot, ray, scene, task.memory, takes_held=task.rule.takes_held, beside=beside
        )

    def _destination(
        self, slot: Slot | None, ray: Ray | None, target: SlotResult | None, task: _Task
    ) -> SlotResult | None:
        rule = task.rule
        if slot is None:
            return SlotResult(None, _person()) if rule.to_person and rule.object != "none" else None
        said = slot.text.lower().split()
        if _PERSON_WORDS & set(said):
            return SlotResult(slot, _person())
        scene, load = task.scene(slot), self._load(target, task)
        if slot.noun in self._params.places and slot.colour is None:
            return self._places.named(slot, ray, scene, load)
        if slot.noun or slot.colour or not _is_place(said):
            moved = target.referent.object_id if target and target.referent else None
            result = self._objects.find(
                slot, ray, scene, task.memory, takes_held=True, exclude=(moved,) if moved else ()
            )
        elif ray is not None:
            result = self._places.there(slot, ray, scene, load)
        elif rule.to_person and said[-1] == "here":
            return SlotResult(slot, _person())
        else:
            return SlotResult(slot, None, problem="no_pointing")
        if load is None or result.referent is None or result.referent.kind != "object":
            return result
        base = task.memory.things.get(result.referent.object_id or "")
        return self._places.at_object(result, base, scene, load, task.view)

    def _load(self, target: SlotResult | None, task: _Task) -> Load | None:
        """What is put down at the destination, if anything is."""
        if not task.rule.puts_down:
            return None
        moved = target.referent.object_id if target and target.referent else None
        seen = task.memory.things.get(moved or "")
        radius_m = seen.radius_m if seen else self._params.unseen_radius_m
        return Load(radius_m, moved, task.memory.holding)


def slot_span(slot: Slot, words: Sequence[Word]) -> Span | None:
    """When a slot's words were said; None if nobody knows (typed)."""
    if slot.end_ns > slot.start_ns:
        return slot.start_ns, slot.end_ns
    own = [words[i] for i in slot.word_indices if i < len(words)]
    if not own or own[-1].end_ns <= own[0].start_ns:
        return None
    return own[0].start_ns, own[-1].end_ns


def _related(parse: Parse, name: str) -> Slot | None:
    """A slot with its relation, which may be a slot of its own (*left of* the bowl)."""
    slot, said = parse.slot(name), parse.slot("relation")
    if slot is None or said is None or slot.relation or said.value not in get_args(Relation):
        return slot
    return msgspec.structs.replace(slot, relation=cast(Relation, said.value))


def _rays(slots: Sequence[Slot | None], words: Sequence[Word], memory: Memory) -> list[Ray | None]:
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


def _person() -> Referent:
    return Referent("person", "you", 1.0)


def _is_place(said: Sequence[str]) -> bool:
    """Whether *there*, *over here*, *this spot* is a place, not the object "that one there"."""
    if not said:
        return False
    if said[-1] in _PLACE_NOUNS:
        return True
    return said[-1] in _PLACE_WORDS and said[0] not in _OBJECT_WORDS
