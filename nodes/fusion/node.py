"""The fusion node: speech events, rays and scenes in; commands, stops and resolutions out.

    bench = NodeBench(FusionNode); bench.send("speech", event); print(bench.outputs["resolution"])

Every utterance gets exactly one resolution. Each stable, complete partial is resolved ahead of time
(speculation), so that at the final only the decision is left; *stop* acts on the partial itself,
and a raised palm stops with nothing said. Questions about the scene are answered in the resolution,
and a name that is taught goes to the objects node.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from deixis.nodes.fusion.decision import Context, Decision, Hypothesis, command_of, decide
from deixis.nodes.fusion.describe import describe, known
from deixis.nodes.fusion.guards import OwnVoice, PalmWatch
from deixis.nodes.fusion.history import RayHistory, SceneHistory
from deixis.nodes.fusion.intents import RULES
from deixis.nodes.fusion.lessons import Lesson, Lessons, colour_of, heard_as_written, name_of
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.referents import Memory, Spoken
from deixis.nodes.fusion.reports import Reporter, evidence_of, utterance_of
from deixis.nodes.fusion.resolve import Resolver
from deixis.nodes.fusion.speculation import Speculator
from deixis.runtime import topics, trace
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import (
    Hands,
    Parse,
    Playback,
    Pointing,
    RobotState,
    Scene,
    Speaking,
    SpeechEvent,
    Teach,
)
from deixis.runtime.node import Node, NodeContext
from deixis.runtime.topics import Topic

_MAX_READINGS = 3
_HAND_SEEN_NS = NS_PER_S


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
        "speaking": topics.SPEAKING,
        "playback": topics.PLAYBACK,
    }
    optional = frozenset({"hands", "robot_state", "speaking", "playback"})
    outputs: ClassVar[Mapping[str, Topic]] = {
        "command": topics.COMMAND,
        "stop": topics.STOP,
        "resolution": topics.RESOLUTION,
        "teach": topics.TEACH,
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
        self._reporter = Reporter(self)
        self._speculator = Speculator(self._resolver, self._memory)
        self._hand_seen_ns: int | None = None
        self._palm = PalmWatch()
        self._voice = OwnVoice()
        self._lessons = Lessons()
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
        if pointing.eye_base_m is not None:
            self._memory.see_eye(pointing.eye_base_m, pointing.header.stamp_ns)

    def on_hands(self, hands: Hands) -> None:
        """Remember that a hand was in view; a raised palm stops the robot."""
        if hands.hands:
            self._hand_seen_ns = hands.header.stamp_ns
        raised = [h.palm_raised_ns for h in hands.hands if h.palm_raised_ns is not None]
        stamp_ns = hands.header.stamp_ns
        if raised and self.params.palm_stop and self._palm.raised(stamp_ns):
            self._reporter.palm_stop(min(raised), stamp_ns)

    def on_scene(self, scene: Scene) -> None:
        """Remember a scene; it may show that a name was learnt."""
        self._memory.see(scene)
        for lesson in self._lessons.learnt(scene):
            self._reporter.report(
                lesson.event,
                "answer",
                lesson.parse,
                lesson.evidence,
                answer=f"Learnt: {lesson.noun}.",
            )

    def on_robot_state(self, state: RobotState) -> None:
        """Remember what the robot holds."""
        self._memory.robot = state

    def on_playback(self, playback: Playback) -> None:
        """Forget everything when a new scene begins."""
        if not playback.reset:
            return
        self._memory.forget()
        self._speculator.clear()
        self._lessons.clear()
        self._hand_seen_ns = None
        self._palm, self._voice = PalmWatch(), OwnVoice()

    def on_speaking(self, speaking: Speaking) -> None:
        """Remember when the robot itself speaks."""
        self._voice.hear(speaking)

    def next_tick_ns(self) -> int | None:
        """When the next lesson is overdue."""
        return self._lessons.deadline_ns

    def on_tick(self) -> None:
        """Report the lessons that were not learnt."""
        for lesson in self._lessons.overdue(self.clock.now_ns()):
            self._reporter.report(
                lesson.event,
                "reject",
                lesson.parse,
                lesson.evidence,
                reason=f"not learnt: the scene does not call it {lesson.teach.name!r}",
                answer=f"I could not learn {lesson.noun}.",
            )

    def on_speech(self, event: SpeechEvent) -> None:
        """Speculate on partials, stop at once, decide at the final."""
        self._forget_people()
        if self._reporter.closed(event) or event.kind == "start":
            return
        if event.kind == "rejected":
            self._reporter.refuse(event, event.reason or "not a command")
            return
        readings = [p for p in event.parses if p.intent in RULES][:_MAX_READINGS]
        if event.kind == "partial":
            if event.stable and readings and readings[0].complete:
                self._on_stable(event, readings)
            return
        if not readings and event.parses:
            reason = f"no robot action is known for the intent {event.parses[0].intent!r}"
            self._reporter.refuse(event, reason)
        elif not readings:
            self._reporter.refuse(event, "nothing in the domain fits what was said")
        elif readings[0].intent not in self._intents:
            reason = f"the intent {readings[0].intent!r} is not enabled here"
            self._reporter.refuse(event, reason, readings[0])
        elif readings[0].intent == "stop":
            self._reporter.stop(event, readings[0])
        elif self._palm.overrules(event):
            self._reporter.refuse(event, "a palm was raised to stop", readings[0])
        elif self._voice.overlaps(event):
            reason = "the robot itself was speaking"
            self._reporter.refuse(event, reason, readings[0])
        else:
            self._decide(event, [p for p in readings if p.intent in self._intents])

    def _on_stable(self, event: SpeechEvent, readings: list[Parse]) -> None:
        best = readings[0]
        if best.intent != "stop":
            for parse in _that_may_end(readings):
                self._speculator.resolve(parse, event.words)
        elif best.confidence >= self.params.stop_confidence:
            self._reporter.stop(event, best)

    def _decide(self, event: SpeechEvent, readings: Sequence[Parse]) -> None:
        may_be = [p for p in _that_may_end(readings) if self._may_be_meant(p, event)]
        if not may_be:
            reason = "other talk? The name was not heard as it is written"
            self._reporter.refuse(event, reason, readings[0])
            return
        hypotheses = []
        for i, parse in enumerate(may_be):
            resolved, reused = self._speculator.resolve(parse, event.words)
            hypotheses.append(Hypothesis(parse, resolved))
            if i == 0:
                self.speculation_hits += reused
                self.speculation_misses += not reused
        now_ns = self.clock.now_ns()
        context = Context(
            now_ns,
            {i: thing.last_seen_ns for i, thing in self._memory.things.items()},
            self._memory.holding,
            self._hand_seen_ns is not None
            and event.speech_end_ns - self._hand_seen_ns < _HAND_SEEN_NS,
        )
        decision = decide(hypotheses, self.params, context)
        if decision.outcome == "act":
            self._act(event, decision, now_ns)
            return
        self._reporter.report(
            event,
            decision.outcome,
            decision.hypothesis.parse,
            evidence_of(event, decision.hypothesis.parse, decision.hypothesis.resolved),
            question=decision.question,
            reason=decision.reason,
            answer=decision.answer,
        )

    def _may_be_meant(self, parse: Parse, event: SpeechEvent) -> bool:
        """Whether a reading is no other talk that a name was read into."""
        if parse.intent != "teach":
            return True
        sure = parse.confidence >= self.params.teach_confidence
        return sure and heard_as_written(parse, event.words)

    def _act(self, event: SpeechEvent, decision: Decision, now_ns: int) -> None:
        """Send the command, or answer where that is what is to be done."""
        parse, resolved = decision.hypothesis.parse, decision.hypothesis.resolved
        evidence = evidence_of(event, parse, resolved)
        header = self.header(event.header.stamp_ns, utterance_of(event))
        thing = resolved.object.referent if resolved.object else None
        if thing is not None and thing.object_id is not None:
            self._memory.spoken = Spoken(thing, now_ns)
        if not RULES[parse.intent].says:
            marks = trace.with_mark(event.marks, trace.RESOLVED, now_ns)
            deadline_ns = now_ns + int(self.params.command_ttl_ms * NS_PER_MS)
            command = command_of(decision, header, deadline_ns, marks)
            self.publish("command", command)
            self._reporter.report(event, "act", parse, evidence, command=command)
            return
        seen = self._memory.things.get(thing.object_id or "") if thing else None
        if seen is None:
            self._reporter.refuse(event, "it was never in view", parse)
        elif parse.intent == "teach":
            teach = Teach(header, name_of(parse), seen.object_id, colour_of(parse))
            self.publish("teach", teach)
            if known(seen.names) == teach.name:
                answer = f"I know it as {teach.name}; I take another look at it."
                self._reporter.report(event, "answer", parse, evidence, answer=answer)
                return
            deadline_ns = now_ns + int(self.params.teach_wait_ms * NS_PER_MS)
            self._lessons.begin(Lesson(teach, event, parse, evidence, deadline_ns))
            self._reporter.close(event)
        else:
            scene, view = self._memory.scenes.newest, self._resolver.view(self._memory)
            answer = describe(seen, scene.objects if scene else (), view, self.params)
            self._reporter.report(event, "answer", parse, evidence, answer=answer)

    def _forget_people(self) -> None:
        """What was spoken of, and where the speaker was, does not count for ever."""
        memory, now_ns = self._memory, self.clock.now_ns()
        spoken = memory.spoken
        if spoken and now_ns - spoken.time_ns > self.params.last_spoken_s * NS_PER_S:
            memory.spoken = None
        if now_ns - memory.eye_seen_ns > self.params.speaker_s * NS_PER_S:
            memory.eye_base_m = None


def _that_may_end(readings: Sequence[Parse]) -> Sequence[Parse]:
    """The readings that the sentence may end with; all, if those are much less likely."""
    complete = [p for p in readings if p.complete]
    if complete and complete[0].confidence >= 0.5 * readings[0].confidence:
        return complete
    return readings
