"""The gate: which utterances are meant for the robot.

gate = Gate("ptt")
gate.open(press_ns - GRACE_NS, until_ns)
print(gate.admits(start_ns), gate.refusal())

An utterance is admitted by the moment at which it begins; what goes on after the gate has closed is
heard to its end. A sentence that interrupts (*stop*) is never asked for a wake word or a button.
"""

from __future__ import annotations

from typing import Final, Literal

from deixis.runtime.clock import NS_PER_MS

Mode = Literal["open", "wake", "ptt"]

GRACE_NS: Final = 300 * NS_PER_MS
"""People begin to speak a little before the button is down."""
JITTER_NS: Final = 50 * NS_PER_MS
"""The time of one sample moves a little as the clock of the device is followed."""


class Gate:
    """When someone speaks to the robot, as a span of time.

    Args:
        mode: ``open`` (always), ``wake`` (after the wake word) or ``ptt`` (while held).
        phrase: The wake word, for messages.

    Attributes:
        mode: See above.
        until_ns: It closes at this moment.
    """

    def __init__(self, mode: Mode, phrase: str = "") -> None:
        self.mode: Mode = mode
        self.until_ns = 0
        self._from_ns = 0
        self._phrase = phrase

    def open(self, from_ns: int, until_ns: int) -> None:
        """Open it for utterances that begin in a span of time.

        A span that begins before the last one is over goes on from that one.
        """
        if from_ns > self.until_ns:
            self._from_ns = from_ns
        self.until_ns = until_ns

    def close(self, until_ns: int) -> None:
        """Close it at this moment, if it is open longer."""
        self.until_ns = min(self.until_ns, until_ns)

    def prolong(self, until_ns: int) -> None:
        """Keep it open up to this moment at least."""
        self.until_ns = max(self.until_ns, until_ns)

    def admits(self, start_ns: int) -> bool:
        """Whether an utterance that began then is meant for the robot."""
        return self.mode == "open" or self._from_ns - JITTER_NS <= start_ns <= self.until_ns

    def refusal(self) -> str:
        """Why an utterance was not listened to."""
        if self.mode == "wake":
            return f"not spoken to: say {self._phrase!r} first"
        return "not spoken to: push-to-talk was not held"

    def state(self, now_ns: int) -> str:
        """What a user should know of it."""
        listening = now_ns < self.until_ns
        if self.mode == "wake":
            return "gate wake: " + ("listening" if listening else f"say {self._phrase!r}")
        return "gate ptt: " + ("held, listening" if listening else "not held")
