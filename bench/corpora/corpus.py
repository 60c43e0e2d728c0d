"""A corpus on disk: FLAC files, ``labels.json`` beside them, ``report.json`` about the making.

``python -c "from bench.corpora.corpus import Corpus; print(Corpus.__doc__)"``
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.scenes.sound import shaped

from .sentences import Line
from .voices import RATE_HZ, Samples, Spoken

TONE_DBFS = (-70.0, -58.0)
"""Level of the room tone around an utterance."""
LEAD_S = (0.3, 0.6)
TAIL_S = (0.8, 1.2)
PEAK = (0.1, 0.5)


def room_tone(rng: np.random.Generator, count: int, level_dbfs: float) -> Samples:
    """Noise that falls with frequency, as of a quiet room."""
    if count < 2:
        return np.zeros(count, np.float32)
    return (10 ** (level_dbfs / 20) * shaped(rng, count, 0.5)).astype(np.float32)


def in_room(
    spoken: Spoken, rng: np.random.Generator, peak: float | None = None
) -> tuple[Samples, float, float]:
    """Place an utterance into room tone.

    Args:
        spoken: The utterance, peak 1.
        rng: Chooses the level, the silence on both sides and the tone.
        peak: Level of the utterance; chosen in ``PEAK`` when None.

    Returns:
        Samples, and the seconds at which the speech starts and ends.
    """
    # Evenly spread in decibels, as distances are.
    level = float(np.exp(rng.uniform(*np.log(PEAK)))) if peak is None else peak
    lead = round(rng.uniform(*LEAD_S) * RATE_HZ)
    tail = round(rng.uniform(*TAIL_S) * RATE_HZ)
    count = lead + len(spoken.samples) + tail
    samples = room_tone(rng, count, float(rng.uniform(*TONE_DBFS)))
    samples[lead : lead + len(spoken.samples)] += level * spoken.samples
    return samples, lead / RATE_HZ, (lead + len(spoken.samples)) / RATE_HZ


class Corpus:
    """A folder of labelled audio being written.

    Args:
        folder: Made when absent; files in it of the same names are overwritten.
        missing: Voices that could not speak, and why; goes into the report.
    """

    def __init__(self, folder: Path, missing: Mapping[str, str] | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.labels: dict[str, dict[str, Any]] = {}
        self._missing = dict(missing or {})
        self._seconds = 0.0

    def say(self, line: Line, spoken: Spoken, voice: str, rng: np.random.Generator) -> None:
        """Add an utterance in a quiet room, labelled with its meaning and times."""
        samples, start_s, end_s = in_room(spoken, rng)
        self.add(samples, spoken_label(line, spoken, voice, start_s, end_s))

    def add(
        self, samples: NDArray[Any], label: dict[str, Any], rate_hz: int = RATE_HZ, name: str = ""
    ) -> None:
        """Write a file and its label.

        Args:
            samples: Mono, or (n, 2) for stereo.
            label: As it goes into ``labels.json``.
            rate_hz: Of the file.
            name: Of the file; numbered, with its intent, when empty.
        """
        name = name or f"{len(self.labels):04d}_{label['intent']}.flac"
        soundfile.write(self.folder / name, np.clip(samples, -1, 1), rate_hz, subtype="PCM_16")
        self.labels[name] = label
        self._seconds += len(samples) / rate_hz

    def close(self, **facts: Any) -> dict[str, Any]:
        """Write ``labels.json`` and ``report.json``.

        Args:
            facts: Further entries of the report.

        Returns:
            The report.
        """
        report = {
            "files": len(self.labels),
            "minutes": round(self._seconds / 60, 2),
            "intents": dict(Counter(x["intent"] for x in self.labels.values())),
            "voices": dict(Counter(x["voice"] for x in self.labels.values() if "voice" in x)),
            "voices_missing": self._missing,
            **facts,
        }
        for name, content in (("labels.json", self.labels), ("report.json", report)):
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (self.folder / name).write_text(text + "\n", encoding="utf-8")
        return report


def spoken_label(
    line: Line, spoken: Spoken, voice: str, start_s: float, end_s: float
) -> dict[str, Any]:
    """The label of an utterance that starts and ends at these seconds of its file."""
    label: dict[str, Any] = {
        "intent": line.intent,
        "slots": line.slots,
        "text": line.text,
        "speech_start_s": round(start_s, 4),
        "speech_end_s": round(end_s, 4),
        "voice": voice,
    }
    if spoken.words:
        label["words"] = [
            [word, round(start_s + a, 4), round(start_s + b, 4)] for word, a, b in spoken.words
        ]
    return label | dict.fromkeys(line.marks, True)
