"""What the export's steps made, kept by what they were made from.

A step's key names everything its result depends on: hashes of its inputs, its settings, the
versions of the packages that take part. A second run finds what did not change; whatever interrupts
a run loses at most the step that was running.

    python -c "from pathlib import Path; from deixis.export.cache import StepCache; \
print(StepCache(Path('/tmp/steps')).made('double', 21, lambda: bytes([42])))"
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

_T = TypeVar("_T")


def default_folder() -> Path:
    """Where steps are kept: ``$DEIXIS_EXPORT_CACHE``, else ``.cache/export`` under this folder."""
    return Path(os.environ.get("DEIXIS_EXPORT_CACHE") or Path(".cache") / "export")


def digest(*parts: Any) -> str:
    """A hash of plain values, bytes and paths' contents; equal values give equal hashes."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, bytes):
            total.update(hashlib.sha256(part).digest())
        elif isinstance(part, Path):
            total.update(hashlib.sha256(part.read_bytes()).digest())
        else:
            total.update(json.dumps(part, sort_keys=True, default=repr).encode())
    return total.hexdigest()


class StepCache:
    """Results of steps in a folder.

    Args:
        folder: made when something is kept.
        most_mb: what was used longest ago is removed beyond this (10⁶ bytes).
    """

    def __init__(self, folder: Path, most_mb: float = 4000.0) -> None:
        self._folder = folder
        self._most_bytes = int(1e6 * most_mb)
        self.hits = 0
        self.misses = 0

    def made(self, step: str, key: Any, make: Callable[[], bytes]) -> bytes:
        """What ``step`` gives for ``key``: from the folder, or made now and kept.

        Args:
            step: the step's name, part of the file's name.
            key: everything that the result depends on; see :func:`digest`.
            make: called where it is not there, or its content is not what was kept.
        """
        stem = f"{step}-{digest(key)[:24]}"
        for path in sorted(self._folder.glob(f"{stem}-*.bin")):
            data = path.read_bytes()
            if path.stem == f"{stem}-{_check(data)}":
                os.utime(path)
                self.hits += 1
                return data
            path.unlink(missing_ok=True)  # cut short or changed: make it anew
        self.misses += 1
        data = make()
        self._keep(self._folder / f"{stem}-{_check(data)}.bin", data)
        return data

    def value(self, step: str, key: Any, type_: type[_T], make: Callable[[], _T]) -> _T:
        """As :meth:`made`, for a value that msgspec encodes (MessagePack)."""
        data = self.made(step, key, lambda: msgspec.msgpack.encode(make()))
        return msgspec.msgpack.decode(data, type=type_)

    def checkpoint(self, step: str, key: Any) -> Path:
        """Where a step that takes minutes may keep its state; it removes the file when done."""
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / f"{step}-{digest(key)[:24]}.checkpoint"

    def _keep(self, path: Path, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, path)
        finally:
            Path(name).unlink(missing_ok=True)
        self._trim(path)

    def _trim(self, newest: Path) -> None:
        entries = [(p, p.stat()) for p in self._folder.glob("*.bin") if p != newest]
        total = newest.stat().st_size + sum(stat.st_size for _, stat in entries)
        for path, stat in sorted(entries, key=lambda entry: entry[1].st_mtime_ns):
            if total <= self._most_bytes:
                break
            path.unlink(missing_ok=True)
            total -= stat.st_size


def _check(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
