"""Frames in shared memory: exact copies, and never a torn one."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from deixis.runtime.errors import SharedMemoryError
from deixis.runtime.frames import SLOTS, FrameRing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def test_a_frame_is_read_as_it_was_written(folder: Path):
    image = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    writer = FrameRing.create("ring", image.nbytes, folder)
    slot, seq = writer.write(image)
    reader = FrameRing.attach("ring", folder)
    read = reader.read(slot, seq, (48, 64, 3))
    assert read is not None
    np.testing.assert_array_equal(read, image)
    reader.close()
    writer.close()
    assert not (folder / "ring").exists()


def test_an_overwritten_frame_is_not_given_out(folder: Path):
    image = np.zeros((4, 4, 3), np.uint8)
    writer = FrameRing.create("ring", image.nbytes, folder)
    slot, seq = writer.write(image)
    for _ in range(SLOTS):
        writer.write(image)
    assert FrameRing.attach("ring", folder).read(slot, seq, (4, 4, 3)) is None


def test_readers_never_see_a_torn_frame(folder: Path):
    """A writer as fast as it can be, against a reader that checks every pixel."""
    shape = (120, 160, 3)
    writer = FrameRing.create("ring", int(np.prod(shape)), folder)
    reader = FrameRing.attach("ring", folder)
    latest = [writer.write(np.zeros(shape, np.uint8))]
    ended = threading.Event()

    def write() -> None:
        for value in range(1, 3000):
            latest[0] = writer.write(np.full(shape, value % 251, np.uint8))
        ended.set()

    thread = threading.Thread(target=write)
    thread.start()
    good = 0
    while not ended.is_set():
        slot, seq = latest[0]
        image = reader.read(slot, seq, shape)
        if image is not None:
            assert (image == seq % 251).all()
            good += 1
    thread.join()
    assert good > 0


def test_wild_descriptors_are_refused(folder: Path):
    writer = FrameRing.create("ring", 48, folder)
    writer.write(np.zeros((4, 4, 3), np.uint8))
    assert writer.read(99, 0, (4, 4, 3)) is None
    assert writer.read(-1, 0, (4, 4, 3)) is None
    assert writer.read(0, 0, (4000, 4000, 3)) is None


def test_a_frame_too_large_names_both_sizes(folder: Path):
    writer = FrameRing.create("ring", 48, folder)
    with pytest.raises(SharedMemoryError, match="does not fit"):
        writer.write(np.zeros((100, 100, 3), np.uint8))


def test_a_missing_ring_is_named(folder: Path):
    with pytest.raises(SharedMemoryError, match="nothing-here"):
        FrameRing.attach("nothing-here", folder)


def test_full_shared_memory_is_an_error_with_its_mend(folder: Path, monkeypatch):
    import errno
    import os

    def full(fd: int, offset: int, size: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SharedMemoryError, match="shared memory is full") as caught:
        FrameRing.create("ring", 1000, folder)
    assert "--shm-size" in caught.value.hint
    assert not (folder / "ring").exists()
