"""Recorded episodes with ground truth: reading them, and judging what the robot did against it.

An episode is a folder with ``video.mp4``, ``audio.wav`` and ``truth.json`` (schema 1; the renderer
in ``tests/scenes`` writes it). Video frame k is at k / fps seconds, audio sample n at n / 16000.

    episode = Episode.load(Path("tests/scenes/episodes/pick_that"))
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import MediaError
from deixis.runtime.messages import Vec3

SCHEMA = 1
OBJECT_TOLERANCE_M = 0.05


class TrueWord(msgspec.Struct, frozen=True):
    """A spoken word and when it was said (seconds from the episode's start)."""

    word: str
    start_s: float
    end_s: float


class Utterance(msgspec.Struct, frozen=True):
    """One sentence: its words, and the end of its last voiced sample."""

    text: str
    start_s: float
    end_s: float
    in_domain: bool
    words: list[TrueWord]


class TrueObject(msgspec.Struct, frozen=True):
    """An object on the table."""

    id: str
    name: str
    colour: str
    position_base_m: Vec3


class ExpectedAction(msgspec.Struct, frozen=True):
    """An action the robot must take."""

    intent: str
    utterance: int
    object: str | None = None
    destination_object: str | None = None
    relation: str | None = None
    destination_base_m: Vec3 | None = None
    tolerance_m: float = 0.06

    def text(self) -> str:
        """In one line."""
        return action_text(
            self.intent, self.object, self.destination_object, self.destination_base_m
        )


class Truth(msgspec.Struct, frozen=True):
    """What ``truth.json`` says, as far as the runtime needs it."""

    schema: int
    name: str
    description: str
    duration_s: float
    objects: list[TrueObject]
    utterances: list[Utterance]
    expected_actions: list[ExpectedAction]


class TakenAction(msgspec.Struct, frozen=True):
    """An action the robot took, in the terms of the truth."""

    intent: str
    object: str | None = None
    destination_object: str | None = None
    destination_base_m: Vec3 | None = None

    def text(self) -> str:
        """In one line."""
        return action_text(
            self.intent, self.object, self.destination_object, self.destination_base_m
        )


@dataclass(frozen=True)
class Episode:
    """A recorded episode."""

    folder: Path
    truth: Truth

    @property
    def audio(self) -> Path:
        """The sound."""
        return self.folder / "audio.wav"

    @property
    def video(self) -> Path:
        """The picture."""
        return self.folder / "video.mp4"

    @classmethod
    def load(cls, folder: Path) -> Episode:
        """Read an episode.

        Raises:
            MediaError: It is incomplete, or of an unknown schema.
        """
        path = folder / "truth.json"
        for file in (path, folder / "audio.wav", folder / "video.mp4"):
            if not file.is_file():
                raise MediaError(f"{folder} is not an episode: {file.name} is missing")
        try:
            truth = msgspec.json.decode(path.read_bytes(), type=Truth)
        except msgspec.DecodeError as cause:
            raise MediaError(f"{path}: {cause}") from cause
        if truth.schema != SCHEMA:
            raise MediaError(f"{path} has schema {truth.schema}; this deixis reads {SCHEMA}")
        return cls(folder, truth)

    def true_end_ns(self, utterance: int, start_ns: int) -> int:
        """When the last sample of an utterance's speech was captured.

        Args:
            utterance: Its index.
            start_ns: When the episode's first sample was.
        """
        return start_ns + int(self.truth.utterances[utterance].end_s * NS_PER_S)

    def utterance_at(self, end_s: float) -> int | None:
        """Index of the utterance whose true end is nearest to ``end_s``, within a second."""
        ends = [abs(u.end_s - end_s) for u in self.truth.utterances]
        nearest = min(range(len(ends)), key=ends.__getitem__, default=None)
        return nearest if nearest is not None and ends[nearest] < 1.0 else None

    def object_near(self, position_base_m: Vec3) -> str | None:
        """The object whose true position is nearest, within the tolerance on the work plane."""
        found = min(
            self.truth.objects,
            key=lambda o: math.dist(o.position_base_m[:2], position_base_m[:2]),
            default=None,
        )
        if found is None:
            return None
        distance_m = math.dist(found.position_base_m[:2], position_base_m[:2])
        return found.id if distance_m <= OBJECT_TOLERANCE_M else None


def load_episodes(folder: Path, only: Sequence[str] = ()) -> list[Episode]:
    """All episodes below a folder (or the one in it), by name.

    Raises:
        MediaError: There are none, or a named one is not there.
    """
    if (folder / "truth.json").is_file():
        return [Episode.load(folder)]
    found = sorted(p.parent for p in folder.glob("*/truth.json"))
    names = [p.name for p in found]
    missing = [name for name in only if name not in names]
    if missing:
        raise MediaError(
            f"no episode {', '.join(missing)} in {folder}", hint=f"there are: {', '.join(names)}"
        )
    if not found:
        raise MediaError(
            f"no episodes in {folder}",
            hint="run from a checkout of deixis, or name a folder with --episodes",
        )
    return [Episode.load(p) for p in found if not only or p.name in only]


def action_text(
    intent: str,
    object_id: str | None,
    destination_object: str | None,
    destination_base_m: Vec3 | None,
) -> str:
    """An action in one line: ``place red_cup → (0.42, 0.10)``."""
    parts = [intent]
    if object_id:
        parts.append(object_id)
    if destination_object:
        parts.append(f"→ {destination_object}")
    elif destination_base_m:
        parts.append(f"→ ({destination_base_m[0]:.2f}, {destination_base_m[1]:.2f})")
    return " ".join(parts)


def mismatch(expected: ExpectedAction, taken: TakenAction) -> str:
    """Why an action is not the expected one; empty if it is."""
    if taken.intent != expected.intent:
        return f"intent {taken.intent}, expected {expected.intent}"
    if taken.object != expected.object:
        return f"object {taken.object}, expected {expected.object}"
    if taken.destination_object != expected.destination_object:
        return (
            f"destination {taken.destination_object or taken.destination_base_m}, "
            f"expected {expected.destination_object or expected.destination_base_m}"
        )
    if expected.destination_base_m and not expected.destination_object:
        if taken.destination_base_m is None:
            return "no destination"
        off_m = math.dist(expected.destination_base_m[:2], taken.destination_base_m[:2])
        if off_m > expected.tolerance_m:
            return f"destination is {off_m * 100:.0f} cm off"
    return ""
