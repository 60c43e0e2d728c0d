"""Finds sentences that a word graph understands in two ways, by intersecting it with itself.

    for found in ambiguities(arcs, starts, accepts):
        print(" ".join(found.words), found.ends)

Two paths are followed at once wherever they say the same words (the product automaton); where both
may end and have differed on the way, in intent or in a tag, the words mean two things. The search
is breadth first, so that the example of every pair of ends is a shortest one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Label = TypeVar("Label", bound=Hashable)

Arc = tuple[int, int, str, Label]
"""Source, target, word, tag."""

_Pair = tuple[int, int, bool]


@dataclass(frozen=True)
class Ambiguity:
    """A sentence with two meanings.

    Attributes:
        words: The sentence.
        ends: States that it ends in.
        tags: The tags of its words, once and again.
    """

    words: tuple[str, ...]
    ends: tuple[int, int]
    tags: tuple[tuple[Hashable, ...], tuple[Hashable, ...]]


def ambiguities(
    arcs: Sequence[Arc[Label]], starts: Sequence[int], accepts: Sequence[bool]
) -> list[Ambiguity]:
    """One example for every two states that the same words lead to with different meanings.

    Args:
        arcs: Of an automaton that is deterministic in word and tag together.
        starts: First state of every intent; no state belongs to two.
        accepts: Per state, whether a sentence may end there.
    """
    after: list[dict[str, list[tuple[int, Label]]]] = [{} for _ in accepts]
    for source, target, word, tag in arcs:
        after[source].setdefault(word, []).append((target, tag))
    # How each pair was first reached: the pair before it, the word, both tags.
    reached: dict[_Pair, tuple[_Pair, str, Label, Label] | None] = {}
    queue: deque[_Pair] = deque()
    for i, first in enumerate(starts):
        for second in starts[i:]:
            reached[first, second, first != second] = None
            queue.append((first, second, first != second))
    found: list[Ambiguity] = []
    while queue:
        pair = one, other, differ = queue.popleft()
        if differ and accepts[one] and accepts[other]:
            found.append(_example(pair, reached))
        for word, targets in after[one].items():
            for target, tag in targets:
                for other_target, other_tag in after[other].get(word, ()):
                    reach = (target, other_target, differ or tag != other_tag)
                    if reach not in reached and (reach[1], reach[0], reach[2]) not in reached:
                        reached[reach] = (pair, word, tag, other_tag)
                        queue.append(reach)
    return found


def _example(
    pair: _Pair, reached: dict[_Pair, tuple[_Pair, str, Label, Label] | None]
) -> Ambiguity:
    words: list[str] = []
    tags: tuple[list[Hashable], list[Hashable]] = ([], [])
    step = reached[pair]
    while step is not None:
        before, word, *both = step
        words.append(word)
        for side, tag in zip(tags, both, strict=True):
            side.append(tag)
        step = reached[before]
    return Ambiguity(
        tuple(reversed(words)), pair[:2], (tuple(reversed(tags[0])), tuple(reversed(tags[1])))
    )
