"""What fusion reports: one resolution for every utterance, with the evidence that it rests on.

reporter = Reporter(node)
reporter.refuse(event, "not a command")
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

from deixis.nodes.fusion.referents import Resolved, SlotResult
from deixis.runtime import trace
from deixis.runtime.messages import (
    Candidate,
    Command,
    Evidence,
    Mark,
    Parse,
    Resolution,
    SpeechEvent,
    Stop,
)
from deixis.runtime.node import Node

Outcome = Literal["act", "stop", "clarify", "answer", "reject"]

_MAX_UTTERANCES = 256
_TOP_CANDIDATES = 5


class Reporter:
    """Publishes resolutions and stops, and remembers which utterances are closed.

    Args:
        node: The node that publishes them, on ``resolution`` and ``stop``.
    """

    def __init__(self, node: Node[Any]) -> None:
        self._node = node
        self._closed: OrderedDict[str, None] = OrderedDict()

    def closed(self, event: SpeechEvent) -> bool:
        """Whether nothing more may come of an utterance."""
        return utterance_of(event) in self._closed

    def close(self, event: SpeechEvent) -> None:
        """Nothing more may come of an utterance."""
        self._closed[utterance_of(event)] = None
        while len(self._closed) > _MAX_UTTERANCES:
            self._closed.popitem(last=False)

    def report(
        self,
        event: SpeechEvent,
        outcome: Outcome,
        parse: Parse | None,
        evidence: Evidence,
        *,
        command: Command | None = None,
        question: str = "",
        reason: str = "",
        answer: str = "",
    ) -> None:
        """Publish what was decided about an utterance, and close it."""
        resolution = Resolution(
            self._node.header(event.header.stamp_ns, utterance_of(event)),
            outcome=outcome,
            intent=parse.intent if parse else None,
            command=command,
            question=question,
            reason=reason,
            evidence=evidence,
            marks=command.marks if command else self._resolved(event.marks),
            answer=answer,
        )
        self._node.publish("resolution", resolution)
        self.close(event)

    def refuse(self, event: SpeechEvent, reason: str, parse: Parse | None = None) -> None:
        """Nothing is done about an utterance."""
        self.report(event, "reject", parse, evidence_of(event, parse), reason=reason)

    def stop(self, event: SpeechEvent, parse: Parse) -> None:
        """Somebody said so."""
        header = self._node.header(event.header.stamp_ns, utterance_of(event))
        reason = f"said “{event.text or parse.text}”"
        self._node.publish("stop", Stop(header, reason=reason, marks=self._resolved(event.marks)))
        self.report(event, "stop", parse, evidence_of(event, parse))

    def palm_stop(self, raised_ns: int, stamp_ns: int) -> None:
        """A palm was raised, with nothing said.

        Args:
            raised_ns: When it was up first.
            stamp_ns: Capture time of the frame that made it sure.
        """
        marks = self._resolved((Mark(trace.PALM_RAISED, raised_ns),))
        header = self._node.header(stamp_ns, f"palm-{raised_ns}")
        self._node.publish("stop", Stop(header, reason="raised palm", marks=marks))
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
        self._node.publish("resolution", resolution)

    def _resolved(self, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
        return trace.with_mark(marks, trace.RESOLVED, self._node.clock.now_ns())


def utterance_of(event: SpeechEvent) -> str:
    """Id of an utterance."""
    return event.header.command_id or f"utterance-{event.header.stamp_ns}"


def evidence_of(
    event: SpeechEvent, parse: Parse | None, resolved: Resolved | None = None
) -> Evidence:
    """Why an utterance was understood as it was."""
    return Evidence(
        text=event.text,
        words=event.words,
        parse_confidence=parse.confidence if parse else 0.0,
        pointed_at=resolved.pointed_at if resolved else (),
        object_candidates=_top(resolved.object if resolved else None),
        destination_candidates=_top(resolved.destination if resolved else None),
    )


def _top(result: SlotResult | None) -> tuple[Candidate, ...]:
    return result.candidates[:_TOP_CANDIDATES] if result else ()
