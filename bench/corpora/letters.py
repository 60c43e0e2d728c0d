"""The corpus that the letter recogniser is trained on: many words, many synthetic voices.

``python -m bench.corpora.speech --out /tmp/corpora/letters --set letters``

What counts is how words sound, not what is said: half of the lines are words drawn at random (the
frequent ones more often), the others are requests made of a larger vocabulary than any domain's and
commands at the table. No held-out sentence and no held-out voice is among them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .corpus import Corpus
from .sentences import Line, commands
from .spoken import command_lines
from .voices import Spoken, Voice, espeak, flite, open_voices

SEED = 41
COUNT = 10000
COMMANDS = 2000
REQUESTS = 3000
N_KOKORO = 400
FLITE_SHARE = 0.35
LONGEST_WORDS = 9
ZIPF = 0.7
"""Words of rank r are drawn in proportion to r to the power of minus this."""

VARIANTS = (
    "m1", "m2", "m4", "m5", "m6", "m8", "f1", "f3", "f4", "f5", "adam", "belinda", "benjamin",
    "david", "ed", "linda", "max", "michael", "rob",
)  # fmt: skip
"""Of espeak-ng; none of those that are held out, and not ``m3``, on which the head is judged."""
ACCENTS = ("en-us", "en-gb", "en-us-nyc", "en-gb-x-gbclan")

VERBS = (
    "pick up", "put down", "bring", "carry", "open", "close", "turn on", "turn off", "start",
    "stop", "clean", "wash", "fill", "empty", "push", "pull", "lift", "lower", "rotate", "move",
    "show", "find", "fetch", "give", "hand", "hold", "drop", "throw", "catch", "cut", "slice",
    "stir", "pour", "mix", "heat", "cool", "weigh", "measure", "scan", "label", "sort", "stack",
    "unpack", "load", "unload", "park", "follow", "wait for", "call", "send", "order", "make",
    "get", "take", "place", "remove", "replace", "check", "count", "copy", "print", "save",
    "delete", "play", "pause", "skip", "repeat", "set", "increase", "decrease", "raise", "dim",
    "lock", "unlock", "switch", "connect", "record", "abort", "cancel", "undo", "continue",
    "go to", "look at", "point at", "describe",
)  # fmt: skip
THINGS = (
    "cup", "mug", "bottle", "bowl", "box", "ball", "block", "plate", "glass", "can", "lamp",
    "book", "pen", "phone", "spoon", "fork", "knife", "apple", "banana", "drawer", "door",
    "basket", "tray", "table", "shelf", "chair", "window", "curtain", "towel", "sponge", "brush",
    "bucket", "hammer", "screwdriver", "wrench", "screw", "nail", "bolt", "nut", "wire", "cable",
    "battery", "sensor", "camera", "motor", "wheel", "gripper", "beaker", "flask", "pipette",
    "tube", "vial", "sample", "rack", "centrifuge", "scale", "filter", "lid", "cap", "valve",
    "pump", "button", "lever", "handle", "key", "card", "coin", "letter", "envelope", "parcel",
    "package", "bag", "jar", "egg", "tomato", "carrot", "onion", "potato", "bread", "butter",
    "cheese", "milk", "sugar", "salt", "pepper", "coffee", "espresso", "latte", "cappuccino",
    "mocha", "tea", "juice", "water", "syrup", "pillow", "blanket", "shirt", "shoe", "jacket",
    "toy", "puzzle", "doll", "truck", "robot", "kitchen", "bedroom", "office", "garage", "garden",
    "hall", "bench", "stapler", "marker", "keyboard", "mouse", "monitor", "printer", "radio",
    "fan", "heater", "vacuum", "mirror", "clock",
)  # fmt: skip
QUALITIES = (
    "red", "blue", "green", "yellow", "orange", "brown", "black", "white", "grey", "purple",
    "pink", "big", "small", "large", "little", "medium", "long", "short", "tall", "round",
    "square", "flat", "heavy", "light", "empty", "full", "open", "closed", "left", "right",
    "upper", "lower", "first", "second", "third", "last", "other", "new", "old", "clean", "dirty",
    "hot", "cold", "dark", "wooden", "metal", "plastic", "double", "triple", "single", "extra",
    "whole", "half",
)  # fmt: skip
PLACES = (
    "on the", "in the", "into the", "onto the", "next to the", "beside the", "near the",
    "under the", "above the", "behind the", "in front of the", "to the", "from the", "with the",
    "by the",
)  # fmt: skip
BEFORE = (
    "please", "hey robot", "robot", "okay", "now", "could you", "can you", "would you please",
    "um", "uh", "oh", "and then", "well", "so", "i want you to", "let us", "do not",
)  # fmt: skip
NUMBERS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "fifteen", "twenty", "thirty five", "fifty", "a hundred",
)  # fmt: skip
DETERMINERS = (
    "the", "the", "the", "a", "this", "that", "these", "those", "my", "your", "some", "it",
)  # fmt: skip


def make(folder: Path, words: Sequence[str]) -> dict[str, Any]:
    """Write the corpus.

    Args:
        folder: Where to.
        words: Words, frequent ones first.

    Returns:
        The report.
    """
    rng = np.random.default_rng(SEED)
    natural, missing = open_voices("dev", "kokoro")
    corpus = Corpus(folder, missing)
    lines = [(text, *_voice(rng)) for text in _texts(rng, words)]
    if natural:
        names = sorted(natural)
        for index, (text, _, _) in enumerate(lines[:N_KOKORO]):
            name = names[index % len(names)]
            corpus.say(Line(text, "none"), natural[name].say(text), name, rng)
        lines = lines[N_KOKORO:]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        spoken = pool.map(lambda line: _say(line[2], line[0]), lines)
        for (text, name, _), said in zip(lines, spoken, strict=True):
            if said is not None:
                corpus.say(Line(text, "none"), said, name, rng)
    return corpus.close()


def _say(voice: Voice, text: str) -> Spoken | None:
    try:
        return voice.say(text)
    except ValueError:
        return None  # A variant that has no sound for a word of one letter.


def _texts(rng: np.random.Generator, words: Sequence[str]) -> list[str]:
    held = {line.text for line in command_lines("held")}
    texts = [line.text for line in commands(SEED, COMMANDS, held)]
    texts += [_request(rng) for _ in range(REQUESTS)]
    share = (1.0 + np.arange(len(words))) ** -ZIPF
    share /= share.sum()
    while len(texts) < COUNT:
        count = int(rng.integers(1, LONGEST_WORDS + 1))
        texts.append(" ".join(rng.choice(words, count, p=share)))
    return [texts[i] for i in rng.permutation(len(texts)) if texts[i] not in held]


def _request(rng: np.random.Generator) -> str:
    def thing() -> str:
        quality = f"{rng.choice(QUALITIES)} " if rng.random() < 0.5 else ""
        number = f"{rng.choice(NUMBERS)} " if rng.random() < 0.2 else f"{rng.choice(DETERMINERS)} "
        return f"{number}{quality}{rng.choice(THINGS)}"

    said = f"{rng.choice(VERBS)} {thing()}"
    if rng.random() < 0.4:
        said += f" {rng.choice(PLACES)} {rng.choice(THINGS)}"
    return f"{rng.choice(BEFORE)} {said}" if rng.random() < 0.3 else said


def _voice(rng: np.random.Generator) -> tuple[str, Voice]:
    """A voice, at a speed of its own."""
    if rng.random() < FLITE_SHARE:
        name = str(rng.choice(("slt", "awb")))
        return f"flite:{name}", flite(name, float(rng.uniform(0.85, 1.25)))
    name = f"{rng.choice(ACCENTS)}+{rng.choice(VARIANTS)}"
    pitch = int(rng.integers(30, 70))
    return f"espeak:{name}", espeak(name, int(rng.integers(125, 195)), pitch)
