"""The line of audio: jittering stamps, lost, late and repeated chunks, a drifting clock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deixis.nodes.speech.audio import AudioLine
from deixis.nodes.speech.concealment import conceal
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import AudioChunk, Header

RATE_HZ = 16_000
CHUNK = 320
CHUNK_NS = 20 * NS_PER_MS
START_NS = 5 * NS_PER_S


def ramp(n: int) -> NDArray[np.float32]:
    """Samples that tell their position, exactly."""
    return np.arange(n, dtype=np.float32)


def chunk(number: int, stamp_ns: int, seq: int | None = None, n_lost: int = 0) -> AudioChunk:
    data = (number * CHUNK + ramp(CHUNK)).astype("<f4").tobytes()
    return AudioChunk(Header(stamp_ns, number if seq is None else seq), data, n_lost=n_lost)


def voice(n: int, hz: float = 120.0) -> NDArray[np.float32]:
    time = np.arange(n) / RATE_HZ
    parts = [np.sin(2 * np.pi * hz * k * time + k) / k for k in range(1, 8)]
    return (0.1 * np.sum(parts, axis=0)).astype(np.float32)


jitters_ms = st.lists(st.floats(-30.0, 30.0), min_size=2, max_size=120)


@given(jitters_ms)
def test_jitter_makes_no_gaps(jitters: list[float]) -> None:
    line = AudioLine(4.0)
    for number, jitter_ms in enumerate(jitters):
        stamp_ns = START_NS + number * CHUNK_NS + int(jitter_ms * NS_PER_MS)
        added = line.add(chunk(number, stamp_ns))
        assert added is not None
        assert len(added) == CHUNK
    assert line.n_gaps == line.n_concealed == line.n_late == 0
    n = min(len(jitters) * CHUNK, 4 * RATE_HZ)
    assert (line.read(line.end - n, line.end) == ramp(line.end)[-n:]).all()
    # The times are as good as the mean of the stamps.
    assert abs(line.time_ns(0) - START_NS) <= 30 * NS_PER_MS


@given(jitters_ms, st.sets(st.integers(1, 110), max_size=12))
@example([20.0, 0.0], set())  # Both stamps are the same.
def test_lost_chunks_of_a_numbered_stream_are_counted_exactly(
    jitters: list[float], lost: set[int]
) -> None:
    line = AudioLine(4.0)
    lost = {n for n in lost if n < len(jitters) - 1}
    for number, jitter_ms in enumerate(jitters):
        stamp_ns = START_NS + number * CHUNK_NS + int(jitter_ms * NS_PER_MS)
        if number not in lost:
            assert line.add(chunk(number, stamp_ns)) is not None
    assert line.end == len(jitters) * CHUNK
    assert line.n_concealed == len(lost) * CHUNK
    runs = sum(1 for n in lost if n - 1 not in lost)
    assert line.n_gaps == runs
    # Whatever came lies in its place.
    last = len(jitters) - 1
    assert (line.read(last * CHUNK, line.end) == last * CHUNK + ramp(CHUNK)).all()


@settings(max_examples=8, deadline=None)
@given(st.floats(-200.0, 200.0), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 5.0, 30.0]))
def test_a_drifting_clock_over_ten_minutes(ppm: float, seed: int, jitter_ms: float) -> None:
    line = AudioLine(1.0)
    rng = np.random.default_rng(seed)
    n = 30_000
    true_ns = START_NS + (np.arange(n) * CHUNK_NS * (1.0 + 1e-6 * ppm))
    stamps_ns = (true_ns + rng.uniform(-jitter_ms, jitter_ms, n) * NS_PER_MS).astype(np.int64)
    data = np.zeros(CHUNK, "<f4").tobytes()
    worst_ns = 0.0
    for number in range(n):
        line.add(AudioChunk(Header(int(stamps_ns[number]), number), data))
        if number > 100:
            worst_ns = max(worst_ns, abs(line.time_ns(number * CHUNK) - true_ns[number]))
    assert line.end == n * CHUNK
    assert line.n_gaps == line.n_late == 0
    assert worst_ns <= 10 * NS_PER_MS


@given(st.permutations(range(1, 5)), st.lists(st.integers(0, 5), max_size=6))
def test_late_and_repeated_chunks_are_left_out(order: list[int], again: list[int]) -> None:
    line = AudioLine(4.0)
    numbers = [0, *order, 5]
    for repeated in again:
        at = numbers.index(repeated) + 1
        numbers.insert(at, repeated)
    for number in numbers:
        assert line.add(chunk(number + 7, START_NS + (number + 7) * CHUNK_NS)) is not None
    assert line.end == 6 * CHUNK
    assert line.time_ns(0) == pytest.approx(START_NS + 7 * CHUNK_NS, abs=NS_PER_MS)
    assert line.n_late * CHUNK == len(again) * CHUNK + line.n_concealed
    assert (line.read(5 * CHUNK, line.end) == 12 * CHUNK + ramp(CHUNK)).all()


def test_a_stream_without_numbers_goes_by_its_stamps() -> None:
    line = AudioLine(4.0)
    for number in itertools.chain(range(40), range(41, 60)):
        line.add(chunk(number, START_NS + number * CHUNK_NS, seq=0))
    line.add(chunk(59, START_NS + 59 * CHUNK_NS, seq=0))
    line.add(chunk(57, START_NS + 57 * CHUNK_NS, seq=0))
    assert (line.n_gaps, line.n_concealed, line.n_late) == (1, CHUNK, 2)
    assert line.end == 60 * CHUNK


def test_what_the_device_says_it_lost_is_believed() -> None:
    line = AudioLine(4.0)
    for number in range(10):
        line.add(chunk(number, START_NS + number * CHUNK_NS))
    # Seven milliseconds, which no stamp could tell.
    line.add(chunk(10, START_NS + 10 * CHUNK_NS + 7 * NS_PER_MS, n_lost=112))
    assert (line.n_gaps, line.n_concealed) == (1, 112)
    # A chunk lost on the way, and samples lost by the device.
    line.add(chunk(12, START_NS + 12 * CHUNK_NS + 12 * NS_PER_MS, n_lost=80))
    assert (line.n_gaps, line.n_concealed) == (2, 112 + CHUNK + 80)


def test_a_long_gap_or_a_jump_back_begins_anew() -> None:
    for jump_ns in (3 * NS_PER_S, -NS_PER_S):
        line = AudioLine(4.0)
        line.add(chunk(0, START_NS))
        line.add(chunk(1, START_NS + CHUNK_NS))
        assert line.add(chunk(2, START_NS + 2 * CHUNK_NS + jump_ns)) is None
        line.reset()
        assert line.add(chunk(2, START_NS + 2 * CHUNK_NS + jump_ns)) is not None
        assert line.start == 0
        assert line.end == CHUNK


def test_samples_that_are_no_numbers_do_not_get_in() -> None:
    line = AudioLine(1.0)
    bad = np.array([0.5, np.nan, np.inf, -np.inf], "<f4")
    added = line.add(AudioChunk(Header(START_NS), bad.tobytes()))
    assert added is not None
    assert added.tolist() == [0.5, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("hz", [110.0, 150.0, 230.0])
@pytest.mark.parametrize("n", [80, 320, 960])
def test_a_steady_voice_goes_on_over_a_hole(hz: float, n: int) -> None:
    whole = voice(4_000, hz)
    made = conceal(whole[:2_000], n, whole[2_000 + n : 2_320 + n])
    error = np.sqrt(np.mean((made - whole[2_000 : 2_000 + n]) ** 2))
    assert error < 0.5 * whole.std()
    # No edges: no step is larger than those of the voice itself, or nearly so.
    joined = np.concatenate([whole[:2_000], made, whole[2_000 + n :]])
    assert np.abs(np.diff(joined)).max() < 1.3 * np.abs(np.diff(whole)).max()


def test_a_long_hole_is_silent() -> None:
    whole = voice(16_000)
    assert not conceal(whole[:4_000], 1_000, whole[5_000:5_320]).any()
    assert conceal(whole[:4_000], 960, whole[4_960:5_280]).std() > 0.5 * whole.std()


@given(st.integers(0, 700), st.integers(0, 3_000), st.integers(0, 400))
def test_any_hole_can_be_filled(n_before: int, n: int, n_after: int) -> None:
    rng = np.random.default_rng(n)
    before, after = (rng.uniform(-1, 1, k).astype(np.float32) for k in (n_before, n_after))
    made = conceal(before, n, after)
    assert made.shape == (n,)
    assert made.dtype == np.float32
    assert np.isfinite(made).all()
    assert np.abs(made).max(initial=0.0) <= 1.0
