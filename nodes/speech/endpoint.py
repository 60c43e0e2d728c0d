"""When is a sentence over? A small state machine; every state has a time-out.

    python -c "from deixis.nodes.speech.endpoint import Endpointer, Limits; \
print(Endpointer(Limits()).state)"

The endpoint is semantic: after a sentence that is complete a short silence is enough, one that
could go on gets a little more, and the beginning of one waits long. Time is the capture time of the
audio, so the same audio always gives the same endpoints.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from deixis.runtime.clock import NS_PER_MS, NS_PER_S

State = Literal["idle", "speaking", "silence"]
Decision = Literal["start", "commit", "reject"]
Outlook = Literal["none", "incomplete", "doubtful", "extendable", "complete"]
"""What the grammar makes of the words so far: not a sentence, the beginning of one, what looks like
the beginning of one but may be a whole one misheard, one that could go on, one that cannot."""

_log = logging.getLogger("deixis.speech.endpoint")


@dataclass(frozen=True, slots=True)
class Limits:
    """Silences and time-outs.

    Attributes:
        complete_ms: Silence after a sentence that cannot go on.
        extendable_ms: Silence after a complete sentence that could go on.
        incomplete_ms: Silence after the beginning of a sentence: people pause for up to a second
            while they choose; then it is over and no command.
        unknown_ms: Silence after anything else: other talk, which is over and no command, and what
            looks unfinished but may be a sentence misheard, which is then taken for one.
        resume_ms: A silence shorter than this does not count: closures of plosives.
        longest_s: An utterance that goes on for longer (a radio, a monologue) is rejected.
    """

    complete_ms: float = 100.0
    extendable_ms: float = 120.0
    incomplete_ms: float = 1100.0
    unknown_ms: float = 600.0
    resume_ms: float = 30.0
    longest_s: float = 30.0

    def silence_ns(self, outlook: Outlook) -> int:
        """How long it must be silent before the utterance is over."""
        if outlook == "complete":
            return int(self.complete_ms * NS_PER_MS)
        if outlook == "extendable":
            return int(self.extendable_ms * NS_PER_MS)
        if outlook == "incomplete":
            return int(self.incomplete_ms * NS_PER_MS)
        return int(self.unknown_ms * NS_PER_MS)


class Endpointer:
    """The state machine: ``idle`` → ``speaking`` ⇄ ``silence`` → committed or rejected → ``idle``.

    Args:
        limits: Silences and time-outs.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.state: State = "idle"
        self.since_ns = 0
        self.start_ns = 0
        self.reason = ""

    def reset(self) -> None:
        """Back to idle, whatever was going on."""
        self._enter("idle", 0, "reset")

    def voice(self, now_ns: int, start_ns: int) -> Decision | None:
        """The detector hears speech.

        Args:
            now_ns: Capture time of the newest sample.
            start_ns: When the speech began.
        """
        if self.state != "idle":
            return None
        self.start_ns = start_ns
        self._enter("speaking", now_ns, "voice")
        return "start"

    def update(self, now_ns: int, speech_end_ns: int, outlook: Outlook) -> Decision | None:
        """Time has gone on.

        Args:
            now_ns: Capture time of the newest sample.
            speech_end_ns: Capture time of the last sample of speech.
            outlook: What the words up to ``speech_end_ns`` are.

        Returns:
            What to do, if anything; ``reason`` says why.
        """
        if self.state == "idle":
            return None
        silence_ns = now_ns - speech_end_ns
        silent = silence_ns >= self.limits.resume_ms * NS_PER_MS
        if self.state == "speaking" and silent:
            self._enter("silence", now_ns, f"silent for {silence_ns // NS_PER_MS} ms")
        elif self.state == "silence" and not silent:
            self._enter("speaking", now_ns, "the voice goes on")
        if self.state == "silence" and silence_ns >= self.limits.silence_ns(outlook):
            if outlook in ("complete", "extendable", "doubtful"):
                self.reason = f"{outlook} sentence, silent for {silence_ns // NS_PER_MS} ms"
                self._enter("idle", now_ns, self.reason)
                return "commit"
            self.reason = "unfinished sentence" if outlook == "incomplete" else "not a sentence"
            self._enter("idle", now_ns, self.reason)
            return "reject"
        if now_ns - self.start_ns >= self.limits.longest_s * NS_PER_S:
            self.reason = f"nothing but talk for {self.limits.longest_s:g} s"
            self._enter("idle", now_ns, self.reason)
            return "reject"
        return None

    def _enter(self, state: State, now_ns: int, why: str) -> None:
        _log.debug("%s → %s at %.3f s: %s", self.state, state, now_ns / NS_PER_S, why)
        self.state = state
        self.since_ns = now_ns
