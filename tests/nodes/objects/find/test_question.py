from __future__ import annotations

import pytest

from deixis.nodes.objects.find.question import words_of
from deixis.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "noun", "colour"),
    [
        ("red cup", "cup", "red"),
        ("Find the red cups", "cups", "red"),
        ("mug", "mug", None),
        ("a measuring cup", "measuring cup", None),
        ("something red", "", "red"),
        ("a gray thing", "", "grey"),
        ("blue", "", "blue"),
    ],
)
def test_noun_and_colour_are_told_apart(text: str, noun: str, colour: str | None) -> None:
    assert words_of(text) == (noun, colour)


@pytest.mark.parametrize("text", ["", "something", "red blue cup"])
def test_what_names_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="does not say what to look for"):
        words_of(text)
