from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.nodes.robot.motion import Trapezoid
from deixis.nodes.robot.steps import Do, Drive, Reach, Turn, wrap
from deixis.nodes.robot.world import World


@given(st.floats(1e-4, 3.0), st.floats(0.05, 2.0), st.floats(0.1, 5.0))
def test_speed_and_acceleration_stay_within_their_limits(length, speed, accel):
    profile = Trapezoid(length, speed, accel)
    total = profile.duration_s
    n = 200
    dt = total / n
    at = [profile.distance(i * dt) for i in range(n + 1)]
    assert at[0] == 0.0
    assert at[-1] == length
    speeds = [(b - a) / dt for a, b in pairwise(at)]
    assert min(speeds) >= -1e-9
    assert max(speeds) <= speed * (1 + 1e-6) + 1e-9
    steps = [abs(b - a) / dt for a, b in pairwise(speeds)]
    assert max(steps) <= accel * 1.01 + 1e-6


def test_no_way_takes_no_time():
    assert Trapezoid(0.0, 0.6, 1.5).duration_s == 0.0
    assert Trapezoid(0.0, 0.6, 1.5).distance(1.0) == 0.0


@given(st.floats(-20.0, 20.0))
def test_angles_wrap(angle):
    wrapped = wrap(angle)
    assert -math.pi < wrapped <= math.pi
    assert math.cos(wrapped) == pytest.approx(math.cos(angle), abs=1e-9)


def run(step, dt=0.02):
    for i in range(10_000):
        if step.advance(dt) is not None:
            return i
    raise AssertionError("never finished")


def test_a_reach_goes_straight_and_arrives():
    world = World((0.0, 0.0, 0.3))
    step = Reach(world, lambda: (0.4, 0.0, 0.3), "reaches", 0.6, 1.5)
    step.advance(0.3)
    assert 0.0 < world.gripper_base_m[0] < 0.4
    assert world.gripper_base_m[1:] == (0.0, 0.3)
    run(step)
    assert world.gripper_base_m == pytest.approx((0.4, 0.0, 0.3))


@pytest.mark.parametrize("halt", [False, True])
def test_a_turn_arrives_also_after_a_halt_and_past_the_wrap(halt):
    world = World((0.0, 0.0, 0.3))
    world.pose_world = (0.0, 0.0, 3.0)
    step = Turn(world, lambda: math.pi / 2, "turns", 1.5, 3.0)
    step.advance(0.6)
    if halt:
        step.restart()
    run(step)
    assert world.pose_world[2] == pytest.approx(wrap(3.0 + math.pi / 2))


def test_a_drive_halts_short_of_its_target():
    world = World((0.0, 0.0, 0.3))
    run(Drive(world, (2.0, 0.0, 0.0), 0.4, "drives", 0.5, 1.0))
    assert world.pose_world == pytest.approx((1.6, 0.0, 0.0))


def test_an_effect_comes_at_the_end():
    done = []
    step = Do("waits", 0.3, lambda: done.append(True))
    assert step.advance(0.2) is None
    assert not done
    assert step.advance(0.2) == pytest.approx(0.1)
    assert done


@given(st.floats(-2, 2), st.floats(-2, 2), st.floats(-3, 3))
def test_world_and_base_frame_agree(x, y, yaw):
    world = World((0.0, 0.0, 0.3))
    world.pose_world = (x, y, yaw)
    point = (0.4, -0.2, 0.05)
    assert world.to_base(world.to_world(point)) == pytest.approx(point)
