"""Camera frames in shared memory: a ring of slots, one writer, any number of readers.

Only slot, sequence number and shape travel on the bus. Every slot has its sequence number before
and after the pixels are written, and a reader checks it again after copying: a frame that was
overwritten meanwhile is dropped and counted by the caller, never used.

    ring = FrameRing.create("deixis-demo-camera", slot_bytes=640 * 480 * 3)
    slot, seq = ring.write(image)
    copy = FrameRing.attach("deixis-demo-camera").read(slot, seq, image.shape)

The ring is a plain file in ``/dev/shm`` rather than ``multiprocessing.shared_memory``: on Python
3.11 the latter's resource tracker unlinks a segment when any READER exits.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.errors import SharedMemoryError

SHM_DIR = Path("/dev/shm")
SLOTS = 8
_SEQ = struct.Struct("<q")
# A cache line for the slot's sequence number, so that pixels stay aligned.
_SLOT_HEADER = 64
_WRITING = -1


class FrameRing:
    """A ring of ``SLOTS`` frames; use :meth:`create` or :meth:`attach`."""

    def __init__(self, path: Path, memory: mmap.mmap, *, owner: bool) -> None:
        self.name = path.name
        self._path = path
        self._memory = memory
        self._owner = owner
        self._slot_size = len(memory) // SLOTS
        self._next_seq = 0

    @classmethod
    def create(cls, name: str, slot_bytes: int, directory: Path = SHM_DIR) -> FrameRing:
        """Make a ring, replacing one that a dead process left.

        Args:
            name: File name in the shared-memory folder.
            slot_bytes: Size of the largest frame.
            directory: The shared-memory folder.

        Raises:
            SharedMemoryError: Shared memory is full or cannot be written.
        """
        size = SLOTS * (_SLOT_HEADER + -(-slot_bytes // 64) * 64)
        path = directory / name
        try:
            path.unlink(missing_ok=True)
            fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        except OSError as cause:
            raise SharedMemoryError(f"cannot create shared memory {path}: {cause}") from cause
        try:
            # Reserves the pages now: with ftruncate alone a full /dev/shm would kill the process
            # with SIGBUS at the first write.
            os.posix_fallocate(fd, 0, size)
            memory = mmap.mmap(fd, size)
        except OSError as cause:
            path.unlink(missing_ok=True)
            if cause.errno == errno.ENOSPC:
                stat = os.statvfs(directory)
                free_mb = stat.f_bavail * stat.f_frsize / 2**20
                raise SharedMemoryError(
                    f"shared memory is full: {directory} has {free_mb:.0f} MB free, the frames "
                    f"need {size / 2**20:.0f} MB",
                    hint="free it, or give it more (docker run --shm-size=256m)",
                ) from cause
            raise SharedMemoryError(f"cannot reserve shared memory {path}: {cause}") from cause
        finally:
            os.close(fd)
        ring = cls(path, memory, owner=True)
        for slot in range(SLOTS):
            ring._set_seq(slot, _WRITING)
        return ring

    @classmethod
    def attach(cls, name: str, directory: Path = SHM_DIR) -> FrameRing:
        """Open a ring that another process made, for reading.

        Raises:
            SharedMemoryError: It is not there.
        """
        path = directory / name
        try:
            fd = os.open(path, os.O_RDONLY)
        except OSError as cause:
            raise SharedMemoryError(f"cannot open shared memory {path}: {cause}") from cause
        try:
            memory = mmap.mmap(fd, 0, access=mmap.ACCESS_READ)
        finally:
            os.close(fd)
        return cls(path, memory, owner=False)

    def write(self, image: NDArray[np.uint8]) -> tuple[int, int]:
        """Copy a frame into the next slot.

        Args:
            image: uint8, any shape.

        Returns:
            The slot and its sequence number.

        Raises:
            SharedMemoryError: The frame is larger than a slot.
        """
        if image.nbytes > self._slot_size - _SLOT_HEADER:
            raise SharedMemoryError(
                f"a frame of {image.nbytes} bytes does not fit a slot of "
                f"{self._slot_size - _SLOT_HEADER} bytes of {self._path}"
            )
        seq = self._next_seq
        self._next_seq += 1
        slot = seq % SLOTS
        self._set_seq(slot, _WRITING)
        start = slot * self._slot_size + _SLOT_HEADER
        target = np.frombuffer(self._memory, np.uint8, count=image.nbytes, offset=start)
        np.copyto(target, np.ascontiguousarray(image).reshape(-1))
        self._set_seq(slot, seq)
        return slot, seq

    def read(self, slot: int, seq: int, shape: tuple[int, int, int]) -> NDArray[np.uint8] | None:
        """Copy a frame out.

        Returns:
            The frame, or None if the writer has reused the slot before or while it was read.
        """
        n_bytes = int(np.prod(shape))
        if not 0 <= slot < SLOTS or n_bytes > self._slot_size - _SLOT_HEADER:
            return None
        if self._seq(slot) != seq:
            return None
        start = slot * self._slot_size + _SLOT_HEADER
        copy = np.frombuffer(self._memory, np.uint8, count=n_bytes, offset=start).copy()
        if self._seq(slot) != seq:
            return None
        return copy.reshape(shape)

    def close(self) -> None:
        """Let go of the memory; the writer also removes it."""
        if self._owner:
            self._path.unlink(missing_ok=True)
        try:
            self._memory.close()
        except BufferError:
            # An array still looks into the memory; it goes when the array does.
            return

    def _seq(self, slot: int) -> int:
        return int(_SEQ.unpack_from(self._memory, slot * self._slot_size)[0])

    def _set_seq(self, slot: int, seq: int) -> None:
        _SEQ.pack_into(self._memory, slot * self._slot_size, seq)
