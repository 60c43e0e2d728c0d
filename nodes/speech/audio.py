"""The audio of one stream as a continuous line of samples with capture times.

python -c "from deixis.nodes.speech.audio import AudioLine; print(AudioLine(2.0).end)"
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import AudioChunk

Floats = NDArray[np.float32]

RATE_HZ: Final = 16_000
TOLERANCE_NS: Final = 15_000_000
"""Stamps may jitter by so much; beyond it samples are missing."""
LONGEST_GAP_NS: Final = 2 * NS_PER_S
"""A longer gap is not concealed: the stream begins anew."""
DRIFT: Final = 0.1


class AudioLine:
    """Keeps the last seconds of a stream; positions are sample numbers from its beginning.

    Args:
        keep_s: How much to keep.
    """

    def __init__(self, keep_s: float) -> None:
        self._capacity = int(keep_s * RATE_HZ)
        self._data = np.zeros(2 * self._capacity, np.float32)
        self.n_concealed = 0
        self.reset()

    def reset(self) -> None:
        """A new stream begins at position 0."""
        self._used = 0
        self.end = 0
        self._base_ns: float | None = None

    @property
    def start(self) -> int:
        """Position of the oldest sample that is kept."""
        return self.end - self._used

    def time_ns(self, position: int) -> int:
        """Capture time of the sample at a position."""
        base = 0.0 if self._base_ns is None else self._base_ns
        return int(base + position * NS_PER_S / RATE_HZ)

    def add(self, chunk: AudioChunk) -> Floats | None:
        """Append a chunk; missing samples before it become zeros and are counted.

        Returns:
            The samples that were appended, concealed ones included; None if the chunk does not
            continue the stream (the caller resets and adds it again).
        """
        samples = chunk.array()
        stamp_ns = chunk.header.stamp_ns
        if self._base_ns is None:
            self._base_ns = float(stamp_ns)
        ahead_ns = stamp_ns - self.time_ns(self.end)
        if ahead_ns < -2 * TOLERANCE_NS or ahead_ns > LONGEST_GAP_NS:
            return None
        missing = chunk.n_lost
        if ahead_ns > TOLERANCE_NS:
            missing = max(missing, round(ahead_ns * RATE_HZ / NS_PER_S))
        if missing:
            self.n_concealed += missing
            samples = np.concatenate([np.zeros(missing, np.float32), samples])
        else:
            self._base_ns += DRIFT * ahead_ns
        self._append(samples)
        return samples

    def add_silence(self, n: int) -> Floats:
        """Append ``n`` zeros in place of audio that did not come, and return them."""
        self.n_concealed += n
        samples = np.zeros(n, np.float32)
        self._append(samples)
        return samples

    def read(self, start: int, end: int) -> Floats:
        """A copy of the samples from ``start`` up to ``end``; zeros for those no longer kept."""
        kept = max(start, self.start)
        offset = self._used - (self.end - kept)
        found = self._data[offset : offset + max(0, end - kept)].copy()
        return np.pad(found, (kept - start, 0)) if kept > start else found

    def _append(self, samples: Floats) -> None:
        samples = samples[-self._capacity :] if len(samples) > self._capacity else samples
        if self._used + len(samples) > len(self._data):
            keep = self._capacity - len(samples)
            self._data[:keep] = self._data[self._used - keep : self._used]
            self._used = keep
        self._data[self._used : self._used + len(samples)] = samples
        self._used += len(samples)
        self.end += len(samples)
