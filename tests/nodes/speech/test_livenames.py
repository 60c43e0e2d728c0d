"""Objects of the scene can be named: from the scene through speech to fusion."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from deixis.nodes.fusion.node import FusionNode
from deixis.nodes.speech.grammar import Grammar, open_grammar
from deixis.nodes.speech.livenames import MAX_NAMES, PERSISTS, LiveNames
from deixis.nodes.speech.node import SpeechNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.messages import Header, Scene, SceneObject, SpeechEvent, TypedCommand
from deixis.runtime.testing import NodeBench

from .helpers import ended, play

# tests.scenes.speech.Voice().say("pick up the stapler", "dan"), scaled to 0.3.
SOUND = Path(__file__).parent / "audio" / "pick_up_the_stapler.flac"


def scene(*names: str, stamp_ns: int = 0, probability: float = 0.9) -> Scene:
    objects = [
        SceneObject(
            object_id=f"o{number}",
            names={name: probability},
            colours={"blue": 0.9},
            box_px=(0.0, 0.0, 10.0, 10.0),
            position_base_m=(0.4, 0.1 * number, 0.02),
            position_cov_m2=(1e-4, 0.0, 0.0, 0.0, 1e-4, 0.0, 0.0, 0.0, 1e-4),
            radius_m=0.03,
            confidence=0.95,
            last_seen_ns=stamp_ns,
        )
        for number, name in enumerate(names)
    ]
    return Scene(Header(stamp_ns), tuple(objects))


def settled(names: LiveNames) -> Grammar | None:
    """Wait for the thread."""
    deadline = time.monotonic() + 10
    while names._compiling is not None and time.monotonic() < deadline:
        if (grammar := names.compiled()) is not None:
            return grammar
        time.sleep(0.01)
    return None


@pytest.fixture
def names() -> Iterator[LiveNames]:
    names = LiveNames(open_grammar("tabletop"))
    yield names
    names.close()


def test_names_that_stay_are_compiled(names: LiveNames) -> None:
    for _ in range(PERSISTS - 1):
        names.see(scene("stapler"))
    # A name that flickers does not count.
    names.see(scene())
    names.see(scene("stapler"))
    assert settled(names) is None
    for _ in range(PERSISTS):
        names.see(scene("stapler", "cup"))
    grammar = settled(names)
    assert grammar is not None
    assert grammar.domain.names == ("stapler",)
    assert "stapler" in grammar.graph.words
    # Nothing new, nothing to do; a name whose object is gone stays.
    for _ in range(PERSISTS):
        names.see(scene("stapler", "cup"))
    assert settled(names) is None
    for _ in range(PERSISTS):
        names.see(scene("tape dispenser"))
    grammar = settled(names)
    assert grammar is not None
    assert set(grammar.domain.names) == {"stapler", "tape dispenser"}


def test_what_can_be_said_already_is_not_compiled_again(names: LiveNames) -> None:
    for _ in range(PERSISTS):
        names.see(scene("cup", "mug", "!?"))
    assert settled(names) is None


def test_doubtful_names_do_not_count(names: LiveNames) -> None:
    for _ in range(PERSISTS):
        names.see(scene("stapler", probability=0.3))
    assert settled(names) is None


def test_the_number_of_names_is_bounded(names: LiveNames) -> None:
    for number in range(MAX_NAMES + 20):
        for _ in range(PERSISTS):
            names.see(scene("x" * (2 + number)))
    assert len(names._wanted) == MAX_NAMES


def test_an_object_is_picked_by_its_own_name(bundle: Bundle) -> None:
    samples, _ = soundfile.read(SOUND, dtype="float32")
    quiet = np.zeros(16_000, np.float32)
    samples = np.concatenate([quiet, samples, quiet])

    def typed(bench: NodeBench) -> SpeechEvent:
        header = Header(bench.clock.now_ns(), command_id=f"c-{bench.clock.now_ns()}")
        bench.send("typed", TypedCommand(header, "pick up the stapler"))
        event: SpeechEvent = bench.outputs["speech"][-1]
        return event

    with NodeBench(SpeechNode, bundle=bundle) as bench, NodeBench(FusionNode) as fusion:
        # Unknown: neither typed nor spoken.
        assert typed(bench).kind == "rejected"
        _, events = play(bench, samples, "before")
        assert ended(events)[-1].kind == "rejected"
        # It lies on the table, and a first utterance is already going on: it is not disturbed.
        play(bench, samples[:24_000], "meanwhile")
        deadline = time.monotonic() + 10
        while bench.node._grammar.domain.names != ("stapler",) and time.monotonic() < deadline:
            bench.send("scene", scene("cup", "stapler", "box", stamp_ns=bench.clock.now_ns()))
            time.sleep(0.02)
        _, events = play(bench, samples[24_000:], "meanwhile")
        assert ended(events)[-1].kind == "rejected"
        # Now it can be said.
        written = typed(bench)
        _, events = play(bench, samples, "after")
        spoken = ended(events)[-1]
        for event in (written, spoken):
            assert event.kind == "final"
            assert event.parses[0].intent == "pick"
            slot = event.parses[0].slot("object")
            assert slot is not None
            assert (slot.kind, slot.noun) == ("named", "stapler")
        # And fusion finds it.
        fusion.clock.advance_to(spoken.speech_end_ns + 100 * NS_PER_MS)
        fusion.send("scene", scene("cup", "stapler", "box", stamp_ns=spoken.speech_end_ns))
        fusion.send("speech", spoken)
        resolution = fusion.outputs["resolution"][-1]
        assert resolution.outcome == "act", resolution
        assert resolution.command.object.object_id == "o1"
