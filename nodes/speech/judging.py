"""At the end of the speech: which sentence was it? Two hearings suggest some, and judge them all.

    readings = judged(moonshine, grammar, readings, transcript, time_ns)

The decoder's text and the letters (:mod:`deixis.nodes.speech.letters`) are both aligned to the
grammar. Each sentence that comes of it loses something under either hearing, and what it loses
decides (:meth:`deixis.nodes.speech.grammar.Grammar.rescored`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from deixis.nodes.speech.alignment import HOPELESS_COST
from deixis.nodes.speech.grammar import COST_NATS, LETTERS_SHARE, Grammar, Reading, meaning
from deixis.nodes.speech.letters import Hearing
from deixis.nodes.speech.moonshine import Moonshine, Transcript
from deixis.nodes.speech.text import tokens
from deixis.runtime.messages import Word

MIN_SCORED: Final = 6
"""So many sentences are scored by the decoder, and one more for every further word of a long one:
the more that can be misheard, the more they are that look alike."""
SPELLED_STEPS: Final = 200
"""Steps of the search for sentences that the letters suggest: the first few are what counts."""
SURE_NATS: Final = 0.4
"""A sentence heard just so, whose letters lose no more than this a letter, needs no second look."""


def judged(
    moonshine: Moonshine,
    grammar: Grammar,
    readings: list[Reading],
    transcript: Transcript,
    time_ns: Callable[[float], int],
) -> list[Reading]:
    """Judge what was said in the audio that was transcribed last.

    Args:
        moonshine: Transcribed it.
        grammar: Says what a text means.
        readings: What the transcript may mean.
        transcript: What was written down.
        time_ns: Frame of the speech encoder → its time.

    Returns:
        Readings, most confident first; those given where there is nothing to judge.

    Raises:
        EngineError: A model failed.
    """
    heard = " ".join(re.findall(r"[\w'-]+", transcript.text))
    hearing = moonshine.spelled()
    if hearing is None or not heard:
        return readings
    spoken = readings[0].words if readings else ()
    if readings and readings[0].exact:
        best = readings[0]
        spelling = float(hearing.losses([best.spoken])[0])
        if spelling <= SURE_NATS * len(best.spoken):
            # One sentence can have two meanings.
            same = [r for r in readings if r.exact and r.spoken == best.spoken]
            n = len(same)
            return grammar.rescored(same, [0.0] * n, [spelling] * n, spoken)
    candidates = _joined(readings, _suggested(grammar, hearing, transcript, time_ns))
    if not candidates or min(r.per_word for r in candidates) > HOPELESS_COST:
        return readings
    spellings = hearing.losses([r.spoken for r in candidates]).tolist()
    order = sorted(
        range(len(candidates)),
        key=lambda k: COST_NATS * candidates[k].cost + LETTERS_SHARE * spellings[k],
    )[: max(MIN_SCORED, len(heard.split()))]
    scored = [candidates[k] for k in order]
    scores = moonshine.score([heard, *(r.spoken for r in scored)])
    losses = [scores[0] - score for score in scores[1:]]
    return grammar.rescored(scored, losses, [spellings[k] for k in order], spoken)


def _suggested(
    grammar: Grammar, hearing: Hearing, transcript: Transcript, time_ns: Callable[[float], int]
) -> list[Reading]:
    """What the letters may mean; nothing new where they are the words that were written down."""
    words = tuple(
        Word(w.text, time_ns(w.first), time_ns(w.last + 1.5), round(float(np.exp(w.log_prob)), 4))
        for w in hearing.words()
    )
    text = " ".join(word.text for word in words)
    if [word for word, _ in tokens(text)] == [word for word, _ in tokens(transcript.text)]:
        return []
    return grammar.readings(text, words, max_steps=SPELLED_STEPS)


def _joined(*groups: Sequence[Reading]) -> list[Reading]:
    """The readings of several texts; of those that mean and say the same the cheapest."""
    found: dict[object, Reading] = {}
    for reading in (r for group in groups for r in group if r.spoken):
        key = (meaning(reading.parse), reading.spoken.lower())
        if key not in found or reading.cost < found[key].cost:
            found[key] = reading
    return list(found.values())
