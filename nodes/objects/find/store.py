"""Keeps what was seen in each file, so that a file is watched only once.

A file's sightings are kept by its content, by the model that embedded them and by how it was
watched: a copy or a renamed file is known, a changed one is not. They are a few files in a
folder that appears when all of it is there.

    store = Store(default_folder(), "sha256 of the model and how it was watched")
    seen = store.get(store.key(path))
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.find.codes import Codes, binary_codes
from deixis.nodes.objects.gallery_folder import write_whole
from deixis.nodes.objects.source import Box
from deixis.runtime.bundle import replacing, sha256_of
from deixis.runtime.errors import ConfigError

SCHEMA = 1
_SIGHTINGS, _THUMBNAILS = "sightings.msgpack", "thumbnails.bin"
_VECTORS, _CODES = "vectors.npy", "codes.npy"
_HASHES = "files.json"


class Sighting(msgspec.Struct, array_like=True):
    """One thing in one place of a file.

    Attributes:
        start_s: When it was first seen there, seconds from the start; 0 in a picture.
        end_s: When it was last seen there, unchanged.
        box_px: x, y, width, height in the picture.
        colours: Probability per colour word.
        thumbnail: Where its JPEG begins and ends in the file's thumbnails.
    """

    start_s: float
    end_s: float
    box_px: Box
    colours: dict[str, float]
    thumbnail: tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """All sightings of one file.

    Attributes:
        sightings: In the order in which they began.
        vectors: Their embeddings, float16 ``(n, d)``, each of about length 1, on disk.
        codes: Their binary codes, ``(n, BITS / 8)``.
        thumbnails: The file with all their thumbnails.
    """

    sightings: list[Sighting]
    vectors: NDArray[np.float16]
    codes: Codes
    thumbnails: Path

    def thumbnail(self, index: int) -> bytes:
        """The JPEG of one sighting."""
        start, end = self.sightings[index].thumbnail
        with self.thumbnails.open("rb") as file:
            file.seek(start)
            return file.read(end - start)


class Store:
    """Sightings on disk.

    Args:
        folder: Where; made when something is written.
        manner: What else than the file's content they depend on: model, pace, camera.
    """

    def __init__(self, folder: Path, manner: str) -> None:
        self.folder = folder
        self._manner = f"{SCHEMA} {manner}"
        self._hashes = _read_hashes(folder / _HASHES)
        self._known = dict(self._hashes)

    def key(self, path: Path) -> str:
        """What a file's sightings are kept by.

        Raises:
            OSError: It cannot be read.
        """
        # Hashing gigabytes takes longer than the search: an untouched file is not hashed again.
        info = path.stat()
        touched = f"{path.resolve()} {info.st_size} {info.st_mtime_ns}"
        if touched not in self._hashes:
            self._hashes[touched] = sha256_of(path)
        return hashlib.sha256(f"{self._manner} {self._hashes[touched]}".encode()).hexdigest()[:32]

    def get(self, key: str) -> Seen | None:
        """What is known of a file; None where nothing is, or what is kept is damaged."""
        place = self.folder / key
        try:
            raw = (place / _SIGHTINGS).read_bytes()
            sightings = msgspec.msgpack.decode(raw, type=list[Sighting])
            vectors = np.load(place / _VECTORS, mmap_mode="r", allow_pickle=False)
            codes = np.load(place / _CODES, allow_pickle=False)
        except (OSError, ValueError, msgspec.DecodeError):
            return None
        if not len(sightings) == len(vectors) == len(codes):
            return None
        return Seen(sightings, vectors, codes, place / _THUMBNAILS)

    def put(
        self, key: str, sightings: list[Sighting], vectors: NDArray[np.float32], thumbnails: bytes
    ) -> None:
        """Keep a file's sightings; whatever interrupts it, no half of them is left.

        Raises:
            ConfigError: The folder cannot be written.
        """
        with self._writing(), replacing(self.folder / key) as place:
            (place / _SIGHTINGS).write_bytes(msgspec.msgpack.encode(sightings))
            np.save(place / _VECTORS, vectors.astype(np.float16))
            np.save(place / _CODES, binary_codes(vectors))
            (place / _THUMBNAILS).write_bytes(thumbnails)

    def save_hashes(self) -> None:
        """Keep which files were hashed.

        Raises:
            ConfigError: The folder cannot be written.
        """
        if self._hashes != self._known:
            with self._writing():
                self.folder.mkdir(parents=True, exist_ok=True)
                write_whole(self.folder / _HASHES, msgspec.json.encode(self._hashes))
            self._known = dict(self._hashes)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as cause:
            raise ConfigError(
                f"cannot write {cause.filename or self.folder}: {cause.strerror}",
                hint="name a folder that you may write with --cache",
            ) from cause


def default_folder() -> Path:
    """``deixis/find`` below ``$XDG_CACHE_HOME``, or below ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "deixis" / "find"


def _read_hashes(path: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        # Missing or damaged: files are hashed anew.
        return {}
