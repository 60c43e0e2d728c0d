"""Several channels of a recording to one, such that no voice is lost on the way.

    mono, note = to_mono(samples)

A plain mean halves the voice where the other channel is dead and cancels it where the two are
wired in opposite phase.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DEAD: Final = 0.01
"""A channel so much weaker than the strongest one (40 dB) carries nothing."""
INVERTED: Final = -0.3
"""A channel that correlates with the strongest by this or less is taken with its sign turned."""


def to_mono(samples: Floats) -> tuple[Floats, str]:
    """Mix channels to one: dead ones are left out, inverted ones turned round, the rest averaged.

    Args:
        samples: Shape ``(n, channels)``, without a constant offset.

    Returns:
        The samples, shape ``(n,)``, and what was done ("" for a single channel).
    """
    n_channels = samples.shape[1]
    if n_channels == 1:
        return np.ascontiguousarray(samples[:, 0]), ""
    signs = mixing_signs(samples.T.astype(np.float64) @ samples)
    live = signs != 0.0
    mono = samples[:, live] @ (signs[live] / live.sum()).astype(np.float32)
    n_dead, n_inverted = n_channels - int(live.sum()), int((signs < 0.0).sum())
    what = [f"{n_dead} silent" if n_dead else "", f"{n_inverted} inverted" if n_inverted else ""]
    found = ", ".join(w for w in what if w)
    return mono, f"{n_channels} channels mixed to one" + (f" ({found})" if found else "")


def mixing_signs(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """How each channel enters the mix: 1, -1 (inverted) or 0 (dead).

    Args:
        products: Inner products of the channels, shape ``(channels, channels)``.
    """
    norms = np.sqrt(np.diag(products))
    strongest = int(norms.argmax())
    if norms[strongest] == 0.0:
        return np.ones(len(norms))
    signs = np.where(norms >= DEAD * norms[strongest], 1.0, 0.0)
    correlation = products[strongest] / (np.maximum(norms, 1e-12) * norms[strongest])
    signs[(signs > 0.0) & (correlation < INVERTED)] = -1.0
    return signs
