"""The fusion node: speech events, rays and scenes in; commands, stops and resolutions out.

    bench = NodeBench(FusionNode); bench.send("speech", event); print(bench.outputs["resolution"])

Every utterance gets exactly one resolution. Each stable, complete partial is resolved ahead of time
(speculation), so that at the final only the decision is left; *stop* acts on the partial itself,
and a raised palm stops with nothing said.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Literal

from deixis.nodes.fusion.decision import Context, Decision, Hypothesis, decide
from deixis.nodes.fusion.history import RayHistory, SceneHistory
from deixis.nodes.fusion.intents import RULES
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.referents import Memory, Resolved, SlotResult, Spoken
from deixis.nodes.fusion.resolve import TOP_CANDIDATES, Resolver
from deixis.runtime import topics, trace
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import (
    Candidate,
    Command,
    Evidence,
    Hands,
    Mark,
    Parse,
    Playback,
    Pointing,
    Resolution,
    RobotState,
    Scene,
    SpeechEvent,
    Stop,
)
from deixis.runtime.node import Node, NodeContext
from deixis.runtime.topics import Topic

_MAX_READINGS = 3
_MAX_UTTERANCES = 256
_MAX_SPECULATIONS = 16
_HAND_SEEN_NS = NS_PER_S
_PALM_DOWN_NS = NS_PER_S // 2
"""A palm that was not seen raised for this long has been taken down; the next one stops again."""


class FusionNode(Node[FusionParams]):
    """Turns what was said and where the hand pointed into one command, a question, or nothing.

    Attributes:
        speculation_hits: Decisions whose referents had been resolved on a partial.
        speculation_misses: Decisions that had to resolve them at the final.
    """

    inputs: ClassVar[Mapping[str, Topic]] = {
        "speech": topics.SPEECH,
        "pointing": topics.POINTING,
        "scene": topics.SCENE,
        "robot_state": topics.ROBOT_STATE,
        "hands": topics.HANDS,
        "playback": topics.PLAYBACK,
    }
    optional = frozenset({"hands", "robot_state", "playback"})
    outputs: ClassVar[Mapping[str, Topic]] = {
        "command": topics.COMMAND,
        "stop": topics.STOP,
        "resolution": topics.RESOLUTION,
    }
    Params = FusionParams
    priority = ("speech",)

    def __init__(self, context: NodeContext, params: FusionParams) -> None:
        super().__init__(context, params)
        # A stop can not be disabled.
        self._intents = frozenset(RULES if params.intents is None else params.intents) | {"stop"}
        self._memory = Memory(
            RayHistory(int(params.ray_history_s * NS_PER_S)),
            SceneHistory(int(params.scene_history_s * NS_PER_S)),
        )
        self._resolver = Resolver(params)
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._speculations: OrderedDict[Hashable, Resolved] = OrderedDict()
        self._last_seen_ns: dict[str, int] = {}
        self._hand_seen_ns: int | None = None
        self._palm_seen_ns: int | None = None
        self._palm_stop_ns: int | None = None
        self.speculation_hits = 0
        self.speculation_misses = 0

    def setup(self) -> None:
        """Check the allow-list.

        Raises:
            ConfigError: It names an intent that does not exist.
        """
        for intent in sorted(self._intents - RULES.keys()):
            raise ConfigError(
                f"node {self.context.node_id!r}: params: intents: unknown intent {intent!r}"
                f"{nearest(intent, list(RULES))}",
                hint=f"known intents: {', '.join(RULES)}",
            )

    def on_pointing(self, pointing: Pointing) -> None:
        """Remember a ray."""
        self._memory.rays.add(pointing)
        self._hand_seen_ns = pointing.header.stamp_ns

    def on_hands(self, hands: Hands) -> None:
        """Remember that a hand was in view; a raised palm stops the robot."""
        if hands.hands:
            self._hand_seen_ns = hands.header.stamp_ns
        raised = [h.palm_raised_ns for h in hands.hands if h.palm_raised_ns is not None]
        if raised and self.params.palm_stop:
            self._on_palm(min(raised), hands.header.stamp_ns)

    def on_scene(self, scene: Scene) -> None:
        """Remember a scene."""
        self._memory.scenes.add(scene)
        for thing in scene.objects:
            seen_ns = max(self._last_seen_ns.get(thing.object_id, 0), thing.last_seen_ns)
            self._last_seen_ns[thing.object_id] = seen_ns

    def on_robot_state(self, state: RobotState) -> None:
        """Remember what the robot holds."""
        self._memory.robot = state

    def on_playback(self, playback: Playback) -> None:
        """Forget everything when a new scene begins."""
        if not playback.reset:
            return
        self._memory.rays.clear()
        self._memory.scenes.clear()
        self._memory.robot = None
        self._memory.spoken = None
        self._speculations.clear()
        self._last_seen_ns.clear()
        self._hand_seen_ns = None
        self._palm_seen_ns = self._palm_stop_ns = None

    def on_speech(self, event: SpeechEvent) -> None:
        """Speculate on partials, stop at once, decide at the final."""
        utterance = event.header.command_id or f"utterance-{event.header.stamp_ns}"
        if utterance in self._closed or event.kind == "start":
            return
        if event.kind == "rejected":
            self._resolve_empty(event, utterance, event.reason or "not a command")
            return
        readings = [p for p in event.parses if p.intent in RULES][:_MAX_READINGS]
        if event.kind == "partial":
            if event.stable and readings and readings[0].complete:
                self._on_stable(event, utterance, readings)
            return
        if not readings and event.parses:
            reason = f"no robot action is known for the intent {event.parses[0].intent!r}"
            self._resolve_empty(event, utterance, reason)
        elif not readings:
            self._resolve_empty(event, utterance, "nothing in the domain fits what was said")
        elif readings[0].intent not in self._intents:
            reason = f"the intent {readings[0].intent!r} is not enabled here"
            self._resolve_empty(event, utterance, reason, readings[0])
        elif readings[0].intent == "stop":
            self._stop(event, utterance, readings[0])
        elif self._overruled(event):
            self._resolve_empty(event, utterance, "a palm was raised to stop", readings[0])
        else:
            self._decide(event, utterance, [p for p in readings if p.intent in self._intents])

    def _on_stable(self, event: SpeechEvent, utterance: str, readings: list[Parse]) -> None:
        best = readings[0]
        if best.intent != "stop":
            for parse in _that_may_end(readings):
                self._resolved(parse, event)
        elif best.confidence >= self.params.stop_confidence:
            self._stop(event, utterance, best)

    def _stop(self, event: SpeechEvent, utterance: str, parse: Parse) -> None:
        marks = trace.with_mark(event.marks, trace.RESOLVED, self.clock.now_ns())
        header = self.header(event.header.stamp_ns, utterance)
        self.publish("stop", Stop(header, reason=f"said “{event.text or parse.text}”", marks=marks))
        self._publish_resolution(event, utterance, "stop", "stop", evidence=_evidence(event, parse))

    def _on_palm(self, raised_ns: int, stamp_ns: int) -> None:
        """Stop once for each time a palm is raised, however long it stays up."""
        seen_ns, self._palm_seen_ns = self._palm_seen_ns, stamp_ns
        if seen_ns is not None and stamp_ns - seen_ns < _PALM_DOWN_NS:
            return
        self._palm_stop_ns = stamp_ns
        mark = Mark(trace.PALM_RAISED, raised_ns)
        marks = trace.with_mark((mark,), trace.RESOLVED, self.clock.now_ns())
        header = self.header(stamp_ns, f"palm-{raised_ns}")
        self.publish("stop", Stop(header, reason="raised palm", marks=marks))
        resolution = Resolution(
            header,
            outcome="stop",
            intent="stop",
            command=None,
            question="",
            reason="raised palm",
            evidence=Evidence(text="", words=(), parse_confidence=0.0),
            marks=marks,
        )
        self.publish("resolution", resolution)

    def _overruled(self, event: SpeechEvent) -> bool:
        """Whether a palm was raised since the utterance began."""
        if self._palm_stop_ns is None:
            return False
        began = next((m.time_ns for m in event.marks if m.name == trace.SPEECH_START), None)
        if began is None:
            began = event.words[0].start_ns if event.words else event.header.stamp_ns
        return began < self._palm_stop_ns

    def _decide(self, event: SpeechEvent, utterance: str, readings: Sequence[Parse]) -> None:
        self._forget_spoken()
        hypotheses = []
        for i, parse in enumerate(_that_may_end(readings)):
            resolved, reused = self._resolved(parse, event)
            hypotheses.append(Hypothesis(parse, resolved))
            if i == 0:
                self.speculation_hits += reused
                self.speculation_misses += not reused
        now_ns = self.clock.now_ns()
        context = Context(
            now_ns,
            self._last_seen_ns,
            self._memory.holding,
            self._hand_seen_ns is not None
            and event.speech_end_ns - self._hand_seen_ns < _HAND_SEEN_NS,
        )
        decision = decide(hypotheses, self.params, context)
        evidence = _evidence(event, decision.hypothesis.parse, decision.hypothesis.resolved)
        command = None
        if decision.outcome == "act":
            command = self._command(event, utterance, decision, now_ns)
            self.publish("command", command)
            if command.object is not None and command.object.object_id is not None:
                self._memory.spoken = Spoken(command.object, now_ns)
        self._publish_resolution(
            event,
            utterance,
            decision.outcome,
            decision.hypothesis.parse.intent,
            command=command,
            question=decision.question,
            reason=decision.reason,
            evidence=evidence,
        )

    def _resolved(self, parse: Parse, event: SpeechEvent) -> tuple[Resolved, bool]:
        """The parse's referents, and whether they had been worked out before."""
        key = self._resolver.signature(parse, event.words, self._memory)
        known = self._speculations.get(key)
        if known is not None:
            return known, True
        resolved = self._resolver.resolve(parse, event.words, self._memory)
        self._speculations[key] = resolved
        while len(self._speculations) > _MAX_SPECULATIONS:
            self._speculations.popitem(last=False)
        return resolved, False

    def _forget_spoken(self) -> None:
        spoken = self._memory.spoken
        if spoken and self.clock.now_ns() - spoken.time_ns > self.params.last_spoken_s * NS_PER_S:
            self._memory.spoken = None

    def _command(
        self, event: SpeechEvent, utterance: str, decision: Decision, now_ns: int
    ) -> Command:
        parse, resolved = decision.hypothesis.parse, decision.hypothesis.resolved
        side = parse.slot("side")
        return Command(
            self.header(event.header.stamp_ns, utterance),
            intent=parse.intent,
            object=resolved.object.referent if resolved.object else None,
            destination=resolved.destination.referent if resolved.destination else None,
            side=(side.value or side.text) if side else None,
            confidence=decision.probability,
            deadline_ns=now_ns + int(self.params.command_ttl_ms * NS_PER_MS),
            marks=trace.with_mark(event.marks, trace.RESOLVED, now_ns),
        )

    def _resolve_empty(
        self, event: SpeechEvent, utterance: str, reason: str, parse: Parse | None = None
    ) -> None:
        intent = parse.intent if parse else None
        evidence = _evidence(event, parse)
        self._publish_resolution(
            event, utterance, "reject", intent, reason=reason, evidence=evidence
        )

    def _publish_resolution(
        self,
        event: SpeechEvent,
        utterance: str,
        outcome: Literal["act", "stop", "clarify", "reject"],
        intent: str | None,
        *,
        evidence: Evidence,
        command: Command | None = None,
        question: str = "",
        reason: str = "",
    ) -> None:
        marks = (
            command.marks
            if command
            else trace.with_mark(event.marks, trace.RESOLVED, self.clock.now_ns())
        )
        resolution = Resolution(
            self.header(event.header.stamp_ns, utterance),
            outcome=outcome,
            intent=intent,
            command=command,
            question=question,
            reason=reason,
            evidence=evidence,
            marks=marks,
        )
        self.publish("resolution", resolution)
        self._closed[utterance] = None
        while len(self._closed) > _MAX_UTTERANCES:
            self._closed.popitem(last=False)


def _that_may_end(readings: Sequence[Parse]) -> Sequence[Parse]:
    """The readings that the sentence may end with; all, if those are much less likely."""
    complete = [p for p in readings if p.complete]
    if complete and complete[0].confidence >= 0.5 * readings[0].confidence:
        return complete
    return readings


def _evidence(
    event: SpeechEvent, parse: Parse | None, resolved: Resolved | None = None
) -> Evidence:
    return Evidence(
        text=event.text,
        words=event.words,
        parse_confidence=parse.confidence if parse else 0.0,
        pointed_at=resolved.pointed_at if resolved else (),
        object_candidates=_top(resolved.object if resolved else None),
        destination_candidates=_top(resolved.destination if resolved else None),
    )


def _top(result: SlotResult | None) -> tuple[Candidate, ...]:
    return result.candidates[:TOP_CANDIDATES] if result else ()
