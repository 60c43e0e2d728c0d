"""Plays audio to a speech node at simulated time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import AudioChunk, Header, SpeechEvent
from deixis.runtime.testing import NodeBench

from .conftest import Recording

RATE_HZ = 16_000
CHUNK = 320


def play(
    bench: NodeBench,
    samples: NDArray[np.float32],
    stream: str,
    lost: range = range(0),
    flagged: bool = False,
) -> tuple[int, list[SpeechEvent]]:
    """Send audio in chunks of 20 ms as it would be captured; the start and the events."""
    start_ns = bench.clock.now_ns()
    first = len(bench.outputs["speech"])
    n_lost = 0
    for number, at in enumerate(range(0, len(samples) - CHUNK + 1, CHUNK)):
        stamp_ns = start_ns + at * NS_PER_S // RATE_HZ
        bench.advance((stamp_ns + 20 * NS_PER_MS - bench.clock.now_ns()) / NS_PER_MS)
        if number in lost:
            n_lost += CHUNK
            continue
        data = samples[at : at + CHUNK].astype("<f4").tobytes()
        n_flagged = n_lost if flagged else 0
        bench.send("audio", AudioChunk(Header(stamp_ns), data, n_lost=n_flagged, stream=stream))
        n_lost = 0
    return start_ns, bench.outputs["speech"][first:]


def ended(events: list[SpeechEvent]) -> list[SpeechEvent]:
    return [e for e in events if e.kind in ("final", "rejected")]


def utterance_audio(recording: Recording, index: int) -> NDArray[np.float32]:
    """The sound of one utterance of an episode, with some of what is around it."""
    utterance = recording.episode.truth.utterances[index]
    start, end = round(utterance.start_s * RATE_HZ), round(utterance.end_s * RATE_HZ)
    return recording.samples[start - 8000 : end + 1000]
