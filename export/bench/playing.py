"""Plays recordings into the speech node and notes what it commits, and when.

    with Player(Bundle.open("bundles/cpu")) as player:
        played = player.play("a.wav", samples, {"domain": "tabletop"})

The node is the real one, fed 20 ms at a time. Its clock is simulated but advances by the time that
the node really takes, so that one that is busy falls behind the audio as it would in a robot; or it
is the machine's clock, and the audio comes in real time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from deixis.export.bench.mixing import LEAD_S, RATE_HZ, Floats
from deixis.nodes.speech.node import SpeechNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S, SimulatedClock
from deixis.runtime.closing import Closing
from deixis.runtime.messages import AudioChunk, Header, Parse, Playback, SpeechEvent
from deixis.runtime.testing import NodeBench
from deixis.runtime.trace import COMMITTED

CHUNK: Final = RATE_HZ // 50
KEPT_NODES: Final = 2


class HeardSlot(msgspec.Struct, frozen=True):
    """A slot as it was understood."""

    text: str
    relation: str | None
    value: str | None


class Heard(msgspec.Struct, frozen=True):
    """What came of one utterance. Seconds count from the first sample of the file.

    Attributes:
        utterance: Id of the utterance.
        kind: ``final`` and ``stop`` (from a partial) are acted on, ``rejected`` is not.
        intent: Intent of the best complete reading; None where there is none.
        slots: Its slots by name.
        confidence: Its confidence.
        sentence: Its sentence of the grammar.
        text: The transcript.
        words: The transcript's words: text, start, end, confidence.
        at_s: When it was published.
        reason: Why it was rejected.
    """

    utterance: str
    kind: Literal["final", "stop", "rejected"]
    intent: str | None
    slots: dict[str, HeardSlot]
    confidence: float | None
    sentence: str
    text: str
    words: tuple[tuple[str, float, float, float], ...]
    at_s: float
    reason: str


class Played(msgspec.Struct, frozen=True):
    """What the node made of one recording, and what it cost.

    Attributes:
        heard: Utterances in the order in which they were decided.
        audio_s: Length of what was played.
        busy_s: How long the node worked.
        behind_ms: The furthest it was behind the audio.
    """

    heard: tuple[Heard, ...]
    audio_s: float
    busy_s: float
    behind_ms: float


class WorkingClock(SimulatedClock):
    """A simulated clock that runs, like a real one, while the node works."""

    def __init__(self) -> None:
        super().__init__()
        self._since_ns: int | None = None

    def now_ns(self) -> int:
        """Time now."""
        worked_ns = 0 if self._since_ns is None else time.perf_counter_ns() - self._since_ns
        return super().now_ns() + worked_ns

    @contextmanager
    def working(self) -> Iterator[None]:
        """The clock runs."""
        self._since_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            now_ns, self._since_ns = self.now_ns(), None
            self.advance_to(now_ns)


class RealClock(WorkingClock):
    """The machine's clock; moving it forward is waiting."""

    def now_ns(self) -> int:
        """Time now."""
        return time.monotonic_ns()

    def advance_to(self, time_ns: int) -> None:
        """Wait."""
        time.sleep(max(0, time_ns - time.monotonic_ns()) / NS_PER_S)


class Player(Closing):
    """Plays recordings, one after the other.

    Args:
        bundle: The models.
        base_dir: Where the path of a domain starts.
        real_time: Whether the audio comes in real time.
        stopped: Asked between chunks whether to give up.
    """

    def __init__(
        self,
        bundle: Bundle,
        base_dir: Path | None = None,
        real_time: bool = False,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._bundle = bundle
        self._base_dir = base_dir
        self._real_time = real_time
        self._stopped = stopped
        self._nodes: dict[bytes, tuple[NodeBench, WorkingClock]] = {}
        self._n_played = 0

    def close(self) -> None:
        """Close the nodes."""
        while self._nodes:
            self._nodes.popitem()[1][0].close()

    def play(self, name: str, samples: Floats, params: Mapping[str, Any]) -> Played | None:
        """Play a recording.

        Args:
            name: Name of the stream.
            samples: At 16 kHz, with ``LEAD_S`` before the file's first sample.
            params: Parameters of the speech node.

        Returns:
            What came of it; None when it was stopped.
        """
        bench, clock = self._node(params)
        self._n_played += 1
        stream = f"{self._n_played}: {name}"
        zero_ns = clock.now_ns() + 100 * NS_PER_MS
        bench.outputs.clear()
        busy_ns, behind_ns = 0, 0
        for first in range(0, len(samples) - CHUNK + 1, CHUNK):
            if self._stopped():
                return None
            due_ns = zero_ns + (first + CHUNK) * NS_PER_S // RATE_HZ
            behind_ns = max(behind_ns, clock.now_ns() - due_ns)
            bench.advance(max(0, due_ns - clock.now_ns()) / NS_PER_MS)
            chunk = AudioChunk(
                Header(stamp_ns=zero_ns + first * NS_PER_S // RATE_HZ),
                samples=samples[first : first + CHUNK].astype("<f4").tobytes(),
                stream=stream,
            )
            since_ns = time.perf_counter_ns()
            with clock.working():
                bench.send("audio", chunk)
            busy_ns += time.perf_counter_ns() - since_ns
        end_ns = clock.now_ns()
        bench.send("playback", Playback(Header(end_ns), None, None, end_ns, reset=True))
        file_ns = zero_ns + int(LEAD_S * NS_PER_S)
        return Played(
            heard=tuple(_heard(e, file_ns) for e in bench.outputs["speech"] if _decides(e)),
            audio_s=len(samples) / RATE_HZ,
            busy_s=busy_ns / NS_PER_S,
            behind_ms=behind_ns / NS_PER_MS,
        )

    def _node(self, params: Mapping[str, Any]) -> tuple[NodeBench, WorkingClock]:
        """The node with these parameters; the few used last are kept."""
        key = msgspec.msgpack.encode(params, order="sorted")
        if key not in self._nodes:
            while len(self._nodes) >= KEPT_NODES:
                self._nodes.pop(next(iter(self._nodes)))[0].close()
            clock = RealClock() if self._real_time else WorkingClock()
            bench = NodeBench(
                SpeechNode, params, bundle=self._bundle, base_dir=self._base_dir, clock=clock
            )
            self._nodes[key] = bench, clock
        return self._nodes[key]


_KINDS: Final[Mapping[str, Literal["final", "stop", "rejected"]]] = {
    "partial": "stop",
    "final": "final",
    "rejected": "rejected",
}


def _committed_ns(event: SpeechEvent) -> int | None:
    return next((mark.time_ns for mark in event.marks if mark.name == COMMITTED), None)


def _decides(event: SpeechEvent) -> bool:
    """Whether an event is the last word on an utterance, or acted on as it is (*stop*)."""
    return _committed_ns(event) is not None


def _heard(event: SpeechEvent, file_ns: int) -> Heard:
    best: Parse | None = next((p for p in event.parses if p.complete), None)
    slots = {s.name: HeardSlot(s.text, s.relation, s.value) for s in best.slots} if best else {}

    def seconds(time_ns: int) -> float:
        return round((time_ns - file_ns) / NS_PER_S, 4)

    return Heard(
        utterance=event.header.command_id or "",
        kind=_KINDS[event.kind],
        intent=best.intent if best else None,
        slots=slots,
        confidence=best.confidence if best else None,
        sentence=best.text if best else "",
        text=event.text,
        words=tuple(
            (w.text, seconds(w.start_ns), seconds(w.end_ns), w.confidence) for w in event.words
        ),
        at_s=seconds(_committed_ns(event) or 0),
        reason=event.reason,
    )
