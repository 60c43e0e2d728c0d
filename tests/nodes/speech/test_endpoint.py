"""The endpoint state machine: semantic silences, and a time-out for every state."""

from __future__ import annotations

import pytest

from deixis.nodes.speech.endpoint import Decision, Endpointer, Limits, Outlook
from deixis.runtime.clock import NS_PER_MS

LIMITS = Limits(complete_ms=90, extendable_ms=140, incomplete_ms=900, unknown_ms=600, longest_s=5)


def silence_until_decision(outlook: Outlook) -> tuple[Decision, float]:
    """Speak for a second, then be silent; the decision and the silence it took (20 ms steps)."""
    endpointer = Endpointer(LIMITS)
    assert endpointer.voice(0, 0) == "start"
    for ms in range(0, 3000, 20):
        decision = endpointer.update(ms * NS_PER_MS, min(ms, 1000) * NS_PER_MS, outlook)
        if decision is not None:
            assert endpointer.state == "idle"
            return decision, ms - 1000
    raise AssertionError("no decision")


@pytest.mark.parametrize(
    ("outlook", "decision", "limit_ms"),
    [
        ("complete", "commit", 90),
        ("extendable", "commit", 140),
        ("doubtful", "commit", 600),
        ("incomplete", "reject", 900),
        ("none", "reject", 600),
    ],
)
def test_silence_depends_on_the_sentence(
    outlook: Outlook, decision: Decision, limit_ms: float
) -> None:
    made, silence_ms = silence_until_decision(outlook)
    assert made == decision
    assert limit_ms <= silence_ms < limit_ms + 20


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    endpointer = Endpointer(LIMITS)
    endpointer.voice(0, 0)
    spoken_until = 0
    for ms in range(0, 1500, 20):
        # "put that …" (400 ms of silence) "… in the box"
        speaking = ms < 500 or ms >= 900
        spoken_until = ms if speaking else spoken_until
        outlook: Outlook = "incomplete" if ms < 1400 else "complete"
        assert endpointer.update(ms * NS_PER_MS, spoken_until * NS_PER_MS, outlook) is None
        if ms in (480, 700, 1000):
            assert endpointer.state == ("silence" if ms == 700 else "speaking")


def test_endless_talk_is_rejected() -> None:
    endpointer = Endpointer(LIMITS)
    endpointer.voice(0, 0)
    decisions = [
        endpointer.update(ms * NS_PER_MS, ms * NS_PER_MS, "incomplete") for ms in range(0, 5100, 20)
    ]
    assert decisions.index("reject") * 20 == 5000
    assert "5 s" in endpointer.reason


def test_idle_stays_idle_without_a_voice() -> None:
    endpointer = Endpointer(LIMITS)
    assert endpointer.update(10**12, 0, "complete") is None
    assert endpointer.state == "idle"
    endpointer.voice(0, 0)
    assert endpointer.voice(1, 1) is None
    endpointer.reset()
    assert endpointer.state == "idle"
