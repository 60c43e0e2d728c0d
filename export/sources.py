"""Where an export's samples come from: what is learned from, and what is held out to judge on.

    python -c "from pathlib import Path; from deixis.export.sources import EpisodeSources; \
print(len(EpisodeSources(Path('tests/scenes/episodes')).held_out().samples.frames))"
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from deixis.export.cache import digest
from deixis.export.samples import Part, Samples, load_samples

TRAINING_FRAMES_A_SECOND = 6.0
TRAINING_FRAMES = 600


@dataclass(frozen=True)
class Source:
    """Samples, with a hash of the files they were read from."""

    samples: Samples
    hash: str


class Sources(Protocol):
    """Samples of three kinds; they are read when a step first needs them."""

    @property
    def hash(self) -> str:
        """Of all files."""
        ...

    def train(self) -> Source:
        """What is learned from and calibrated on."""
        ...

    def held_out(self) -> Source:
        """What variants are judged on."""
        ...

    def everything(self) -> Source:
        """What a file is compared with its original on."""
        ...


@dataclass(frozen=True)
class EpisodeSources:
    """Recorded or rendered episodes.

    Attributes:
        samples: folder of episodes; one in three is held out.
        calib: another folder to learn from: then all of ``samples`` is held out.
    """

    samples: Path
    calib: Path | None = None
    _read: dict[tuple[Path, str, float], Source] = field(default_factory=dict, compare=False)

    @property
    def hash(self) -> str:
        """Of all files."""
        folders = [folder for folder in (self.samples, self.calib) if folder is not None]
        return digest(*(file for folder in folders for file in _files(folder)))

    def train(self) -> Source:
        """What is learned from and calibrated on, six frames a second."""
        if self.calib is not None:
            return self._source(self.calib, "all", TRAINING_FRAMES_A_SECOND, TRAINING_FRAMES)
        return self._source(self.samples, "train", TRAINING_FRAMES_A_SECOND, TRAINING_FRAMES)

    def held_out(self) -> Source:
        """What variants are judged on, six frames a second."""
        part: Part = "held out" if self.calib is None else "all"
        return self._source(self.samples, part, TRAINING_FRAMES_A_SECOND, TRAINING_FRAMES)

    def everything(self) -> Source:
        """All episodes, two frames a second."""
        return self._source(self.samples, "all")

    def _source(
        self, folder: Path, part: Part, frames_a_second: float = 2.0, most: int = 96
    ) -> Source:
        key = (folder, part, frames_a_second)
        if key not in self._read:
            samples = load_samples(folder, part, frames_a_second, most)
            self._read[key] = Source(samples, digest(part, frames_a_second, *_files(folder)))
        return self._read[key]


def _files(folder: Path) -> list[Path]:
    """The files that samples are read from, in a fixed order."""
    episodes = [path for path in sorted(folder.glob("*/*")) if path.is_file()]
    people = sorted((folder.parent / "people").glob("*.jpg"))
    things = sorted((folder.parent / "things").glob("*/*"))
    return [*episodes, *people, *things]
