"""Compiles the templates of a domain to one word graph: words on arcs, slot tags on words.

    python -c "from deixis.nodes.speech.domain import load_domain; \
from deixis.nodes.speech.wordgraph import compile_domain; \
print(compile_domain(load_domain('tabletop')).src.size, 'arcs')"

Each intent's templates become an automaton over words (subset construction, then states with the
same future are merged, as in a DAWG); intents stay apart, so that a state belongs to one intent.
Sentences with two meanings are found in the finished automaton and traced to their templates.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import lru_cache
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

from deixis.nodes.speech.ambiguity import Ambiguity, ambiguities
from deixis.nodes.speech.domain import Domain
from deixis.nodes.speech.templates import Template, slot_and_part
from deixis.nodes.speech.text import expand, tokens
from deixis.runtime.errors import DomainError

Ints = NDArray[np.int32]


class Tag(NamedTuple):
    """What a word means: part ``part`` of slot ``slot`` is ``value`` (None: the word itself).

    Of a number only the last word has the value, so that *twenty two* and *twenty five* begin with
    the same arc.
    """

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


@lru_cache(maxsize=4096)
def _split(text: str) -> tuple[tuple[str, ...], bool, bool]:
    """The words of a piece of a template, and whether a word ends before it and after it."""
    text = expand(text)
    # The same normalisation as for what is heard: a number can become several words.
    words = tuple(word for word, _ in tokens(text))
    return words, text[:1].isspace(), bool(text.strip()) and text[-1:].isspace()


class _Letters:
    """Automaton over pieces of text and spaces, built from one intent's templates."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self.edges: list[list[tuple[str, Tag | None, int]]] = []
        self._words: dict[int, list[tuple[str, Tag | None, int]]] = {}
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
            self._permutation(expression.items, source, target, tag)
        elif isinstance(expression, Sequence):
            at = source
            for item in expression.items[:-1]:
                after = self.state()
                self.add(item, at, after, tag)
                at = after
            if expression.items:
                self.add(expression.items[-1], at, target, tag)
            else:
                self.edges[at].append(("", None, target))
        elif isinstance(expression, RuleReference):
            rule = self._domain.rules[expression.rule_name]
            self.add(rule.expression, source, target, tag)
        elif isinstance(expression, ListReference):
            slot, part = slot_and_part(expression)
            values = self._domain.lists[expression.list_name]
            for value in values.values:
                if values.numbers:
                    last = Tag(slot, part, value.out)
                    self._text(value.says.text, source, target, Tag(slot, part, None), last)
                else:
                    self.add(value.says.expression, source, target, Tag(slot, part, value.out))
        else:
            raise DomainError(
                f"{self._domain.path}: cannot compile {type(expression).__name__} of a template"
            )

    def _permutation(
        self, items: list[Expression], source: int, target: int, tag: Tag | None
    ) -> None:
        """One state for every set of items that have been said: 2^n of them, not n!."""
        everything = (1 << len(items)) - 1
        states = {0: source, everything: target}
        for said in range(everything):
            at = states[said]
            for index, item in enumerate(items):
                after = said | 1 << index
                if after != said:
                    if after not in states:
                        states[after] = self.state()
                    self.add(item, at, states[after], tag)

    def _text(
        self, text: str, source: int, target: int, tag: Tag | None, last: Tag | None = None
    ) -> None:
        """Add a text; ``last`` is the tag of its last word, if that is another."""
        words, before, after = _split(text)
        labels: list[tuple[str, Tag | None]] = [(_SPACE, None)] if before else []
        for index, word in enumerate(words):
            if index:
                labels.append((_SPACE, None))
            labels.append((word, tag))
        if words and last is not None:
            labels[-1] = (words[-1], last)
        if after:
            labels.append((_SPACE, None))
        for label, its_tag in labels[:-1]:
            middle = self.state()
            self.edges[source].append((label, its_tag, middle))
            source = middle
        label, its_tag = labels[-1] if labels else ("", None)
        self.edges[source].append((label, its_tag, target))

    def words_from(self, state: int) -> list[tuple[str, Tag | None, int]]:
        """Whole words that can follow a word boundary; ("", None, end) where it may end."""
        known = self._words.get(state)
        if known is not None:
            return known
        found = self._words[state] = []
        first: tuple[int, str, Tag | None] = (state, "", None)
        stack, seen = [first], {first}
        while stack:
            at, text, tag = stack.pop()
            if at == self.end:
                found.append((text, tag, at))
            for label, edge_tag, target in self.edges[at]:
                if label == _SPACE and text:
                    found.append((text, tag, target))
                    continue
                word = text if label == _SPACE else text + label
                item = (target, word, edge_tag or tag)
                if item not in seen:
                    seen.add(item)
                    stack.append(item)
        return found


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
        built = [(*label, self._build(frozenset(group))) for label, group in targets.items()]
        # A list without values (yet) is a dead end.
        arcs = tuple(arc for arc in built if self.accepts[arc[2]] or self.arcs[arc[2]])
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
        DomainError: A sentence means two things, which the domain does not allow. Of a domain with
            names from the scene this is not asked: nobody who could mend the file is there.
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
        if not words.arcs[words.start]:
            continue  # It needs a name from the scene, and there is none yet.
        # _Words numbers a state after its successors: reversed, arcs lead to higher numbers.
        base, count = len(intents), len(words.arcs)
        number = [base + count - 1 - s for s in range(count)]
        for state, outgoing in enumerate(words.arcs):
            arcs.extend((number[state], number[t], word, tag) for word, tag, t in outgoing)
        starts.append(number[words.start])
        intents.extend([intent] * count)
        accepts.extend(reversed(words.accepts))
    if not arcs:
        raise DomainError(f"{domain.path}: no sentence can be said without names of objects")
    if not domain.ambiguous and not domain.names:
        found = ambiguities(arcs, starts, accepts)
        if found:
            raise DomainError(_report(domain, found, intents))
    return _arrays(arcs, starts, intents, accepts)


def _report(domain: Domain, found: list[Ambiguity], intents: list[str]) -> str:
    """What is ambiguous, once for every two templates."""
    reports: dict[object, str] = {}
    for ambiguity in found:
        sides = []
        for end, tags in zip(ambiguity.ends, ambiguity.tags, strict=True):
            template = _template_of(domain, intents[end], ambiguity.words, tags)
            filled = ", ".join(_filled(ambiguity.words, tags)) or "no slots"
            sides.append((template.line, intents[end], filled))
        sides.sort()
        (line, intent, filled), (other_line, other_intent, other_filled) = sides
        reports.setdefault(
            (line, intent, other_line, other_intent),
            f"{domain.path}:{line}: {' '.join(ambiguity.words)!r} is ambiguous: intent {intent!r} "
            f"with {filled}, or intent {other_intent!r} (line {other_line}) with {other_filled}",
        )
    lines = sorted(reports.values())
    return "\n".join([f"{len(lines)} mistakes:", *lines] if len(lines) > 1 else lines)


def _filled(words: tuple[str, ...], tags: tuple[Hashable, ...]) -> Iterator[str]:
    """What the words fill, for a message: ``object.noun 'mug' = cup``."""
    said: dict[tuple[str, str], list[str]] = {}
    means: dict[tuple[str, str], str] = {}
    for word, tag in zip(words, tags, strict=True):
        if isinstance(tag, Tag):
            said.setdefault((tag.slot, tag.part), []).append(word)
            if tag.value is not None:
                means[tag.slot, tag.part] = f" = {tag.value}"
    for (slot, part), text in said.items():
        name = slot if part == "value" else f"{slot}.{part}"
        yield f"{name} {' '.join(text)!r}{means.get((slot, part), '')}"


def _template_of(
    domain: Domain, intent: str, words: tuple[str, ...], tags: tuple[Hashable, ...]
) -> Template:
    """The first template of an intent that says these words with these tags."""
    for template in domain.sentences[intent]:
        letters = _Letters(domain)
        letters.add(template.expression, letters.start, letters.end, None)
        states = {letters.start}
        for word, tag in zip(words, tags, strict=True):
            states = {
                target
                for state in states
                for found, with_tag, target in letters.words_from(state)
                if (found, with_tag) == (word, tag)
            }
        if any(not word for state in states for word, _, _ in letters.words_from(state)):
            return template
    raise AssertionError(f"no template of {intent!r} says {words}")


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
