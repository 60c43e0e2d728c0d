"""Text as words that can be compared: case, contractions, numbers; and how alike two words sound.

python -c "from deixis.nodes.speech.text import tokens; print(tokens('What’s that, the 2nd?'))"
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Final

import jellyfish
from unicode_rbnf import RbnfEngine

MAX_COST: Final = 1.2
"""Cost of taking one word for an entirely different one."""

_WORD: Final = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_CONTRACTIONS: Final = (
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"\bcan't\b"), "can not"),
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"\blet's\b"), "let us"),
    (re.compile(r"\b(what|that|it|there|here|where|who)'s\b"), r"\1 is"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"\bi'm\b"), "i am"),
)
# Consonants that differ in voicing only, or that short fricatives are taken for.
_CLASSES: Final = str.maketrans("BDGVZ0", "PTKFST")


def expand(text: str) -> str:
    """Lower case, straight apostrophes, contractions written out."""
    text = text.lower().replace("’", "'")
    for pattern, full in _CONTRACTIONS:
        text = pattern.sub(full, text)
    return text


@cache
def _numbers() -> RbnfEngine:
    return RbnfEngine.for_language("en")


@lru_cache(maxsize=1024)
def _number_words(digits: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(_numbers().format_number(int(digits)).text.lower()))


def tokens(text: str) -> list[tuple[str, int]]:
    """Split a text into comparable words.

    Args:
        text: As decoded or typed.

    Returns:
        Word and index of the whitespace-separated word of ``text`` that it comes from (one word
        can give several: ``what's``, ``25``).
    """
    result: list[tuple[str, int]] = []
    for index, raw in enumerate(text.split()):
        for word in _WORD.findall(expand(raw)):
            if word.isdigit() and len(word) < 10:
                result.extend((number, index) for number in _number_words(word))
            else:
                result.append((word.replace("'", ""), index))
    return result


@cache
def _unlike_spoken() -> dict[str, str]:
    """Words that are written otherwise than :func:`tokens` gives them."""
    numbers = {_number_words(str(n))[0]: str(n) for n in (*range(10, 21), *range(30, 100, 10))}
    return {"i": "I", "id": "I'd", "ill": "I'll", **numbers}


def written(words: Sequence[tuple[str, int]], raw: Sequence[str]) -> str:
    """Words as a recogniser would write them down.

    Args:
        words: Comparable words, each with the index of the word of ``raw`` it was heard as, or -1.
        raw: The words that were written down. Where just they were said they are taken over
            (``12-ounce`` rather than ``twelve ounce``), without their punctuation.
    """
    result: list[str] = []
    i = 0
    while i < len(words):
        word, index = words[i]
        same = [(w, index) for w, _ in tokens(raw[index])] if index >= 0 else []
        if same and list(words[i : i + len(same)]) == same:
            result.append(raw[index].strip(".,;:?!\"'()"))
            i += len(same)
        else:
            result.append(_unlike_spoken().get(word, word))
            i += 1
    text = " ".join(result)
    return text[:1].upper() + text[1:]


@lru_cache(maxsize=8192)
def _sound(word: str) -> tuple[str, str]:
    code = jellyfish.metaphone(word) or word.upper()
    return code, code.translate(_CLASSES)


def _distance(a: str, b: str) -> float:
    return float(jellyfish.levenshtein_distance(a, b)) / max(len(a), len(b), 1)


@lru_cache(maxsize=65536)
def sound_cost(heard: str, meant: str) -> float:
    """How hard it is to take ``heard`` for ``meant``: 0 for the same word, up to ``MAX_COST``.

    Metaphone codes compare the consonants (once as they are, once without voicing), Jaro-Winkler
    the spelling, which stands in for the vowels.
    """
    if heard == meant:
        return 0.0
    (code_a, class_a), (code_b, class_b) = _sound(heard), _sound(meant)
    consonants = (_distance(code_a, code_b) + _distance(class_a, class_b)) / 2
    spelling = min(1.0, 2.0 * (1.0 - float(jellyfish.jaro_winkler_similarity(heard, meant))))
    return MAX_COST * (0.6 * consonants + 0.4 * spelling)
