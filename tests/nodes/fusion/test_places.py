"""Pointing at places, and spots in, on and beside things."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.fusion import FusionNode
from deixis.nodes.fusion.relations import View
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import (
    GREEN_BOX,
    RED_CUP,
    YELLOW_BALL,
    event,
    hold,
    ms,
    parse,
    ray,
    scene,
    slot,
    thing,
    words,
)

BOWL = thing("white_bowl", (0.50, 0.0, 0.03), radius=0.06)
PLATE = thing("white_plate", (0.60, 0.10, 0.01), radius=0.10)
CUP = thing("red_cup", (0.30, 0.30, 0.05))
EYE = (1.2, 0.0, 0.5)
"""Of a person who sits opposite: their left is the robot's right."""


def put(said, objects, *, point=None, eye=None, params=None, relation=None, noun="bowl", side=None):
    """What becomes of "put the cup …"."""
    bench = NodeBench(FusionNode, params)
    bench.clock.advance_to(ms(2000))
    bench.send("scene", scene(ms(1900), objects))
    if eye is not None:
        glance = ray(ms(50), CUP.position_base_m, phase="none")
        bench.send("pointing", msgspec.structs.replace(glance, eye_base_m=eye))
    heard = words(f"put the cup {said}")
    cup = slot("object", "cup", heard, kind="named", noun="cup")
    if said == "there":
        for pointing in hold(600, 1100, point, sigma_deg=1.5):
            bench.send("pointing", pointing)
        slots = [cup, slot("destination", "there", heard)]
    else:
        slots = [cup, slot("destination", said.split()[-1], heard, kind="named", noun=noun,
                           relation=relation)]  # fmt: skip
    if side is not None:
        slots.append(slot("relation", said.split(" of ")[0], heard, kind="value", value=side))
    bench.send("speech", event("final", heard, parse("place", *slots)))
    (resolution,) = bench.outputs["resolution"]
    return resolution


def destination(resolution):
    assert resolution.outcome == "act", resolution
    return resolution.command.destination


def gap_m(spot, other, radius_m=CUP.radius_m):
    return math.dist(spot[:2], other.position_base_m[:2]) - other.radius_m - radius_m


@pytest.mark.parametrize(
    ("side", "eye", "towards"),
    [
        ("left_of", None, (0.0, 1.0)), ("right_of", None, (0.0, -1.0)),
        ("behind", None, (1.0, 0.0)), ("in_front_of", None, (-1.0, 0.0)),
        ("left_of", EYE, (0.0, -1.0)), ("right_of", EYE, (0.0, 1.0)),
        ("behind", EYE, (-1.0, 0.0)), ("in_front_of", EYE, (1.0, 0.0)),
    ],
)  # fmt: skip
def test_sides_are_the_speakers_where_their_eye_is_known(side, eye, towards):
    said = f"{side.replace('_', ' ')} the bowl"
    result = destination(put(said, (CUP, BOWL), eye=eye, side=side))
    assert (result.object_id, result.relation) == ("white_bowl", side)
    spot = result.place_base_m
    off = (spot[0] - BOWL.position_base_m[0], spot[1] - BOWL.position_base_m[1])
    assert off[0] * towards[0] + off[1] * towards[1] == pytest.approx(math.hypot(*off), abs=1e-6)
    assert gap_m(spot, BOWL) == pytest.approx(0.03)


def test_sides_may_always_be_the_robots():
    params = {"sides_of": "robot"}
    said = put("left of the bowl", (CUP, BOWL), eye=EYE, side="left_of", params=params)
    assert destination(said).place_base_m[1] > BOWL.position_base_m[1]


def test_next_to_the_bowl_is_a_free_spot_beside_it():
    others = [
        thing("blue_block", (0.50, 0.13, 0.02), radius=0.03),
        thing("green_block", (0.38, 0.0, 0.02), radius=0.03),
    ]
    result = destination(put("next to the bowl", (CUP, BOWL, *others), relation="next_to"))
    assert result.relation == "next_to"
    assert 0.03 <= gap_m(result.place_base_m, BOWL) + 1e-6 <= 0.13
    assert all(gap_m(result.place_base_m, o) >= 0.01 - 1e-6 for o in others)


def test_a_thing_in_the_corner_has_no_room_behind_it():
    corner = thing("white_bowl", (0.74, 0.34, 0.03), radius=0.06)
    resolution = put("behind the bowl", (CUP, corner), side="behind")
    assert resolution.outcome == "clarify"
    assert resolution.question == "Where? (there is no room behind the white bowl)"


@pytest.mark.parametrize(
    ("base", "relation", "z"), [(BOWL, "in", 0.0), (PLATE, "on", 0.02), (GREEN_BOX, "on", 0.10)]
)
def test_in_and_on_are_in_the_middle(base, relation, z):
    noun = base.object_id.split("_")[1]
    result = destination(put(f"{relation} the {noun}", (CUP, base), noun=noun, relation=relation))
    assert result.place_base_m == pytest.approx((*base.position_base_m[:2], z))


def test_there_is_where_the_ray_meets_the_table():
    result = destination(put("there", (CUP, GREEN_BOX), point=(0.45, 0.05, 0.0)))
    assert result.kind == "place"
    assert result.position_base_m == pytest.approx((0.45, 0.05, 0.0), abs=0.01)


def test_a_spot_that_is_too_narrow_gives_way_to_the_next_free_one():
    wall = thing("brown_book2", (0.45, 0.12, 0.02), radius=0.04)
    result = destination(put("there", (CUP, wall), point=(0.45, 0.05, 0.0)))
    assert gap_m(result.position_base_m, wall) >= 0.01 - 1e-6
    assert math.dist(result.position_base_m, (0.45, 0.05, 0.0)) < 0.04


def test_there_is_no_room_between_two_things():
    walls = [thing("brown_a", (0.45, y, 0.02), radius=0.10) for y in (0.12, -0.12)]
    walls = [msgspec.structs.replace(w, object_id=f"wall{i}") for i, w in enumerate(walls)]
    resolution = put("there", (CUP, *walls), point=(0.45, 0.0, 0.0))
    assert resolution.outcome == "clarify"
    assert resolution.question == "Where? (there is no room there)"


def test_there_on_a_plate_means_onto_it():
    result = destination(put("there", (CUP, PLATE), point=PLATE.position_base_m))
    assert (result.object_id, result.relation) == ("white_plate", "on")
    assert result.place_base_m == pytest.approx((*PLATE.position_base_m[:2], 0.02))


def test_there_on_any_other_thing_is_asked_about():
    resolution = put("there", (CUP, YELLOW_BALL), point=YELLOW_BALL.position_base_m)
    assert resolution.outcome == "clarify"
    assert resolution.question == "On the yellow ball or next to it?"


def test_there_off_the_table_is_asked_about():
    resolution = put("there", (CUP, GREEN_BOX), point=(0.45, -0.7, 0.0))
    assert resolution.outcome == "clarify"
    assert "where I may not put anything" in resolution.question


def test_on_the_table_is_anywhere_free_on_it():
    taken = thing("white_bowl", (0.45, 0.0, 0.03), radius=0.06)
    result = destination(put("on the table", (CUP, taken), noun="table", relation="on"))
    assert result.label == "the table"
    assert gap_m(result.position_base_m, taken) >= 0.01 - 1e-6


def test_where_the_moved_thing_stands_is_free_for_it():
    result = destination(put("there", (CUP,), point=(*CUP.position_base_m[:2], 0.0)))
    assert result.position_base_m[:2] == pytest.approx(CUP.position_base_m[:2], abs=0.02)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.floats(0.35, 0.65), st.floats(-0.25, 0.25)),
    st.floats(-math.pi, math.pi),
    st.sampled_from(["left_of", "right_of", "behind", "in_front_of"]),
)
def test_what_is_put_on_a_side_is_seen_on_that_side(base, eye_at, side):
    bowl = msgspec.structs.replace(BOWL, position_base_m=(*base, 0.03))
    eye = (base[0] + 0.8 * math.cos(eye_at), base[1] + 0.8 * math.sin(eye_at), 0.5)
    towards = View(eye).direction(side, base)
    at = (base[0] + 0.12 * towards[0], base[1] + 0.12 * towards[1], 0.05)
    cup = msgspec.structs.replace(RED_CUP, position_base_m=at)
    assert View(eye).side(cup, bowl) == side
    assert View(eye).fit(side, cup, bowl) > 0.99


def pick_the_one(relation, objects, noun="bowl"):
    bench = NodeBench(FusionNode)
    bench.clock.advance_to(ms(2000))
    bench.send("scene", scene(ms(1900), objects))
    heard = words(f"pick up the one next to the {noun}")
    one = slot("object", "one", heard, kind="value")
    base = slot("reference", noun, heard, kind="named", noun=noun, relation=relation)
    bench.send("speech", event("final", heard, parse("pick", one, base)))
    return bench.outputs["resolution"][0]


def test_the_one_next_to_the_bowl():
    near = thing("blue_block", (0.50, 0.13, 0.02), radius=0.03)
    far = thing("green_block", (0.30, -0.30, 0.02), radius=0.03)
    resolution = pick_the_one("next_to", (near, far, BOWL))
    assert resolution.outcome == "act", resolution
    assert resolution.command.object.object_id == "blue_block"
    other = msgspec.structs.replace(far, position_base_m=(0.50, -0.13, 0.02))
    assert pick_the_one("next_to", (near, other, BOWL)).outcome == "clarify"
    assert pick_the_one("next_to", (far, BOWL)).outcome == "clarify"
    missing = pick_the_one("next_to", (near, far))
    assert missing.outcome == "clarify"
    assert missing.question == "Which one? (I see no bowl)"
