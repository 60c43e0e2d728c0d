from __future__ import annotations

import math
from itertools import pairwise

import pytest

from deixis.nodes.robot import RobotNode
from deixis.runtime import trace
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import Header, Playback, Referent
from deixis.runtime.testing import NodeBench
from tests.nodes.robot.helpers import (
    BLUE_BOWL,
    PERSON,
    RED_CUP,
    SPOT,
    beat,
    command,
    do,
    last,
    now,
    states,
    stop,
)


@pytest.fixture
def bench():
    with NodeBench(RobotNode) as bench:
        yield bench


# --- actions ----------------------------------------------------------------------------------


def test_pick_is_accepted_at_once_runs_and_ends_holding(bench):
    received_ns = bench.clock.now_ns()
    do(bench, "pick", object=RED_CUP)
    (accepted,) = bench.outputs["feedback"]
    assert accepted.state == "accepted"
    assert accepted.received_ns == received_ns
    assert {m.name: m.time_ns for m in accepted.marks} == {
        trace.RESOLVED: received_ns,
        trace.RECEIVED: received_ns,
    }
    bench.advance(5000)
    assert states(bench) == ["accepted", "running", "done"]
    assert last(bench).progress == 1.0
    assert last(bench).object_id == "red_cup"
    assert last(bench).marks == accepted.marks
    state = now(bench)
    assert (state.holding, state.holding_label, state.mode) == ("red_cup", "red cup", "idle")
    assert state.gripper_base_m[2] > RED_CUP.position_base_m[2]


def test_it_takes_time_and_keeps_its_speed(bench):
    do(bench, "pick", object=RED_CUP)
    bench.advance(5000)
    running = [s for s in bench.outputs["robot_state"] if s.mode == "moving"]
    assert len(running) >= 20
    for a, b in pairwise(running):
        dt_s = (b.header.stamp_ns - a.header.stamp_ns) / 1e9
        if dt_s > 0:
            assert math.dist(a.gripper_base_m, b.gripper_base_m) / dt_s <= 0.6 * 1.05
    stamps = [s.header.stamp_ns for s in bench.outputs["robot_state"]]
    assert 90 <= len(stamps) <= 110
    progress = [f for f in bench.outputs["feedback"] if f.state == "running"]
    assert [f.progress for f in progress] == sorted(f.progress for f in progress)
    assert all(b.header.stamp_ns - a.header.stamp_ns >= 199e6 for a, b in pairwise(progress))


def test_place_moves_what_was_picked(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    bench.advance(10_000)
    assert states(bench, "c2") == ["accepted", "running", "done"]
    state = now(bench)
    assert state.holding is None
    assert state.moved["red_cup"] == pytest.approx((0.35, -0.05, 0.05))
    assert last(bench, "c2").position_base_m == pytest.approx((0.35, -0.05, 0.05))


def test_place_picks_first_when_nothing_is_held(bench):
    do(bench, "place", object=RED_CUP, destination=SPOT)
    bench.advance(8000)
    assert states(bench)[-1] == "done"
    assert now(bench).moved["red_cup"] == pytest.approx((0.35, -0.05, 0.05))


@pytest.mark.parametrize(("relation", "expected_z"), [("in", 0.05), ("on", 0.11)])
def test_place_in_and_on(bench, relation, expected_z):
    bowl = Referent("object", "blue bowl", 0.9, "blue_bowl", (0.40, -0.20, 0.03), relation)
    do(bench, "place", object=RED_CUP, destination=bowl)
    bench.advance(8000)
    assert now(bench).moved["red_cup"] == pytest.approx((0.40, -0.20, expected_z))


def beside_the_bowl(place_base_m):
    return Referent(
        "object", "blue bowl", 0.9, "blue_bowl", (0.40, -0.20, 0.03), "left_of", place_base_m
    )


def test_place_at_the_spot_that_the_command_says(bench):
    do(bench, "place", object=RED_CUP, destination=beside_the_bowl((0.40, -0.05, 0.02)))
    bench.advance(8000)
    assert now(bench).moved["red_cup"] == pytest.approx((0.40, -0.05, 0.07))
    assert bench.outputs["feedback"][-1].detail == "put the red cup left of the blue bowl"


def test_a_spot_beside_a_thing_moves_with_it(bench):
    bowl = Referent("object", "blue bowl", 0.9, "blue_bowl", (0.40, -0.20, 0.03))
    do(bench, "place", "c1", object=bowl, destination=SPOT)
    do(bench, "place", "c2", object=RED_CUP, destination=beside_the_bowl((0.40, -0.05, 0.0)))
    bench.advance(16_000)
    (bx, by, _), cup = now(bench).moved["blue_bowl"], now(bench).moved["red_cup"]
    assert cup == pytest.approx((bx, by + 0.15, 0.05))


def test_beside_a_thing_is_not_guessed(bench):
    do(bench, "place", object=RED_CUP, destination=beside_the_bowl(None))
    bench.advance(8000)
    assert states(bench)[-1] == "failed"
    assert "does not say where left of the blue bowl" in bench.outputs["feedback"][-1].detail


@pytest.mark.parametrize("destination", [None, PERSON])
def test_bring_hands_it_over(bench, destination):
    do(bench, "bring", object=RED_CUP, destination=destination)
    bench.advance(8000)
    assert states(bench)[-1] == "done"
    assert now(bench).moved["red_cup"] == pytest.approx((0.75, 0.0, 0.25))
    assert now(bench).holding is None


def test_what_the_robot_moved_is_where_it_put_it(bench):
    # No camera sees a simulation: the next command may still carry the old position.
    do(bench, "place", "c1", object=RED_CUP, destination=SPOT)
    do(bench, "pick", "c2", object=RED_CUP)
    bench.advance(12_000)
    assert now(bench).gripper_base_m[:2] == pytest.approx((0.35, -0.05))


def test_release_sets_down_what_is_held(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    do(bench, "release", "c2")
    bench.advance(8000)
    assert states(bench, "c2")[-1] == "done"
    assert now(bench).moved["red_cup"] == pytest.approx((0.45, 0.20, 0.05))


@pytest.mark.parametrize("intent", ["open", "close", "switch_on", "switch_off", "look"])
def test_the_other_intents_on_objects(bench, intent):
    do(bench, intent, object=RED_CUP)
    bench.advance(6000)
    assert states(bench) == ["accepted", "running", "done"]
    assert "red cup" in last(bench).detail


@pytest.mark.parametrize(
    ("side", "yaw"), [("left", math.pi / 2), ("right", -math.pi / 2), ("around", math.pi)]
)
def test_turn(bench, side, yaw):
    do(bench, "turn", side=side)
    bench.advance(6000)
    assert math.cos(now(bench).pose_world[2] - yaw) == pytest.approx(1.0)


def test_go_drives_there_and_objects_stay_where_they_are(bench):
    do(bench, "place", "c1", object=RED_CUP, destination=SPOT)
    do(bench, "go", "c2", destination=Referent("place", "there", 0.9, None, (1.0, 1.0, 0.0)))
    bench.advance(15_000)
    state = now(bench)
    assert state.pose_world == pytest.approx((1.0, 1.0, math.pi / 4))
    away = math.dist(state.moved["red_cup"][:2], (0.0, 0.0))
    assert away == pytest.approx(math.dist((0.35, -0.05), (1.0, 1.0)))


@pytest.mark.parametrize("intent", ["go", "follow"])
def test_coming_to_the_person_keeps_a_distance(bench, intent):
    do(bench, intent, destination=PERSON if intent == "go" else None)
    bench.advance(6000)
    assert states(bench)[-1] == "done"
    assert now(bench).pose_world[0] == pytest.approx(0.35)


def test_what_cannot_be_done_fails_with_the_reason(bench):
    do(bench, "release", "c1")
    do(bench, "pick", "c2", object=RED_CUP)
    do(bench, "pick", "c3", object=BLUE_BOWL)
    do(bench, "place", "c4", object=Referent("object", "it", 0.9, "ghost"), destination=SPOT)
    do(bench, "turn", "c5", side="sideways")
    bench.advance(8000)
    assert (states(bench, "c1"), last(bench, "c1").detail) == (
        ["accepted", "failed"],
        "the gripper is empty",
    )
    assert "holds the red cup" in last(bench, "c3").detail
    assert "not known where" in last(bench, "c4").detail
    assert "sideways" in last(bench, "c5").detail


# --- once, in time, within limits -------------------------------------------------------------


def test_a_repeated_delivery_is_ignored(bench):
    delivered = command(bench, "pick", object=RED_CUP)
    for _ in range(3):
        bench.send("command", delivered)
    bench.advance(5000)
    bench.send("command", delivered)
    bench.advance(100)
    assert [f.state for f in bench.outputs["feedback"]].count("accepted") == 1
    assert states(bench) == ["accepted", "running", "done"]


def test_ids_are_forgotten_only_after_256(bench):
    for i in range(256):
        do(bench, "yes", f"y{i}")
    do(bench, "yes", "y0")
    assert [f.state for f in bench.outputs["feedback"]].count("accepted") == 256
    do(bench, "yes", "z")
    do(bench, "yes", "y0")
    assert [f.state for f in bench.outputs["feedback"]].count("accepted") == 258


def test_a_command_without_an_id_is_refused(bench):
    do(bench, "pick", "", object=RED_CUP)
    assert last(bench, "").state == "refused"


def test_too_late_is_refused(bench):
    late = command(bench, "pick", object=RED_CUP)
    bench.advance(1042)
    bench.send("command", late)
    assert (last(bench).state, last(bench).detail) == ("refused", "too late by 42 ms")
    bench.advance(1000)
    assert now(bench).mode == "idle"


@pytest.mark.parametrize(
    ("kwargs", "limit"),
    [
        ({"intent": "pick", "object": Referent("object", "far cup", 0.9, "far", (3.0, 0.0, 0.0))},
         "limit reach: far cup is at x=3.00 m"),
        ({"intent": "place", "object": RED_CUP,
          "destination": Referent("place", "there", 0.9, None, (0.4, -2.0, 0.0))},
         "limit reach: there is at y=-2.00 m"),
        ({"intent": "go", "destination": Referent("place", "there", 0.9, None, (40.0, 0.0, 0.0))},
         "limit drive_m"),
        ({"intent": "pick", "object": Referent("object", "cup", 0.9, "cup", (math.nan, 0.0, 0.0))},
         "finite"),
        ({"intent": "dance"}, "limit intents"),
    ],
)  # fmt: skip
def test_limits_are_refused_by_name(bench, kwargs, limit):
    do(bench, **kwargs)
    bench.advance(500)
    assert states(bench) == ["refused"]
    assert limit in last(bench).detail


def test_the_allow_list_and_the_box_are_parameters():
    limits = {"intents": ["go"], "reach_max_base_m": [0.3, 0.3, 0.3]}
    bench = NodeBench(RobotNode, {"limits": limits})
    do(bench, "pick", object=RED_CUP)
    assert "limit intents" in last(bench).detail


def test_the_queue_is_in_order_and_has_a_limit():
    bench = NodeBench(RobotNode, {"queue_depth": 2})
    for i in range(4):
        do(bench, "look", f"c{i}", object=RED_CUP)
        if i == 0:
            bench.advance(20)
    assert "limit queue_depth" in last(bench, "c3").detail
    assert now(bench).queue == ("c0", "c1", "c2")
    bench.advance(3000)
    done = [f.header.command_id for f in bench.outputs["feedback"] if f.state == "done"]
    assert done == ["c0", "c1", "c2"]


def test_a_driver_that_is_too_fast_is_stopped():
    params = {"driver_params": {"speed_m_s": 2.0, "acceleration_m_s2": 50.0}}
    bench = NodeBench(RobotNode, params)
    do(bench, "pick", object=RED_CUP)
    bench.advance(3000)
    assert last(bench).state == "failed"
    assert "limit speed_m_s" in last(bench).detail


@pytest.mark.parametrize("driver", ["nonsense", "no.such:Thing", "builtins:dict"])
def test_a_wrong_driver_is_an_error(driver):
    with pytest.raises(ConfigError, match="driver"):
        NodeBench(RobotNode, {"driver": driver})


def test_an_unknown_driver_parameter_is_an_error():
    with pytest.raises(ConfigError, match="did you mean 'speed_m_s'"):
        NodeBench(RobotNode, {"driver_params": {"sped_m_s": 1.0}})


# --- stop, pause, cancel ----------------------------------------------------------------------


def test_stop_halts_within_one_control_period_and_empties_the_queue(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    bench.advance(400)
    moving = bench.outputs["robot_state"][-1]
    assert moving.mode == "moving"
    stop(bench)
    halted = bench.outputs["robot_state"][-1]
    assert math.dist(halted.gripper_base_m, moving.gripper_base_m) <= 0.6 * 0.05
    bench.advance(1000)
    state = now(bench)
    assert state.gripper_base_m == halted.gripper_base_m
    assert (state.mode, state.queue) == ("stopped", ())
    assert states(bench, "c1")[-1] == states(bench, "c2")[-1] == "stopped"
    answer = last(bench, "s1")
    assert (answer.state, answer.intent) == ("stopped", "stop")
    assert [m.name for m in answer.marks] == [trace.RECEIVED]


def test_a_stop_keeps_the_gripper_closed_and_a_new_command_is_accepted(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    while not bench.outputs["robot_state"] or bench.outputs["robot_state"][-1].holding is None:
        bench.advance(20)
    bench.advance(500)
    stop(bench)
    assert now(bench).holding == "red_cup"
    do(bench, "place", "c3", object=RED_CUP, destination=SPOT)
    bench.advance(5000)
    assert states(bench, "c3") == ["accepted", "running", "done"]
    assert now(bench).mode == "idle"


def test_stop_comes_before_commands(bench):
    assert bench.node.priority[0] == "stop"


def test_pause_holds_still_and_resume_goes_on(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    bench.advance(400)
    do(bench, "pause", "p")
    held = bench.outputs["robot_state"][-1]
    bench.advance(1000)
    state = now(bench)
    assert state.gripper_base_m == held.gripper_base_m
    assert (state.mode, state.queue) == ("paused", ("c1",))
    do(bench, "resume", "r")
    bench.advance(5000)
    assert states(bench, "c1") == ["accepted", "running", "done"]
    assert states(bench, "p") == states(bench, "r") == ["accepted", "done"]
    assert now(bench).holding == "red_cup"


def test_a_stop_while_paused_does_not_stay_paused(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    bench.advance(200)
    do(bench, "pause", "p")
    stop(bench)
    do(bench, "look", "c2", object=RED_CUP)
    bench.advance(1000)
    assert states(bench, "c2")[-1] == "done"


def test_cancel_gives_up_the_last_command_first(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    bench.advance(200)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    do(bench, "cancel", "x1")
    assert states(bench, "c2") == ["accepted", "cancelled"]
    do(bench, "cancel", "x2")
    assert states(bench, "c1")[-1] == "cancelled"
    halted = now(bench).gripper_base_m
    bench.advance(500)
    assert now(bench).gripper_base_m == halted
    assert now(bench).mode == "idle"
    do(bench, "cancel", "x3")
    assert last(bench, "x3").detail == "there is nothing to cancel"


# --- heartbeat --------------------------------------------------------------------------------


def test_it_stops_by_itself_when_heartbeats_cease(bench):
    beat(bench)
    do(bench, "pick", "c1", object=RED_CUP)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    for _ in range(8):
        bench.advance(50)
        beat(bench)
    silent_ns = bench.clock.now_ns()
    bench.advance(2000)
    for name in ("c1", "c2"):
        stopped = last(bench, name)
        assert (stopped.state, stopped.detail) == ("stopped", "the heartbeat is missing")
        assert 250 <= (stopped.header.stamp_ns - silent_ns) / 1e6 <= 270 + 1
    assert now(bench).mode == "stopped"
    do(bench, "pick", "c3", object=RED_CUP)
    assert (last(bench, "c3").state, last(bench, "c3").detail) == (
        "refused",
        "the heartbeat is missing",
    )
    assert "heartbeat" in bench.node.context.notes
    beat(bench)
    do(bench, "look", "c4", object=RED_CUP)
    assert last(bench, "c4").state == "accepted"
    assert "heartbeat" not in bench.node.context.notes


def test_without_a_daemon_there_is_no_heartbeat_to_miss(bench):
    do(bench, "pick", object=RED_CUP)
    bench.advance(5000)
    assert states(bench)[-1] == "done"


def test_a_new_scene_starts_at_home(bench):
    do(bench, "pick", "c1", object=RED_CUP)
    bench.advance(5000)
    do(bench, "place", "c2", object=RED_CUP, destination=SPOT)
    bench.send("playback", Playback(Header(0), None, None, 0, reset=False))
    assert states(bench, "c2") == ["accepted"]
    bench.send("playback", Playback(Header(0), None, None, 0, reset=True))
    assert states(bench, "c2") == ["accepted", "cancelled"]
    state = now(bench)
    assert (state.holding, state.moved, state.mode) == (None, {}, "idle")
    assert state.gripper_base_m == (0.25, 0.0, 0.35)


def test_a_robot_that_was_held_up_itself_hears_the_waiting_heartbeats_first(bench):
    beat(bench)
    bench.advance(20)
    # The whole process stands still for longer than the time-out; the heartbeats are in its queue.
    bench.clock.advance_to(bench.clock.now_ns() + 400_000_000)
    bench.node.tick()
    assert not bench.node.context.notes
    beat(bench)
    bench.advance(100)
    assert not bench.node.context.notes
