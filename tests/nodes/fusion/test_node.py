from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.fusion import FusionNode
from deixis.runtime import trace
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import Hand, Hands, Header, Mark, Playback, RobotState
from deixis.runtime.testing import NodeBench
from tests.nodes.fusion.helpers import (
    BLUE_CUP,
    GREEN_BOX,
    RED_CUP,
    TABLE,
    YELLOW_BALL,
    event,
    hold,
    ms,
    parse,
    scene,
    slot,
    thing,
    words,
)

SPOT = (0.35, -0.32, 0.0)


def bench_at(*rays, objects=TABLE, now_ms=1300.0, params=None, scenes=True):
    bench = NodeBench(FusionNode, params)
    bench.clock.advance_to(ms(now_ms))
    if scenes:
        for t in range(-200, int(now_ms), 200):
            bench.send("scene", scene(ms(t), objects))
    for pointing in rays:
        bench.send("pointing", pointing)
    return bench


def pick_that(said="pick up that", **kwargs):
    heard = words(said)
    return heard, parse("pick", slot("object", " ".join(said.split()[2:]), heard, **kwargs))


def resolve(bench, heard, *parses, **kwargs):
    bench.send("speech", event("final", heard, *parses, **kwargs))
    (resolution,) = bench.outputs["resolution"]
    return resolution


def test_pick_up_that_with_all_its_evidence():
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    heard, reading = pick_that()
    marks = (Mark(trace.SPEECH_END, ms(750)), Mark(trace.COMMITTED, ms(900)))
    resolution = resolve(bench, heard, reading, marks=marks)
    (command,) = bench.outputs["command"]
    assert resolution.outcome == "act"
    assert msgspec.structs.replace(command, header=resolution.command.header) == resolution.command
    assert command.header.command_id == "u1"
    assert command.intent == "pick"
    assert command.object.object_id == "red_cup"
    assert command.deadline_ns == bench.clock.now_ns() + 1_500_000_000
    assert [m.name for m in command.marks] == ["speech_end", "committed", "resolved"]
    evidence = resolution.evidence
    assert evidence.words == heard
    assert evidence.parse_confidence == 0.95
    shares = [c.probability for c in evidence.object_candidates]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0)
    (pointed,) = evidence.pointed_at
    assert (pointed.slot, pointed.word, pointed.word_ns) == ("object", "that", ms(500))
    assert pointed.n_rays > 5
    assert pointed.hit_base_m is not None


def test_put_that_there_uses_the_hold_of_each_word():
    rays = [*hold(100, 500, RED_CUP.position_base_m), *hold(620, 1200, SPOT)]
    heard = words("put that there", each_ms=300)
    reading = parse("place", slot("object", "that", heard), slot("destination", "there", heard))
    resolution = resolve(bench_at(*rays), heard, reading)
    assert resolution.outcome == "act", resolution
    assert resolution.command.object.object_id == "red_cup"
    assert resolution.command.destination.kind == "place"
    assert resolution.command.destination.position_base_m == pytest.approx(SPOT, abs=0.01)
    assert [p.word for p in resolution.evidence.pointed_at] == ["that", "there"]


def test_there_on_a_container_means_into_it():
    rays = [*hold(100, 500, RED_CUP.position_base_m), *hold(620, 1200, GREEN_BOX.position_base_m)]
    heard = words("put that there", each_ms=300)
    reading = parse("place", slot("object", "that", heard), slot("destination", "there", heard))
    destination = resolve(bench_at(*rays), heard, reading).command.destination
    assert (destination.object_id, destination.relation) == ("green_box", "in")


@pytest.mark.parametrize("sigma_deg", [2.0, 6.0, 9.0])
def test_there_beside_a_container_is_a_place_however_wide_the_ray_is(sigma_deg):
    spot = (0.60, 0.14, 0.0)
    heard = words("put that there", each_ms=300)
    rays = [
        *hold(100, 500, RED_CUP.position_base_m),
        *hold(620, 1200, spot, origin=(0.9, 0.14, 0.3), sigma_deg=sigma_deg),
    ]
    reading = parse("place", slot("object", "that", heard), slot("destination", "there", heard))
    destination = resolve(bench_at(*rays), heard, reading).command.destination
    assert destination.kind == "place"
    assert destination.position_base_m == pytest.approx(spot, abs=0.01)


def test_one_hold_is_not_both_the_object_and_the_place():
    heard = words("put that there", each_ms=300)
    reading = parse("place", slot("object", "that", heard), slot("destination", "there", heard))
    resolution = resolve(bench_at(*hold(100, 1200, RED_CUP.position_base_m)), heard, reading)
    assert resolution.outcome == "clarify"
    assert not resolution.command


@pytest.mark.parametrize(
    ("text", "noun", "colour", "expected"),
    [("red cup", "cup", "red", "red_cup"), ("box", "box", None, "green_box"),
     ("blue one", None, "blue", "blue_cup")],
)  # fmt: skip
def test_named_objects_need_no_gesture(text, noun, colour, expected):
    heard, reading = pick_that(f"pick up {text}", kind="named", noun=noun, colour=colour)
    assert resolve(bench_at(), heard, reading).command.object.object_id == expected


def test_a_gesture_tells_two_cups_apart():
    rays = hold(300, 1200, BLUE_CUP.position_base_m)
    for kind, said in (("named", "cup"), ("deictic", "that cup")):
        heard, reading = pick_that(f"pick up {said}", kind=kind, noun="cup")
        assert resolve(bench_at(*rays), heard, reading).command.object.object_id == "blue_cup"


def test_bring_goes_to_the_person_and_here_does_too():
    for said in ("bring me that", "bring that over here"):
        heard = words(said)
        slots = [slot("object", "that", heard)]
        if "here" in said:
            slots.append(slot("destination", "over here", heard))
        rays = hold(0, 1200, RED_CUP.position_base_m)
        command = resolve(bench_at(*rays), heard, parse("bring", *slots)).command
        assert command.object.object_id == "red_cup"
        assert command.destination.kind == "person"


def test_a_destination_with_a_name_and_a_relation():
    heard = words("put that next to the box")
    target = slot("destination", "box", heard, kind="named", noun="box", relation="next_to")
    reading = parse("place", slot("object", "that", heard), target)
    command = resolve(bench_at(*hold(0, 600, RED_CUP.position_base_m)), heard, reading).command
    assert (command.destination.object_id, command.destination.relation) == ("green_box", "next_to")


def test_typed_points_replace_the_hand():
    point = (0.46, 0.19, 0.0)
    heard, reading = pick_that(point_base_m=point)
    resolution = resolve(bench_at(), heard, reading)
    assert resolution.command.object.object_id == "red_cup"
    (pointed,) = resolution.evidence.pointed_at
    assert (pointed.hit_base_m, pointed.n_rays) == (point, 0)
    heard = words("go there")
    reading = parse("go", slot("destination", "there", heard, point_base_m=(1.5, 0.5, 0.0)))
    bench = bench_at()
    assert resolve(bench, heard, reading).command.destination.position_base_m == (1.5, 0.5, 0.0)


def test_places_with_a_name_and_the_person():
    heard = words("put the ball on the table")
    ball = slot("object", "ball", heard, kind="named", noun="ball")
    table = slot("destination", "table", heard, kind="named", noun="table", relation="on")
    destination = resolve(bench_at(), heard, parse("place", ball, table)).command.destination
    assert (destination.kind, destination.position_base_m) == ("place", (0.45, 0.0, 0.0))
    heard = words("bring the ball to me")
    ball = slot("object", "ball", heard, kind="named", noun="ball")
    me = slot("destination", "me", heard, kind="value")
    destination = resolve(bench_at(), heard, parse("bring", ball, me)).command.destination
    assert destination.kind == "person"


def test_a_named_object_beside_a_pointed_one_leaves_the_hold_to_the_pointing():
    heard = words("put that next to the blue cup")
    target = slot(
        "destination", "blue cup", heard, kind="named", noun="cup", colour="blue",
        relation="next_to",
    )  # fmt: skip
    reading = parse("place", slot("object", "that", heard), target)
    bench = bench_at(*hold(0, 1200, RED_CUP.position_base_m))
    command = resolve(bench, heard, reading).command
    assert (command.object.object_id, command.destination.object_id) == ("red_cup", "blue_cup")


# --- never guess ------------------------------------------------------------------------------


def asked(resolution, reason, *in_question):
    assert resolution.outcome == "clarify", resolution
    assert resolution.command is None
    assert reason in resolution.reason
    for text in in_question:
        assert text in resolution.question


def test_it_asks_when_nobody_pointed():
    heard, reading = pick_that()
    asked(resolve(bench_at(), heard, reading), "no pointing", "did not see you point")


def test_it_says_so_when_it_saw_a_hand_that_did_not_hold_still():
    bench = bench_at()
    bench.send("hands", Hands(Header(ms(700)), ()))
    heard, reading = pick_that()
    bench.send("speech", event("final", heard, reading, utterance="a"))
    hand = Hand(1, "right", 0.9, ((0.0, 0.0),) * 21, ((0.0, 0.0, 0.0),) * 21)
    bench.send("hands", Hands(Header(ms(700)), (hand,)))
    bench.send("speech", event("final", heard, reading, utterance="b"))
    without, with_hand = (r.question for r in bench.outputs["resolution"])
    assert "did not see you point" in without
    assert "did not hold still" in with_hand


def test_it_asks_between_two_that_lie_close_together():
    objects = (thing("red_cup", (0.45, 0.02, 0.05)), thing("blue_cup", (0.45, -0.02, 0.05)))
    heard, reading = pick_that()
    bench = bench_at(*hold(300, 1200, (0.45, 0.0, 0.05)), objects=objects)
    asked(resolve(bench, heard, reading), "about as likely", "red cup", " or the ", "blue cup?")
    assert not bench.outputs["command"]


def test_a_person_who_points_exactly_is_not_asked():
    objects = (thing("red_cup", (0.45, 0.04, 0.05)), thing("blue_cup", (0.45, -0.04, 0.05)))
    heard, reading = pick_that()
    outcomes = []
    for sigma_rad in (0.01, None, 0.25):
        rays = [
            msgspec.structs.replace(r, personal_sigma_rad=sigma_rad)
            for r in hold(300, 1200, (0.45, 0.02, 0.05), sigma_deg=1.0)
        ]
        resolution = resolve(bench_at(*rays, objects=objects), heard, reading)
        outcomes.append((resolution.outcome, resolution.evidence.object_candidates[0].probability))
    assert [outcome for outcome, _ in outcomes] == ["act", "act", "clarify"]
    assert outcomes[0][1] > outcomes[1][1] > outcomes[2][1]


def test_it_tells_look_alikes_apart_by_where_they_are():
    objects = (thing("red_cup_1", (0.45, 0.2, 0.05)), thing("red_cup_2", (0.45, -0.2, 0.05)))
    heard, reading = pick_that("pick up red cup", kind="named", noun="cup", colour="red")
    resolution = resolve(bench_at(objects=objects), heard, reading)
    asked(resolution, "about as likely", "The red cup on my left or the red cup on my right?")


def test_it_asks_when_nothing_lies_under_the_ray():
    heard, reading = pick_that()
    bench = bench_at(*hold(300, 1200, (0.1, -0.45, 0.0)))
    asked(resolve(bench, heard, reading), "none of them", "nothing where you pointed")


def test_it_asks_for_what_it_does_not_see():
    heard, reading = pick_that("pick up lamp", kind="named", noun="lamp")
    asked(resolve(bench_at(), heard, reading), "none of them", "I see no lamp")


def test_it_asks_when_the_words_do_not_fit_what_was_pointed_at():
    heard, reading = pick_that("pick up that lamp", noun="lamp")
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    asked(resolve(bench, heard, reading), "mismatch", "red cup", "lamp")


def test_something_unknown_may_be_called_anything_when_pointed_at():
    mystery = msgspec.structs.replace(RED_CUP, object_id="mystery", names={}, colours={})
    heard, reading = pick_that("pick up that lamp", noun="lamp")
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m), objects=(mystery, *TABLE[1:]))
    assert resolve(bench, heard, reading).command.object.object_id == "mystery"


@pytest.mark.parametrize(
    ("intent", "question"),
    [("pick", "Pick up what?"), ("turn", "Turn which way?"), ("go", "Where to?"),
     ("look", "Look at what?")],
)  # fmt: skip
def test_it_asks_for_missing_slots(intent, question):
    heard = words(intent)
    asked(resolve(bench_at(), heard, parse(intent, complete=False)), "missing", question)


@pytest.mark.parametrize(
    ("said", "value", "side"), [("round", "around", "around"), ("left", None, "left")]
)
def test_a_side_is_what_the_domain_says_that_it_means(said, value, side):
    bench = bench_at()
    heard = words(f"turn {said}")
    reading = parse("turn", slot("side", said, heard, kind="value", value=value))
    assert resolve(bench, heard, reading).outcome == "act"
    assert bench.outputs["command"][0].side == side


def test_an_intent_of_another_domain_is_no_robot_action():
    heard = words("get me a latte")
    resolution = resolve(bench_at(), heard, parse("orderDrink"))
    assert resolution.outcome == "reject"
    assert resolution.reason == "no robot action is known for the intent 'orderDrink'"


def test_place_needs_a_destination():
    heard = words("put that")
    reading = parse("place", slot("object", "that", heard), complete=False)
    bench = bench_at(*hold(0, 600, RED_CUP.position_base_m))
    asked(resolve(bench, heard, reading), "missing", "Where to?")


def test_it_asks_where_on_the_table_a_finger_points_that_points_up():
    heard = words("go there")
    rays = hold(0, 600, (1.0, 0.0, 0.6), origin=(0.3, 0.0, 0.3))
    reading = parse("go", slot("destination", "there", heard))
    asked(resolve(bench_at(*rays), heard, reading), "off plane", "does not point at the table")


def test_a_grazing_ray_is_no_place():
    heard = words("go there")
    rays = hold(0, 600, (1.5, 0.0, 0.0), origin=(0.3, 0.0, 0.15))
    reading = parse("go", slot("destination", "there", heard))
    asked(resolve(bench_at(*rays), heard, reading), "unclear place")


def test_a_referent_expires():
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m), params={"referent_ttl_ms": 2000})
    heard, reading = pick_that()
    bench.advance(2500)
    asked(resolve(bench, heard, reading), "expired", "Where is the red cup?")
    assert not bench.outputs["command"]


def test_no_scene_no_action():
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m), scenes=False)
    heard, reading = pick_that()
    asked(resolve(bench, heard, reading), "no scene", "I see no objects")


def test_two_readings_that_are_about_as_likely():
    heard, reading = pick_that()
    rival = parse("open", reading.slots[0], confidence=0.9, text="open that")
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    asked(resolve(bench, heard, reading, rival), "two readings", "open that")


def test_what_was_clearly_said_stays_ahead_of_what_would_fit_better():
    # "red cup" was heard exactly, but only a red block is there; "red cube" sounds similar.
    heard, reading = pick_that("pick up red cup", kind="named", noun="cup", colour="red")
    reading = msgspec.structs.replace(reading, confidence=1.0)
    cube = msgspec.structs.replace(reading.slots[0], noun="block", text="red cube")
    rival = parse("pick", cube, confidence=0.87)
    block = thing("red_block", RED_CUP.position_base_m)
    bench = bench_at(objects=(block, BLUE_CUP, GREEN_BOX))
    asked(resolve(bench, heard, reading, rival), "none of them", "I see no red cup")


def test_a_word_that_fits_nothing_on_the_table_gives_way():
    # "grab the yellow draw": a ball is there and pointed at, a drawer is not.
    heard, reading = pick_that("grab yellow drawer", kind="named", noun="drawer", colour="yellow")
    reading = msgspec.structs.replace(reading, confidence=0.9)
    ball = msgspec.structs.replace(reading.slots[0], noun="ball", text="yellow ball")
    rival = parse("pick", ball, confidence=0.88)
    bench = bench_at(*hold(300, 1200, YELLOW_BALL.position_base_m))
    resolution = resolve(bench, heard, reading, rival)
    assert resolution.command.object.object_id == "yellow_ball"


def test_a_similar_word_is_no_rival_of_what_was_heard_exactly():
    heard, reading = pick_that("pick up ball", kind="named", noun="ball")
    reading = msgspec.structs.replace(reading, confidence=1.0)
    other = msgspec.structs.replace(reading.slots[0], noun="box", text="box")
    bench = bench_at()
    resolution = resolve(bench, heard, reading, parse("pick", other, confidence=0.94))
    assert resolution.command.object.object_id == "yellow_ball"


def test_an_unfinished_reading_counts_when_it_is_much_more_likely():
    heard = words("put that")
    unfinished = parse("place", slot("object", "that", heard), complete=False)
    other = parse("pick", slot("object", "that", heard), confidence=0.3)
    bench = bench_at(*hold(0, 600, RED_CUP.position_base_m))
    asked(resolve(bench, heard, unfinished, other), "missing", "Where to?")


def test_two_readings_of_the_same_action_are_one():
    heard, reading = pick_that()
    twin = msgspec.structs.replace(reading, confidence=0.94, text="take that")
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    assert resolve(bench, heard, reading, twin).outcome == "act"


@pytest.mark.parametrize(("confidence", "outcome"), [(0.3, "clarify"), (0.1, "reject")])
def test_unsure_readings_do_not_act(confidence, outcome):
    heard, reading = pick_that()
    reading = msgspec.structs.replace(reading, confidence=confidence)
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    assert resolve(bench, heard, reading).outcome == outcome
    assert not bench.outputs["command"]


# --- it ---------------------------------------------------------------------------------------


def robot_state(holding=None):
    return RobotState(
        Header(ms(0)), "idle", (0.3, 0.0, 0.3), (0.0, 0.0, 0.0), holding, holding or ""
    )


def put_it_there():
    heard = words("put it there", each_ms=300)
    it = slot("object", "it", heard, kind="anaphor")
    return heard, parse("place", it, slot("destination", "there", heard))


def test_it_is_what_is_held():
    bench = bench_at(*hold(300, 1200, SPOT))
    bench.send("robot_state", robot_state("blue_cup"))
    heard, reading = put_it_there()
    assert resolve(bench, heard, reading).command.object.object_id == "blue_cup"


def test_it_is_what_was_last_spoken_of():
    bench = bench_at(*hold(300, 1200, SPOT))
    heard, reading = pick_that("pick up red cup", kind="named", noun="cup", colour="red")
    bench.send("speech", event("final", heard, reading, utterance="u0"))
    heard, reading = put_it_there()
    bench.send("speech", event("final", heard, reading))
    assert [c.object.object_id for c in bench.outputs["command"]] == ["red_cup", "red_cup"]


def test_it_without_anything_before_is_asked_about():
    heard, reading = put_it_there()
    resolution = resolve(bench_at(*hold(300, 1200, SPOT)), heard, reading)
    asked(resolution, "unknown it", "What is 'it'?")


def test_nothing_is_put_into_itself():
    heard = words("put that in it")
    reading = parse(
        "place",
        slot("object", "that", heard),
        slot("destination", "it", heard, kind="anaphor", relation="in"),
    )
    bench = bench_at(*hold(0, 600, RED_CUP.position_base_m))
    bench.send("robot_state", robot_state("red_cup"))
    asked(resolve(bench, heard, reading), "destination", "do not know what 'it' is")


def test_a_new_scene_forgets_everything():
    bench = bench_at(*hold(300, 1200, SPOT))
    bench.send("robot_state", robot_state("blue_cup"))
    bench.send("playback", Playback(Header(ms(0)), None, None, ms(0), reset=True))
    heard, reading = put_it_there()
    asked(resolve(bench, heard, reading), "unknown it")


def test_what_is_held_is_not_picked_again():
    objects = (RED_CUP, msgspec.structs.replace(RED_CUP, object_id="red_cup_2",
               position_base_m=(0.45, -0.2, 0.05)))  # fmt: skip
    bench = bench_at(objects=objects)
    bench.send("robot_state", robot_state("red_cup"))
    heard, reading = pick_that("pick up red cup", kind="named", noun="cup", colour="red")
    assert resolve(bench, heard, reading).command.object.object_id == "red_cup_2"


# --- utterances -------------------------------------------------------------------------------


def test_stop_acts_on_a_stable_partial_once():
    bench = bench_at()
    heard = words("stop")
    bench.send("speech", event("partial", heard, parse("stop"), stable=False))
    assert not bench.outputs["stop"]
    for kind in ("partial", "partial", "final"):
        bench.send("speech", event(kind, heard, parse("stop")))
    bench.send("speech", event("rejected", heard, reason="noise"))
    (stop,) = bench.outputs["stop"]
    (resolution,) = bench.outputs["resolution"]
    assert stop.header.command_id == "u1"
    assert [m.name for m in stop.marks] == [trace.RESOLVED]
    assert (resolution.outcome, resolution.intent) == ("stop", "stop")
    assert not bench.outputs["command"]


def test_stop_acts_on_a_final_without_partials():
    bench = bench_at()
    assert resolve(bench, words("stop"), parse("stop")).outcome == "stop"
    assert len(bench.outputs["stop"]) == 1


def test_after_a_stop_the_rest_of_the_utterance_does_nothing():
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    bench.send("speech", event("partial", words("stop"), parse("stop")))
    heard, reading = pick_that()
    bench.send("speech", event("final", heard, reading))
    assert not bench.outputs["command"]
    assert len(bench.outputs["resolution"]) == 1


def test_partials_never_act():
    bench = bench_at(*hold(300, 1200, RED_CUP.position_base_m))
    heard, reading = pick_that()
    bench.send("speech", event("start", ()))
    bench.send("speech", event("partial", heard, reading))
    assert not bench.outputs


def test_every_utterance_gets_one_resolution():
    bench = bench_at()
    bench.send("speech", event("rejected", words("what a day"), utterance="a", reason="chatter"))
    bench.send("speech", event("final", words("what a day"), utterance="b"))
    heard, reading = pick_that()
    for _ in range(2):
        bench.send("speech", event("final", heard, reading, utterance="c"))
    found = [(r.header.command_id, r.outcome, r.reason) for r in bench.outputs["resolution"]]
    assert found[0] == ("a", "reject", "chatter")
    assert found[1][:2] == ("b", "reject")
    assert found[2][:2] == ("c", "clarify")
    assert len(found) == 3


@pytest.mark.parametrize("intent", ["yes", "no", "cancel", "pause", "resume", "follow", "release"])
def test_plain_intents_pass_through(intent):
    resolution = resolve(bench_at(), words(intent), parse(intent))
    assert resolution.outcome == "act"
    assert resolution.command.intent == intent


def test_turn_carries_its_side():
    heard = words("turn left")
    reading = parse("turn", slot("side", "left", heard, kind="value"))
    assert resolve(bench_at(), heard, reading).command.side == "left"


def test_intents_that_are_not_enabled_are_refused():
    bench = bench_at(params={"intents": ["pick"]})
    resolution = resolve(bench, words("follow me"), parse("follow"))
    assert resolution.outcome == "reject"
    assert "not enabled" in resolution.reason


def test_a_stop_cannot_be_disabled():
    bench = bench_at(params={"intents": ["pick"]})
    bench.send("speech", event("partial", words("stop"), parse("stop")))
    assert len(bench.outputs["stop"]) == 1


def test_an_unknown_intent_in_the_parameters_is_an_error():
    with pytest.raises(ConfigError, match="did you mean 'pick'"):
        NodeBench(FusionNode, {"intents": ["pik"]})


# --- speculation ------------------------------------------------------------------------------


def strip(resolution):
    return msgspec.structs.replace(resolution, header=Header(0))


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["that", "that cup", "red cup"]),
    st.floats(0.2, 0.6),
    st.floats(-0.3, 0.3),
    st.floats(300, 800),
    st.booleans(),
)
def test_speculation_never_changes_the_answer(said, x, y, end_ms, late_rays):
    noun = "cup" if "cup" in said else None
    kind = "named" if said == "red cup" else "deictic"
    heard, reading = pick_that(f"pick up {said}", kind=kind, noun=noun)
    rays = hold(300, end_ms, (x, y, 0.05))
    late = hold(end_ms + 33, end_ms + 300, (x, y, 0.05)) if late_rays else []
    answers = []
    for speculate in (False, True):
        bench = bench_at(*rays)
        if speculate:
            bench.send("speech", event("partial", heard, reading))
        for pointing in late:
            bench.send("pointing", pointing)
        answers.append(strip(resolve(bench, heard, reading)))
        used = bench.node.speculation_hits + bench.node.speculation_misses
        assert used == 1
    assert answers[0] == answers[1]


def test_a_stable_partial_saves_the_work_of_the_final():
    bench = bench_at(*hold(300, 800, RED_CUP.position_base_m))
    heard, reading = pick_that()
    bench.send("speech", event("partial", heard, reading))
    bench.send("scene", scene(ms(1290)))
    resolve(bench, heard, reading)
    assert (bench.node.speculation_hits, bench.node.speculation_misses) == (1, 0)


def test_newer_evidence_in_the_words_window_invalidates_it():
    bench = bench_at(*hold(300, 800, RED_CUP.position_base_m))
    heard, reading = pick_that()
    bench.send("speech", event("partial", heard, reading))
    for pointing in hold(830, 900, RED_CUP.position_base_m):
        bench.send("pointing", pointing)
    resolve(bench, heard, reading)
    assert (bench.node.speculation_hits, bench.node.speculation_misses) == (0, 1)
