"""How sure is a reading? From what the alignment and the decoder make of it to a probability.

python -c "from deixis.nodes.speech.confidence import Evidence, calibrated; \
print(calibrated(Evidence(1.0, 0.0, 0.0, words=3, letters=12, cost=0.0, hearing=-0.1)))"

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
LARGEST_LOSS: Final = 6.0
LETTER_SHARE: Final = 0.7
STRAIN_CENTRE: Final = 4.2
STRAIN_SLOPE: Final = 0.35
"""A sentence more strained is another one ("pick up the stapler" where there is only a table), of
which the recordings that the weights are fitted to have few."""


@dataclass(frozen=True)
class Evidence:
    """What speaks for a reading at the end of a sentence.

    Attributes:
        posterior: Its share, in [0, 1], among all sentences of the domain that were considered.
        loss: How much less probable (nats) its sentence is than what was written down.
        spelling: How much less probable (nats) its letters are than those that were heard.
        words: Words of its sentence.
        letters: Letters of its sentence.
        cost: Cost of its alignment a word.
        hearing: Mean log probability of the words heard.
    """

    posterior: float
    loss: float
    spelling: float
    words: int
    letters: int
    cost: float
    hearing: float

    @property
    def strain(self) -> float:
        """What even the kinder one of the two hearings holds against it.

        A word of another sentence fails both; noise or a strange voice mostly one. Over many words
        small losses add up like a random walk.
        """
        return min(self.loss, LETTER_SHARE * self.spelling) / math.sqrt(max(1, self.words))

    def features(self) -> tuple[float, ...]:
        """Features of the regression."""
        p = min(max(self.posterior, 1e-6), 1 - 1e-6)
        logit = min(math.log(p / (1 - p)), LARGEST_LOGIT)
        spelling = min(self.spelling / max(1, self.letters), LARGEST_LOSS)
        return logit, spelling, self.cost, self.strain, max(self.hearing, -3.0)


# Fitted by bench.confidence's `fit`, in the order of the features, to whole utterances cut out by
# their labels. On the same recordings heard through the endpoint `python -m bench.confidence` gives
# (0.47, -1.18, -1.8, -0.68, 1.31) and 3.56; that has not been judged on held-out recordings.
WEIGHTS: Final = (0.86, -0.64, -0.84, -0.94, 1.96)
BIAS: Final = 2.36


def calibrated(evidence: Evidence) -> float:
    """Probability that the reading is what was said, and was said to the robot.

    The regression knows best readings only; one that has a better beside it is worth less.
    """
    total = sum(w * x for w, x in zip(WEIGHTS, evidence.features(), strict=True))
    relaxed = logistic((STRAIN_CENTRE - evidence.strain) / STRAIN_SLOPE)
    return logistic(BIAS + total) * relaxed * min(1.0, 2.0 * evidence.posterior)


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
