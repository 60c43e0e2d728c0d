"""The second hearing: letters and what a sentence loses by its letters."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from deixis.nodes.speech.letters import BLANK, SYMBOLS, Hearing
from deixis.nodes.speech.moonshine import Moonshine

from .conftest import Recording
from .helpers import utterance_audio


def log_probs(rng: np.random.Generator, n_frames: int) -> NDArray[np.float32]:
    logits = rng.normal(0, 2, (n_frames, len(SYMBOLS)))
    return (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)


def heard(letters: str) -> Hearing:
    """Somebody who is sure of one symbol a frame."""
    sure = np.full((len(letters), len(SYMBOLS)), -20.0, np.float32)
    for frame, symbol in enumerate(letters):
        sure[frame, SYMBOLS.index(symbol)] = 0.0
    return Hearing(sure)


def collapsed(path: tuple[int, ...]) -> str:
    kept = [s for i, s in enumerate(path) if s != BLANK and (i == 0 or path[i - 1] != s)]
    return "".join(SYMBOLS[s] for s in kept)


@given(st.text("ab", min_size=1, max_size=3), st.integers(0, 2**32 - 1))
def test_the_loss_is_that_of_the_best_path(text: str, seed: int) -> None:
    probs = log_probs(np.random.default_rng(seed), 4)
    symbols = [BLANK, *(SYMBOLS.index(c) for c in "ab")]
    paths = {
        p: sum(float(probs[t, s]) for t, s in enumerate(p)) for p in product(symbols, repeat=4)
    }
    best = max((v for p, v in paths.items() if collapsed(p) == text), default=-np.inf)
    loss = float(Hearing(probs).losses([text])[0])
    assert loss == pytest.approx(float(probs.max(axis=1).sum()) - best, abs=1e-3)


@given(st.lists(st.text("abc ", max_size=6), min_size=1, max_size=5), st.integers(0, 2**32 - 1))
def test_texts_do_not_disturb_each_other(texts: list[str], seed: int) -> None:
    hearing = Hearing(log_probs(np.random.default_rng(seed), 9))
    together = hearing.losses(texts)
    assert together.min() >= -1e-3
    alone = [float(hearing.losses([text])[0]) for text in texts]
    assert together.tolist() == pytest.approx(alone, abs=1e-3)


def test_words_with_their_frames() -> None:
    words = heard("__tt_uurn__  llef_t_").words()
    assert [(w.text, w.first, w.last) for w in words] == [("turn", 2, 8), ("left", 13, 18)]
    assert heard("______").words() == []
    assert heard("bo_ook").words()[0].text == "book"
    assert heard("turn left").losses(["Turn left!", "turn"])[0] == pytest.approx(0.0)


def test_a_text_too_long_for_the_sound_is_impossible() -> None:
    assert np.isinf(heard("_a_").losses(["abcdefgh"])[0])


def test_letters_of_speech(moonshine: Moonshine, recordings: dict[str, Recording]) -> None:
    moonshine.transcribe(utterance_audio(recordings["put_that_in_the_box"], 0))
    hearing = moonshine.spelled()
    assert hearing is not None
    texts = ["Put that in the box.", "put that in the bowl", "turn around"]
    said, near, other = hearing.losses(texts).tolist()
    assert said < 5.0 < near < other
