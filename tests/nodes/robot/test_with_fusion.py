"""From words and rays to a moved object: fusion and robot together, without a bus."""

from __future__ import annotations

import pytest

from deixis.nodes.fusion import FusionNode
from deixis.nodes.robot import RobotNode
from deixis.runtime import trace
from deixis.runtime.clock import SimulatedClock
from deixis.runtime.messages import Hand, Hands, Header, decode, encode
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import (
    RED_CUP,
    T0_NS,
    event,
    hold,
    ms,
    parse,
    scene,
    slot,
    words,
)

SPOT = (0.35, -0.32, 0.0)


class Pair:
    """Both nodes on one clock; what fusion sends reaches the robot as bytes, and back."""

    def __init__(self) -> None:
        self.clock = SimulatedClock(T0_NS)
        self.fusion = NodeBench(FusionNode, clock=self.clock)
        self.robot = NodeBench(RobotNode, clock=self.clock)
        self._sent = {"command": 0, "stop": 0}

    def advance_to(self, milliseconds: float) -> None:
        while self.clock.now_ns() < ms(milliseconds):
            self.robot.advance(20)
            self.fusion.send("robot_state", self.robot.outputs["robot_state"][-1])

    def speech(self, message) -> None:
        self.give("speech", message)

    def give(self, name: str, message) -> None:
        self.fusion.send(name, decode(encode(message), type(message)))
        for output, n in self._sent.items():
            for sent in self.fusion.outputs[output][n:]:
                self.robot.send(output, decode(encode(sent), type(sent)))
            self._sent[output] = len(self.fusion.outputs[output])


def test_pick_up_that_and_put_it_there():
    pair = Pair()
    for pointing in hold(0, 800, RED_CUP.position_base_m):
        pair.fusion.send("pointing", pointing)
    heard = words("pick up that")
    pair.advance_to(850)
    pair.fusion.send("scene", scene(ms(800)))
    pair.speech(event("final", heard, parse("pick", slot("object", "that", heard)), utterance="a"))

    # The second command comes while the first is still being carried out.
    pair.advance_to(2000)
    assert pair.robot.outputs["robot_state"][-1].holding is None
    for pointing in hold(1900, 2800, SPOT):
        pair.fusion.send("pointing", pointing)
    heard = words("put it there", 2000.0)
    it = slot("object", "it", heard, kind="anaphor")
    reading = parse("place", it, slot("destination", "there", heard))
    pair.advance_to(2850)
    pair.fusion.send("scene", scene(ms(2800)))
    pair.speech(event("partial", heard, reading, utterance="b"))
    pair.speech(event("final", heard, reading, utterance="b"))
    assert [r.outcome for r in pair.fusion.outputs["resolution"]] == ["act", "act"]

    pair.advance_to(12_000)
    done = [f for f in pair.robot.outputs["feedback"] if f.state == "done"]
    assert [(f.header.command_id, f.intent, f.object_id) for f in done] == [
        ("a", "pick", "red_cup"),
        ("b", "place", "red_cup"),
    ]
    moved = pair.robot.outputs["robot_state"][-1].moved["red_cup"]
    assert moved == pytest.approx((*SPOT[:2], 0.05), abs=0.01)


def test_stop_in_mid_motion():
    pair = Pair()
    for pointing in hold(0, 800, RED_CUP.position_base_m):
        pair.fusion.send("pointing", pointing)
    pair.fusion.send("scene", scene(ms(100)))
    heard = words("pick up that")
    pair.advance_to(850)
    pair.speech(event("final", heard, parse("pick", slot("object", "that", heard)), utterance="a"))
    pair.advance_to(1300)
    assert pair.robot.outputs["robot_state"][-1].mode == "moving"
    pair.speech(event("partial", words("stop", 1200.0), parse("stop"), utterance="b"))
    halted = pair.robot.outputs["robot_state"][-1]
    pair.advance_to(3000)
    state = pair.robot.outputs["robot_state"][-1]
    assert (halted.mode, state.mode) == ("stopped", "stopped")
    assert state.gripper_base_m == halted.gripper_base_m
    assert state.holding is None


def test_a_raised_palm_in_mid_motion():
    pair = Pair()
    for pointing in hold(0, 800, RED_CUP.position_base_m):
        pair.fusion.send("pointing", pointing)
    pair.fusion.send("scene", scene(ms(100)))
    heard = words("pick up that")
    pair.advance_to(850)
    pair.speech(event("final", heard, parse("pick", slot("object", "that", heard)), utterance="a"))
    pair.advance_to(1300)
    assert pair.robot.outputs["robot_state"][-1].mode == "moving"
    points = ((0.0, 0.0),) * 21, ((0.0, 0.0, 0.0),) * 21
    palm = Hand(0, "left", 0.9, *points, gesture="palm", palm_raised_ns=ms(1240))
    pair.give("hands", Hands(Header(ms(1275)), (palm,)))
    assert pair.robot.outputs["robot_state"][-1].mode == "stopped"
    stopped = [f for f in pair.robot.outputs["feedback"] if f.state == "stopped"]
    assert [(f.intent, f.detail) for f in stopped] == [
        ("pick", "raised palm"),
        ("stop", "raised palm"),
    ]
    assert 0 < trace.stages_ms(stopped[-1].marks)["palm_stop"] < 120
