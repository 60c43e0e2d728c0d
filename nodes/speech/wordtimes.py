"""When was each word said? Spreads the words of a transcript over the speech they were heard in.

    python -c "from deixis.nodes.speech.wordtimes import expected_ms; \
print(expected_ms('bottle', last=True))"

The decoder gives no times. The words are laid over the frames of the utterance by dynamic
programming: every word takes about as long as its sounds suggest, at the utterance's own tempo;
silent frames fall between words; boundaries prefer valleys of the energy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

DURATION_WEIGHT: Final = 1.0
BOUNDARY_WEIGHT: Final = 0.3
LONGEST: Final = 600
"""Frames; in talk as long as that nobody asks when a word was said, and the search takes long."""
LONGEST_WORD: Final = 150
"""Frames, a pause before or after it included."""
SHORTEST_PAUSE: Final = 9
"""Frames of 10 ms; shorter silences are the closures of plosives."""

VOWEL_MS: Final = 95.0
CONSONANT_MS: Final = 65.0
WEAK: Final = 0.65
FINAL: Final = 1.25
"""The last word before a pause is drawn out."""

_WEAK_WORDS: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "at",
        "for",
        "in",
        "is",
        "it",
        "me",
        "my",
        "of",
        "on",
        "or",
        "the",
        "to",
        "up",
    ]
)
_VOWELS: Final = re.compile(r"[aeiouy]+")
_CONSONANTS: Final = re.compile(r"th|ch|sh|ck|ng|wh|ph|[bcdfghjklmnpqrstvwxz]")


@dataclass(frozen=True)
class Span:
    """Frames of one word: from ``start`` up to, not including, ``end``."""

    start: int
    end: int


def expected_ms(word: str, last: bool = False) -> float:
    """How long a word takes at an ordinary tempo, from its letters.

    Args:
        word: Lower or upper case, punctuation is ignored.
        last: Whether it is the last before a pause.
    """
    letters = re.sub(r"[^a-z]", "", word.lower()) or "a"
    # A final e is mute after a consonant.
    spoken = re.sub(r"(?<=[aeiouy][bcdfgklmnprstvz])e$", "", letters)
    n_vowels = max(1, len(_VOWELS.findall(spoken)))
    n_consonants = len(_CONSONANTS.findall(spoken)) - len(re.findall(r"([bdfglmnprst])\1", spoken))
    duration = n_vowels * VOWEL_MS + max(0, n_consonants) * CONSONANT_MS
    if letters in _WEAK_WORDS:
        duration *= WEAK
    return duration * (FINAL if last else 1.0)


def spread(
    words: Sequence[str], levels_db: NDArray[np.float64], silent: NDArray[np.bool_]
) -> list[Span]:
    """Lay words over frames.

    Args:
        words: The words in order.
        levels_db: Level of every 10 ms frame from the first to the last of speech.
        silent: Which of them are no speech.

    Returns:
        One span per word, in order, not overlapping; pauses lie between spans.
    """
    n, k = len(levels_db), len(words)
    if k == 0 or n == 0:
        return [Span(0, 0)] * k
    if n > LONGEST:
        return _evenly(np.array([expected_ms(w) for w in words]), n)
    pause = _pauses(silent)
    voiced = np.concatenate([[0.0], np.cumsum(~pause)])
    expected = np.array([expected_ms(w, last=i == k - 1) for i, w in enumerate(words)])
    if voiced[-1] == 0:
        return _evenly(expected, n)
    expected *= voiced[-1] / expected.sum()
    # A boundary costs little in a valley of the energy, and least in a pause.
    smooth = np.convolve(levels_db, np.ones(3) / 3, mode="same") if n >= 3 else levels_db
    top = float(np.max(levels_db))
    valley = np.clip((smooth - (top - 30.0)) / 30.0, 0.0, 1.0)
    valley[pause] = -1.0
    boundary = np.concatenate([[0.0], valley[1:], [0.0]])

    # Spans that end at every frame, by their length: a word is not longer than the band.
    band = min(n, LONGEST_WORD)
    ends = np.arange(n + 1)[:, None]
    starts = ends - np.arange(1, band + 1)[None, :]
    voiced_length = voiced[ends] - voiced[np.maximum(starts, 0)]
    log_length = np.log(np.maximum(voiced_length, 0.5))
    impossible = (starts < 0) | (voiced_length <= 0)
    starts = np.maximum(starts, 0)

    cost = np.full(n + 1, np.inf)
    cost[0] = 0.0
    back = np.zeros((k, n + 1), np.int64)
    for i in range(k):
        deviation = log_length - np.log(max(expected[i], 0.5))
        total = cost[starts] + DURATION_WEIGHT * deviation**2
        total[impossible] = np.inf
        best = total.argmin(axis=1)
        back[i] = starts[np.arange(n + 1), best]
        cost = total[np.arange(n + 1), best]
        if i < k - 1:
            cost = cost + BOUNDARY_WEIGHT * boundary
    if not np.isfinite(cost[n]):
        return _evenly(expected, n)
    path = [n]
    for i in range(k - 1, -1, -1):
        path.append(int(back[i, path[-1]]))
    edges = path[::-1]
    return [_trim(edges[i], edges[i + 1], pause) for i in range(k)]


def _pauses(silent: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Silent stretches that are long enough to be pauses."""
    pause = np.zeros(len(silent), np.bool_)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], silent.astype(np.int8), [0]])))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        if end - start >= SHORTEST_PAUSE:
            pause[start:end] = True
    return pause


def _trim(start: int, end: int, pause: NDArray[np.bool_]) -> Span:
    """Take pauses off the ends of a span."""
    while start < end - 1 and pause[start]:
        start += 1
    while end - 1 > start and pause[end - 1]:
        end -= 1
    return Span(start, end)


def _evenly(expected: NDArray[np.float64], n: int) -> list[Span]:
    """More words than frames: in proportion."""
    edges = np.round(np.concatenate([[0.0], np.cumsum(expected)]) / expected.sum() * n).astype(int)
    return [Span(int(a), int(b)) for a, b in pairwise(edges)]
