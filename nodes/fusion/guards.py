"""What overrules what was said: a palm that was raised meanwhile, and the robot's own voice.

palm = PalmWatch(); print(palm.raised(stamp_ns), palm.overrules(began_ns))
"""

from __future__ import annotations

from collections import deque

from deixis.runtime import trace
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import Speaking, SpeechEvent

_PALM_DOWN_NS = NS_PER_S // 2
"""A palm that was not seen raised for this long has been taken down; the next one stops again."""
_ECHO_NS = 300 * NS_PER_MS
"""How long a room and the loudspeaker's buffer still sound after the voice has ended."""
_LONGEST_NS = 60 * NS_PER_S
"""A voice whose end was never reported has ended."""
_KEPT = 16


def began_ns(event: SpeechEvent) -> int:
    """When an utterance began."""
    began = next((m.time_ns for m in event.marks if m.name == trace.SPEECH_START), None)
    if began is not None:
        return began
    return event.words[0].start_ns if event.words else event.header.stamp_ns


class PalmWatch:
    """Stops once for each time a palm is raised, however long it stays up."""

    def __init__(self) -> None:
        self._seen_ns: int | None = None
        self._stopped_ns: int | None = None

    def raised(self, stamp_ns: int) -> bool:
        """A palm is up in this frame; whether it is a new one, which stops."""
        seen_ns, self._seen_ns = self._seen_ns, stamp_ns
        if seen_ns is not None and stamp_ns - seen_ns < _PALM_DOWN_NS:
            return False
        self._stopped_ns = stamp_ns
        return True

    def overrules(self, event: SpeechEvent) -> bool:
        """Whether a palm was raised since the utterance began."""
        return self._stopped_ns is not None and began_ns(event) < self._stopped_ns


class OwnVoice:
    """When the robot itself spoke: it does not take its own words for commands."""

    def __init__(self) -> None:
        self._spoken: deque[tuple[int, int]] = deque(maxlen=_KEPT)

    def hear(self, speaking: Speaking) -> None:
        """The voice begins or ends."""
        stamp_ns = speaking.header.stamp_ns
        if speaking.on:
            self._spoken.append((stamp_ns, stamp_ns + _LONGEST_NS))
        elif self._spoken:
            self._spoken[-1] = (self._spoken[-1][0], stamp_ns + _ECHO_NS)

    def overlaps(self, event: SpeechEvent) -> bool:
        """Whether it spoke while an utterance was heard; typed sentences are never heard."""
        if not any(w.end_ns > w.start_ns for w in event.words):
            return False
        first_ns, last_ns = began_ns(event), max(event.speech_end_ns, event.words[-1].end_ns)
        return any(begin < last_ns and first_ns < end for begin, end in self._spoken)
