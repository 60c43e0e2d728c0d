"""The audio of one stream as a continuous line of samples with capture times.

python -c "from deixis.nodes.speech.audio import AudioLine; print(AudioLine(2.0).end)"
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.speech.concealment import KNOWN, conceal
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.messages import AudioChunk

Floats = NDArray[np.float32]

RATE_HZ: Final = 16_000
JITTER_NS: Final = 65 * NS_PER_MS
"""Stamps may be off by half of it either way; beyond it samples are missing."""
LEAST_JITTER_NS: Final = 15 * NS_PER_MS
LONGEST_GAP_NS: Final = 2 * NS_PER_S
"""A longer gap is not concealed: the stream begins anew."""
LATE_NS: Final = NS_PER_S // 2
"""A chunk that is later than this is the beginning of another stream."""


class AudioLine:
    """Keeps the last seconds of a stream; positions are sample numbers from its beginning.

    Chunks are put in line by their sequence numbers and what the device says it lost; stamps
    jitter, and are believed where they differ by more than they jitter. Capture times follow the
    stamps slowly, so that they neither jitter nor run away from the device's clock.

    Args:
        keep_s: How much to keep.

    Attributes:
        end: Position after the newest sample.
        n_gaps: How often samples were missing.
        n_concealed: How many samples were made up.
        n_late: Chunks that came again, or after the one that follows them; they are left out.
    """

    def __init__(self, keep_s: float) -> None:
        self._capacity = int(keep_s * RATE_HZ)
        self._data = np.zeros(2 * self._capacity, np.float32)
        self.n_gaps = 0
        self.n_concealed = 0
        self.n_late = 0
        self.reset()

    def reset(self) -> None:
        """A new stream begins at position 0."""
        self._used = 0
        self.end = 0
        self._base_ns: float | None = None
        self._last: AudioChunk | None = None
        self._spread_ns = float(JITTER_NS)

    @property
    def start(self) -> int:
        """Position of the oldest sample that is kept."""
        return self.end - self._used

    def time_ns(self, position: int) -> int:
        """Capture time of the sample at a position."""
        base = 0.0 if self._base_ns is None else self._base_ns
        return int(base + position * NS_PER_S / RATE_HZ)

    def add(self, chunk: AudioChunk) -> Floats | None:
        """Append a chunk; samples missing before it are made up for and counted.

        Returns:
            The samples that were appended, those made up included (none for a chunk that is there
            already); None if the chunk does not continue the stream (the caller resets and adds it
            again).
        """
        samples = chunk.array()
        if not np.isfinite(samples).all():
            samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0)
        if self._base_ns is None:
            self._base_ns = float(chunk.header.stamp_ns)
        ahead_ns = chunk.header.stamp_ns - self.time_ns(self.end)
        if self._is_late(chunk, ahead_ns):
            self.n_late += 1
            return np.zeros(0, np.float32)
        missing = self._missing(chunk, ahead_ns)
        error_ns = ahead_ns - missing * NS_PER_S / RATE_HZ
        if error_ns < -2 * JITTER_NS or ahead_ns > LONGEST_GAP_NS:
            return None
        self._follow(error_ns, len(samples))
        self._last = chunk
        if missing:
            self.n_gaps += 1
            self.n_concealed += missing
            before = self._data[max(0, self._used - KNOWN) : self._used]
            samples = np.concatenate([conceal(before, missing, samples), samples])
        self._append(samples)
        return samples

    def add_silence(self, n: int) -> Floats:
        """Append ``n`` zeros in place of audio that did not come, and return them."""
        self.n_gaps += 1
        self.n_concealed += n
        samples = np.zeros(n, np.float32)
        self._append(samples)
        return samples

    def _is_late(self, chunk: AudioChunk, ahead_ns: float) -> bool:
        """Whether a chunk is a repetition, or was overtaken by the one that follows it."""
        if self._last is None:
            return False
        last, header = self._last.header, chunk.header
        if header.stamp_ns == last.stamp_ns and header.seq <= last.seq:
            return True
        if header.seq == 0:
            # Not numbered, or the first of a source that has been started again.
            overlap_ns = len(chunk.samples) // 4 * NS_PER_S // RATE_HZ
            is_old = header.stamp_ns < last.stamp_ns and ahead_ns < -overlap_ns - LEAST_JITTER_NS
        else:
            is_old = header.seq <= last.seq and ahead_ns < 0
        return is_old and ahead_ns > -LATE_NS

    def _missing(self, chunk: AudioChunk, ahead_ns: float) -> int:
        """How many samples are missing between the last chunk and this one."""
        if self._last is None:
            return 0
        step = chunk.header.seq - self._last.header.seq
        declared = chunk.n_lost + max(0, step - 1) * (len(self._last.samples) // 4)
        by_stamp = round(ahead_ns * RATE_HZ / NS_PER_S)
        if declared:
            declared_ns = declared * NS_PER_S / RATE_HZ
            return declared if abs(ahead_ns - declared_ns) <= JITTER_NS else max(0, by_stamp)
        numbered = step == 1
        tolerance_ns = JITTER_NS if numbered else max(LEAST_JITTER_NS, self._spread_ns)
        return by_stamp if ahead_ns > tolerance_ns else 0

    def _follow(self, error_ns: float, n: int) -> None:
        """Let the capture times follow a stamp: at once in the beginning, within a second later."""
        size_ns = min(4.0 * abs(error_ns), float(JITTER_NS))
        self._spread_ns += (0.5 if size_ns > self._spread_ns else 0.06) * (
            size_ns - self._spread_ns
        )
        share = n / max(n, min(self.end + n, RATE_HZ))
        bounded_ns = max(-float(JITTER_NS), min(error_ns, float(JITTER_NS)))
        if self._base_ns is not None:
            self._base_ns += share * bounded_ns

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
