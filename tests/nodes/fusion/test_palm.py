"""A raised palm stops the robot, once, and what was being said with it."""

from __future__ import annotations

import pytest

from deixis.nodes.fusion import FusionNode
from deixis.runtime import trace
from deixis.runtime.messages import Hand, Hands, Header, Mark, Playback
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import RED_CUP, TABLE, event, hold, ms, parse, scene, slot, words

FRAME_MS = 1000 / 30
POINTS = ((0.0, 0.0),) * 21, ((0.0, 0.0, 0.0),) * 21


def hands(at_ms, *raised_ms):
    """A frame with a hand for each entry: when its palm was raised, None for not."""
    seen = tuple(
        Hand(k, "right", 0.9, *POINTS, palm_raised_ns=None if t is None else ms(t))
        for k, t in enumerate(raised_ms)
    )
    return Hands(Header(ms(at_ms)), seen)


def bench_of(**params):
    bench = NodeBench(FusionNode, params)
    bench.clock.advance_to(ms(1300))
    return bench


def show(bench, from_ms, to_ms, raised_ms):
    for k in range(int((to_ms - from_ms) / FRAME_MS)):
        bench.send("hands", hands(from_ms + k * FRAME_MS, raised_ms))


def pick_that(from_ms, said="pick up that"):
    heard = words(said, from_ms)
    return heard, parse("pick", slot("object", "that", heard))


def test_one_stop_for_each_time_a_palm_is_raised():
    bench = bench_of()
    show(bench, 500, 900, None)
    assert not bench.outputs["stop"]
    show(bench, 900, 3000, 867)
    (stop,) = bench.outputs["stop"]
    assert stop.reason == "raised palm"
    assert {m.name: m.time_ns for m in stop.marks} == {
        trace.PALM_RAISED: ms(867), trace.RESOLVED: bench.clock.now_ns(),
    }  # fmt: skip
    (resolution,) = bench.outputs["resolution"]
    assert (resolution.outcome, resolution.intent) == ("stop", "stop")
    assert resolution.header.command_id == stop.header.command_id
    # Taken down for a moment only, or found again as another hand: the same raising.
    show(bench, 3000, 3300, None)
    bench.send("hands", hands(3300, None, 3267))
    assert len(bench.outputs["stop"]) == 1
    show(bench, 3400, 4000, None)
    show(bench, 4000, 4200, 3967)
    assert len(bench.outputs["stop"]) == 2
    assert len({s.header.command_id for s in bench.outputs["stop"]}) == 2


def test_two_palms_are_one_stop():
    bench = bench_of()
    bench.send("hands", hands(600, 580, 560))
    bench.send("hands", hands(633, 580, 560))
    (stop,) = bench.outputs["stop"]
    assert stop.marks[0] == Mark(trace.PALM_RAISED, ms(560))


def test_what_was_being_said_is_given_up():
    bench = bench_of()
    bench.send("scene", scene(ms(500), TABLE))
    for ray in hold(300, 1200, RED_CUP.position_base_m):
        bench.send("pointing", ray)
    heard, reading = pick_that(300)
    bench.send("speech", event("partial", heard, reading))
    show(bench, 900, 1000, 867)
    bench.send("speech", event("final", heard, reading))
    assert not bench.outputs["command"]
    stop, rejected = bench.outputs["resolution"]
    assert (stop.outcome, rejected.outcome) == ("stop", "reject")
    assert "palm" in rejected.reason
    # What is said afterwards counts.
    heard, reading = pick_that(1100)
    for ray in hold(1200, 2000, RED_CUP.position_base_m):
        bench.send("pointing", ray)
    bench.send("scene", scene(ms(1900), TABLE))
    bench.clock.advance_to(ms(2000))
    bench.send("speech", event("final", heard, reading, utterance="u2"))
    assert len(bench.outputs["command"]) == 1


def test_the_utterance_begins_with_its_first_sound():
    bench = bench_of()
    show(bench, 900, 1000, 867)
    heard, reading = pick_that(1100)
    marks = (Mark(trace.SPEECH_START, ms(850)),)
    bench.send("speech", event("final", heard, reading, marks=marks))
    assert bench.outputs["resolution"][-1].outcome == "reject"


def test_a_spoken_stop_still_stops():
    bench = bench_of()
    heard = words("stop", 800)
    show(bench, 900, 1000, 867)
    bench.send("speech", event("partial", heard, parse("stop")))
    assert len(bench.outputs["stop"]) == 2


@pytest.mark.parametrize("how", ["parameter", "playback"])
def test_it_can_be_switched_off_and_forgets(how):
    bench = bench_of(palm_stop=how != "parameter")
    show(bench, 900, 1000, 867)
    assert len(bench.outputs["stop"]) == (how == "playback")
    bench.send("playback", Playback(Header(ms(1000)), None, None, ms(1000), reset=True))
    show(bench, 1100, 1200, 1080)
    assert len(bench.outputs["stop"]) == 2 * (how == "playback")
