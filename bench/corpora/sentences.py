"""Sentences with their meaning, from tables written by hand after the ``tabletop`` domain.

The meaning comes with the sentence, never from the project's parser: that is what is measured.

``python -c "from bench.corpora.sentences import commands; print(commands(1, 3))"``
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from .phrases import FRAMES, OUT_OF_DOMAIN, PREFIXES, SUFFIXES, Frame

NOUNS = (
    "cup", "mug", "bottle", "flask", "bowl", "dish", "box", "crate", "ball", "block", "cube",
    "brick", "plate", "saucer", "glass", "can", "tin", "lamp", "book", "pen", "phone", "spoon",
    "fork", "knife", "apple", "banana", "tray", "basket",
)  # fmt: skip
FURNITURE = ("table", "shelf", "desk", "tray", "bin", "drawer")
CONTAINERS = ("box", "bowl", "basket", "drawer", "bin", "cup", "crate")
OPENABLE = ("drawer", "box", "door", "bottle", "carton", "tin")
LIGHTS = ("lamp", "light")
COLOURS = (
    "red", "blue", "green", "yellow", "orange", "brown", "black", "white", "grey", "purple", "pink",
)  # fmt: skip
DEICTIC = ("that", "this", "that one", "this one", "that thing", "this thing", "that object")
FAR = ("that one over there", "that over there", "the one over there")
PLACES = ("there", "over there", "here", "over here", "right there", "right here")
ARTICLES = ("the", "the", "the", "my", "a")

Meaning = tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Line:
    """A sentence.

    Attributes:
        text: As spoken, lower case, no punctuation but apostrophes.
        intent: Of the ``tabletop`` domain; ``none`` may not be accepted.
        slots: The words as said, without article.
        parts: Text of the stretches that a speaker would pause between, in order.
        marks: What else is true of it (``correction``).
    """

    text: str
    intent: str
    slots: dict[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


def without_article(phrase: str) -> str:
    """``the red cup`` → ``red cup``."""
    return re.sub(r"^(the|a|an|my|your|its|some) ", "", phrase)


def commands(seed: int, count: int, avoid: Iterable[str] = ()) -> list[Line]:
    """Commands, every intent in turn, varied in frame, fillings and fillers.

    Args:
        seed: Of the choice.
        count: How many; repeated sentences are dropped as long as others can be found.
        avoid: Texts not to use (a frame without fillings may have no other; it is then used with a
            filler or, at last, as it is).
    """
    rng = np.random.default_rng(seed)
    intents = list(dict.fromkeys(frame.intent for frame in FRAMES))
    # Intents with slots come up more often: there is more to get wrong.
    rich = [i for i in intents if any("{" in f.text for f in FRAMES if f.intent == i)]
    order = [*intents, *rich, *rich]
    used, turn = set(avoid), 0
    lines: list[Line] = []
    while len(lines) < count:
        intent = order[turn % len(order)]
        turn += 1
        line = next(
            (
                made
                for attempt in range(40)
                if (made := _command(rng, intent, filler=0.25 if attempt < 20 else 1.0)).text
                not in used
            ),
            None,
        )
        if line is None:
            line = _command(rng, intent, filler=1.0)
        used.add(line.text)
        lines.append(line)
    return lines


def others(held: bool) -> list[Line]:
    """Sentences that are no command: talk, near misses, half commands, unknown things.

    Args:
        held: The list kept for the final figure, else the one of development.
    """
    texts = OUT_OF_DOMAIN["held" if held else "dev"]
    return [Line(text, "none", parts=(text,)) for text in texts]


def _command(rng: np.random.Generator, intent: str, filler: float) -> Line:
    frames = [frame for frame in FRAMES if frame.intent == intent]
    frame = frames[int(rng.integers(len(frames)))]
    parts: list[str] = []
    slots: dict[str, str] = {}
    for part in frame.text.split("|"):
        said, filled = _fill(rng, part.strip())
        parts.append(said)
        slots |= filled
    if rng.random() < filler:
        _add_filler(rng, parts, frame)
    return Line(" ".join(parts), frame.intent, slots, tuple(parts))


def _add_filler(rng: np.random.Generator, parts: list[str], frame: Frame) -> None:
    before, after = PREFIXES[frame.manner], SUFFIXES[frame.manner]
    if after and rng.random() < 0.4:
        parts[-1] += " " + str(rng.choice(after))
    elif before:
        parts[0] = f"{rng.choice(before)} {parts[0]}"


def _fill(rng: np.random.Generator, template: str) -> tuple[str, dict[str, str]]:
    """Fill ``{slot:pool}`` with words of a pool, and note what the slot is."""
    slots: dict[str, str] = {}

    def filled(match: re.Match[str]) -> str:
        phrase = _phrase(rng, match[2])
        slots[match[1]] = without_article(phrase)
        return phrase

    return re.sub(r"\{(\w+):(\w+)\}", filled, template), slots


def _phrase(rng: np.random.Generator, pool: str) -> str:
    """A phrase out of a pool, with its article."""

    def one(items: tuple[str, ...]) -> str:
        return items[int(rng.integers(len(items)))]

    def named(nouns: tuple[str, ...], bare: float = 0.5) -> str:
        noun = one(nouns) if rng.random() < bare else f"{one(COLOURS)} {one(nouns)}"
        article = one(ARTICLES)
        return f"{'an' if article == 'a' and noun[0] in 'aeiou' else article} {noun}"

    def pointed(nouns: tuple[str, ...]) -> str:
        noun = one(nouns) if rng.random() < 0.6 else f"{one(COLOURS)} {one(nouns)}"
        return f"{one(('that', 'this'))} {noun}"

    def thing() -> str:
        kind = rng.random()
        if kind < 0.25:
            return one(DEICTIC)
        if kind < 0.45:
            return pointed(NOUNS)
        if kind < 0.52:
            return f"the {one(COLOURS)} one"
        return one(("it", "it", "them")) if kind < 0.6 else named(NOUNS)

    makers: dict[str, Callable[[], str]] = {
        "thing": thing,
        "near": lambda: one(DEICTIC) if rng.random() < 0.5 else pointed(NOUNS),
        "seen": lambda: one(DEICTIC + FAR) if rng.random() < 0.6 else named(NOUNS),
        "far": lambda: one(FAR),
        "it": lambda: one(("it", "them")),
        "place": lambda: one(PLACES),
        "here": lambda: one(("here", "over here", "right here")),
        "surface": lambda: named(FURNITURE + NOUNS, 0.6) if rng.random() < 0.7 else pointed(NOUNS),
        "container": lambda: named(CONTAINERS, 0.6) if rng.random() < 0.7 else pointed(CONTAINERS),
        "goal": lambda: named(FURNITURE, 0.7) if rng.random() < 0.8 else one(("that one", "it")),
        "openable": lambda: named(OPENABLE, 0.7) if rng.random() < 0.7 else one(DEICTIC[:4]),
        "light": lambda: named(LIGHTS, 0.7) if rng.random() < 0.7 else one(("that", "this one")),
        "side": lambda: one(("left", "right")),
        "around": lambda: one(("around", "round", "back")),
    }
    return makers[pool]()
