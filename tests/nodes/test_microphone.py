"""The microphone node: files at the pace of real time, playback, and PyAudio through ALSA."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deixis.nodes.channels import to_mono
from deixis.nodes.microphone import MicrophoneNode, read_audio
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, MediaError
from deixis.runtime.messages import AudioChunk, Header, Playback
from deixis.runtime.testing import NodeBench

RATE_HZ = 16_000


def tone(seconds: float, rate_hz: int = RATE_HZ, hz: float = 440.0) -> NDArray[np.float32]:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(0.51), RATE_HZ)
    return path


def chunks(bench: NodeBench) -> list[AudioChunk]:
    return list(bench.outputs["audio"])


def samples_of(parts: list[AudioChunk]) -> NDArray[np.float32]:
    return np.concatenate([c.array() for c in parts])


@pytest.fixture
def idle() -> Iterator[NodeBench]:
    with NodeBench(MicrophoneNode) as bench:
        yield bench


def test_a_file_comes_at_the_pace_of_real_time(wav: Path) -> None:
    with NodeBench(MicrophoneNode, {"source": str(wav)}) as bench:
        start_ns = bench.clock.now_ns()
        bench.advance(19.9)
        # A chunk cannot be there before its last sample has been captured.
        assert not chunks(bench)
        bench.advance(0.2)
        assert len(chunks(bench)) == 1
        bench.advance(2000)
        parts = chunks(bench)
        assert [c.header.stamp_ns for c in parts[:3]] == [
            start_ns, start_ns + 20 * NS_PER_MS, start_ns + 40 * NS_PER_MS,
        ]  # fmt: skip
        # The last chunk is short, and then the node is idle.
        assert len(parts[-1].array()) == 160
        assert np.abs(samples_of(parts) - tone(0.51)).max() < 1e-4
        assert bench.node.next_tick_ns() is None
        assert {c.stream for c in parts} == {"tone.wav"}


def test_a_file_can_loop(wav: Path) -> None:
    with NodeBench(MicrophoneNode, {"source": str(wav), "loop": True, "chunk_ms": 40}) as bench:
        bench.advance(2000)
        heard = samples_of(chunks(bench))
        assert len(heard) == 2 * RATE_HZ
        n = round(0.51 * RATE_HZ)
        assert np.abs(heard[n : 2 * n] - heard[:n]).max() == 0.0


def test_other_formats_are_converted_and_said(tmp_path: Path) -> None:
    stereo = np.stack([tone(1.0, 44_100), tone(1.0, 44_100)], axis=1)
    soundfile.write(tmp_path / "stereo.flac", stereo, 44_100)
    with NodeBench(MicrophoneNode, {"source": "stereo.flac"}, base_dir=tmp_path) as bench:
        assert bench.node.context.notes["converted stereo.flac"] == (
            "stereo.flac: 44100 Hz resampled to 16000 Hz, 2 channels mixed to one"
        )
        bench.advance(1100)
        heard = samples_of(chunks(bench))
        assert len(heard) == RATE_HZ
        middle = slice(2000, 14_000)
        assert np.abs(heard[middle] - tone(1.0)[middle]).max() < 0.01


def read_back(path: Path, samples: NDArray[np.float32], subtype: str = "FLOAT") -> str:
    """Write samples, read them, expect the tone; what was said about it."""
    soundfile.write(path, samples, RATE_HZ, subtype=subtype)
    heard, note = read_audio(path)
    assert heard.dtype == np.float32
    assert heard.shape == tone(1.0).shape
    # A few samples may be lost, not the tone.
    assert np.percentile(np.abs(heard - tone(1.0)), 99) < 0.01
    return note


@pytest.mark.parametrize(
    ("gains", "note"),
    [
        ([1.0], ""),
        ([1.0, 1.0], "2 channels mixed to one"),
        ([1.0, 0.0], "2 channels mixed to one (1 silent)"),
        ([0.0, 1.0], "2 channels mixed to one (1 silent)"),
        ([1.0, -1.0], "2 channels mixed to one (1 inverted)"),
        ([1.0, 0.001, 1.0, -1.0, 0.0, 1.0], "6 channels mixed to one (2 silent, 1 inverted)"),
    ],
)
def test_no_channel_spoils_the_others(tmp_path: Path, gains: list[float], note: str) -> None:
    samples = tone(1.0)[:, None] * np.array(gains, np.float32)
    assert read_back(tmp_path / "a.wav", samples) == note


def test_channels_of_different_sounds_are_averaged() -> None:
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((RATE_HZ, 2)).astype(np.float32)
    mono, note = to_mono(samples)
    assert np.allclose(mono, samples.mean(axis=1), atol=1e-6)
    assert note == "2 channels mixed to one"
    silent, _ = to_mono(np.zeros((100, 3), np.float32))
    assert not silent.any()


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "PCM_U8"])
def test_any_width_of_samples(tmp_path: Path, subtype: str) -> None:
    assert read_back(tmp_path / "a.wav", tone(1.0), subtype) == ""


def test_samples_that_make_no_sense_are_mended_and_said(tmp_path: Path) -> None:
    spoilt = tone(1.0)
    spoilt[[100, 200, 300]] = [np.nan, np.inf, 1e30]
    note = read_back(tmp_path / "a.wav", spoilt)
    assert note == "3 samples are no numbers, taken for zeros"
    assert read_back(tmp_path / "b.wav", tone(1.0) + 0.2) == "a constant offset taken away"
    # Integers stored as floats.
    soundfile.write(tmp_path / "c.wav", 32_768 * tone(1.0), RATE_HZ, subtype="FLOAT")
    heard, note = read_audio(tmp_path / "c.wav")
    assert np.abs(heard - tone(1.0) / 0.3).max() < 0.01
    assert "peaks of 9.83e+03 scaled to 1" in note


def test_files_that_are_cut_off_or_empty(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", tone(1.0), RATE_HZ)
    data = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "half.wav").write_bytes(data[: len(data) // 2])
    heard, note = read_audio(tmp_path / "half.wav")
    assert len(heard) == pytest.approx(RATE_HZ / 2, abs=30)
    assert note == "it is shorter than its header says"
    for size, message in (
        (0, "cannot read"),
        (20, "cannot read"),
        (40, "cannot read"),
        (44, "no samples"),
    ):
        (tmp_path / "cut.wav").write_bytes(data[:size])
        with pytest.raises(MediaError, match=message):
            read_audio(tmp_path / "cut.wav")


def test_a_playback_takes_the_place_of_the_source(wav: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "other.wav", tone(0.2, hz=880), RATE_HZ)
    with NodeBench(MicrophoneNode, {"source": str(wav), "loop": True}) as bench:
        bench.advance(100)
        start_ns = bench.clock.now_ns() + 50 * NS_PER_MS
        bench.send("playback", Playback(Header(0), str(tmp_path / "other.wav"), None, start_ns))
        bench.advance(500)
        streams = list(dict.fromkeys(c.stream for c in chunks(bench)))
        assert streams == ["tone.wav", "playback 1: other.wav"] or streams[:2] == [
            "tone.wav",
            "playback 1: other.wav",
        ]
        played = [c for c in chunks(bench) if c.stream.startswith("playback")]
        assert played[0].header.stamp_ns == start_ns
        assert np.abs(samples_of(played) - tone(0.2, hz=880)).max() < 1e-4
        # Afterwards the source goes on where time has brought it, not where it was.
        after = chunks(bench)[-1]
        assert after.stream == "tone.wav"
        assert after.header.stamp_ns + NS_PER_S * 320 // RATE_HZ <= bench.clock.now_ns()
        assert after.header.stamp_ns > start_ns + 200 * NS_PER_MS


def test_nothing_until_a_playback_comes(idle: NodeBench, wav: Path) -> None:
    idle.advance(200)
    assert not chunks(idle)
    for number in (1, 2):
        start_ns = idle.clock.now_ns()
        idle.send("playback", Playback(Header(0), str(wav), None, start_ns, reset=True))
        idle.advance(1000)
        mine = [c for c in chunks(idle) if c.stream == f"playback {number}: tone.wav"]
        assert len(samples_of(mine)) == round(0.51 * RATE_HZ)
    assert idle.node.next_tick_ns() is None
    idle.send("playback", Playback(Header(0), None, "video.mp4", 0))
    assert idle.node.next_tick_ns() is None


def test_a_bad_playback_is_said_and_changes_nothing(idle: NodeBench, tmp_path: Path) -> None:
    idle.send("playback", Playback(Header(0), str(tmp_path / "nowhere.wav"), None, 0))
    assert "nowhere.wav" in idle.node.context.notes["playback"]
    (tmp_path / "text.wav").write_text("not audio")
    idle.send("playback", Playback(Header(0), str(tmp_path / "text.wav"), None, 0))
    assert "cannot read" in idle.node.context.notes["playback"]
    assert idle.node.next_tick_ns() is None


def test_bad_parameters(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"no audio file .*nowhere\.wav"):
        NodeBench(MicrophoneNode, {"source": "nowhere.wav"}, base_dir=tmp_path)
    with pytest.raises(ConfigError, match="chunk_ms is 1"):
        NodeBench(MicrophoneNode, {"chunk_ms": 1.0})


ALSA = """
pcm.!default {{ type plug slave.pcm "wavfile" }}
pcm.wavfile {{
    type file
    slave.pcm {{ type null }}
    file "/dev/null"
    infile "{raw}"
    format "raw"
    hint {{ show on description "a file as a microphone" }}
}}
pcm.testmic {{
    type plug
    slave {{ pcm "wavfile" format S16_LE channels 1 rate {rate_hz} }}
    hint {{ show on description "test microphone" }}
}}
"""

RECORD = """
import sys, time
from pathlib import Path
import numpy as np
from deixis.nodes import microphone
from deixis.nodes.microphone import MicrophoneNode
from deixis.runtime.clock import SystemClock
from deixis.runtime.errors import DeixisError
from deixis.runtime.node import NodeContext

# ALSA's null device is not paced: a minute of audio can come in a blink.
microphone.QUEUE = 1_000_000
parts = []
context = NodeContext("microphone", SystemClock(), lambda output, message: parts.append(message))
device = sys.argv[1]
node = MicrophoneNode(context, MicrophoneNode.Params(source="pyaudio", device=device))
try:
    node.setup()
except DeixisError as error:
    print("ERROR", error.message)
    raise SystemExit(0)
before_ns = time.monotonic_ns()
while sum(len(p.samples) for p in parts) < 4 * 16000 and time.monotonic_ns() - before_ns < 20e9:
    if time.monotonic_ns() >= node.next_tick_ns():
        node.tick()
    time.sleep(0.001)
node.close()
np.save(sys.argv[2], np.concatenate([p.array() for p in parts]))
age_s = (time.monotonic_ns() - parts[0].header.stamp_ns) / 1e9
print("STAMPS", all(b.header.stamp_ns > a.header.stamp_ns for a, b in zip(parts, parts[1:])), age_s)
"""


def record(tmp_path: Path, device: str) -> str:
    """Run the node on a device of our own ALSA configuration, in a process that reads it."""
    pytest.importorskip("pyaudio", reason="PyAudio (the extra 'mic') is not installed")
    speech = np.round(32767 * tone(2.0)).astype("<i2")
    (tmp_path / "in.raw").write_bytes(speech.tobytes())
    (tmp_path / "asound.conf").write_text(ALSA.format(raw=tmp_path / "in.raw", rate_hz=RATE_HZ))
    done = subprocess.run(
        [sys.executable, "-c", RECORD, device, str(tmp_path / "heard.npy")],
        env={"ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"), "PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_pyaudio_hears_a_file_through_alsa(tmp_path: Path) -> None:
    said = record(tmp_path, "testmic")
    assert "STAMPS True" in said
    assert 0.0 < float(said.split()[-1]) < 25.0
    heard = np.load(tmp_path / "heard.npy")
    assert np.abs(heard[:8000] - tone(2.0)[:8000]).max() < 1e-3


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    said = record(tmp_path, "headset")
    assert "ERROR there is no microphone 'headset'" in said
    assert "testmic" in said
