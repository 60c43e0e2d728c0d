"""Commands of development under bad conditions, one folder each.

``python -m bench.corpora.speech --out /tmp/robust --set robust --packages /tmp/packages``
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from tests.scenes.sound import kitchen

from .audio_packages import music
from .corpus import Corpus, in_room, spoken_label
from .effects import (
    Float,
    clipped,
    decibels,
    impulse_response,
    motor,
    noisy,
    pink,
    reverberant,
    shouted,
    telephone,
    white,
)
from .other import babble
from .spoken import command_lines
from .voices import RATE_HZ, Samples, Spoken, espeak, open_voices

SEED = 41
SNRS_DB = (24, 18, 12, 6)
Takes = list[tuple[Samples, dict[str, Any]]]
Change = Callable[[Samples, np.random.Generator], tuple[Any, int]]
"""Makes a condition's samples and rate out of clean ones."""


def make(folder: Path, packages: Path) -> dict[str, Any]:
    """Write the clean commands and their versions.

    Args:
        folder: Gets a folder per condition.
        packages: Where Debian packages are unpacked, or get downloaded to (music, babble).

    Returns:
        Files and minutes by condition.
    """
    takes, missing = _takes()
    report: dict[str, Any] = {"voices_missing": missing}
    for name, change in _changes().items():
        rng = np.random.default_rng(SEED)
        corpus = Corpus(folder / name, missing)
        suffix = "wav" if name.startswith("rate_") else "flac"
        for index, (samples, label) in enumerate(takes):
            changed, rate_hz = change(samples, rng)
            corpus.add(changed, label, rate_hz, f"{index:04d}_{label['intent']}.{suffix}")
        report[name] = corpus.close()["minutes"]
    for noise, source in _noises(packages).items():
        for snr_db in SNRS_DB:
            rng = np.random.default_rng(SEED)
            corpus = Corpus(folder / f"noise_{noise}_{snr_db:02d}", missing)
            for samples, label in takes:
                start_s, end_s = label["speech_start_s"], label["speech_end_s"]
                mixed = noisy(samples, start_s, end_s, source(rng, len(samples)), snr_db)
                corpus.add(mixed, label | {"snr_db": snr_db})
            report[corpus.folder.name] = corpus.close()["minutes"]
    report["whispered"] = _whispered(folder / "whispered")
    return report


def _takes() -> tuple[Takes, dict[str, str]]:
    """Every command once, by Kokoro and flite in turn, in a quiet room."""
    voices, missing = open_voices("dev", "kokoro")
    others, more = open_voices("dev", "flite")
    names = [n for pair in zip(voices, others, strict=False) for n in pair]
    rng = np.random.default_rng(SEED)
    takes: Takes = []
    for index, line in enumerate(command_lines("dev")):
        name = names[index % len(names)]
        spoken = {**voices, **others}[name].say(line.text)
        samples, start_s, end_s = in_room(spoken, rng, peak=0.3)
        takes.append((samples, spoken_label(line, spoken, name, start_s, end_s)))
    return takes, {**missing, **more}


def _changes() -> dict[str, Change]:
    def room(
        t60_s: float, direct_db: float, gain_db: float, x: Samples, rng: np.random.Generator
    ) -> tuple[Any, int]:
        return decibels(gain_db) * reverberant(x, impulse_response(rng, t60_s, direct_db)), RATE_HZ

    def at_rate(rate_hz: int, channels: int, x: Samples, _: np.random.Generator) -> tuple[Any, int]:
        y = np.asarray(soxr.resample(x, RATE_HZ, rate_hz), np.float32)
        return (np.stack([y, 0.7 * y], axis=1) if channels == 2 else y), rate_hz

    return {
        "clean": lambda x, _: (x, RATE_HZ),
        "reverb_03": partial(room, 0.3, 3.0, 0.0),
        "reverb_06": partial(room, 0.6, 0.0, 0.0),
        "reverb_09": partial(room, 0.9, 0.0, 0.0),
        "far": partial(room, 0.6, -6.0, -20.0),
        "clipped": lambda x, _: (clipped(x, 12.0), RATE_HZ),
        "telephone": lambda x, _: (telephone(x), 8000),
        "rate_08000": partial(at_rate, 8000, 1),
        "rate_44100": partial(at_rate, 44100, 1),
        "rate_48000_stereo": partial(at_rate, 48000, 2),
        "quiet": lambda x, _: (decibels(-40) * x / np.abs(x).max(), RATE_HZ),
        "shout": lambda x, _: (shouted(x), RATE_HZ),
    }


def _noises(packages: Path) -> dict[str, Callable[[np.random.Generator, int], Float]]:
    tunes = [piece for piece, _ in zip(music(packages, "drascula-music"), range(6), strict=False)]
    crowds = list(babble(packages, np.random.default_rng(SEED), 3))

    def cut(pieces: list[Samples], rng: np.random.Generator, count: int) -> Float:
        piece = pieces[int(rng.integers(len(pieces)))]
        start = int(rng.integers(len(piece) - count))
        return piece[start : start + count].astype(float)

    return {
        "white": white,
        "pink": pink,
        "motor": motor,
        "kitchen": lambda rng, count: kitchen(count, int(rng.integers(1 << 30))),
        "babble": partial(cut, crowds),
        "music": partial(cut, tunes),
    }


def _whispered(folder: Path) -> float:
    """The commands in a voice without voicing, at the level of a whisper."""
    corpus = Corpus(folder)
    rng = np.random.default_rng(SEED)
    voices = {
        "espeak:en-us+whisper": espeak("en-us+whisper"),
        "espeak:en+whisperf": espeak("en+whisperf"),
    }
    for index, line in enumerate(command_lines("dev")):
        name = list(voices)[index % 2]
        spoken: Spoken = voices[name].say(line.text)
        samples, start_s, end_s = in_room(spoken, rng, peak=decibels(-30))
        corpus.add(samples, spoken_label(line, spoken, name, start_s, end_s))
    return float(corpus.close()["minutes"])
