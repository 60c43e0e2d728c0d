"""Referents that are worked out on a partial and used again at the final.

speculator = Speculator(Resolver(params), memory)
resolved, reused = speculator.resolve(parse, event.words)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from deixis.nodes.fusion.referents import Memory, Resolved
from deixis.nodes.fusion.resolve import Resolver
from deixis.runtime.messages import Parse, Word

_KEPT = 16


class Speculator:
    """A resolver that remembers its last answers.

    Args:
        resolver: Does the work.
        memory: What it rests on.
    """

    def __init__(self, resolver: Resolver, memory: Memory) -> None:
        self._resolver = resolver
        self._memory = memory
        self._known: OrderedDict[Hashable, Resolved] = OrderedDict()

    def resolve(self, parse: Parse, words: Sequence[Word]) -> tuple[Resolved, bool]:
        """The parse's referents, and whether they had been worked out before."""
        key = self._resolver.signature(parse, words, self._memory)
        if key in self._known:
            return self._known[key], True
        resolved = self._known[key] = self._resolver.resolve(parse, words, self._memory)
        while len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return resolved, False

    def clear(self) -> None:
        """Forget all: a new scene begins."""
        self._known.clear()
