"""What the shipped domain understands of places, neighbours and names."""

from __future__ import annotations

import pytest

from deixis.nodes.speech.domain import load_domain
from deixis.nodes.speech.grammar import Grammar

GRAMMAR = Grammar(load_domain("tabletop"))


def read(text):
    best = next(r for r in GRAMMAR.readings(text))
    assert best.parse.complete, text
    assert best.parse.confidence > 0.95, text
    return best


@pytest.mark.parametrize(
    ("said", "relation"),
    [("left of", "left_of"), ("to the left of", "left_of"), ("to the right of", "right_of"),
     ("behind", "behind"), ("in front of", "in_front_of")],
)  # fmt: skip
def test_sides(said, relation):
    parse = read(f"put that {said} the blue bowl").parse
    assert parse.intent == "place"
    assert parse.slot("relation").value == relation
    assert (parse.slot("destination").noun, parse.slot("destination").colour) == ("bowl", "blue")


def test_the_one_beside_something():
    parse = read("pick up the one next to the green box").parse
    assert (parse.intent, parse.slot("object").text) == ("pick", "one")
    reference = parse.slot("reference")
    assert (reference.relation, reference.noun, reference.colour) == ("next_to", "box", "green")
    parse = read("take the one left of the bowl").parse
    assert (parse.slot("reference").noun, parse.slot("relation").value) == ("bowl", "left_of")


@pytest.mark.parametrize(
    ("text", "pointed", "colour", "name"),
    [("this is a cup", "this", None, "cup"), ("that's called a beaker", "that", None, "beaker"),
     ("this is the red mug", "this", "red", "cup"), ("call this a tape measure", "this", None,
      "tape measure"), ("that one is my bottle", "that one", None, "bottle")],
)  # fmt: skip
def test_teaching(text, pointed, colour, name):
    parse = read(text).parse
    assert parse.intent == "teach"
    assert (parse.slot("object").kind, parse.slot("object").text) == ("deictic", pointed)
    said = parse.slot("colour")
    assert (said.text if said else None) == colour
    assert (parse.slot("name").value or parse.slot("name").text) == name


@pytest.mark.parametrize("text", ["that is right", "that is it", "what is that", "that is wrong"])
def test_other_sentences_are_no_lessons(text):
    assert read(text).parse.intent != "teach"


@pytest.mark.parametrize("text", ["pick up the red cup", "take the bottle", "open the drawer"])
def test_a_named_object_ends_the_sentence(text):
    """Neighbours in a description would make each of them wait longer for its end."""
    assert not read(text).extendable
