"""The episodes as data: who says what, pointing at what on which word, and what must come of it.

``python -c "from tests.scenes.script import EPISODES; print([e.name for e in EPISODES])"``
"""

from __future__ import annotations

from dataclasses import dataclass

Spot = tuple[float, float]
"""A place on the table: x, y in the base frame, metres."""


@dataclass(frozen=True)
class Command:
    """What a sentence asks for."""

    intent: str
    object: str | None = None
    destination_object: str | None = None
    relation: str | None = None
    destination: Spot | None = None


@dataclass(frozen=True)
class Gesture:
    """Point at a thing (its id) or a spot while the word with this index is said."""

    word: int
    target: str | Spot


@dataclass(frozen=True)
class Line:
    """One sentence. ``pause_s`` is the silence before it."""

    text: str
    command: Command | None
    gesture: Gesture | None = None
    pause_s: float = 1.0
    in_domain: bool = True


@dataclass(frozen=True)
class Episode:
    """One recording. ``expected`` lists the lines whose commands the robot must carry out."""

    name: str
    description: str
    seed: int
    speaker: str
    lines: tuple[Line, ...]
    expected: tuple[int, ...]
    things: tuple[str, ...] = (
        "red_cup", "blue_cup", "green_bottle", "yellow_bowl", "brown_box", "orange_ball",
        "blue_block",
    )  # fmt: skip
    fixed: tuple[tuple[str, Spot], ...] = ()
    snr_db: float | None = None


SPOT: Spot = (0.5, -0.1)
DESTINATION_TOLERANCE_M = 0.06

EPISODES = (
    Episode(
        "pick_that", "A bare deictic command with one pointing.", 29, "dan",
        (Line("pick up that", Command("pick", "orange_ball"), Gesture(2, "orange_ball")),),
        (0,),
    ),
    Episode(
        "put_it_there", "Two commands, each with a pointing; one at an empty spot.", 18, "dan",
        (
            Line("pick up that", Command("pick", "blue_block"), Gesture(2, "blue_block")),
            Line(
                "put it there", Command("place", "blue_block", destination=SPOT), Gesture(2, SPOT),
                pause_s=3.6,
            ),
        ),
        (0, 1),
    ),
    Episode(
        "red_cup_no_gesture", "A command in words alone; no hand.", 7, "ben",
        (Line("bring me the red cup", Command("bring", "red_cup")),),
        (0,),
    ),
    Episode(
        "distractor", "Two red cups side by side; the pointing tells them apart.", 11, "cleo",
        (Line("take that one", Command("pick", "red_cup"), Gesture(1, "red_cup")),),
        (0,),
        things=("red_cup", "red_cup", "green_bottle", "yellow_bowl", "brown_box", "orange_ball"),
        fixed=(("red_cup", (0.553, -0.037)), ("red_cup_2", (0.447, 0.037))),
    ),
    Episode(
        "stop_mid_sentence", "While the robot moves, a stop breaks a sentence off.", 15, "dan",
        (
            Line("pick up that", Command("pick", "yellow_bowl"), Gesture(2, "yellow_bowl")),
            Line("put that on the stop", Command("stop"), pause_s=1.2),
        ),
        (0, 1),
    ),
    Episode(
        "out_of_domain", "Talk that is not for the robot, with a hand that points meanwhile.", 18,
        "ben",
        (
            Line(
                "i think it might rain tomorrow afternoon", None, Gesture(3, "red_cup"),
                in_domain=False,
            ),
        ),
        (),
    ),
    Episode(
        "two_commands", "Two different commands in a row, in words alone.", 19, "dan",
        (
            Line("hand me the bottle", Command("bring", "green_bottle")),
            Line(
                "put the ball in the box", Command("place", "orange_ball", "brown_box", "in"),
                pause_s=3.8,
            ),
        ),
        (0, 1),
    ),
    Episode(
        "noise_10db", "Kitchen noise at 10 dB; words and pointing agree.", 28, "ben",
        (Line("grab the blue block", Command("pick", "blue_block"), Gesture(3, "blue_block")),),
        (0,),
        snr_db=10.0,
    ),
    Episode(
        "put_that_in_the_box", "One referent is pointed at, the other is named.", 34, "cleo",
        (
            Line(
                "put that in the box", Command("place", "blue_cup", "brown_box", "in"),
                Gesture(1, "blue_cup"),
            ),
        ),
        (0,),
    ),
    Episode(
        "look_there", "A direction to look in.", 31, "ben",
        (Line("look over there", Command("look", destination=SPOT), Gesture(2, SPOT)),),
        (0,),
    ),
)  # fmt: skip
