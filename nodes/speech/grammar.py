"""What a text means in a domain: intent, slots, confidence, and whether the sentence is complete.

    from deixis.nodes.speech.grammar import parse_text
    print(parse_text("tabletop", "put that in the box")[0])

The text is aligned to the domain's word graph (:mod:`deixis.nodes.speech.alignment`); the cost of
the alignment becomes a confidence. What the recogniser itself makes of a sentence, given the audio,
counts for more where it is known (:meth:`Grammar.rescored`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from deixis.nodes.speech.alignment import (
    FILLER_COST,
    LIKE_FILLER,
    MAX_STEPS,
    Aligner,
    Alignment,
    Costs,
)
from deixis.nodes.speech.alignment import Path as GraphPath
from deixis.nodes.speech.confidence import (
    Evidence,
    calibrated,
    hearing,
    of_alignment,
    of_hearing,
    of_worst,
)
from deixis.nodes.speech.domain import Domain, load_domain
from deixis.nodes.speech.slots import build_slots
from deixis.nodes.speech.text import sound_cost, tokens, written
from deixis.nodes.speech.wordgraph import compile_domain
from deixis.runtime.messages import Parse, Word

N_BEST: Final = 24
VARIANTS: Final = 2
MAX_TOKENS: Final = 24
"""Of a longer text only the end is aligned: no sentence of a domain is nearly so long."""
BREAK_OFF_COST: Final = 0.1

KEY_DROPPED: Final = 0.6
"""Cost of a slot's word that was heard and has no place in the sentence."""

# The sentence that is chosen at the end loses least, in nats, of …
COST_NATS: Final = 6.0
"""… an alignment's cost: what looks different from what was written down must sound the better."""
LETTERS_SHARE: Final = 0.2
"""… as much of what its letters lose: frame after frame is counted as if it knew of no other."""
WORD_NATS: Final = 1.0
"""… every word it lacks: a decoder prefers short sentences (Murray and Chiang 2018)."""
INCOMPLETE_NATS: Final = 2.0

Token = tuple[str, int]
"""A normalised word, and the index of the word of the text that it comes from."""


@dataclass(frozen=True)
class Reading:
    """One alignment.

    Attributes:
        parse: What it means; ``text`` is the sentence of the grammar.
        extendable: The sentence is complete, but could go on and say more.
        spoken: What must have been said, as the recogniser would write it: the sentence with the
            fillers that were heard.
        exact: It was heard just so.
        ends_exactly: Its last word was heard just so, and nothing after it.
        cost: Cost of the alignment.
        per_word: The same per word.
        words: The words that were heard.
        evidence: What the confidence rests on, at the end of a sentence.
    """

    parse: Parse
    extendable: bool
    spoken: str
    exact: bool
    ends_exactly: bool
    cost: float
    per_word: float
    words: tuple[Word, ...] = ()
    evidence: Evidence | None = None


class Grammar:
    """A compiled domain that texts are aligned to.

    Args:
        domain: The domain.

    Raises:
        DomainError: The domain cannot be compiled.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self.graph = compile_domain(domain)
        self._aligner = Aligner(self.graph, domain.fillers)
        self._interrupts = self._interrupting_words()

    def readings(
        self,
        text: str,
        words: Sequence[Word] = (),
        doubts: Costs | None = None,
        max_steps: int = MAX_STEPS,
    ) -> list[Reading]:
        """Align a text.

        Args:
            text: As decoded or typed.
            words: The words of the text with their times, one per whitespace-separated word.
            doubts: How much less probable the recogniser found each word of the graph in place of
                each word of the text, in nats, shape ``(words of the text, words of the graph)``.
            max_steps: Of the search for other sentences than the best.

        Returns:
            Sentences of up to ``N_BEST`` meanings, ``VARIANTS`` of each, most confident first
            (:func:`merged` leaves one for every meaning); none for a text without words.
        """
        heard = self._split(tokens(text))[-MAX_TOKENS:]
        if not heard:
            return []
        tokenised = [w for w, _ in heard]
        alignment = self._aligner.align(tokenised, _per_token(heard, doubts), max_steps)
        n_content = len(heard) - alignment.n_fillers
        raw = text.split()
        found: dict[object, dict[str, Reading]] = {}
        for path in alignment.paths:
            reading = self._reading(path, heard, raw, words, n_content)
            variants = found.setdefault(meaning(reading.parse), {})
            if len(variants) < VARIANTS:
                variants.setdefault(reading.spoken, reading)
            if len(found) >= N_BEST:
                break
        broken_off = self._break_off(heard, raw, alignment, words)
        readings = [r for variants in found.values() for r in variants.values()]
        return _ranked(readings if broken_off is None else [*readings, broken_off])

    def rescored(
        self,
        readings: Sequence[Reading],
        losses: Sequence[float],
        spellings: Sequence[float],
        words: Sequence[Word],
    ) -> list[Reading]:
        """Replace confidences by what the recogniser itself makes of the sentences.

        Args:
            readings: Readings.
            losses: For each, how much less probable (nats) its sentence is than what was heard.
            spellings: The same for its letters.
            words: The words that were written down.

        Returns:
            One reading for every meaning, with the probabilities of its sentences added up, most
            confident first.
        """
        losses = [max(0.0, loss) for loss in losses]
        totals = [
            loss
            + LETTERS_SHARE * spelling
            + COST_NATS * reading.cost
            - WORD_NATS * len(reading.spoken.split())
            + (0.0 if reading.parse.complete else INCOMPLETE_NATS)
            for reading, loss, spelling in zip(readings, losses, spellings, strict=True)
        ]
        best = min(totals, default=0.0)
        # Two readings can be one sentence, which then has two meanings.
        sentences = {r.spoken: total for r, total in zip(readings, totals, strict=True)}
        evidence = sum(math.exp(best - t) for t in sentences.values())
        posterior: dict[object, float] = {}
        for reading, total in zip(readings, totals, strict=True):
            key = meaning(reading.parse)
            posterior[key] = posterior.get(key, 0.0) + math.exp(best - total) / evidence
        heard = hearing(words)
        found: dict[object, Reading] = {}
        by_total = sorted(
            zip(totals, losses, spellings, readings, strict=True), key=lambda item: item[0]
        )
        for _, loss, spelling, reading in by_total:
            key = meaning(reading.parse)
            if key not in found:
                found[key] = _with_evidence(
                    reading,
                    Evidence(
                        posterior=posterior[key],
                        loss=loss,
                        spelling=spelling,
                        words=len(reading.spoken.split()),
                        letters=len(reading.spoken),
                        cost=reading.per_word,
                        hearing=heard,
                    ),
                )
        return _ranked(list(found.values()))

    def finished(self, readings: Sequence[Reading]) -> list[Reading]:
        """What a sentence means of which it has turned out that nothing follows.

        Args:
            readings: What it may mean, as long as it could still go on.

        Returns:
            Those that are whole, judged among themselves.
        """
        whole = [r for r in readings if r.parse.complete]
        evidence = [r.evidence for r in whole if r.evidence is not None]
        if not whole or len(evidence) < len(whole):
            return whole
        losses, spellings = [e.loss for e in evidence], [e.spelling for e in evidence]
        return self.rescored(whole, losses, spellings, whole[0].words)

    def _split(self, heard: list[Token]) -> list[Token]:
        """Split words that are two of the vocabulary run together (``pickup``)."""
        known = self._aligner.vocabulary
        result: list[Token] = []
        for word, index in heard:
            cuts = range(2, len(word) - 1) if word not in known and len(word) > 4 else ()
            cut = next((c for c in cuts if word[:c] in known and word[c:] in known), None)
            parts = (word,) if cut is None else (word[:cut], word[cut:])
            result.extend((part, index) for part in parts)
        return result

    def _reading(
        self,
        path: GraphPath,
        heard: Sequence[Token],
        raw: Sequence[str],
        words: Sequence[Word],
        n_content: int,
    ) -> Reading:
        graph = self.graph
        taken = [s for s in path.steps if s.arc >= 0]
        said = [graph.words[graph.arc_word[s.arc]] for s in taken]
        per_word = path.cost / max(1, n_content, len(taken))
        confidence = (
            of_alignment(per_word) * of_worst(self._worst_key(path, heard)) * of_hearing(words)
        )
        tagged = [
            (graph.tags[graph.arc_tag[s.arc]], said[k], [heard[s.first + n][1] for n in range(s.n)])
            for k, s in enumerate(taken)
            if graph.arc_tag[s.arc] >= 0
        ]
        spoken = [
            (graph.words[graph.arc_word[s.arc]], heard[s.first][1] if s.n == 1 else -1)
            if s.arc >= 0
            else self._filler(heard[s.first])
            for s in path.steps
            if s.arc >= 0 or s.cost <= FILLER_COST + LIKE_FILLER
        ]
        parse = Parse(
            intent=graph.intent[path.end],
            slots=build_slots(tagged, words),
            confidence=round(confidence, 4),
            complete=bool(graph.accepts[path.end]),
            text=" ".join(said),
        )
        return Reading(
            parse,
            extendable=bool(graph.extendable[path.end]),
            spoken=written(spoken, raw),
            exact=all(s.cost <= FILLER_COST for s in path.steps),
            ends_exactly=bool(path.steps) and path.steps[-1].cost <= FILLER_COST,
            cost=path.cost,
            per_word=per_word,
            words=tuple(words),
        )

    def _filler(self, heard: Token) -> Token:
        """A word that is a filler, or sounds like one, as that filler."""
        filler = self._aligner.filler(heard[0])
        return heard if filler in (None, heard[0]) else (str(filler), -1)

    def _worst_key(self, path: GraphPath, heard: Sequence[Token]) -> float:
        """Cost of the worst word that matters, which a long sentence must not average away."""
        worst = 0.0
        for step in path.steps:
            if step.arc >= 0:
                if self._aligner.is_verb[step.arc] or self.graph.arc_tag[step.arc] >= 0:
                    worst = max(worst, step.cost)
            elif step.cost > FILLER_COST and heard[step.first][0] in self._aligner.slot_words:
                worst = max(worst, KEY_DROPPED)
        return worst

    def _interrupting_words(self) -> dict[tuple[str, ...], str]:
        """Sentences of one or two words that break off another sentence, with their intents."""
        graph = self.graph
        words = [graph.words[w] for w in graph.arc_word]
        ends = [int(end) for end in graph.dst]
        found: dict[tuple[str, ...], str] = {}
        for first in np.flatnonzero(self._aligner.is_verb).tolist():
            if graph.intent[ends[first]] not in self.domain.interrupts:
                continue
            following: list[int] = np.flatnonzero(graph.src == ends[first]).tolist()
            pairs = [(arc, (words[first], words[arc])) for arc in following]
            sentences: list[tuple[int, tuple[str, ...]]] = [(first, (words[first],)), *pairs]
            for arc, said in sentences:
                if graph.accepts[ends[arc]]:
                    found[said] = graph.intent[ends[arc]]
        return found

    def _break_off(
        self,
        heard: Sequence[Token],
        raw: Sequence[str],
        alignment: Alignment,
        words: Sequence[Word],
    ) -> Reading | None:
        """The beginning of a sentence, and then something like *stop*: that is what counts."""
        found: list[Reading] = []
        for n, (prefix_cost, prefix_end) in enumerate(alignment.prefixes, 1):
            before, last = heard[:-n], heard[-n:]
            # "Don't …" begins "don't move"; "don't stop" is the opposite of a stop.
            if not before or self.graph.intent[prefix_end] in self.domain.interrupts:
                continue
            meant, cost = self._interruption([word for word, _ in last])
            if not meant:
                continue
            per_word = prefix_cost / max(1, len(before) - alignment.n_fillers)
            confidence = of_alignment(per_word) * of_alignment(cost) * of_hearing(words)
            if confidence < 0.05:
                continue
            text = " ".join(meant)
            same = [w for w, _ in last] == list(meant)
            said = last if same else [(word, -1) for word in meant]
            found.append(
                Reading(
                    Parse(self._interrupts[meant], (), round(confidence, 4), True, text),
                    extendable=False,
                    spoken=written([*before, *said], raw),
                    exact=same and prefix_cost <= FILLER_COST,
                    ends_exactly=same,
                    cost=cost,
                    per_word=cost,
                    words=tuple(words),
                )
            )
        return max(found, key=lambda r: r.parse.confidence, default=None)

    def _interruption(self, last: Sequence[str]) -> tuple[tuple[str, ...], float]:
        """What breaks off a sentence that these words are likest to, and how unlike."""
        costs = {
            said: sum(map(sound_cost, last, said)) / len(said)
            for said in self._interrupts
            if len(said) == len(last)
        }
        best = min(costs, key=lambda said: costs[said], default=())
        return best, costs.get(best, math.inf) + BREAK_OFF_COST


def _per_token(heard: Sequence[Token], doubts: Costs | None) -> list[Costs | None]:
    """The doubts per token: of a word that gives several (``what's``), they are about the first."""
    result: list[Costs | None] = []
    previous = -1
    for _, index in heard:
        known = doubts is not None and index != previous and index < len(doubts)
        result.append(doubts[index] if known and doubts is not None else None)
        previous = index
    return result


def merged(readings: Iterable[Reading]) -> list[Reading]:
    """The first of the readings for every meaning."""
    found: dict[object, Reading] = {}
    for reading in readings:
        found.setdefault(meaning(reading.parse), reading)
    return list(found.values())


def _ranked(readings: list[Reading]) -> list[Reading]:
    """Most confident first; of two that are as sure, the one that is a whole sentence."""
    return sorted(readings, key=lambda r: (-r.parse.confidence, not r.parse.complete))


def _with_evidence(reading: Reading, evidence: Evidence) -> Reading:
    parse = msgspec.structs.replace(reading.parse, confidence=round(calibrated(evidence), 4))
    return replace(reading, parse=parse, evidence=evidence)


def meaning(parse: Parse) -> object:
    """What a parse asks for, apart from its wording, times and confidence; equal means the same."""
    slots = tuple((s.name, s.kind, s.noun, s.colour, s.relation) for s in parse.slots)
    values = tuple(s.value or s.text for s in parse.slots if s.kind == "value")
    return parse.intent, slots, values, parse.complete


@lru_cache(maxsize=4)
def open_grammar(domain: str, base_dir: Path | None = None) -> Grammar:
    """The compiled grammar of a domain, by name or path.

    Raises:
        DomainError: The domain is missing or wrong.
    """
    return Grammar(load_domain(domain, base_dir))


def parse_text(domain: str | Grammar, text: str) -> list[Parse]:
    """Parse a sentence.

    Args:
        domain: Name or path of a domain, or its compiled grammar.
        text: The sentence.

    Returns:
        Readings, most confident first; below the domain's ``accept_confidence`` it is none of its
        sentences.
    """
    grammar = open_grammar(domain) if isinstance(domain, str) else domain
    return [r.parse for r in merged(grammar.readings(text))]
