"""Questions about the scene, answered from the scene alone."""

from __future__ import annotations

import msgspec
import pytest

from deixis.nodes.fusion import FusionNode
from deixis.nodes.fusion.describe import describe
from deixis.nodes.fusion.params import FusionParams
from deixis.nodes.fusion.relations import View
from deixis.runtime.messages import Header, RobotState
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import (
    BLUE_CUP,
    GREEN_BOX,
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

BOWL = thing("white_bowl", (0.50, 0.0, 0.03), radius=0.06)


def cup_at(x, y):
    return thing("red_cup", (x, y, 0.05))


def unknown(colour="red", position=(0.5, 0.12, 0.03)):
    thing_ = thing(f"{colour}_thing", position, radius=0.03)
    return msgspec.structs.replace(thing_, names={"cup": 0.3, "box": 0.2})


def told(what, *others, eye=None):
    return describe(what, (what, *others), View(eye), FusionParams())


@pytest.mark.parametrize(
    ("what", "others", "eye", "text"),
    [
        (cup_at(0.5, 0.2), [BOWL], None, "That is a red cup, left of the bowl."),
        (cup_at(0.5, 0.2), [BOWL], (1.2, 0.0, 0.5), "That is a red cup, right of the bowl."),
        (cup_at(0.7, 0.0), [BOWL], None, "That is a red cup, behind the bowl."),
        (cup_at(0.5, 0.12), [BOWL], None, "That is a red cup, next to the bowl."),
        (cup_at(0.5, 0.0), [BOWL], None, "That is a red cup, in the bowl."),
        (cup_at(0.3, -0.3), [GREEN_BOX], None, "That is a red cup."),
        (thing("orange_ball", (0.3, 0.3, 0.03)), [], None, "That is an orange ball."),
        (cup_at(0.5, 0.12), [thing("blue_cup", (0.5, 0.0, 0.05))], None,
         "That is a red cup, next to the blue cup."),
        (cup_at(0.5, 0.12), [thing("red_cup_2", (0.5, 0.0, 0.05))], None,
         "That is a red cup, next to another cup."),
        (unknown(), [BOWL], None,
         "I don't know what that is; it is something red next to the bowl."),
        (unknown(position=(0.3, 0.3, 0.03)), [BOWL], None,
         "I don't know what that is; it is something red."),
    ],
)  # fmt: skip
def test_sentences(what, others, eye, text):
    assert told(what, *others, eye=eye) == text


def test_a_thing_without_name_and_colour():
    nothing = msgspec.structs.replace(unknown(position=(0.3, 0.3, 0.0)), colours={})
    assert told(nothing) == "I don't know what that is."
    # A neighbour that has no name is no help either.
    assert told(cup_at(0.5, 0.0), unknown()) == "That is a red cup."


def ask(*rays, objects=TABLE, said="what is that", **slots):
    bench = NodeBench(FusionNode)
    bench.clock.advance_to(ms(1300))
    for t in range(-200, 1300, 200):
        bench.send("scene", scene(ms(t), objects))
    for pointing in rays:
        bench.send("pointing", pointing)
    heard = words(said)
    what = slot("object", said.removeprefix("what is "), heard, **slots)
    bench.send("speech", event("final", heard, parse("describe", what)))
    (resolution,) = bench.outputs["resolution"]
    return bench, resolution


def test_what_is_that_answers_and_moves_nothing():
    bench, resolution = ask(*hold(300, 1200, RED_CUP.position_base_m))
    assert resolution.outcome == "answer"
    assert resolution.answer.startswith("That is a red cup")
    assert resolution.evidence.object_candidates[0].object_id == "red_cup"
    assert not bench.outputs["command"]
    assert resolution.command is None


def test_what_was_described_is_it():
    bench, _ = ask(*hold(300, 1200, BLUE_CUP.position_base_m))
    heard = words("pick it up", 1000)
    it = slot("object", "it", heard, kind="anaphor")
    bench.send("speech", event("final", heard, parse("pick", it), utterance="u2"))
    assert bench.outputs["command"][0].object.object_id == "blue_cup"


@pytest.mark.parametrize(
    ("rays", "objects", "slots", "text"),
    [
        ([], TABLE, {}, "I did not see you point at anything."),
        (hold(300, 1200, RED_CUP.position_base_m, phase="reach"), TABLE, {},
         "Your hand did not hold still on anything."),
        (hold(300, 1200, (0.35, -0.38, 0.0), sigma_deg=1.0), TABLE, {},
         "There is nothing where you pointed."),
        (hold(300, 1200, RED_CUP.position_base_m), (), {}, "I see no objects."),
    ],
)  # fmt: skip
def test_nothing_to_describe(rays, objects, slots, text):
    bench, resolution = ask(*rays, objects=objects, **slots)
    assert (resolution.outcome, resolution.answer) == ("answer", text)
    assert not bench.outputs["command"]


def test_what_is_not_there():
    _, resolution = ask(said="what is red bottle", kind="named", noun="bottle", colour="red")
    assert (resolution.outcome, resolution.answer) == ("answer", "I see no red bottle.")


def test_two_things_under_the_hand_are_asked_about():
    twins = (thing("red_cup", (0.45, 0.02, 0.05)), thing("blue_cup", (0.45, -0.02, 0.05)))
    _, resolution = ask(*hold(300, 1200, (0.45, 0.0, 0.05)), objects=twins)
    assert resolution.outcome == "clarify"


def test_a_held_thing_that_was_never_seen():
    bench = NodeBench(FusionNode)
    state = RobotState(Header(ms(0)), "idle", (0, 0, 0), (0, 0, 0), "ghost", "ghost")
    bench.send("robot_state", state)
    heard = words("describe it")
    it = slot("object", "it", heard, kind="anaphor")
    bench.send("speech", event("final", heard, parse("describe", it)))
    (resolution,) = bench.outputs["resolution"]
    assert (resolution.outcome, resolution.reason) == ("reject", "it was never in view")
