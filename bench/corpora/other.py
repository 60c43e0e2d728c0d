"""Over two hours of what is no command: other voices, music, noise, television, near silence.

``python -m bench.corpora.speech --out /tmp/other --set other --packages /tmp/packages``
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.scenes.sound import kitchen

from .audio_packages import PACKAGES, actors, music, prompts, unpacked
from .corpus import Corpus, room_tone
from .effects import Float, decibels, hum, motor
from .voices import RATE_HZ, Samples, open_voices

FILE_S = 60
SEED = 31
Pieces = Iterator[Samples]


def make(folder: Path, packages: Path, clips: Path | None) -> dict[str, Any]:
    """Write the corpus and ``sources.json``: minutes and licence of every source.

    Args:
        folder: Where to.
        packages: Where Debian packages are unpacked, or get downloaded to.
        clips: Folder of FLACs of real people who say something else than this domain's commands.

    Returns:
        The report.
    """
    corpus = Corpus(folder)
    rng = np.random.default_rng(SEED)
    sources: list[dict[str, Any]] = []

    def write(name: str, kind: str, licence: str, files: Iterable[Samples]) -> None:
        seconds = 0.0
        for index, samples in enumerate(files):
            label = {"intent": "none", "slots": {}, "source": name, "kind": kind}
            corpus.add(samples, label, name=f"{kind}_{name}_{index:02d}.flac")
            seconds += len(samples) / RATE_HZ
        minutes = round(seconds / 60, 1)
        sources.append({"source": name, "kind": kind, "minutes": minutes, "licence": licence})
        print(f"{kind:8} {name:34} {minutes:5.1f} min  {licence}", flush=True)

    def talk(name: str, package: str, pieces: Pieces, minutes: int) -> None:
        write(name, "speech", PACKAGES[package], _joined(pieces, rng, minutes))

    queen = "flight-of-the-amazon-queen"
    talk(queen, queen, _every(actors(packages), 2), 36)
    sounds = "asterisk-core-sounds-en-g722"
    talk(sounds, sounds, prompts(packages, sounds, "*.g722"), 12)
    talk("pocketsphinx-testdata", "pocketsphinx-testdata", _pocketsphinx(packages), 1)
    taunts = prompts(packages, "hedgewars-data", "voices/*/*.ogg")
    talk("hedgewars-data", "hedgewars-data", taunts, 8)
    if clips:
        found = (soundfile.read(f, dtype="float32")[0] for f in sorted(clips.glob("*.flac")))
        write("clips", "speech", f"as in {clips.name}", _joined(found, rng, 45))
    for package, minutes in (
        ("singularity-music", 8), ("drascula-music", 8), ("asc-music", 6),
        ("asterisk-moh-opsound-g722", 6), ("planetblupi-music-midi", 5),
    ):  # fmt: skip
        pieces = (piece[: 2 * FILE_S * RATE_HZ] for piece in music(packages, package))
        write(package, "music", PACKAGES[package], _cut(pieces, rng, minutes))
    both = f"{PACKAGES[queen]}; {PACKAGES['singularity-music']}"
    write("television", "mixture", both, _television(packages, rng, 12))
    write("babble", "mixture", PACKAGES[queen], _babble(packages, rng, 6))
    write("monologues", "speech", PACKAGES["fortunes"], _joined(_read(packages), rng, 8))
    noises: tuple[tuple[str, int, Callable[[int], Float], tuple[float, float]], ...] = (
        ("motors", 10, lambda n: motor(rng, n), (-35, -15)),
        ("kitchen", 5, lambda n: kitchen(n, int(rng.integers(1 << 30))), (-35, -18)),
        ("hum", 6, lambda n: hum(rng, n), (-65, -40)),
    )
    for name, minutes, noise, level in noises:
        made = (
            decibels(float(rng.uniform(*level))) * noise(FILE_S * RATE_HZ) for _ in range(minutes)
        )
        write(name, "noise", "made here", (np.asarray(x, np.float32) for x in made))
    text = json.dumps(sources, indent=1, ensure_ascii=False)
    (folder / "sources.json").write_text(text + "\n", encoding="utf-8")
    return corpus.close(sources=sources)


def _every(pieces: Pieces, step: int, start: int = 0) -> Pieces:
    return islice(pieces, start, None, step)


def _joined(pieces: Pieces, rng: np.random.Generator, minutes: int) -> Pieces:
    """Join pieces with gaps of 0.2 to 1.5 s, as talk has, to files of about a minute."""
    for _ in range(minutes):
        parts: list[Samples] = []
        count = 0
        while count < FILE_S * RATE_HZ:
            piece = next(pieces, None)
            if piece is None:
                break
            level = decibels(float(rng.uniform(-20, -6)))
            piece = (level * piece / max(np.abs(piece).max(), 1e-4)).astype(np.float32)
            gap = np.zeros(round(rng.uniform(0.2, 1.5) * RATE_HZ), np.float32)
            parts += [piece, gap]
            count += len(piece) + len(gap)
        if not parts:
            return
        talk = np.concatenate(parts)
        yield talk + room_tone(rng, len(talk), -62)


def _cut(pieces: Pieces, rng: np.random.Generator, minutes: int) -> Pieces:
    """Cut music into files of a minute."""
    size, made = FILE_S * RATE_HZ, 0
    for piece in pieces:
        for start in range(0, len(piece) - size // 2, size):
            if made == minutes:
                return
            yield decibels(float(rng.uniform(-25, -6))) * piece[start : start + size]
            made += 1


def _television(packages: Path, rng: np.random.Generator, minutes: int) -> Pieces:
    """Acted lines over music, 3 to 15 dB below them."""
    spoken = _joined(_every(actors(packages), 4, 1), rng, minutes)
    tunes = _cut(_every(music(packages, "singularity-music"), 2, 1), rng, minutes)
    for talk, tune in zip(spoken, tunes, strict=False):
        count = min(len(talk), len(tune))
        level = np.sqrt(np.mean(talk**2) / max(float(np.mean(tune**2)), 1e-9))
        ratio = decibels(-float(rng.uniform(3, 15)))
        out = talk[:count] + ratio * level * tune[:count]
        yield np.asarray(out / max(1.0, np.abs(out).max() / 0.9), np.float32)


def babble(packages: Path, rng: np.random.Generator, minutes: int, voices: int = 5) -> Pieces:
    """Several actors at once, peak 0.5, in files of a minute."""
    lines = _joined(_every(actors(packages), 4, 3), rng, minutes * voices)
    for _ in range(minutes):
        group = list(islice(lines, voices))
        count = min(len(talk) for talk in group)
        levels = [talk[:count] / np.sqrt(np.mean(talk**2)) for talk in group]
        mixed = np.sum(levels, axis=0)
        yield np.asarray(0.5 * mixed / np.abs(mixed).max(), np.float32)


def _babble(packages: Path, rng: np.random.Generator, minutes: int) -> Pieces:
    for mixed in babble(packages, rng, minutes):
        yield decibels(float(rng.uniform(-15, 0))) * mixed


def _pocketsphinx(packages: Path) -> Pieces:
    for pattern in ("*.raw", "librivox/*.wav", "cards/*.wav"):
        yield from prompts(packages, "pocketsphinx-testdata", pattern)


def _read(packages: Path) -> Pieces:
    """Fortunes, read out by the quick voices of development, sentence by sentence."""
    voices = {**open_voices("dev", "flite")[0], **open_voices("dev", "espeak")[0]}
    file = next(unpacked(packages, "fortunes").rglob("science"))
    text = file.read_text(encoding="utf-8", errors="replace")
    turn = 0
    for saying in text.split("\n%\n"):
        plain = " ".join(re.findall(r"[A-Za-z',.?!]+", saying))
        if 20 < len(plain) < 600 and voices:
            yield voices[list(voices)[turn % len(voices)]].say(plain).samples
            turn += 1
