"""How sure is a reading? From what the alignment and the decoder make of it to a probability.

python -c "from deixis.nodes.speech.confidence import Evidence, calibrated; \
print(calibrated(Evidence(posterior=1.0, loss=0.0, cost=0.0, worst=0.0, hearing=-0.1)))"

While someone speaks there is only the alignment, and a formula set by hand. At the end of the
sentence the decoder's own scores are known; they are weighed by a logistic regression (Platt 1999)
fitted to recordings of commands and of other talk (``python -m bench.confidence``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from deixis.runtime.messages import Word

# Confidence of an alignment: logistic in the cost per word, times logistic in the cost of the worst
# word that matters (the verb, the words of slots). Set by hand on transcripts of synthetic voices.
CENTRE: Final = 0.3
SLOPE: Final = 0.05
KEY_CENTRE: Final = 0.55
KEY_SLOPE: Final = 0.08
# … times logistic in the mean log probability of the words heard.
HEARING_CENTRE: Final = -1.6
HEARING_SLOPE: Final = 0.2

LARGEST_LOGIT: Final = 5.0
LOSS_CENTRE: Final = 2.0
LOSS_SLOPE: Final = 0.25
"""Nats a word: a sentence that loses more is another word's ("pick up the stapler" where there is
only a table), which recordings of commands and of other talk hardly show."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a reading at the end of a sentence.

    Attributes:
        posterior: Its share, in [0, 1], among all sentences of the domain that were considered.
        loss: How much less probable (nats a word) its sentence is than what was written down.
        cost: Cost of its alignment a word.
        worst: Cost of the worst word that matters.
        hearing: Mean log probability of the words heard.
    """

    posterior: float
    loss: float
    cost: float
    worst: float
    hearing: float

    def features(self) -> tuple[float, ...]:
        """Features of the regression."""
        p = min(max(self.posterior, 1e-6), 1 - 1e-6)
        logit = min(math.log(p / (1 - p)), LARGEST_LOGIT)
        return logit, self.loss, self.cost, self.worst, max(self.hearing, -3.0)


# What `python -m bench.confidence fit` gave, in the order of the features.
WEIGHTS: Final = (0.21, -0.87, -5.52, 0.15, 1.87)
BIAS: Final = 3.15


def calibrated(evidence: Evidence) -> float:
    """Probability that the reading is what was said, and was said to the robot.

    The regression knows best readings only; one that has a better beside it is worth less.
    """
    total = sum(w * x for w, x in zip(WEIGHTS, evidence.features(), strict=True))
    other = logistic((LOSS_CENTRE - evidence.loss) / LOSS_SLOPE)
    return logistic(BIAS + total) * other * min(1.0, 2.0 * evidence.posterior)


def of_alignment(cost: float) -> float:
    """Confidence of an alignment with this cost a word; 1 for none."""
    return logistic((CENTRE - cost) / SLOPE) / logistic(CENTRE / SLOPE)


def of_worst(cost: float) -> float:
    """How far the worst word that matters lowers the confidence, which the mean hides."""
    return logistic((KEY_CENTRE - cost) / KEY_SLOPE)


def hearing(words: Sequence[Word]) -> float:
    """Mean log probability of the words heard; 0 for typed ones."""
    if not words:
        return 0.0
    return sum(math.log(max(w.confidence, 1e-4)) for w in words) / len(words)


def of_hearing(words: Sequence[Word]) -> float:
    """How far to trust the recogniser: low where it was unsure of most words (coughs, noise)."""
    return logistic((hearing(words) - HEARING_CENTRE) / HEARING_SLOPE) if words else 1.0


def logistic(x: float) -> float:
    """The logistic function, without overflow."""
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, x))))
