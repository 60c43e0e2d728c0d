"""What counts as right."""

from __future__ import annotations

from pathlib import Path

import pytest

from deixis.export.bench.labels import Label, Recording
from deixis.export.bench.playing import Heard, HeardSlot, Played
from deixis.export.bench.scoring import (
    Confusion,
    Judged,
    calibration_error,
    judge,
    normal,
    slot_agrees,
    word_errors,
)

NAMES = frozenset({"object", "destination"})


def heard(
    intent: str = "pick",
    kind: str = "final",
    at_s: float = 1.1,
    utterance: str = "u1",
    confidence: float = 0.9,
    text: str = "Pick up the cup.",
    **slots: HeardSlot | str,
) -> Heard:
    filled = {
        k: s if isinstance(s, HeardSlot) else HeardSlot(s, None, None) for k, s in slots.items()
    }
    return Heard(
        utterance,
        kind,
        intent,
        filled,
        confidence,
        "",
        text,
        (),
        at_s,
        "",  # type: ignore[arg-type]
    )


def judged(label: Label, *events: Heard, end_s: float = 1.0) -> Judged:
    recording = Recording("a.wav", Path("a.wav"), label)
    return judge(recording, Played(events, 3.0, 0.1, 0.0), end_s, False, NAMES)


CUP = Label("pick", {"object": "cup"})


def test_one_command_with_intent_and_slots_is_right():
    result = judged(CUP, heard(object="cup"))
    assert result.right
    assert result.latency_ms == pytest.approx(100.0)
    assert not result.premature
    assert not result.confusions
    assert result.beliefs == ((0.9, True),)


@pytest.mark.parametrize(
    ("events", "confusion"),
    [
        ([], Confusion("intent", "pick", "rejected")),
        ([heard(kind="rejected", object="cup")], Confusion("intent", "pick", "rejected")),
        ([heard("place", object="cup")], Confusion("intent", "pick", "place")),
        ([heard(object="bowl")], Confusion("object", "cup", "bowl")),
        ([heard()], Confusion("object", "cup", "–")),
        ([heard(object="cup", destination="there")], Confusion("destination", "–", "there")),
        (
            [heard(object="cup"), heard("stop", utterance="u2")],
            Confusion("intent", "pick", "2 commands"),
        ),
    ],
)
def test_anything_else_is_wrong_and_says_why(events, confusion):
    result = judged(CUP, *events)
    assert not result.right
    assert result.confusions == (confusion,)


def test_slots_that_no_label_uses_do_not_count():
    assert judged(CUP, heard(object="cup", speed="fast")).right


def test_slots_are_compared_as_words():
    in_box = HeardSlot("box", "in", None)
    next_to = HeardSlot("red bowl", "next_to", None)
    assert normal("  The  Red   cup ") == "red cup"
    assert slot_agrees("The box", in_box)
    assert slot_agrees("in the box", in_box)
    assert slot_agrees("next to the red bowl", next_to)
    assert slot_agrees("around", HeardSlot("round", None, "around"))
    assert not slot_agrees("on box", in_box)
    assert not slot_agrees("in box", HeardSlot("box", None, None))
    assert not slot_agrees("box", None)


def test_a_commit_while_the_sentence_goes_on_is_premature_and_has_no_latency():
    early = judged(CUP, heard(object="cup", at_s=0.9))
    assert early.premature
    assert early.latency_ms is None
    assert not judged(CUP, heard(object="cup", at_s=0.96)).premature


def test_an_estimated_end_proves_nothing_against_a_command_that_is_right():
    recording = Recording("a.wav", Path("a.wav"), CUP)
    for words, premature in (("cup", False), ("bowl", True)):
        played = Played((heard(object=words, at_s=0.5),), 3.0, 0.1, 0.0)
        result = judge(recording, played, 1.0, True, NAMES)
        assert (result.premature, result.latency_ms) == (premature, None)


def test_nothing_may_be_accepted_of_other_sound():
    other = Label(None)
    assert judged(other, heard(kind="rejected", confidence=0.2)).acts == ()
    accepted = judged(other, heard(object="cup"), heard(kind="rejected", confidence=0.2))
    assert len(accepted.acts) == 1
    assert accepted.beliefs == ((0.9, False), (0.2, False))
    assert not accepted.right


def test_a_stop_counts_once_and_from_its_first_partial():
    label = Label("stop", stop_end_s=0.8)
    events = [
        heard("stop", "stop", 0.85),
        heard("stop", "stop", 0.91),
        heard("stop", "final", 1.1),
    ]
    result = judged(label, *events)
    assert result.right
    assert len(result.acts) == 1
    assert result.stop_ms == pytest.approx(50.0)
    assert result.latency_ms is None
    assert judged(label, *events, heard("stop", utterance="u2")).right
    assert not judged(label, *events, heard("pick", utterance="u2")).right
    assert judged(label).stop_ms is None


def test_word_errors_are_edits_of_words():
    assert word_errors("pick up the cup", [heard(text="Pick up the cup.")]) == (0, 4)
    assert word_errors("pick up the cup", [heard(text="pick a cup now")]) == (3, 4)
    assert word_errors("twenty cups", [heard(text="20"), heard(text="cups")]) == (0, 2)
    assert word_errors("stop", [heard(text="Stop.", kind="stop"), heard(text="Stop.")]) == (0, 1)
    assert word_errors("pick that", []) == (2, 2)


def test_calibration_error_is_what_confidence_is_off():
    assert calibration_error([]) is None
    assert calibration_error([(1.0, True), (0.0, False)]) == 0.0
    assert calibration_error([(0.75, True)] * 3 + [(0.75, False)]) == pytest.approx(0.0)
    assert calibration_error([(0.9, False), (0.9, False), (0.1, False)]) == pytest.approx(1.9 / 3)


def test_times_of_deictic_words_are_compared():
    label = Label("pick", {"object": "that"}, words=(("pick", 0.1, 0.3), ("that", 0.5, 0.8)))
    words = (("Pick", 0.1, 0.3, 1.0), ("up", 0.3, 0.4, 1.0), ("that.", 0.45, 0.85, 1.0))
    event = Heard(
        "u", "final", "pick", {"object": HeardSlot("that", None, None)}, 0.9, "", "", words, 1.1, ""
    )
    ((start_ms, end_ms),) = judged(label, event).times_ms
    assert start_ms == pytest.approx(-50.0)
    assert end_ms == pytest.approx(50.0)
