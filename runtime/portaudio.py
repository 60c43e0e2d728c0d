"""Opens PortAudio (through PyAudio) without the noise that its host libraries make.

    with open_portaudio() as audio:
        print([d["name"] for d in input_devices(audio)])

Probing for devices, ALSA and JACK write dozens of lines straight to the process's standard error,
in which a real message would drown.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from deixis.runtime.errors import MissingExtraError

if TYPE_CHECKING:
    import pyaudio


def start_portaudio() -> pyaudio.PyAudio:
    """A running PortAudio; the caller terminates it.

    Raises:
        MissingExtraError: PyAudio is not installed.
    """
    try:
        import pyaudio
    except ImportError as cause:
        raise MissingExtraError("pyaudio", "mic") from cause
    with _quiet_stderr():
        return pyaudio.PyAudio()


@contextmanager
def open_portaudio() -> Iterator[pyaudio.PyAudio]:
    """PortAudio for as long as the block runs.

    Raises:
        MissingExtraError: PyAudio is not installed.
    """
    audio = start_portaudio()
    try:
        yield audio
    finally:
        audio.terminate()


def input_devices(audio: pyaudio.PyAudio) -> list[dict[str, Any]]:
    """PortAudio's description of every device that can record."""
    devices = (audio.get_device_info_by_index(i) for i in range(audio.get_device_count()))
    return [dict(d) for d in devices if int(d["maxInputChannels"]) > 0]


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Standard error of C libraries goes nowhere while the block runs."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)
