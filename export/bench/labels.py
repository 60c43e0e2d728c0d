"""Labelled recordings: a folder of audio files with ``labels.json`` (file → intent, slots, …).

    recordings = load_labels(Path("recordings"))

``{"a.flac": {"intent": "pick", "slots": {"object": "red cup"}}, "b.wav": {"intent": "none"}}``.
Slot values are the words as said, without article. Optional: ``text`` (what was said),
``speech_end_s`` (end of the last word), ``stop_end_s`` (end of the stop word), ``words``
(``[word, start_s, end_s]`` each), ``kind`` (what else there is to hear: music, another person).
Other keys are ignored.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deixis.runtime.config import convert, read_text
from deixis.runtime.errors import ConfigError, MediaError

LABELS = "labels.json"


class Label(msgspec.Struct, frozen=True):
    """What was said in a file. Seconds count from its first sample.

    Attributes:
        intent: The intent; None where nothing may be accepted.
        slots: Words of each slot, as said, without article.
        text: The words, for the word error rate.
        speech_end_s: End of the last word.
        stop_end_s: End of the word that stops the robot; where absent, ``speech_end_s``.
        words: Each word with its start and end.
        kind: What kind of sound it is; false accepts are also counted by it.
    """

    intent: str | None
    slots: dict[str, str] = {}
    text: str | None = None
    speech_end_s: float | None = None
    stop_end_s: float | None = None
    words: tuple[tuple[str, float, float], ...] = ()
    kind: str | None = None

    @property
    def in_domain(self) -> bool:
        """Whether a command was said."""
        return self.intent is not None


@dataclass(frozen=True)
class Recording:
    """A file and what was said in it."""

    name: str
    path: Path
    label: Label


def load_labels(
    folder: Path, labels: Path | None = None, limit: int | None = None
) -> list[Recording]:
    """Read the labels and check them, and that the files are there.

    Args:
        folder: Where the files lie.
        labels: The file with the labels; ``labels.json`` in the folder where None.
        limit: At most so many, spread evenly over the list.

    Raises:
        ConfigError: The labels are missing or wrong; names the file and the key.
        MediaError: An audio file that is labelled is missing.
    """
    source = labels or folder / LABELS
    try:
        data = json.loads(read_text(source))
    except json.JSONDecodeError as cause:
        raise ConfigError(f"{source} is not valid JSON: {cause}") from cause
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: expected an object (file → label)")
    if not data:
        raise ConfigError(f"{source} labels no file")
    recordings = [_recording(folder, source, name, entry) for name, entry in data.items()]
    if limit is None or limit >= len(recordings):
        return recordings
    return [recordings[i * len(recordings) // limit] for i in range(limit)]


def _recording(folder: Path, source: Path, name: str, entry: object) -> Recording:
    label = convert(entry, Label, f"{source}: {name}")
    if label.intent == "none":
        label = msgspec.structs.replace(label, intent=None)
    if label.intent == "":
        raise ConfigError(f'{source}: {name}: intent: empty; "none" if nothing may be accepted')
    if label.intent is None and label.slots:
        raise ConfigError(f"{source}: {name}: slots: there can be none where intent is none")
    path = folder / name
    if not path.is_file():
        raise MediaError(f"{source} labels {name!r}, and there is no file {path}")
    return Recording(name, path, label)
