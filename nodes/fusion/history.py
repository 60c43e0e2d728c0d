"""Pointing rays and scenes of the last seconds, found again by the time of a word.

People's gestures lead their words: in recordings of real people the gesture starts a median 218 ms
before its phrase and ends 374 ms after it. So a word is looked up in a window that reaches further
back than forward, and only in *holds* (the hand is still). Each deictic word has a hold of its own:
"put that there" never mixes the two.

    history.add(pointing); ray, hold = history.lookup([(word.start_ns, word.end_ns)])[0]
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.fusion.rays import Ray, average
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import Pointing, Scene

Span = tuple[int, int]
"""Start and end of a word (ns)."""

LEAD_NS = 200 * NS_PER_MS
LAG_NS = 100 * NS_PER_MS
"""A hold belongs to a word if it touches [start - LEAD, end + LAG] …"""
MAX_LEAD_NS = 600 * NS_PER_MS
MAX_LAG_NS = 200 * NS_PER_MS
"""… or, failing that, [start - MAX_LEAD, end + MAX_LAG]."""
_FALL_OFF_NS = 200 * NS_PER_MS
_NEAREST = 5
# A hold goes on over a short flicker of the phase, and ends where hand or direction jump.
_FLICKER_NS = 300 * NS_PER_MS
_JUMP_RAD = math.radians(10.0)
_JUMP_M = 0.04
# Score of leaving the last word (or one before it) without a hold, against the summed weight of a
# hold's frames: one hold that fits two words belongs to the first, the object.
_UNASSIGNED = 0.05
_UNASSIGNED_EARLIER = 0.001


@dataclass(slots=True)
class _Hold:
    """A stretch of time in which one hand pointed at one thing."""

    number: int
    last_ns: int
    count: int
    origin: NDArray[np.float64]
    direction: NDArray[np.float64]

    def continues(self, pointing: Pointing) -> bool:
        direction = np.asarray(pointing.direction_base)
        cosine = float(direction @ self.direction) / float(np.linalg.norm(self.direction))
        moved_m = float(np.linalg.norm(np.asarray(pointing.origin_base_m) - self.origin))
        return (
            pointing.header.stamp_ns - self.last_ns <= _FLICKER_NS
            and cosine >= math.cos(_JUMP_RAD)
            and moved_m <= _JUMP_M
        )

    def add(self, pointing: Pointing) -> None:
        self.last_ns = pointing.header.stamp_ns
        self.count += 1
        share = 1.0 / self.count
        self.origin = self.origin + share * (np.asarray(pointing.origin_base_m) - self.origin)
        self.direction = self.direction + share * (
            np.asarray(pointing.direction_base) - self.direction
        )


class RayHistory:
    """Rays of the holds of the last seconds.

    Args:
        span_ns: How long rays are kept; longer than the longest utterance.
    """

    def __init__(self, span_ns: int = 15 * NS_PER_S) -> None:
        self._span_ns = span_ns
        self._rays: deque[tuple[int, Pointing]] = deque()
        self._holds: dict[int, _Hold] = {}
        self._latest_ns: dict[int, int] = {}
        self._numbers = itertools.count()

    def add(self, pointing: Pointing) -> None:
        """Remember a ray; only holds are kept, and each hand's rays must come in order."""
        now_ns = pointing.header.stamp_ns
        if now_ns <= self._latest_ns.get(pointing.track_id, -1):
            return
        self._latest_ns[pointing.track_id] = now_ns
        while self._rays and self._rays[0][1].header.stamp_ns < now_ns - self._span_ns:
            self._rays.popleft()
        if pointing.phase != "hold":
            return
        hold = self._holds.get(pointing.track_id)
        if hold is None or not hold.continues(pointing):
            hold = self._holds[pointing.track_id] = _Hold(
                next(self._numbers), now_ns, 0, np.zeros(3), np.zeros(3)
            )
        hold.add(pointing)
        self._rays.append((hold.number, pointing))

    def clear(self) -> None:
        """Forget everything: a new scene begins."""
        self._rays.clear()
        self._holds.clear()
        self._latest_ns.clear()

    def signature(self, span: Span) -> tuple[int, int]:
        """What a look-up of this word rests on; the same signature means the same answer."""
        stamps = [
            p.header.stamp_ns
            for _, p in self._rays
            if span[0] - MAX_LEAD_NS <= p.header.stamp_ns <= span[1] + MAX_LAG_NS
        ]
        return len(stamps), max(stamps, default=0)

    def lookup(
        self, spans: Sequence[Span], exclude: Collection[int] = ()
    ) -> list[tuple[Ray, int] | None]:
        """Where the hand pointed at each word.

        Args:
            spans: Start and end of each deictic word, in the order they were said.
            exclude: Holds that belong to other words.

        Returns:
            Per word the mean ray of its hold and the hold's number, or None where no hold is near.
            Different words get different holds, in the order of the words.
        """
        options = [self._near(span, exclude) for span in spans]
        best: tuple[int | None, ...] = (None,) * len(spans)
        best_score = -math.inf
        for choice in itertools.product(*[(None, *near) for near in options]):
            pairs = zip(options, choice, strict=True)
            chosen = [(near[hold], hold) for near, hold in pairs if hold is not None]
            if len({c for _, c in chosen}) < len(chosen):
                continue
            times = [rays[0][1].header.stamp_ns for rays, _ in chosen]
            if times != sorted(times):
                continue
            score = sum(math.log(sum(w for w, _ in rays)) for rays, _ in chosen)
            score += sum(
                math.log(_UNASSIGNED if i == len(spans) - 1 else _UNASSIGNED_EARLIER)
                for i, hold in enumerate(choice)
                if hold is None
            )
            if score > best_score:
                best, best_score = choice, score
        return [
            None if c is None else (_mean(near[c], span), c)
            for near, c, span in zip(options, best, spans, strict=True)
        ]

    def _near(
        self, span: Span, exclude: Collection[int]
    ) -> dict[int, list[tuple[float, Pointing]]]:
        """Rays near a word with their weights, per hold."""
        holds: dict[int, list[tuple[float, Pointing]]] = {}
        for number, pointing in self._rays:
            stamp_ns = pointing.header.stamp_ns
            if number in exclude or not (span[0] - MAX_LEAD_NS <= stamp_ns <= span[1] + MAX_LAG_NS):
                continue
            away = _outside_ns(stamp_ns, span) / _FALL_OFF_NS
            weight = max(pointing.confidence, 1e-3) * math.exp(-0.5 * away**2)
            holds.setdefault(number, []).append((weight, pointing))
        return holds


def _outside_ns(stamp_ns: int, span: Span) -> int:
    """How far a moment lies outside the window of a word; 0 inside."""
    return max(span[0] - LEAD_NS - stamp_ns, stamp_ns - span[1] - LAG_NS, 0)


def _mean(rays: list[tuple[float, Pointing]], span: Span) -> Ray:
    """Mean of a hold's rays inside the word's window, else of those nearest to it."""
    inside = [(w, p) for w, p in rays if _outside_ns(p.header.stamp_ns, span) == 0]
    if not inside:
        inside = sorted(rays, key=lambda r: _outside_ns(r[1].header.stamp_ns, span))[:_NEAREST]
    return average([p for _, p in inside], [w for w, _ in inside])


class SceneHistory:
    """Scenes of the last seconds.

    Args:
        span_ns: How long scenes are kept.
    """

    def __init__(self, span_ns: int = 2 * NS_PER_S) -> None:
        self._span_ns = span_ns
        self._scenes: deque[Scene] = deque()

    @property
    def newest(self) -> Scene | None:
        """The scene captured last."""
        return self._scenes[-1] if self._scenes else None

    def add(self, scene: Scene) -> None:
        """Remember a scene; one that is older than the newest is ignored."""
        if self._scenes and scene.header.stamp_ns < self._scenes[-1].header.stamp_ns:
            return
        self._scenes.append(scene)
        while self._scenes[0].header.stamp_ns < scene.header.stamp_ns - self._span_ns:
            self._scenes.popleft()

    def clear(self) -> None:
        """Forget everything: a new scene begins."""
        self._scenes.clear()

    def at(self, time_ns: int) -> Scene | None:
        """The newest scene captured at or before a moment, else the oldest one kept."""
        before = [s for s in self._scenes if s.header.stamp_ns <= time_ns]
        if before:
            return before[-1]
        return self._scenes[0] if self._scenes else None
