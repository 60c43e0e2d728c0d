"""The corpora of hesitations and of stop words.

``python -m bench.corpora.speech --out /tmp/corpora/pauses --set pauses``
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from .corpus import Corpus, in_room, spoken_label
from .interruptions import (
    BROKEN_OFF,
    EXTENSIONS,
    NEAR_MISSES,
    SECOND_THOUGHTS,
    STOPS,
    STOPS_SHORT,
)
from .sentences import Line, commands
from .spoken import command_lines, turn
from .voices import RATE_HZ, Group, Samples, Spoken, Voice, open_voices

SEEDS: dict[Group, int] = {"dev": 11, "held": 12}
PAUSES_S = (0.2, 1.0)
FADE_S = 0.006


def make_pauses(folder: Path, group: Group) -> dict[str, Any]:
    """Write commands with a pause in them, second thoughts, and controls without a pause.

    A pause is either spliced into the running sentence where it is quietest between two words, or
    put between two parts that were spoken one by one (with the fall of the voice that speakers
    make before they pause). The label's ``pauses`` are start and end of each, in seconds.

    Args:
        folder: Where to.
        group: Whose sentences and voices (Kokoro's, which know the times of their words).

    Returns:
        The report.
    """
    voices, missing = open_voices(group, "kokoro")
    corpus = Corpus(folder, missing)
    rng = np.random.default_rng(SEEDS[group])
    used = {line.text for g in ("dev", "held") for line in command_lines(g)}
    if group == "held":
        used |= {line.text for line in commands(SEEDS["dev"], 120, used)}
    plain = [x for x in commands(SEEDS[group], 120, used) if len(x.parts) > 1]
    names = list(voices)
    lines: list[tuple[Line, bool]] = [(line, True) for line in plain[:45] * 2]
    lines += [(line, False) for line in plain[45:70]]
    lines += [(x, True) for x in (*SECOND_THOUGHTS[group], *EXTENSIONS[group]) for _ in names]
    for index, (line, paused) in enumerate(lines):
        name = names[index % len(names)]
        if paused:
            # The first of two parts of a correction must be heard as a sentence of its own.
            apart = line.marks == ("correction",) or bool(rng.random() < 0.5)
            spoken, pauses = _paused(voices[name], line, rng, apart)
        else:
            spoken, pauses = voices[name].say(line.text), []
        samples, start_s, end_s = in_room(spoken, rng)
        label = spoken_label(line, spoken, name, start_s, end_s)
        label["pauses"] = [[round(start_s + a, 4), round(start_s + b, 4)] for a, b in pauses]
        corpus.add(samples, label)
    return corpus.close()


def make_stop(folder: Path, group: Group) -> dict[str, Any]:
    """Write stop words alone, stop words that break off a sentence, and near misses.

    The label's ``stop_start_s`` and ``stop_end_s`` are those of the stop words.

    Args:
        folder: Where to.
        group: Whose sentences and voices.

    Returns:
        The report.
    """
    voices, missing = open_voices(group)
    corpus = Corpus(folder, missing)
    rng = np.random.default_rng(SEEDS[group] + 100)
    names = list(voices)
    for text in STOPS:
        for name in names:
            spoken = voices[name].say(text)
            _add_stop(corpus, Line(text, "stop"), spoken, name, rng, 0.0)
    for index, start in enumerate(BROKEN_OFF[group]):
        for name in turn(names, index, 5):
            stop = STOPS_SHORT[int(rng.integers(len(STOPS_SHORT)))]
            spoken, pauses = _apart(voices[name], (start, stop), [float(rng.uniform(0.03, 0.5))])
            _add_stop(corpus, Line(f"{start} {stop}", "stop"), spoken, name, rng, pauses[0][1])
    for index, text in enumerate(NEAR_MISSES[group]):
        for name in turn(names, index, 5):
            corpus.say(Line(text, "none"), voices[name].say(text), name, rng)
    return corpus.close()


def _add_stop(
    corpus: Corpus, line: Line, spoken: Spoken, name: str, rng: np.random.Generator, from_s: float
) -> None:
    samples, start_s, end_s = in_room(spoken, rng)
    label = spoken_label(line, spoken, name, start_s, end_s)
    label |= {"stop_start_s": round(start_s + from_s, 4), "stop_end_s": label["speech_end_s"]}
    corpus.add(samples, label)


def _paused(
    voice: Voice, line: Line, rng: np.random.Generator, apart: bool
) -> tuple[Spoken, list[tuple[float, float]]]:
    """Speak a line with a pause between two of its parts, sometimes between more.

    Returns:
        The utterance and its pauses, in seconds of the utterance.
    """
    cuts = range(1, len(line.parts))
    chosen = sorted(
        rng.choice(cuts, size=min(len(cuts), 1 + int(rng.random() < 0.25)), replace=False)
    )
    lengths = [float(rng.uniform(*PAUSES_S)) for _ in chosen]
    bounds = [0, *(int(c) for c in chosen), len(line.parts)]
    texts = tuple(" ".join(line.parts[a:b]) for a, b in pairwise(bounds))
    if apart:
        return _apart(voice, texts, lengths)
    return _spliced(voice.say(line.text), [len(text.split()) for text in texts[:-1]], lengths)


def _apart(
    voice: Voice, texts: tuple[str, ...], lengths: list[float]
) -> tuple[Spoken, list[tuple[float, float]]]:
    """Speak texts one by one with silences between them."""
    said = [voice.say(text) for text in texts]
    out, words, pauses = said[0].samples, list(said[0].words), []
    for spoken, length in zip(said[1:], lengths, strict=True):
        start_s = len(out) / RATE_HZ
        gap = np.zeros(round(length * RATE_HZ), np.float32)
        out = np.concatenate([out, gap, spoken.samples])
        shift = (len(out) - len(spoken.samples)) / RATE_HZ
        pauses.append((start_s, shift))
        words += [(w, a + shift, b + shift) for w, a, b in spoken.words]
    return Spoken(out, tuple(words)), pauses


def _spliced(
    spoken: Spoken, counts: list[int], lengths: list[float]
) -> tuple[Spoken, list[tuple[float, float]]]:
    """Insert silences into an utterance after so many words each."""
    out, words, pauses = spoken.samples, list(spoken.words), []
    index = 0
    for count, length in zip(counts, lengths, strict=True):
        index += count
        cut = _quietest(out, words[index - 1][2], words[index][1])
        gap = round(length * RATE_HZ)
        before, after = out[:cut].copy(), out[cut:].copy()
        fade = min(round(FADE_S * RATE_HZ), len(before), len(after))
        ramp = np.linspace(1.0, 0.0, fade, dtype=np.float32)
        before[len(before) - fade :] *= ramp
        after[:fade] *= ramp[::-1]
        out = np.concatenate([before, np.zeros(gap, np.float32), after])
        at_s, shift = cut / RATE_HZ, gap / RATE_HZ
        w, a, b = words[index - 1]
        words[index - 1] = (w, a, min(b, at_s))
        words[index:] = [(w, max(a, at_s) + shift, b + shift) for w, a, b in words[index:]]
        pauses.append((at_s, at_s + shift))
    return replace(spoken, samples=out, words=tuple(words)), pauses


def _quietest(samples: Samples, end_s: float, start_s: float) -> int:
    """The quietest sample around the end of a word and the start of the next."""
    a = max(0, round((min(end_s, start_s) - 0.03) * RATE_HZ))
    b = round((max(end_s, start_s) + 0.03) * RATE_HZ)
    window = np.ones(160) / 160
    power = np.convolve(samples[a:b].astype(float) ** 2, window, mode="same")
    return a + int(power.argmin())
