"""All that was seen in the files that are searched, one after the other, with their codes.

library, problems = watch_all(files, store, watcher, every_s=0.5, console=console)
library.vectors(rows)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress

from deixis.nodes.objects.find.media import MediaFile, duration_s, samples
from deixis.nodes.objects.find.store import Seen, Sighting, Store
from deixis.nodes.objects.find.watching import Watcher
from deixis.runtime.errors import MediaError

_SAMPLED = 1000
_PICTURE_S = 0.5
"""What a picture counts as beside a video, in the progress."""


@dataclass(eq=False)
class Library:
    """The sightings of several files, numbered through (rows).

    Attributes:
        files: The files.
        seen: What was seen in each.
    """

    files: Sequence[MediaFile]
    seen: Sequence[Seen]
    sightings: list[Sighting] = field(init=False)
    _starts: NDArray[np.int64] = field(init=False)
    _boxes: NDArray[np.float64] = field(init=False)
    _times_s: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.sightings = list(chain(*(s.sightings for s in self.seen)))
        self._starts = np.cumsum([0, *(len(s.sightings) for s in self.seen)])
        self._boxes = np.array([s.box_px for s in self.sightings]).reshape(-1, 4)
        times_s = [(s.start_s, s.end_s) for s in self.sightings]
        self._times_s = np.array(times_s, np.float64).reshape(-1, 2)

    def codes(self) -> NDArray[np.uint8]:
        """Binary codes of all sightings, ``(n, BITS / 8)``."""
        return np.concatenate([s.codes for s in self.seen])

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embeddings of some sightings, ``(len(rows), d)``; only these are read from the disk."""
        parts = []
        for number in np.unique(self._file_of(rows)):
            own = rows[self._file_of(rows) == number] - self._starts[number]
            parts.append(np.asarray(self.seen[number].vectors[own], np.float32))
        order = np.argsort(np.argsort(self._file_of(rows), kind="stable"), kind="stable")
        return np.concatenate(parts)[order] if parts else np.zeros((0, 1), np.float32)

    def vector(self, row: int) -> NDArray[np.float32]:
        """The embedding of one sighting, ``(d,)``."""
        return np.asarray(self.vectors(np.array([row]))[0], np.float32)

    def common(self) -> NDArray[np.float32]:
        """The mean of the embeddings, of a sample where there are many, ``(d,)``."""
        n = len(self.sightings)
        if n == 0:
            return np.zeros(1, np.float32)
        rows = np.linspace(0, n - 1, min(n, _SAMPLED)).astype(np.int64)
        mean = self.vectors(rows).mean(axis=0)
        # With few things their mean is mostly what tells them from everything else.
        return np.asarray(mean * (len(rows) - 1) / len(rows), np.float32)

    def around(self, row: int, share: float) -> NDArray[np.int64]:
        """Rows of larger sightings, of the same time, that most of a sighting lies in.

        Args:
            row: The sighting.
            share: Least share of its box that must lie in theirs.
        """
        number = int(self._file_of(np.array([row]))[0])
        first, last = self._starts[number : number + 2]
        x, y, w, h = self._boxes[first:last].T
        start_s, end_s = self._times_s[first:last].T
        left, top, width, height = self._boxes[row]
        inside_x = np.minimum(x + w, left + width) - np.maximum(x, left)
        inside_y = np.minimum(y + h, top + height) - np.maximum(y, top)
        inside = np.clip(inside_x, 0, None) * np.clip(inside_y, 0, None)
        together = (start_s <= self._times_s[row, 1]) & (end_s >= self._times_s[row, 0])
        larger = w * h > width * height
        within = together & larger & (inside >= share * width * height)
        return np.asarray(first + np.flatnonzero(within), np.int64)

    def file(self, row: int) -> MediaFile:
        """The file of a sighting."""
        return self.files[int(self._file_of(np.array([row]))[0])]

    def thumbnail(self, row: int) -> bytes:
        """The JPEG of a sighting."""
        number = int(self._file_of(np.array([row]))[0])
        return self.seen[number].thumbnail(row - int(self._starts[number]))

    def _file_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.searchsorted(self._starts, rows, side="right") - 1


def watch_all(
    files: Sequence[MediaFile], store: Store, watcher: Watcher, every_s: float, console: Console
) -> tuple[Library, list[str]]:
    """Watch the files that the store does not know, with a progress bar; Ctrl-C keeps what is done.

    Args:
        files: What to search.
        store: Where sightings are kept.
        watcher: Watches a file.
        every_s: Pace of the samples in videos.
        console: Shows the progress.

    Returns:
        All sightings, and a line for each file in a folder that cannot be read.

    Raises:
        MediaError: A file that the user named cannot be read.
        ConfigError: The store cannot be written.
    """
    known: dict[Path, Seen] = {}
    problems: list[str] = []
    waiting: list[tuple[MediaFile, str]] = []
    for file in files:
        key = store.key(file.path)
        seen = store.get(key)
        if seen is None:
            waiting.append((file, key))
        else:
            known[file.path] = seen
    store.save_hashes()
    lengths_s = [duration_s(file) or _PICTURE_S for file, _ in waiting]
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("watching", total=sum(lengths_s) or None, visible=bool(waiting))
        done_s = 0.0
        for (file, key), length_s in zip(waiting, lengths_s, strict=True):
            progress.update(task, description=f"watching {escape(file.path.name)}")

            def reached(at_s: float, before_s: float = done_s, most_s: float = length_s) -> None:
                progress.update(task, completed=before_s + min(at_s, most_s))

            try:
                store.put(key, *watcher.watch(samples(file, every_s), reached))
            except MediaError as error:
                if file.named:
                    raise
                problems.append(str(error))
            else:
                seen = store.get(key)
                if seen is not None:
                    known[file.path] = seen
            done_s += length_s
            progress.update(task, completed=done_s)
    readable = [file for file in files if file.path in known]
    return Library(readable, [known[file.path] for file in readable]), problems
