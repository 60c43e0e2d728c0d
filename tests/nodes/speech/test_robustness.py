"""A command through the microphone's reader and the speech node, spoilt as sound is spoilt.

Other formats, too quiet, too loud, with pieces missing, with jittering stamps.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from deixis.nodes.microphone import read_audio
from deixis.nodes.speech.grammar import meaning, parse_text
from deixis.nodes.speech.node import SpeechNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import AudioChunk, Header, SpeechEvent
from deixis.runtime.testing import NodeBench

from .conftest import Recording

RATE_HZ = 16_000
CHUNK = 320
Floats = NDArray[np.float32]

streams = iter(range(1_000))


@pytest.fixture(scope="module")
def bench(bundle: Bundle) -> Iterator[NodeBench]:
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        yield bench


@pytest.fixture
def recording(recordings: dict[str, Recording]) -> Recording:
    return recordings["put_that_in_the_box"]


def play(
    bench: NodeBench,
    samples: Floats,
    *,
    lost: frozenset[int] = frozenset(),
    lost_by_device: frozenset[int] = frozenset(),
    jitter_ms: float = 0.0,
) -> tuple[int, list[SpeechEvent]]:
    """Send numbered chunks of 20 ms; the time of the first sample and the events that end."""
    stream = f"robust {next(streams)}"
    rng = np.random.default_rng(0)
    start_ns = bench.clock.now_ns() + 100 * NS_PER_MS
    first = len(bench.outputs["speech"])
    seq, n_lost = 0, 0
    for number, at in enumerate(range(0, len(samples) - CHUNK + 1, CHUNK)):
        true_ns = start_ns + at * NS_PER_S // RATE_HZ
        bench.advance((true_ns + 20 * NS_PER_MS - bench.clock.now_ns()) / NS_PER_MS)
        if number in lost_by_device:
            n_lost += CHUNK
            continue
        seq += 1
        if number in lost:
            continue
        stamp_ns = true_ns + int(rng.uniform(-jitter_ms, jitter_ms) * NS_PER_MS)
        data = samples[at : at + CHUNK].astype("<f4").tobytes()
        bench.send("audio", AudioChunk(Header(stamp_ns, seq), data, n_lost=n_lost, stream=stream))
        n_lost = 0
    events = bench.outputs["speech"][first:]
    return start_ns, [e for e in events if e.kind in ("final", "rejected")]


def assert_understood(
    recording: Recording, start_ns: int, ended: list[SpeechEvent], within_ms: float = 60.0
) -> None:
    truth = recording.episode.truth.utterances[0]
    assert [e.kind for e in ended] == ["final"]
    assert meaning(ended[0].parses[0]) == meaning(parse_text("tabletop", truth.text)[0])
    end_ms = (ended[0].speech_end_ns - start_ns) / NS_PER_MS
    assert end_ms == pytest.approx(1000 * truth.end_s, abs=within_ms)


def stereo(left: Floats, right: Floats) -> Floats:
    return np.stack([left, right], axis=1)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [
        (8_000, "one", "PCM_16"),
        (8_000, "one", "ULAW"),
        (44_100, "both", "PCM_24"),
        (48_000, "one", "FLOAT"),
        (16_000, "left only", "PCM_16"),
        (48_000, "inverted", "PCM_32"),
        (16_000, "offset", "PCM_16"),
        (22_050, "one", "PCM_U8"),
    ],
)
def test_a_command_is_understood_in_any_format(
    bench: NodeBench,
    recording: Recording,
    tmp_path: Path,
    rate_hz: int,
    channels: str,
    subtype: str,
) -> None:
    mono = recording.samples
    if rate_hz != RATE_HZ:
        mono = soxr.resample(mono, RATE_HZ, rate_hz).astype(np.float32)
    laid_out = {
        "one": mono,
        "both": stereo(mono, mono),
        "left only": stereo(mono, np.zeros_like(mono)),
        "inverted": stereo(mono, -mono),
        "offset": mono + np.float32(0.2),
    }[channels]
    soundfile.write(tmp_path / "a.wav", laid_out, rate_hz, subtype=subtype)
    samples, _ = read_audio(tmp_path / "a.wav")
    start_ns, ended = play(bench, samples)
    assert_understood(recording, start_ns, ended)


@pytest.mark.parametrize("gain_db", [-30.0, -20.0, 6.0, 12.0])
def test_a_command_is_understood_at_any_level(
    bench: NodeBench, recording: Recording, gain_db: float
) -> None:
    # Relative to full scale: 12 dB more is badly clipped.
    loudest = recording.samples / np.abs(recording.samples).max()
    scaled = np.clip(loudest * 10 ** (gain_db / 20), -1.0, 1.0)
    start_ns, ended = play(bench, np.round(scaled * 32_767).astype(np.float32) / 32_768)
    assert_understood(recording, start_ns, ended)


@pytest.mark.parametrize("by_device", [False, True], ids=["on the bus", "by the device"])
def test_a_chunk_lost_within_a_word_is_made_up_for_and_counted(
    bundle: Bundle, recording: Recording, by_device: bool
) -> None:
    word = recording.episode.truth.utterances[0].words[1]
    within = frozenset({round(50 * (word.start_s + word.end_s) / 2)})
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        lost = {"lost_by_device": within} if by_device else {"lost": within}
        start_ns, ended = play(bench, recording.samples, **lost)
        assert_understood(recording, start_ns, ended)
        assert "20 ms of audio lost" in bench.node.context.notes["gaps"]


def test_one_chunk_in_twenty_lost(bundle: Bundle, recording: Recording) -> None:
    n = len(recording.samples) // CHUNK
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        lost = frozenset(range(7, n - 1, 20))
        start_ns, ended = play(bench, recording.samples, lost=lost)
        assert_understood(recording, start_ns, ended)
        assert f"{20 * len(lost)} ms of audio lost" in bench.node.context.notes["gaps"]


def test_jittering_stamps_are_no_gaps(bundle: Bundle, recording: Recording) -> None:
    with NodeBench(SpeechNode, bundle=bundle) as bench:
        start_ns, ended = play(bench, recording.samples, jitter_ms=30.0)
        assert_understood(recording, start_ns, ended)
        assert "gaps" not in bench.node.context.notes
