"""Finds the cheapest paths of heard words through a word graph (word edit distance, n-best).

    from deixis.nodes.speech.alignment import Aligner
    ends_and_paths = Aligner(graph, fillers).paths(["pick", "up", "that"], doubts=None)

A path may stop at any state: the beginning of a sentence is aligned like a whole one. Forward costs
are computed for all states at once (numpy); the best paths are then read off backwards by A*, for
which the forward costs are an exact heuristic.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.speech.text import sound_cost
from deixis.nodes.speech.wordgraph import WordGraph

Costs = NDArray[np.float32]

# Costs in words: 1 is a word that has nothing to do with the sentence.
FILLER_COST: Final = 0.03
LIKE_FILLER: Final = 0.35
"""A word that sounds like a filler, at this cost at most, is taken for it, at that cost."""
LIGHT_INSERTION: Final = 0.6
INSERTION: Final = 1.0
LIGHT_DELETION: Final = 0.4
DELETION: Final = 1.2
TAGGED_DELETION: Final = 1.0
JOIN_COST: Final = 0.1
JOIN_LIMIT: Final = 0.15
INCOMPLETE_COST: Final = 0.01
NAT_COST: Final = 0.13
"""Cost of a word that the recogniser found e times less probable than the one it wrote down."""

MAX_ENDS: Final = 16
MARGIN: Final = 1.2
"""How far dearer than the best a path may be."""
HOPELESS_COST: Final = 0.8
"""Cost per word beyond which no path is worth a second look."""
MAX_STEPS: Final = 800
MAX_ROWS: Final = 2000


@dataclass(frozen=True)
class Step:
    """One step of a path: an arc taken, a word heard, or both.

    Attributes:
        arc: Arc of the word graph, -1 for a heard word that was skipped.
        first: First word heard, -1 for none.
        n: How many words.
        cost: Cost of the step.
    """

    arc: int
    first: int
    n: int
    cost: float


@dataclass(frozen=True)
class Path:
    """A path through the graph: where it ends, its steps, and what they cost together."""

    end: int
    steps: tuple[Step, ...]

    @property
    def cost(self) -> float:
        """Sum of the steps."""
        return sum(step.cost for step in self.steps)


@dataclass(frozen=True)
class Alignment:
    """Result of :meth:`Aligner.align`.

    Attributes:
        paths: Best paths, cheapest first.
        prefixes: Cheapest cost of aligning all words but the last, and all but the last two, to the
            beginning of a path, and the state where that path ends.
        n_fillers: How many of the words are fillers.
    """

    paths: tuple[Path, ...]
    prefixes: tuple[tuple[float, int], ...]
    n_fillers: int


class Aligner:
    """Aligns words to a word graph.

    Args:
        graph: The word graph.
        fillers: Words and phrases that cost next to nothing anywhere.
    """

    def __init__(self, graph: WordGraph, fillers: Sequence[str]) -> None:
        self.graph = graph
        self.vocabulary = frozenset(graph.words)
        self.slot_words = frozenset(graph.words[w] for w in graph.arc_word[graph.arc_tag >= 0])
        self.is_verb = np.isin(graph.src, graph.starts)
        self._fillers = [phrase.split() for phrase in fillers]
        self._words_of_fillers = [words[0] for words in self._fillers if len(words) == 1]
        self._starts = frozenset(graph.starts.tolist())
        light = np.array([len(w) <= 3 for w in graph.words])[graph.arc_word] & ~self.is_verb
        self._deletion: Costs = np.where(light, LIGHT_DELETION, DELETION).astype(np.float32)
        self._deletion[graph.arc_tag >= 0] = TAGGED_DELETION
        self._rows: dict[str, Costs] = {}

    def align(
        self, heard: Sequence[str], doubts: Sequence[Costs | None], max_steps: int = MAX_STEPS
    ) -> Alignment:
        """Align words.

        Args:
            heard: Normalised words (:func:`deixis.nodes.speech.text.tokens`).
            doubts: For each, how much less probable (nats) the recogniser found every word of the
                graph in its place, shape ``(words of the graph,)``; None where it is unknown.
            max_steps: Of the search for the best paths.
        """
        rows = [self._row(word) for word in heard]
        for i, doubt in enumerate(doubts):
            if doubt is not None:
                rows[i] = np.minimum(rows[i], (NAT_COST * doubt)[self.graph.arc_word])
        insertions = self._insertions(heard)
        columns = self._forward(heard, rows, insertions)
        before = [columns[-1 - n] for n in (1, 2) if n < len(columns)]
        prefixes = tuple((float(c.min()), int(c.argmin())) for c in before)
        paths = tuple(self._backward(heard, rows, insertions, columns, max_steps))
        return Alignment(paths, prefixes, insertions.count(FILLER_COST))

    def _row(self, word: str) -> Costs:
        """Cost of taking ``word`` for the word of every arc."""
        row = self._rows.get(word)
        if row is None:
            if len(self._rows) >= MAX_ROWS:
                self._rows.clear()
            costs = [sound_cost(word, meant) for meant in self.graph.words]
            row = self._rows[word] = np.array(costs, np.float32)[self.graph.arc_word]
        return row

    def _joined_row(self, first: str, second: str) -> Costs | None:
        """The same for two heard words that are one of the graph (``in side``), if they can be."""
        row = self._row(first + second)
        if float(row.min()) >= JOIN_LIMIT:
            return None
        return np.where(row < JOIN_LIMIT, row + JOIN_COST, np.inf).astype(np.float32)

    def _insertions(self, heard: Sequence[str]) -> list[float]:
        """Cost of every heard word if it is no part of the sentence."""
        costs = []
        for i, word in enumerate(heard):
            light = len(word) <= 3 and word in self.vocabulary and word not in self.slot_words
            cost = LIGHT_INSERTION if light else INSERTION
            if (filler := self.filler(word)) is not None:
                cost = FILLER_COST + sound_cost(word, filler)
            # A word said twice is a stammer.
            costs.append(FILLER_COST if i and word == heard[i - 1] else cost)
        for phrase in self._fillers:
            for i in range(len(heard) - len(phrase) + 1):
                if list(heard[i : i + len(phrase)]) == phrase:
                    costs[i : i + len(phrase)] = [FILLER_COST] * len(phrase)
        return costs

    def filler(self, word: str) -> str | None:
        """The filler that a word, none of the graph's, sounds like."""
        if word in self.vocabulary:
            return None
        best = min(self._words_of_fillers, key=lambda f: sound_cost(word, f), default=None)
        return best if best is not None and sound_cost(word, best) <= LIKE_FILLER else None

    def _forward(
        self, heard: Sequence[str], rows: Sequence[Costs], insertions: Sequence[float]
    ) -> list[Costs]:
        """Cheapest cost of reaching every state after every number of heard words."""
        graph = self.graph
        first = np.full(len(graph.intent), np.inf, np.float32)
        first[graph.starts] = 0.0
        columns = [self._delete(first)]
        for i in range(len(heard)):
            column = columns[i] + np.float32(insertions[i])
            costs = columns[i][graph.src] + rows[i]
            joined = self._joined_row(heard[i - 1], heard[i]) if i else None
            if joined is not None:
                costs = np.minimum(costs, columns[i - 1][graph.src] + joined)
            self._relax(column, costs)
            columns.append(self._delete(column))
        return columns

    def _relax(self, column: Costs, arc_costs: Costs) -> None:
        best = np.minimum.reduceat(arc_costs, self.graph.first_arc)
        column[self.graph.targets] = np.minimum(column[self.graph.targets], best)

    def _delete(self, column: Costs) -> Costs:
        """Allow up to two words of the graph in a row that were not heard."""
        for _ in range(2):
            self._relax(column, column[self.graph.src] + self._deletion)
        return column

    def _backward(
        self,
        heard: Sequence[str],
        rows: Sequence[Costs],
        insertions: Sequence[float],
        columns: Sequence[Costs],
        max_steps: int,
    ) -> list[Path]:
        """Paths, cheapest first."""
        graph, last = self.graph, columns[-1]
        ends = last + np.where(graph.accepts, 0.0, INCOMPLETE_COST).astype(np.float32)
        best = float(ends.min())
        # Talk that fits nowhere has thousands of equally bad paths; nobody wants them.
        bound = best + (MARGIN if best <= HOPELESS_COST * len(heard) else 0.0)
        number = count()
        # Cost of the whole path, tie-breaker, words left, state, cost behind, end, steps behind.
        heap: list[tuple[float, int, int, int, float, int, _Chain | None]] = []
        for end in np.argsort(ends, kind="stable")[:MAX_ENDS].tolist():
            if ends[end] <= bound:
                behind = float(ends[end] - last[end])
                item = (float(ends[end]), next(number), len(heard), end, behind, end, None)
                heapq.heappush(heap, item)
        paths: list[Path] = []
        # Many paths come through the same place: what leads there is found once.
        known: dict[tuple[int, int], list[tuple[Step, int, int]]] = {}
        for _ in range(max_steps):
            if not heap:
                break
            _, _, i, state, behind, end, chain = heapq.heappop(heap)
            if i == 0 and state in self._starts:
                paths.append(Path(end, _steps(chain)))
                continue
            place = (i, state)
            if place not in known:
                known[place] = self._steps_into(heard, rows, insertions, columns, i, state)
            for step, before, source in known[place]:
                cost = behind + step.cost
                total = cost + float(columns[before][source])
                if total <= bound + 1e-4:
                    heapq.heappush(
                        heap, (total, next(number), before, source, cost, end, (step, chain))
                    )
        return paths

    def _steps_into(
        self,
        heard: Sequence[str],
        rows: Sequence[Costs],
        insertions: Sequence[float],
        columns: Sequence[Costs],
        i: int,
        state: int,
    ) -> list[tuple[Step, int, int]]:
        """Steps that end in ``state`` after ``i`` words, with where they come from."""
        graph = self.graph
        arcs = graph.arcs_into(state)
        limit = float(columns[i][state]) + MARGIN
        steps: list[tuple[Step, int, int]] = []

        def take(costs: Costs, first: int, n: int) -> None:
            totals = costs + columns[i - n][graph.src[arcs]]
            for k in np.flatnonzero(totals <= limit).tolist():
                arc = arcs.start + k
                steps.append((Step(arc, first, n, float(costs[k])), i - n, int(graph.src[arc])))

        take(self._deletion[arcs], -1, 0)
        if i >= 1:
            steps.append((Step(-1, i - 1, 1, insertions[i - 1]), i - 1, state))
            take(rows[i - 1][arcs], i - 1, 1)
        if i >= 2:
            joined = self._joined_row(heard[i - 2], heard[i - 1])
            if joined is not None:
                take(joined[arcs], i - 2, 2)
        return steps


_Chain = tuple[Step, "_Chain | None"]


def _steps(chain: _Chain | None) -> tuple[Step, ...]:
    steps: list[Step] = []
    while chain is not None:
        step, chain = chain
        steps.append(step)
    return tuple(steps)
