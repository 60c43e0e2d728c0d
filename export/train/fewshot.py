"""How well things that were never trained on are named from a few views, and known to be unknown.

Each episode teaches some things from a few views each and asks for others of their views, and for
things that were not taught.

    ask(views, ways=20, shots=5).figures(NamingParams())
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deixis.export.train.adapting import Views
from deixis.nodes.objects.gallery import Gallery, NamingParams, probabilities

SHOTS: Final = (1, 3, 5)
WAYS: Final = (6, 20)
EPISODES: Final = 40
_TEMPERATURES = (0.03, 0.04, 0.05, 0.06, 0.08, 0.1)
_UNKNOWNS = tuple(round(0.3 + 0.05 * k, 2) for k in range(11))
_SURE = 0.5


@dataclass(frozen=True)
class Asked:
    """What galleries were asked and how similar they found it.

    Attributes:
        similarity: To each noun that was taught, ``(n, ways)``.
        true: Which noun it is, ``(n,)``; -1 where the thing was not taught.
    """

    similarity: NDArray[np.float64]
    true: NDArray[np.int64]

    def naming(self) -> float:
        """Share of what was taught whose best noun is its own."""
        known = self.true >= 0
        return float((self.similarity.argmax(axis=1) == self.true)[known].mean())

    def figures(self, params: NamingParams) -> dict[str, Any]:
        """Rates, for a report."""
        known = self.true >= 0
        share = probabilities(self.similarity, params)
        best, sure = share.max(axis=1), share.max(axis=1) >= _SURE
        right = share.argmax(axis=1) == self.true
        return {
            "n": int(known.sum()),
            "naming": round(self.naming(), 4),
            "named_surely": round(float((right & sure)[known].mean()), 4),
            "named_wrongly": round(float((~right & sure)[known].mean()), 4),
            "unknown_auroc": round(auroc(best[known], best[~known]), 4),
            "unknown_named": round(float(sure[~known].mean()), 4),
        }

    def log_loss(self, params: NamingParams) -> float:
        """What was missing to certainty, taught and untaught things weighing the same."""
        known = self.true >= 0
        share = probabilities(self.similarity, params)
        right = share[known, self.true[known]]
        unknown = 1 - share[~known].sum(axis=1)
        told, left = (np.log(np.maximum(p, 1e-6)).mean() for p in (right, unknown))
        return float(-told - left) / 2


def ask(views: Views, ways: int, shots: int, episodes: int = EPISODES) -> Asked:
    """Teach and ask.

    Args:
        views: Of things that the embedding was not trained on.
        ways: How many things are taught at once (half of what there is, at most).
        shots: From how many views each.
        episodes: How often.
    """
    things = [t for t in np.unique(views.things) if (views.things == t).sum() > shots]
    ways = min(ways, len(things) // 2)
    rng = np.random.default_rng(0)
    rows, true = [], []
    for _ in range(episodes):
        # As many things are asked for that were not taught: both count the same.
        shown = rng.permutation(things)[: 2 * ways]
        at = [rng.permutation(np.flatnonzero(views.things == thing)) for thing in shown]
        taught = [views.features[i[:shots]] for i in at[:ways]]
        gallery = Gallery([str(k) for k in range(ways)], taught, NamingParams())
        for k, i in enumerate(at):
            rows += [gallery.similarity(vector) for vector in views.features[i[shots:]]]
            true += [k if k < ways else -1] * (len(i) - shots)
    return Asked(np.stack(rows), np.array(true))


def calibrated(views: Views) -> NamingParams:
    """The temperature and the similarity of *unknown* with the least loss over all conditions."""
    asked = [ask(views, ways, shots, episodes=10) for ways in WAYS for shots in SHOTS]
    options = [
        NamingParams(temperature=t, unknown_similarity=u) for t in _TEMPERATURES for u in _UNKNOWNS
    ]
    return min(options, key=lambda params: sum(a.log_loss(params) for a in asked))


def report(views: Views, params: NamingParams) -> dict[str, Any]:
    """Figures by how many things are taught, and from how many views."""
    most = int(np.bincount(views.things).max())
    half = len(np.unique(views.things)) // 2
    return {
        f"{ways} things": {
            f"{shots} views": ask(views, ways, shots).figures(params)
            for shots in SHOTS
            if shots < most
        }
        for ways in sorted({min(ways, half) for ways in WAYS})
    }


def auroc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Probability that one of ``high`` is above one of ``low``; ties count half."""
    order = np.sort(low)
    below = np.searchsorted(order, high, side="left")
    not_above = np.searchsorted(order, high, side="right")
    return float((below + not_above).mean() / (2 * len(low)))
