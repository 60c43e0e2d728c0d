"""Compiles the templates of a domain to one word graph: words on arcs, slot tags on words.

    python -c "from deixis.nodes.speech.domain import load_domain; \
from deixis.nodes.speech.wordgraph import compile_domain; \
print(compile_domain(load_domain('tabletop')).src.size, 'arcs')"

Each intent's templates become an automaton over words (subset construction, then states with the
same future are merged, as in a DAWG); intents stay apart, so that a state belongs to one intent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)
from numpy.typing import NDArray

from deixis.nodes.speech.domain import Domain, slot_and_part
from deixis.nodes.speech.text import expand, tokens
from deixis.runtime.errors import DomainError

Ints = NDArray[np.int32]


class Tag(NamedTuple):
    """What a word means: part ``part`` of slot ``slot`` is ``value`` (None: the word itself)."""

    slot: str
    part: str
    value: str | None


@dataclass(frozen=True)
class WordGraph:
    """The word graph as arrays, arcs sorted by target state.

    Attributes:
        words: Vocabulary.
        tags: Tags; ``arc_tag`` -1 is none.
        src: Source state per arc; sources have lower numbers than targets.
        dst: Target state per arc.
        arc_word: Index into ``words`` per arc.
        arc_tag: Index into ``tags`` per arc.
        targets: States with arcs into them, ascending; ``first_arc`` is where theirs begin.
        first_arc: See ``targets``.
        starts: First state of every intent.
        intent: Intent's name per state.
        accepts: Whether a sentence may end in the state.
        extendable: Whether it may end there but can also go on and say more.
    """

    words: tuple[str, ...]
    tags: tuple[Tag, ...]
    src: Ints
    dst: Ints
    arc_word: Ints
    arc_tag: Ints
    targets: Ints
    first_arc: Ints
    starts: Ints
    intent: tuple[str, ...]
    accepts: NDArray[np.bool_]
    extendable: NDArray[np.bool_]

    def arcs_into(self, state: int) -> slice:
        """The arcs that lead to a state."""
        low, high = np.searchsorted(self.dst, [state, state + 1])
        return slice(int(low), int(high))


_SPACE = " "


class _Letters:
    """Automaton over pieces of text and spaces, built from one intent's templates."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self.edges: list[list[tuple[str, Tag | None, int]]] = []
        self.start = self.state()
        self.end = self.state()

    def state(self) -> int:
        self.edges.append([])
        return len(self.edges) - 1

    def add(self, expression: Expression, source: int, target: int, tag: Tag | None) -> None:
        """Add paths for the expression from ``source`` to ``target``."""
        if isinstance(expression, TextChunk):
            self._text(expression.original_text, source, target, tag)
        elif isinstance(expression, Alternative):
            for item in expression.items:
                self.add(item, source, target, tag)
        elif isinstance(expression, Permutation):
            if not expression.items:
                self.edges[source].append(("", None, target))
            for item, rest in expression.iterate_permutations():
                middle = self.state()
                self.add(item, source, middle, tag)
                self.add(rest, middle, target, tag)
        elif isinstance(expression, Sequence):
            at = source
            for item in expression.items:
                after = self.state()
                self.add(item, at, after, tag)
                at = after
            self.edges[at].append(("", None, target))
        elif isinstance(expression, RuleReference):
            rule = self._domain.rules[expression.rule_name]
            self.add(rule.expression, source, target, tag)
        elif isinstance(expression, ListReference):
            slot, part = slot_and_part(expression)
            for says, out in self._domain.lists[expression.list_name]:
                self.add(says.expression, source, target, Tag(slot, part, out))
        else:
            raise DomainError(
                f"{self._domain.path}: cannot compile {type(expression).__name__} of a template"
            )

    def _text(self, text: str, source: int, target: int, tag: Tag | None) -> None:
        text = expand(text)
        pieces = text.split()
        if text[:1].isspace():
            source = self._edge(_SPACE, None, source)
        for index, piece in enumerate(pieces):
            if index:
                source = self._edge(_SPACE, None, source)
            # The same normalisation as for what is heard: a number can become several words.
            for number, (word, _) in enumerate(tokens(piece)):
                if number:
                    source = self._edge(_SPACE, None, source)
                source = self._edge(word, tag, source)
        if pieces and text[-1:].isspace():
            source = self._edge(_SPACE, None, source)
        self.edges[source].append(("", None, target))

    def _edge(self, label: str, tag: Tag | None, source: int) -> int:
        target = self.state()
        self.edges[source].append((label, tag, target))
        return target

    def words_from(self, state: int) -> Iterator[tuple[str, Tag | None, int]]:
        """Whole words that can follow a word boundary; ("", None, end) where it may end."""
        stack: list[tuple[int, str, Tag | None]] = [(state, "", None)]
        seen: set[tuple[int, str, Tag | None]] = set()
        while stack:
            at, text, tag = item = stack.pop()
            if item in seen:
                continue
            seen.add(item)
            if at == self.end:
                yield text, tag, at
            for label, edge_tag, target in self.edges[at]:
                if label == _SPACE and text:
                    yield text, tag, target
                else:
                    stack.append((target, text + label.strip(), edge_tag or tag))


class _Words:
    """Deterministic, merged automaton over words of one intent."""

    def __init__(self, letters: _Letters) -> None:
        self._letters = letters
        self.arcs: list[tuple[tuple[str, Tag | None, int], ...]] = []
        self.accepts: list[bool] = []
        self._merged: dict[object, int] = {}
        self._done: dict[frozenset[int], int] = {}
        self.start = self._build(frozenset([letters.start]))

    def _build(self, states: frozenset[int]) -> int:
        known = self._done.get(states)
        if known is not None:
            return known
        targets: dict[tuple[str, Tag | None], set[int]] = {}
        accepts = False
        for state in states:
            for word, tag, target in self._letters.words_from(state):
                if word:
                    targets.setdefault((word, tag), set()).add(target)
                else:
                    accepts = True
        arcs = tuple(
            (word, tag, self._build(frozenset(group))) for (word, tag), group in targets.items()
        )
        key = (accepts, frozenset(arcs))
        number = self._merged.get(key)
        if number is None:
            number = self._merged[key] = len(self.arcs)
            self.arcs.append(arcs)
            self.accepts.append(accepts)
        self._done[states] = number
        return number


def compile_domain(domain: Domain) -> WordGraph:
    """Compile all templates of a domain.

    Raises:
        DomainError: A sentence can be empty, or an intent has none.
    """
    arcs: list[tuple[int, int, str, Tag | None]] = []
    starts: list[int] = []
    intents: list[str] = []
    accepts: list[bool] = []
    for intent, sentences in domain.sentences.items():
        letters = _Letters(domain)
        for sentence in sentences:
            letters.add(sentence.expression, letters.start, letters.end, None)
        words = _Words(letters)
        if not words.arcs[words.start] or words.accepts[words.start]:
            raise DomainError(f"{domain.path}: intent {intent!r} can be said with no words at all")
        # _Words numbers a state after its successors: reversed, arcs lead to higher numbers.
        base, count = len(intents), len(words.arcs)
        number = [base + count - 1 - s for s in range(count)]
        for state, outgoing in enumerate(words.arcs):
            arcs.extend((number[state], number[t], word, tag) for word, tag, t in outgoing)
        starts.append(number[words.start])
        intents.extend([intent] * count)
        accepts.extend(reversed(words.accepts))
    return _arrays(arcs, starts, intents, accepts)


def _arrays(
    arcs: list[tuple[int, int, str, Tag | None]],
    starts: list[int],
    intents: list[str],
    accepts: list[bool],
) -> WordGraph:
    arcs.sort(key=lambda a: (a[1], a[0], a[2]))
    words = tuple(sorted({a[2] for a in arcs}))
    tags = tuple(sorted({a[3] for a in arcs if a[3] is not None}, key=str))
    word_index = {w: i for i, w in enumerate(words)}
    tag_index: dict[Tag | None, int] = {None: -1, **{t: i for i, t in enumerate(tags)}}
    dst = np.array([a[1] for a in arcs], np.int32)
    targets, first_arc = np.unique(dst, return_index=True)
    return WordGraph(
        words=words,
        tags=tags,
        src=np.array([a[0] for a in arcs], np.int32),
        dst=dst,
        arc_word=np.array([word_index[a[2]] for a in arcs], np.int32),
        arc_tag=np.array([tag_index[a[3]] for a in arcs], np.int32),
        targets=targets.astype(np.int32),
        first_arc=first_arc.astype(np.int32),
        starts=np.array(starts, np.int32),
        intent=tuple(intents),
        accepts=np.array(accepts, np.bool_),
        extendable=_extendable(arcs, accepts),
    )


def _extendable(
    arcs: list[tuple[int, int, str, Tag | None]], accepts: list[bool]
) -> NDArray[np.bool_]:
    """Accepting states from which more can be said about a slot than has been.

    ``stop`` may go on as ``stop now`` and ``that`` as ``that one``, but neither says more.
    """
    said: list[set[tuple[str, str]]] = [set() for _ in accepts]
    ahead: list[set[tuple[str, str]]] = [set() for _ in accepts]
    for source, target, _, tag in arcs:
        said[target] |= said[source]
        if tag is not None:
            said[target].add((tag.slot, tag.part))
    for source, target, _, tag in reversed(arcs):
        ahead[source] |= ahead[target]
        if tag is not None:
            ahead[source].add((tag.slot, tag.part))
    return np.array([bool(a and ahead[s] - said[s]) for s, a in enumerate(accepts)], np.bool_)
