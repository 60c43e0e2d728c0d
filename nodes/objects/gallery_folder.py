"""The folder in which taught things are kept: ``gallery.json`` and a folder of pictures per thing.

``gallery.json`` says what each thing is called (the noun that the domain knows first) and its
colour: ``{"red_cup": {"names": ["cup", "mug"], "colour": "red"}}``. A picture with transparency
says itself which pixels are the thing. The index is replaced whole, after the pictures are there:
what was taught before survives whatever happens meanwhile.

    folder = GalleryFolder(Path("gallery"))
    folder.teach("cup", "red", [picture])  # "red_cup"
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.colours import WORDS
from deixis.runtime.errors import ConfigError

INDEX = "gallery.json"
_PICTURES = (".png", ".jpg", ".jpeg")
_NAME = re.compile(r"[a-z]+(['-][a-z]+)*( [a-z]+(['-][a-z]+)*){0,3}")
_NO_NAMES = frozenset(
    ("this", "that", "these", "those", "it", "one", "thing", "object", "here", "there")
)
"""Words that point at things instead of naming them."""

Picture = NDArray[np.uint8]
"""BGR with transparency, shape ``(height, width, 4)``: what is opaque is the thing."""


class Entry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One taught thing in ``gallery.json``.

    Attributes:
        names: What it is called, the noun that the domain knows first.
        colour: Its colour word.
        taught_at: When it was last shown, ISO 8601, UTC.
    """

    names: tuple[str, ...]
    colour: str | None = None
    taught_at: str | None = None


class GalleryFolder:
    """Reads and changes a gallery on disk.

    Args:
        path: The folder; need not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> tuple[int, int, int] | None:
        """Changes whenever the index does; None while there is none."""
        try:
            info = (self.path / INDEX).stat()
        except OSError:
            return None
        return info.st_mtime_ns, info.st_size, info.st_ino

    def things(self) -> dict[str, Entry]:
        """The index; empty where nothing was taught yet.

        Raises:
            ConfigError: It cannot be read or is wrong.
        """
        return read_index(self.path / INDEX) if (self.path / INDEX).exists() else {}

    def pictures(self, thing: str) -> list[Path]:
        """The pictures of a thing, in the order in which they were taught.

        Raises:
            ConfigError: There is none.
        """
        folder = self.path / thing
        found = [p for p in folder.glob("*") if p.suffix.lower() in _PICTURES]
        if not found:
            raise ConfigError(
                f"gallery: {folder} holds no picture",
                hint=f"add a few square .png views of it, or take {thing!r} out of {INDEX}",
            )
        return sorted(found, key=lambda p: (len(p.stem) if p.stem.isdecimal() else 0, p.name))

    def sheet(self, thing: str) -> Path:
        """Where the picture lies that shows a thing's views to people."""
        return self.path / f"{thing}.png"

    def teach(self, noun: str, colour: str | None, views: Sequence[Picture]) -> str:
        """Add views of a thing; one of the same noun and colour is the same thing.

        Args:
            noun: What it is called.
            colour: Its colour word, if it has one.
            views: Pictures of it.

        Returns:
            Its id: the name of its folder.

        Raises:
            ConfigError: The folder cannot be written, or what is there is no gallery.
        """
        with self._changing():
            index = self.things()
            same = (t for t, e in index.items() if e.names[0] == noun and e.colour == colour)
            thing = next(same, None) or self._new_id(noun, colour)
            old = index.get(thing, Entry(names=(noun,), colour=colour))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            written: list[Path] = []
            try:
                for view in views:
                    written.append(self._free_name(thing))
                    write_whole(written[-1], _png(view))
                self._write_index({**index, thing: msgspec.structs.replace(old, taught_at=now)})
            except BaseException:
                # Also for Ctrl-C: either all of it is taught, or nothing.
                for path in written:
                    path.unlink(missing_ok=True)
                if thing not in index and (self.path / thing).is_dir():
                    (self.path / thing).rmdir()
                raise
        return thing

    def forget(self, things: Sequence[str]) -> None:
        """Take things out, with their pictures.

        Raises:
            ConfigError: The folder cannot be written.
        """
        with self._changing():
            # The index first: whatever happens then, it names nothing that has no pictures.
            self._write_index({t: e for t, e in self.things().items() if t not in things})
            for thing in things:
                shutil.rmtree(self.path / thing, ignore_errors=True)
                self.sheet(thing).unlink(missing_ok=True)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Only one process at a time changes a gallery; failures to write are one clear error."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                yield
            finally:
                os.close(handle)
        except OSError as cause:
            raise ConfigError(
                f"gallery: cannot write {cause.filename or self.path}: {cause.strerror}",
                hint="name a folder that you may write with --gallery",
            ) from cause

    def _new_id(self, noun: str, colour: str | None) -> str:
        words = noun.split() if colour is None else [colour, *noun.split()]
        stem = "_".join(words)
        # What lies there although the index does not name it is not ours to mix in.
        names = [stem, *(f"{stem}_{n}" for n in range(2, 1000))]
        return next(name for name in names if not (self.path / name).exists())

    def _free_name(self, thing: str) -> Path:
        folder = self.path / thing
        folder.mkdir(exist_ok=True)
        taken = [int(p.stem) for p in folder.glob("*") if p.stem.isdecimal()]
        return folder / f"{max(taken, default=-1) + 1}.png"

    def _write_index(self, index: Mapping[str, Entry]) -> None:
        write_whole(
            self.path / INDEX, msgspec.json.format(msgspec.json.encode(index), indent=1) + b"\n"
        )


def noun_and_colour(name: str, colour: str | None) -> tuple[str, str | None]:
    """What a thing is called and its colour: "red cup" is a cup that is red.

    Args:
        name: As said or typed.
        colour: Colour word, if given besides.

    Raises:
        ConfigError: It cannot be said, or the colour is not one of the words.
    """
    words = name.lower().split()
    if colour is not None and colour not in WORDS:
        raise ConfigError(f"{colour!r} is not a colour word", hint=f"one of {', '.join(WORDS)}")
    if len(words) > 1 and words[0] in ("a", "an", "the"):
        words = words[1:]
    if len(words) > 1 and words[0] in WORDS and colour in (None, words[0]):
        colour, words = words[0], words[1:]
    noun = " ".join(words)
    # An orange is a thing as well.
    taken = _NO_NAMES | set(WORDS) - {"orange"}
    if not _NAME.fullmatch(noun) or len(noun) > 40 or taken.issuperset(words):
        raise ConfigError(
            f"{name!r} cannot be the name of a thing",
            hint="names are said aloud: one to four words of letters, such as 'measuring cup'",
        )
    return noun, colour


def read_index(path: Path) -> dict[str, Entry]:
    """Read and check ``gallery.json``; it may be empty.

    Raises:
        ConfigError: It is missing or wrong.
    """
    try:
        raw = path.read_bytes()
    except OSError as cause:
        raise ConfigError(
            f"gallery: cannot read {path}: {cause.strerror}",
            hint="a gallery is a folder with gallery.json and a folder of pictures per thing; "
            "`deixis objects teach` makes one",
        ) from cause
    try:
        index = msgspec.json.decode(raw, type=dict[str, Entry])
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise ConfigError(f"gallery: {path}: {cause}") from cause
    for thing, entry in index.items():
        if not entry.names or Path(thing).name != thing:
            raise ConfigError(
                f"gallery: {path}: {thing!r} needs at least one name and a plain folder name as id"
            )
    return index


def decode_picture(data: bytes) -> NDArray[np.uint8] | None:
    """A picture file's pixels; None if it is no picture.

    Returns:
        BGR, or BGR with transparency where a part of it is transparent.
    """
    raw = np.frombuffer(data, np.uint8)
    whole = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED) if len(raw) else None
    if whole is None:
        return None
    if whole.ndim == 3 and whole.shape[2] == 4 and whole.dtype == np.uint8:
        opaque = whole[..., 3] > 127
        if opaque.any() and not opaque.all():
            return np.asarray(whole, np.uint8)
    # Decoded once more, turned as its camera was held.
    return np.asarray(cv2.imdecode(raw, cv2.IMREAD_COLOR), np.uint8)


def _png(view: Picture) -> bytes:
    good, data = cv2.imencode(".png", view)
    if not good:
        raise ConfigError("gallery: a picture cannot be encoded as PNG")
    return data.tobytes()


def write_whole(path: Path, data: bytes) -> None:
    """A file that is there whole or not at all."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
