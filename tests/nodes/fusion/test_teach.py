"""Teaching by voice, and what must not be taken for it."""

from __future__ import annotations

import msgspec
import pytest

from deixis.nodes.fusion import FusionNode
from deixis.runtime.messages import Header, Playback, Speaking
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import (
    BLUE_CUP,
    RED_CUP,
    TABLE,
    event,
    hold,
    ms,
    parse,
    scene,
    slot,
    thing,
    words,
)

UNKNOWN = msgspec.structs.replace(
    thing("red_thing", (0.45, 0.20, 0.05)), object_id="o7", names={"cup": 0.2}
)
OTHERS = TABLE[1:]


def named(name):
    return msgspec.structs.replace(UNKNOWN, names={name: 0.9})


def point(*, objects=(UNKNOWN, *OTHERS), at=UNKNOWN.position_base_m, now_ms=1300.0):
    bench = NodeBench(FusionNode)
    bench.clock.advance_to(ms(now_ms))
    for t in range(-200, int(now_ms), 200):
        bench.send("scene", scene(ms(t), objects))
    for pointing in hold(0, 800, at) if at else ():
        bench.send("pointing", pointing)
    return bench


def teach(bench, said="this is a beaker", *, name="beaker", heard=None, confidence=0.97, **given):
    spoken = words(heard or said)
    slots = [slot("object", "this", spoken)]
    at = len(spoken) - 1
    # The grammar's word, whatever was heard in its place.
    slots.append(msgspec.structs.replace(
        slot("name", spoken[at].text, spoken, kind="value"), text=name, **given))  # fmt: skip
    if "red" in said:
        slots.append(slot("colour", "red", spoken, kind="value"))
    bench.send("speech", event("final", spoken, parse("teach", *slots, confidence=confidence)))


def test_this_is_a_beaker():
    bench = point()
    teach(bench)
    (message,) = bench.outputs["teach"]
    assert (message.name, message.colour, message.object_id) == ("beaker", None, "o7")
    assert message.header.command_id == "u1"
    # Nothing is claimed before the scene shows it.
    assert not bench.outputs["resolution"]
    bench.send("scene", scene(ms(1400), (UNKNOWN, *OTHERS)))
    assert not bench.outputs["resolution"]
    bench.send("scene", scene(ms(1600), (named("beaker"), *OTHERS)))
    (resolution,) = bench.outputs["resolution"]
    assert (resolution.outcome, resolution.answer) == ("answer", "Learnt: beaker.")
    assert resolution.header.command_id == "u1"
    assert not bench.outputs["command"]
    bench.advance(3000)
    assert len(bench.outputs["resolution"]) == 1


def test_this_is_the_red_cup():
    bench = point()
    teach(bench, "this is the red mug", name="mug", value="cup")
    assert (bench.outputs["teach"][0].name, bench.outputs["teach"][0].colour) == ("cup", "red")
    bench.send("scene", scene(ms(1600), (named("cup"), *OTHERS)))
    assert bench.outputs["resolution"][0].answer == "Learnt: red cup."


def test_what_the_scene_does_not_take_up_was_not_learnt():
    bench = point()
    teach(bench)
    bench.advance(1300)
    (resolution,) = bench.outputs["resolution"]
    assert resolution.outcome == "reject"
    assert resolution.answer == "I could not learn beaker."
    assert "does not call it 'beaker'" in resolution.reason
    bench.send("scene", scene(ms(3000), (named("beaker"), *OTHERS)))
    assert len(bench.outputs["resolution"]) == 1


def test_a_second_final_teaches_nothing_again():
    bench = point()
    teach(bench)
    teach(bench)
    assert len(bench.outputs["teach"]) == 1


def test_a_known_name_is_looked_at_again():
    bench = point(objects=TABLE, at=RED_CUP.position_base_m)
    teach(bench, "this is a cup", name="cup")
    assert len(bench.outputs["teach"]) == 1
    assert bench.outputs["resolution"][0].answer.startswith("I know it as cup")


@pytest.mark.parametrize("at", [None, (0.35, -0.38, 0.0)])
def test_without_a_hand_on_an_object_it_is_other_talk(at):
    bench = point(at=at)
    teach(bench)
    (resolution,) = bench.outputs["resolution"]
    assert resolution.outcome == "reject"
    assert not resolution.question
    assert not bench.outputs["teach"]


@pytest.mark.parametrize(
    ("heard", "confidence"), [("this is a baker", 0.99), ("this is a beaker", 0.8)]
)
def test_a_name_must_be_heard_as_it_is_written(heard, confidence):
    bench = point()
    teach(bench, heard=heard, confidence=confidence)
    assert bench.outputs["resolution"][0].outcome == "reject"
    assert not bench.outputs["teach"]


def test_capitals_and_full_stops_do_not_matter():
    bench = point()
    teach(bench, heard="This is a Beaker.".replace("This", "this"))
    assert len(bench.outputs["teach"]) == 1


def test_between_two_things_it_asks():
    twins = (
        msgspec.structs.replace(BLUE_CUP, position_base_m=(0.45, 0.02, 0.05)),
        msgspec.structs.replace(RED_CUP, position_base_m=(0.45, -0.02, 0.05)),
    )
    bench = point(objects=twins, at=(0.45, 0.0, 0.05))
    teach(bench)
    assert bench.outputs["resolution"][0].outcome == "clarify"
    assert not bench.outputs["teach"]


def test_a_new_scene_forgets_lessons():
    bench = point()
    teach(bench)
    bench.send("playback", Playback(Header(ms(1350)), None, None, ms(1350), reset=True))
    assert bench.node.next_tick_ns() is None


def speaking(bench, on, at_ms):
    bench.send("speaking", Speaking(Header(ms(at_ms)), "That is a red cup.", on))


@pytest.mark.parametrize(
    ("begin_ms", "end_ms", "outcome"),
    [(-500, 100, "reject"), (500, 900, "reject"), (600, None, "reject"), (-900, -400, "answer"),
     (2000, 2500, "answer")],
)  # fmt: skip
def test_the_robots_own_words_are_no_commands(begin_ms, end_ms, outcome):
    bench = point()
    speaking(bench, True, begin_ms)
    if end_ms is not None:
        speaking(bench, False, end_ms)
    heard = words("what is that")
    bench.send("speech", event("final", heard, parse("describe", slot("object", "that", heard))))
    (resolution,) = bench.outputs["resolution"]
    assert resolution.outcome == outcome, resolution.reason


def test_a_stop_counts_while_the_robot_speaks():
    bench = point()
    speaking(bench, True, -100)
    bench.send("speech", event("final", words("stop"), parse("stop")))
    assert bench.outputs["stop"]
