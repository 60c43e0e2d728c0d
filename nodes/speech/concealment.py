"""Fills a short hole in speech from both of its sides.

    filling = conceal(before, 320, after)

As in packet-loss concealment by repeating the pitch (ITU-T G.711 Appendix I), but a hole is only
noticed when the next chunk is there: the last period before it is repeated forward, the first
period after it backward, and one fades into the other. What is missing from longer holes nobody
can guess: repetition was then heard no better than silence, and silence claims nothing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

SHORTEST: Final = 40
LONGEST: Final = 320
"""Pitch periods that are looked for, in samples at 16 kHz: 400 to 50 Hz."""
TEMPLATE: Final = 320
KNOWN: Final = LONGEST + TEMPLATE
"""Samples before (or after) the hole that are looked at."""
LONGEST_HOLE: Final = 960
"""60 ms; a longer hole is filled with silence."""


def conceal(before: Floats, n: int, after: Floats) -> Floats:
    """Make up for lost samples.

    Args:
        before: Samples up to the hole; the last ``KNOWN`` count.
        n: How many samples are missing.
        after: Samples from the end of the hole on; the first ``KNOWN`` count.

    Returns:
        Shape ``(n,)``.
    """
    if n > LONGEST_HOLE:
        return np.zeros(n, np.float32)
    forward = _repeated(before[-KNOWN:], n)
    backward = _repeated(after[:KNOWN][::-1], n)[::-1]
    weight = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))).astype(np.float32)
    return (1.0 - weight) * forward + weight * backward


def _repeated(known: Floats, n: int) -> Floats:
    """Let ``known`` go on with its last pitch period for ``n`` samples."""
    period = _period(known)
    return np.resize(known[-period:], n) if period else np.zeros(n, np.float32)


def _period(known: Floats) -> int:
    """The lag at which the end of ``known`` resembles what came before it; 0 if it is too short."""
    template = min(TEMPLATE, len(known) // 2)
    longest = min(LONGEST, len(known) - template)
    if longest < SHORTEST:
        return 0
    samples = known.astype(np.float64)
    end = samples[-template:]
    # Entry i belongs to the lag longest - i.
    products = np.correlate(samples[len(samples) - template - longest :], end, "valid")
    sums = np.concatenate([[0.0], np.cumsum(samples[len(samples) - template - longest :] ** 2)])
    energies = sums[template:] - sums[:-template]
    likeness = products / np.sqrt(energies * (end @ end) + 1e-12)
    return longest - int(likeness[: longest - SHORTEST + 1].argmax())
