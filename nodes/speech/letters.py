"""A second hearing: what was said, letter by letter, from the speech encoder's frames.

The decoder writes down words that make sense, and invents them where it does not understand; the
letters are spelled by ear and follow nothing but the sound. They suggest sentences that the decoder
missed, and say how well a sentence sounds like what was said: by the best path of connectionist
temporal classification through its letters (Graves et al. 2006; Viterbi in place of the sum).

    letters = Letters(open_engine(bundle, "speech_letters"))
    hearing = letters.hear(frames)
    print(hearing.words(), hearing.losses(["turn left", "turn right"]))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.speech.text import tokens
from deixis.runtime.engines import Engine

Floats = NDArray[np.float32]

SYMBOLS: Final = "_ abcdefghijklmnopqrstuvwxyz"
"""The blank, the gap between two words, the letters; as the network was trained."""
BLANK: Final = 0


@dataclass(frozen=True)
class Spelled:
    """A word as it was spelled: its letters, first and last frame, mean log probability."""

    text: str
    first: int
    last: int
    log_prob: float


class Letters:
    """The network that hears letters.

    Args:
        engine: ``frames`` ``(1, T, 288)`` to ``log_probs`` ``(1, T, 28)``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def hear(self, frames: Floats) -> Hearing:
        """Hear what the speech encoder made of a window, shape ``(1, T, 288)``.

        Raises:
            EngineError: The backend failed.
        """
        return Hearing(self._engine.infer({"frames": frames})["log_probs"][0])

    def close(self) -> None:
        """Release the model."""
        self._engine.close()


class Hearing:
    """What was heard in one window.

    Args:
        log_probs: Log probability of every symbol in every frame, shape ``(T, 28)``.
    """

    def __init__(self, log_probs: Floats) -> None:
        self._log_probs = log_probs

    def words(self) -> list[Spelled]:
        """The most probable letters, as words."""
        path = self._log_probs.argmax(axis=1)
        places = np.flatnonzero((path != np.append(BLANK, path[:-1])) & (path != BLANK))
        words: list[Spelled] = []
        begun: list[int] = []
        for place in [*places.tolist(), None]:
            if place is not None and SYMBOLS[path[place]] != " ":
                begun.append(place)
            elif begun:
                text = "".join(SYMBOLS[path[p]] for p in begun)
                log_prob = float(self._log_probs[begun, path[begun]].mean())
                words.append(Spelled(text, begun[0], begun[-1], log_prob))
                begun = []
        return words

    def losses(self, texts: Sequence[str]) -> Floats:
        """How much less probable than the best letters (nats) those of some texts are, at best.

        Args:
            texts: Sentences; case and punctuation do not matter.

        Returns:
            Shape ``(texts,)``; infinite for a text too long for the sound.
        """
        rows = [symbols_of(text) for text in texts]
        width = max((len(row) for row in rows), default=0)
        n_frames = len(self._log_probs)
        # States: a blank before, between and after the letters. Padded states are never an end.
        states = np.zeros((len(rows), 2 * width + 1), np.int64)
        for k, row in enumerate(rows):
            states[k, 1 : 2 * len(row) : 2] = row
        # A letter may follow another one directly unless they are the same.
        skips = np.full(states.shape, -np.inf, np.float32)
        skips[:, 2:][(states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])] = 0.0
        emitted = self._log_probs[:, states]
        score = np.full(states.shape, -np.inf, np.float32)
        score[:, :2] = emitted[0, :, :2]
        for t in range(1, n_frames):
            before = score
            score = before.copy()
            np.maximum(score[:, 1:], before[:, :-1], out=score[:, 1:])
            np.maximum(score[:, 2:], before[:, :-2] + skips[:, 2:], out=score[:, 2:])
            score += emitted[t]
        ends = np.array([2 * len(row) for row in rows])
        index = np.arange(len(rows))
        last = np.maximum(score[index, ends], score[index, np.maximum(ends - 1, 0)])
        best = float(self._log_probs.max(axis=1).sum())
        losses: Floats = (best - last).astype(np.float32)
        return losses


def symbols_of(text: str) -> list[int]:
    """A text as numbers of symbols, without blanks."""
    words = " ".join(word for word, _ in tokens(text))
    return [SYMBOLS.index(c) for c in words]
