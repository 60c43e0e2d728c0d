"""What is measured of a command's way from sound to action; the one place that defines it.

A command collects marks (a name and a moment) on its way; stages are differences of marks.

    python -c "from deixis.runtime.trace import STAGES; print([s.name for s in STAGES])"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.messages import Mark

SPEECH_START = "speech_start"
"""Capture time of the first sample of the utterance's speech (estimate of the voice detector)."""
SPEECH_END = "speech_end"
"""Capture time of the last sample of the utterance's speech."""
ENDPOINT = "endpoint"
"""The endpoint rule fires: the audio that makes the silence long enough (a stop sure) is there."""
COMMITTED = "committed"
"""The recogniser published its final reading."""
PALM_RAISED = "palm_raised"
"""Capture time of the first frame that shows a raised palm."""
RESOLVED = "resolved"
"""Fusion published its decision."""
RECEIVED = "received"
"""The robot driver received the action."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stretch of the way, between two marks.

    Attributes:
        name: Name in tables.
        start: Mark it begins at.
        end: Mark it ends at.
        meaning: What happens in it.
    """

    name: str
    start: str
    end: str
    meaning: str


STAGES = (
    Stage("endpointing", SPEECH_END, ENDPOINT, "silence until it is over"),
    Stage("speech", ENDPOINT, COMMITTED, "last recognition"),
    Stage("fusion", COMMITTED, RESOLVED, "the decision"),
    Stage("delivery", RESOLVED, RECEIVED, "to the robot driver"),
)
END_TO_END = Stage("end_to_end", SPEECH_END, RECEIVED, "speech's last sample → driver")
PALM_STOP = Stage("palm_stop", PALM_RAISED, RECEIVED, "palm first seen raised → driver")


def with_mark(marks: Iterable[Mark], name: str, time_ns: int) -> tuple[Mark, ...]:
    """The marks with one more; a mark set again replaces the earlier one."""
    return (*(m for m in marks if m.name != name), Mark(name, time_ns))


def stages_ms(marks: Iterable[Mark]) -> dict[str, float]:
    """Milliseconds of every stage whose two marks are there, from end to end included."""
    times = {m.name: m.time_ns for m in marks}
    return {
        s.name: (times[s.end] - times[s.start]) / NS_PER_MS
        for s in (*STAGES, END_TO_END, PALM_STOP)
        if s.start in times and s.end in times
    }
