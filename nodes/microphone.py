"""The microphone node: a device through PyAudio, or a WAV or FLAC file at the pace of real time.

    bench = NodeBench(MicrophoneNode, params={"source": "audio.wav"})
    bench.advance(1000)
    print(len(bench.outputs["audio"]), "chunks")

Every chunk carries the capture time of its first sample. A ``playback`` message plays a file in
place of the source; afterwards the source goes on under its own stream name.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from types import ModuleType
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from deixis.nodes.channels import to_mono
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import ConfigError, DeviceError, MediaError
from deixis.runtime.messages import AudioChunk, Playback
from deixis.runtime.node import Node
from deixis.runtime.portaudio import input_devices, start_portaudio

RATE_HZ: Final = 16_000
POLL_NS: Final = 4 * NS_PER_MS
DEAD_NS: Final = 2 * NS_PER_S
"""A device that gives nothing for so long has stopped answering."""
QUEUE: Final = 500
SENSELESS: Final = 2.0**32
"""A sample beyond this is not one of any scale in use: integers stored as floats reach 2**31."""
OFFSET: Final = 0.01
"""A constant offset from which it is taken away, of full scale or, if that is more, the peak."""

Floats = NDArray[np.float32]


class MicrophoneParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Parameters of the microphone node.

    Attributes:
        source: ``none`` (nothing until a playback comes), ``pyaudio``, or the path of a WAV or
            FLAC file.
        device: For ``pyaudio``: index of the device or part of its name; None for the default one.
        chunk_ms: Length of a chunk.
        loop: Whether a file begins again at its end.
    """

    source: str = "none"
    device: int | str | None = None
    chunk_ms: float = 20.0
    loop: bool = False


class Source(Protocol):
    """Something that gives audio over time."""

    name: str

    def next_ns(self) -> int | None:
        """When to look for audio next; None when there will be no more."""
        ...

    def take(self, now_ns: int) -> list[tuple[int, Floats, int]]:
        """Chunks captured up to now: time of the first sample, samples, samples lost before."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class MicrophoneNode(Node[MicrophoneParams]):
    """Publishes audio at 16 kHz, mono, in short chunks."""

    inputs = {"playback": topics.PLAYBACK}
    optional = frozenset({"playback"})
    outputs = {"audio": topics.AUDIO}
    Params = MicrophoneParams

    def setup(self) -> None:
        """Open the source.

        Raises:
            ConfigError: A parameter is out of range.
            MediaError: The file is missing or cannot be read.
            MissingExtraError: PyAudio is not installed.
            DeviceError: There is no such device; the message lists those there are.
        """
        params = self.params
        if not 5.0 <= params.chunk_ms <= 200.0:
            raise ConfigError(
                f"{self.context.node_id}: chunk_ms is {params.chunk_ms}, not within 5 to 200"
            )
        self._chunk = round(params.chunk_ms * RATE_HZ / 1000)
        self._source: Source | None = None
        self._playback: Source | None = None
        self._n_playbacks = 0
        if params.source == "pyaudio":
            self._source = Device(params.device, self._chunk)
        elif params.source != "none":
            samples = self._read(self.path(params.source))
            start_ns = self.clock.now_ns()
            name = Path(params.source).name
            self._source = _File(name, samples, start_ns, self._chunk, params.loop)

    def close(self) -> None:
        """Release the source."""
        for source in (getattr(self, "_source", None), getattr(self, "_playback", None)):
            if source is not None:
                source.close()

    def next_tick_ns(self) -> int | None:
        """When the next chunk is due."""
        due = [s.next_ns() for s in (self._source, self._playback) if s is not None]
        return min((d for d in due if d is not None), default=None)

    def on_tick(self) -> None:
        """Publish what has been captured by now."""
        now_ns = self.clock.now_ns()
        # The source goes on (and is not heard) while something is played in its place.
        live = self._source.take(now_ns) if self._source is not None else []
        if self._playback is not None:
            self._publish(self._playback.name, self._playback.take(now_ns))
            if self._playback.next_ns() is None:
                self.log.info("%s has ended", self._playback.name)
                self._playback = None
        elif self._source is not None:
            self._publish(self._source.name, live)
            if self._source.next_ns() is None:
                self.log.info("%s has ended; the microphone is idle", self._source.name)
                self._source = None

    def on_playback(self, playback: Playback) -> None:
        """Play a file in place of the source; sample 0 counts as captured at ``start_ns``."""
        if playback.audio_path is None:
            return
        path = self.path(playback.audio_path)
        try:
            samples = self._read(path)
        except MediaError as error:
            # Whoever asked is wrong, the node is not: go on with the source.
            self.note("playback", error.message)
            return
        self.clear_note("playback")
        self._n_playbacks += 1
        name = f"playback {self._n_playbacks}: {path.name}"
        self._playback = _File(name, samples, playback.start_ns, self._chunk, loop=False)

    def _publish(self, stream: str, chunks: list[tuple[int, Floats, int]]) -> None:
        for stamp_ns, samples, n_lost in chunks:
            if n_lost:
                self.note("overflow", "the audio device lost samples: this process is too slow")
            self.publish(
                "audio",
                AudioChunk(
                    self.header(stamp_ns),
                    samples=samples.astype("<f4").tobytes(),
                    sample_rate_hz=RATE_HZ,
                    n_lost=n_lost,
                    stream=stream,
                ),
            )

    def _read(self, path: Path) -> Floats:
        """Read a file; what had to be done to it is said."""
        samples, note = read_audio(path)
        if note:
            self.note(f"converted {path.name}", f"{path.name}: {note}")
        return samples


def read_audio(path: Path) -> tuple[Floats, str]:
    """Read a WAV or FLAC file as mono at 16 kHz, with samples in [-1, 1].

    Other rates are resampled, channels mixed (see :func:`to_mono`), samples that are no numbers
    set to zero, a constant offset taken away, and floats beyond full scale scaled down.

    Args:
        path: The file.

    Returns:
        The samples, shape ``(n,)``, and what had to be done to them ("" for nothing).

    Raises:
        MediaError: The file is missing, cannot be read, or holds no samples.
    """
    if not path.is_file():
        raise MediaError(f"there is no audio file {path}")
    try:
        with soundfile.SoundFile(path) as file:
            rate_hz = file.samplerate
            # What libsndfile writes of a data chunk that is shorter than its header says.
            cut_off = "should be" in file.extra_info
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as cause:
        raise MediaError(
            f"cannot read the audio file {path}: {cause}", hint="give a WAV or FLAC file"
        ) from cause
    if not len(samples):
        raise MediaError(f"the audio file {path} holds no samples")
    notes = ["it is shorter than its header says"] if cut_off else []
    senseless = ~(np.abs(samples) < SENSELESS)
    if senseless.any():
        samples[senseless] = 0.0
        notes.append(f"{int(senseless.sum())} samples are no numbers, taken for zeros")
    offset = samples.mean(axis=0)
    if np.abs(offset).max() > OFFSET * max(1.0, float(np.abs(samples).max())):
        samples -= offset
        notes.append("a constant offset taken away")
    mono, mixed = to_mono(samples)
    peak = float(np.abs(mono).max())
    if peak > 1.0:
        mono = mono / peak
        notes.append(f"peaks of {peak:.3g} scaled to 1")
    if rate_hz != RATE_HZ:
        mono = np.clip(soxr.resample(mono, rate_hz, RATE_HZ), -1.0, 1.0)
        notes.append(f"{rate_hz} Hz resampled to {RATE_HZ} Hz")
    if mixed:
        notes.append(mixed)
    return np.ascontiguousarray(mono, np.float32), ", ".join(notes)


class _File:
    """A file at the pace of real time: a chunk is there when its last sample has been captured."""

    def __init__(self, name: str, samples: Floats, start_ns: int, chunk: int, loop: bool) -> None:
        self.name = name
        self._samples = samples
        self._start_ns = start_ns
        self._chunk = chunk
        self._loop = loop and len(samples) > 0
        self._at = 0

    def next_ns(self) -> int | None:
        end = self._at + self._chunk
        if not self._loop:
            end = min(end, len(self._samples))
            if self._at >= len(self._samples):
                return None
        return self._time_ns(end)

    def take(self, now_ns: int) -> list[tuple[int, Floats, int]]:
        chunks: list[tuple[int, Floats, int]] = []
        while (due_ns := self.next_ns()) is not None and due_ns <= now_ns:
            if self._loop:
                places = np.arange(self._at, self._at + self._chunk) % len(self._samples)
                samples = self._samples[places]
            else:
                samples = self._samples[self._at : self._at + self._chunk]
            chunks.append((self._time_ns(self._at), samples, 0))
            self._at += len(samples)
        return chunks

    def close(self) -> None:
        pass

    def _time_ns(self, position: int) -> int:
        return self._start_ns + position * NS_PER_S // RATE_HZ


class Device:
    """A device through PyAudio (PortAudio); its callback only queues.

    Args:
        wanted: Its index or part of its name; None for the default one.
        chunk: Samples a chunk, at 16 kHz.

    Raises:
        MissingExtraError: PyAudio is not installed.
        DeviceError: There is no such device, or it cannot be opened.
    """

    def __init__(self, wanted: int | str | None, chunk: int) -> None:
        self._audio = start_portaudio()
        import pyaudio

        self._queue: deque[tuple[int, int, bytes, bool]] = deque(maxlen=QUEUE)
        self._n_called = 0
        self._n_taken = 0
        self._end_ns: int | None = None
        self._alive_ns = time.monotonic_ns()
        self._next_ns = self._alive_ns
        self._pyaudio = pyaudio
        try:
            index, self.name, rate_hz = self._find(wanted)
            self._rate_hz, self._stream = self._open(pyaudio, index, rate_hz, chunk)
        except DeviceError:
            self._audio.terminate()
            raise
        self._resampler = (
            soxr.ResampleStream(self._rate_hz, RATE_HZ, 1) if self._rate_hz != RATE_HZ else None
        )

    def next_ns(self) -> int | None:
        """When to look for audio next."""
        return self._next_ns

    def take(self, now_ns: int) -> list[tuple[int, Floats, int]]:
        """Chunks captured up to now: time of the first sample, samples, samples lost before.

        Raises:
            DeviceError: It has stopped answering.
        """
        chunks: list[tuple[int, Floats, int]] = []
        while self._queue:
            number, stamp_ns, data, overflowed = self._queue.popleft()
            samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768.0
            skipped = number - self._n_taken
            self._n_taken = number + 1
            n_lost = 0
            if (skipped or overflowed) and self._end_ns is not None:
                n_lost = max(0, round((stamp_ns - self._end_ns) * RATE_HZ / NS_PER_S))
            self._end_ns = stamp_ns + len(samples) * NS_PER_S // self._rate_hz
            if self._resampler is not None:
                samples = self._resampler.resample_chunk(samples).astype(np.float32)
            chunks.append((stamp_ns, samples, n_lost))
        if chunks:
            self._alive_ns = now_ns
        elif now_ns - self._alive_ns > DEAD_NS or not self._stream.is_active():
            raise DeviceError(f"the microphone {self.name!r} has stopped answering")
        self._next_ns = now_ns + POLL_NS
        return chunks

    def close(self) -> None:
        """Release it."""
        self._stream.close()
        self._audio.terminate()

    def _find(self, wanted: int | str | None) -> tuple[int, str, int]:
        """Index, name and own sample rate of the wanted device."""
        inputs = input_devices(self._audio)
        found = None
        if wanted is None and inputs:
            try:
                found = self._audio.get_default_input_device_info()
            except OSError:
                found = inputs[0]
        elif isinstance(wanted, int):
            found = next((d for d in inputs if d["index"] == wanted), None)
        elif wanted is not None:
            found = next((d for d in inputs if wanted.lower() in d["name"].lower()), None)
        if found is None:
            which = "microphone" if wanted is None else f"microphone {wanted!r}"
            known = ", ".join(f"{d['index']}: {d['name']}" for d in inputs) or "none"
            raise DeviceError(f"there is no {which}; input devices found: {known}")
        return int(found["index"]), str(found["name"]), int(found["defaultSampleRate"])

    def _open(self, pyaudio: ModuleType, index: int, own_hz: int, chunk: int) -> tuple[int, Any]:
        """Open the device at 16 kHz, or else at its own rate."""
        problem = ""
        for rate_hz in dict.fromkeys((RATE_HZ, own_hz)):
            try:
                return rate_hz, self._audio.open(
                    rate=rate_hz,
                    channels=1,
                    format=pyaudio.paInt16,
                    input=True,
                    input_device_index=index,
                    frames_per_buffer=chunk * rate_hz // RATE_HZ,
                    stream_callback=self._called,
                )
            except (OSError, ValueError) as cause:
                problem = str(cause)
        raise DeviceError(f"cannot open the microphone {self.name!r}: {problem}")

    def _called(
        self, data: bytes | None, n: int, times: dict[str, float], status: int
    ) -> tuple[None, int]:
        """PortAudio's own thread: note the time, queue, return."""
        now_ns = time.monotonic_ns()
        age_s = times["current_time"] - times["input_buffer_adc_time"]
        if not (times["input_buffer_adc_time"] > 0.0 and 0.0 <= age_s < 1.0):
            # The host API does not know: the buffer has just been filled.
            age_s = n / self._rate_hz if hasattr(self, "_rate_hz") else 0.0
        overflowed = bool(status & self._pyaudio.paInputOverflow)
        stamp_ns = now_ns - int(age_s * NS_PER_S)
        self._queue.append((self._n_called, stamp_ns, data or b"", overflowed))
        self._n_called += 1
        return None, int(self._pyaudio.paContinue)
