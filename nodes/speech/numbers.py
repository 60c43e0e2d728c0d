"""Numbers as people say them: 105 is *a hundred and five*, 2.5 *two and a half*.

python -c "from deixis.nodes.speech.numbers import spoken; print(spoken(105))"
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from deixis.nodes.speech.domainfile import RangeFile
from deixis.nodes.speech.text import tokens

MAX_NUMBERS: Final = 2001
"""In one list: more than any robot is told, and still compiled in a moment."""


def count(numbers: RangeFile) -> int:
    """How many numbers a range has."""
    whole = max(0, (numbers.stop - numbers.start) // numbers.step + 1)
    return whole * {"halves": 2, "tenths": 10, None: 1}[numbers.fractions]


def range_values(numbers: RangeFile) -> Iterator[tuple[str, str]]:
    """What is said and the value that it stands for, for every number of a range.

    As in hassil, fractions follow every whole number, the last one too.
    """
    parts = {"halves": (0, 5), "tenths": tuple(range(10)), None: (0,)}[numbers.fractions]
    for whole in range(numbers.start, numbers.stop + 1, numbers.step):
        for tenths in parts:
            number = whole + Decimal(tenths) / 10
            value = number
            if numbers.multiplier is not None:
                value *= Decimal(repr(numbers.multiplier))
            for says in spoken(number):
                yield says, _written(value)


def spoken(number: Decimal | int) -> list[str]:
    """Ways to say a number, in words.

    Args:
        number: With at most one decimal place.
    """
    if number < 0:
        return [f"{sign} {rest}" for rest in spoken(-number) for sign in ("minus", "negative")]
    whole = int(number)
    tenths = int((number - whole) * 10)
    ways = _whole(whole)
    if tenths:
        decimal = [f"{way} point {_cardinal(tenths)}" for way in ways]
        if whole == 0:
            decimal.append(f"point {_cardinal(tenths)}")
        halves = [f"{way} and a half" for way in ways] if whole else ["a half", "half"]
        return decimal + (halves if tenths == 5 else [])
    return ways


def _whole(number: int) -> list[str]:
    words = _cardinal(number)
    ways = [words]
    for name in ("hundred", "thousand"):
        before, found, after = words.rpartition(f" {name} ")
        # "one hundred and five", "two thousand and five", but "two thousand three hundred".
        if found and (name == "hundred" or "hundred" not in after):
            ways.append(f"{before} {name} and {after}")
            break
    one = [way for way in ways if way.startswith(("one hundred", "one thousand"))]
    return ways + [f"a {way.removeprefix('one ')}" for way in one]


def _cardinal(number: int) -> str:
    return " ".join(word for word, _ in tokens(str(number)))


def _written(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return text if text != "-0" else "0"
