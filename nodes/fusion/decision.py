"""Act, ask or refuse: the rule that turns resolved parses into one decision.

The posterior of a command is the parse's confidence times its referents' probabilities. It acts
only if every slot that the intent needs is filled by something seen recently, if the two most
probable referents (and the two most probable commands) are far enough apart, and if the posterior
is high enough. It never guesses: everything else is a question or nothing.

    decision = decide([Hypothesis(parse, resolved)], FusionParams(), Context(now_ns=clock.now_ns()))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from deixis.nodes.fusion import wording
from deixis.nodes.fusion.intents import RULES
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.referents import Resolved, SlotResult
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import Command, Header, Mark, Parse, Referent

_LEAST_DOUBT = 1e-3
_VALUES = ("side", "name", "colour")
"""Slots whose words make another action of a command."""


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One reading with its slots resolved."""

    parse: Parse
    resolved: Resolved

    @property
    def probability(self) -> float:
        """Posterior of the whole command."""
        probability = self.parse.confidence
        for result in (self.resolved.object, self.resolved.destination):
            if result is not None:
                probability *= result.referent.probability if result.referent else 0.0
        return probability

    @property
    def weight(self) -> float:
        """Odds of the reading times its referents' probabilities and fits: for comparing readings.

        The recogniser's confidences do not sum to one over its readings: "bowl" may have 1.00 and
        "ball" 0.94. Their odds tell the two apart, and keep what was clearly said ahead of a
        similar word that would fit the scene a little better; a word that fits nothing in the
        scene gives way.
        """
        doubt = max(1.0 - self.parse.confidence, _LEAST_DOUBT)
        results = (self.resolved.object, self.resolved.destination)
        fit = math.prod(r.fit for r in results if r is not None)
        return self.probability * fit / doubt

    def action(self) -> tuple[object, ...]:
        """What would be done, apart from how sure it is; equal means the same action."""
        values = (self.parse.slot(name) for name in _VALUES)
        return (
            self.parse.intent,
            _target(self.resolved.object),
            _target(self.resolved.destination),
            tuple(slot.value or slot.text if slot else None for slot in values),
        )


@dataclass(frozen=True, slots=True)
class Context:
    """What the decision depends on besides the readings.

    Attributes:
        now_ns: Time of the decision.
        last_seen_ns: When each object was last seen.
        holding: Id of the object in the gripper, which need not be seen.
        hand_seen: Whether a hand was in view lately (for the wording of questions).
    """

    now_ns: int
    last_seen_ns: dict[str, int] = field(default_factory=dict)
    holding: str | None = None
    hand_seen: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about an utterance; ``answer`` is there when there is nothing to describe."""

    outcome: Literal["act", "clarify", "answer", "reject"]
    hypothesis: Hypothesis
    probability: float
    question: str = ""
    reason: str = ""
    answer: str = ""


def decide(hypotheses: Sequence[Hypothesis], params: FusionParams, context: Context) -> Decision:
    """Decide what to do about an utterance.

    Args:
        hypotheses: Its readings, at least one, in the recogniser's order.
        params: Thresholds and deadlines.
        context: The moment and what is known about the objects.
    """
    best = max(hypotheses, key=lambda h: h.weight)
    if best.weight <= 0.0:
        best = hypotheses[0]
    probability = best.probability

    def clarify(question: str, reason: str) -> Decision:
        return Decision("clarify", best, probability, question, reason)

    if best.parse.confidence < params.reject_threshold:
        return Decision("reject", best, probability, reason="not sure enough what was said")
    if (question := _missing(best)) is not None:
        return clarify(question, "a part of the command is missing")
    slots = [
        (name, result)
        for name, result in (
            ("object", best.resolved.object),
            ("destination", best.resolved.destination),
        )
        if result is not None
    ]
    rule = RULES[best.parse.intent]
    for name, result in slots:
        if rule.pointed and (result.pointed is None or result.problem is not None):
            reason = (result.problem or "no_pointing").replace("_", " ")
            return Decision("reject", best, probability, reason=f"other talk? {name}: {reason}")
        if result.problem is not None:
            if rule.says and (answer := wording.nothing(result.problem, result, context.hand_seen)):
                return Decision("answer", best, probability, answer=answer)
            question = wording.problem(result.problem, name, result, context.hand_seen)
            return clarify(question, f"{name}: {result.problem.replace('_', ' ')}")
        if (age_s := _expired_s(result.referent, params, context)) is not None:
            label = result.referent.label if result.referent else name
            return clarify(
                f"Where is the {label}? (I last saw it {age_s:.1f} s ago)", f"{name}: expired"
            )
        if len(result.candidates) > 1:
            first, second = result.candidates[:2]
            if first.probability - second.probability < params.margin:
                return clarify(wording.which_of(first, second), f"{name}: two are about as likely")
    rival = _rival(best, hypotheses)
    if rival is not None and (
        best.weight - rival.weight < params.margin * (best.weight + rival.weight)
    ):
        question = f"“{best.parse.text}” or “{rival.parse.text}”?"
        return clarify(question, "two readings are about as likely")
    if probability >= params.act_threshold:
        return Decision("act", best, probability)
    if probability >= params.reject_threshold:
        return clarify(f"Did you say “{best.parse.text}”?", "not sure enough")
    return Decision("reject", best, probability, reason="not sure enough")


def command_of(
    decision: Decision, header: Header, deadline_ns: int, marks: tuple[Mark, ...]
) -> Command:
    """What the robot is told to do.

    Args:
        decision: A decision to act.
        header: Of the utterance.
        deadline_ns: When it is too late.
        marks: Trace so far.
    """
    parse, resolved = decision.hypothesis.parse, decision.hypothesis.resolved
    side = parse.slot("side")
    return Command(
        header,
        intent=parse.intent,
        object=resolved.object.referent if resolved.object else None,
        destination=resolved.destination.referent if resolved.destination else None,
        side=(side.value or side.text) if side else None,
        confidence=decision.probability,
        deadline_ns=deadline_ns,
        marks=marks,
    )


def _missing(hypothesis: Hypothesis) -> str | None:
    """The question for a required slot that was not said, if any."""
    intent = hypothesis.parse.intent
    rule = RULES[intent]
    found = hypothesis.resolved
    if rule.either and found.object is None and found.destination is None:
        return wording.missing(intent, "object")
    if rule.object == "required" and found.object is None:
        return wording.missing(intent, "object")
    if rule.destination == "required" and found.destination is None:
        return wording.missing(intent, "destination")
    if rule.side == "required" and hypothesis.parse.slot("side") is None:
        return wording.missing(intent, "side")
    return None


def _expired_s(referent: Referent | None, params: FusionParams, context: Context) -> float | None:
    """How long ago an object was seen, if that is too long."""
    if referent is None or referent.object_id is None or referent.object_id == context.holding:
        return None
    age_ns = context.now_ns - context.last_seen_ns.get(referent.object_id, 0)
    return age_ns / NS_PER_S if age_ns > params.referent_ttl_ms * NS_PER_MS else None


def _rival(best: Hypothesis, hypotheses: Sequence[Hypothesis]) -> Hypothesis | None:
    """The most probable reading that would do something else."""
    others = [h for h in hypotheses if h.action() != best.action()]
    return max(others, key=lambda h: h.weight, default=None)


def _target(result: SlotResult | None) -> tuple[object, ...] | None:
    if result is None or result.referent is None:
        return None
    referent = result.referent
    where = None
    if referent.kind == "place" and referent.position_base_m is not None:
        where = tuple(round(c, 2) for c in referent.position_base_m)
    return referent.kind, referent.object_id, referent.relation, where
