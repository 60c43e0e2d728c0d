"""Moonshine tiny as a streaming recogniser: re-encodes a growing window, reuses what it decoded.

    python -c "from deixis.nodes.speech.moonshine import Moonshine; \
print(Moonshine.from_bundle(bundle).transcribe(samples).text)"

Moonshine (Jeffries et al. 2024) encodes raw 16 kHz audio to 41.7 frames a second and decodes text
autoregressively. A partial's text is mostly the beginning of the next one's: the previous tokens go
through the decoder in one call as a draft, and only what differs is decoded token by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.speech.letters import Hearing, Letters
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import Array, Engine, Note, open_engine
from deixis.runtime.errors import BundleError

Floats = NDArray[np.float32]

SAMPLE_RATE_HZ: Final = 16_000
FRAME: Final = 384
"""Samples from one frame of the encoder to the next."""
START_TOKEN: Final = 1
END_TOKEN: Final = 2
MIN_SAMPLES: Final = 2_000
"""Shorter audio gives the encoder no frame to speak of; it is padded with zeros."""

TOKENS_PER_S: Final = 6.5
SPARE_TOKENS: Final = 5
"""People say at most about ``TOKENS_PER_S``; beyond that (and a few spare) the decoder invents."""

DOUBT_OF_BEGINNING: Final = 4.0
MAX_ENCODED: Final = 10_000
SILENCE: Final = 1_600
"""Zeros after the window: sounds cut off in the middle of the noise are taken for more words."""

_HEADS: Final = 8
_HEAD_SIZE: Final = 36
_SPACE: Final = "▁"
_SPOKEN: Final = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")


@dataclass(frozen=True)
class Transcript:
    """What was heard.

    Attributes:
        tokens: Token ids, without start and end.
        log_probs: Natural logarithm of each token's probability.
        text: The text.
        word_log_probs: Lowest log probability of the tokens of each whitespace-separated word.
        doubts: How much less probable than the word written down each watched word was in its
            place, in nats, shape ``(words, watched)``.
        n_calls: How many times the decoder ran.
        finished: The decoder ended by itself (rather than at the cap).
    """

    tokens: tuple[int, ...] = ()
    log_probs: tuple[float, ...] = ()
    text: str = ""
    word_log_probs: tuple[float, ...] = ()
    doubts: Floats | None = None
    n_calls: int = 0
    finished: bool = True


@dataclass(frozen=True)
class _Heard:
    """What is kept of a transcription, to score other texts for the same audio."""

    shared: dict[str, Array]
    start: dict[str, Array]
    first: Floats


def read_tokenizer(path: Path) -> list[bytes]:
    """Read the pieces of a ``tokenizer.bin``: length-prefixed bytes, ``▁`` for a space.

    Raises:
        BundleError: The file is cut off.
    """
    data = path.read_bytes()
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            if at >= len(data):
                raise BundleError(f"the tokenizer {path} is cut off")
            length = data[at] * 128 + length - 128
            at += 1
        pieces.append(data[at : at + length])
        at += length
    if at != len(data):
        raise BundleError(f"the tokenizer {path} is cut off")
    return pieces


class Moonshine:
    """Encoder, decoder and tokenizer.

    Args:
        encoder: ``input_values`` (1, n) float32 and ``attention_mask`` → frames (1, t, 288).
        decoder: The merged decoder with past keys and values.
        letters: Hears letters in the encoder's frames.
        pieces: Bytes of every token.
    """

    def __init__(
        self,
        encoder: Engine,
        decoder: Engine,
        letters: Letters,
        pieces: list[bytes],
    ) -> None:
        self._encoder = encoder
        self._decoder = decoder
        self._letters = letters
        self._pieces = pieces
        names = [spec.name for spec in decoder.specs.inputs]
        self._past = [n for n in names if n.startswith("past_key_values.")]
        # Of equal pieces (raw bytes, letters) the later one is what the model writes.
        self._index = {piece: i for i, piece in enumerate(pieces)}
        self.watch(())
        self._ends = [END_TOKEN, *(self._index[p] for p in (b".", b",", b"?", b"!"))]
        self._heard: _Heard | None = None
        self._encoded: dict[str, tuple[int, ...]] = {}

    @classmethod
    def from_bundle(cls, bundle: Bundle, note: Note | None = None) -> Moonshine:
        """Open the speech models and the file ``tokenizer``.

        Args:
            bundle: The bundle.
            note: Hears what is not as it could be of their engines.

        Raises:
            BundleError: The bundle lacks one of them.
            EngineError: A model cannot be opened.
        """
        return cls(
            open_engine(bundle, "speech_encoder", note=note),
            open_engine(bundle, "speech_decoder", note=note),
            Letters(open_engine(bundle, "speech_letters", note=note)),
            read_tokenizer(bundle.file_path("tokenizer")),
        )

    def watch(self, words: Sequence[str]) -> None:
        """From now on note how probable these words were wherever another one is written down."""
        self._watched, self._unsure = _first_tokens(words, self._index)

    def close(self) -> None:
        """Release the models."""
        self._encoder.close()
        self._decoder.close()
        self._letters.close()

    def transcribe(
        self, samples: Floats, draft: tuple[int, ...] = (), speech_s: float | None = None
    ) -> Transcript:
        """Transcribe a window of audio, greedily.

        Args:
            samples: Mono float32 at 16 kHz, shape ``(n,)``.
            draft: Tokens of the previous partial, taken over as far as the decoder agrees.
            speech_s: How much of the window is speech; caps the number of tokens.

        Raises:
            EngineError: The backend failed.
        """
        seconds = samples.size / SAMPLE_RATE_HZ if speech_s is None else speech_s
        # Without a device's offset, which would be a step before the silence.
        samples = samples - samples.mean() if samples.size else samples
        samples = np.pad(samples, (0, max(SILENCE, MIN_SAMPLES - samples.size)))
        cap = int(seconds * TOKENS_PER_S) + SPARE_TOKENS
        mask = np.ones((1, samples.size), np.int64)
        frames = self._encoder.infer({"input_values": samples[None], "attention_mask": mask})
        hidden = next(iter(frames.values())).copy()
        shared = {"encoder_attention_mask": mask, "encoder_hidden_states": hidden}

        draft = draft[:cap]
        ids = np.array([[START_TOKEN, *draft]], np.int64)
        empty = np.zeros((1, _HEADS, 0, _HEAD_SIZE), np.float32)
        output = self._run(shared, ids, dict.fromkeys(self._past, empty), cached=False)
        best, log_probs, watched = self._greedy(output["logits"][0])
        n_calls = 1
        agreed = 0
        while agreed < len(draft) and best[agreed] == draft[agreed]:
            agreed += 1
        # The decoder's own choice after the part of the draft that it agrees with.
        tokens, scores = best[: agreed + 1], log_probs[: agreed + 1]
        seen = [watched[: agreed + 1]]
        past = {n: np.array(output[n.replace("past_key_values", "present")]) for n in self._past}
        start = {n: past[n] if ".encoder." in n else past[n][:, :, :1] for n in self._past}
        first = output["logits"][0, 0] - output["logits"][0, 0].max()
        self._heard = _Heard(shared, start, first - np.log(np.exp(first).sum()))
        for name in self._past:
            if ".decoder." in name:
                past[name] = past[name][:, :, : agreed + 1]
        while tokens[-1] != END_TOKEN and len(tokens) < cap:
            output = self._run(shared, np.array([[tokens[-1]]], np.int64), past, cached=True)
            n_calls += 1
            for name in self._past:
                if ".decoder." in name:
                    past[name] = np.array(output[name.replace("past_key_values", "present")])
            best, log_probs, watched = self._greedy(output["logits"][0])
            tokens.append(best[-1])
            scores.append(log_probs[-1])
            seen.append(watched)
        finished = tokens[-1] == END_TOKEN
        if finished:
            tokens, scores = tokens[:-1], scores[:-1]
        return self._transcript(tokens, scores, np.concatenate(seen), n_calls, finished)

    def spelled(self) -> Hearing | None:
        """The letters of the audio that was transcribed last.

        Raises:
            EngineError: The backend failed.
        """
        if self._heard is None:
            return None
        return self._letters.hear(self._heard.shared["encoder_hidden_states"])

    def score(self, texts: Sequence[str]) -> list[float]:
        """Log probabilities (nats) of whole texts, given the audio that was transcribed last.

        All texts go through the decoder in one call; the end may be written with or without a
        punctuation mark.

        Args:
            texts: Sentences without punctuation.
        """
        heard = self._heard
        if heard is None or not texts:
            return []
        rows = [self._encode(text) for text in texts]
        n, width = len(rows), max(len(row) for row in rows)
        ids = np.full((n, width), END_TOKEN, np.int64)
        for k, row in enumerate(rows):
            ids[k, : len(row)] = row
        shared = {name: np.repeat(array, n, axis=0) for name, array in heard.shared.items()}
        past = {name: np.repeat(array, n, axis=0) for name, array in heard.start.items()}
        logits = self._run(shared, ids, past, cached=True)["logits"]
        logits -= logits.max(axis=-1, keepdims=True)
        log_sums = np.log(np.exp(logits).sum(axis=-1))
        scores: list[float] = []
        for k, row in enumerate(rows):
            score = float(heard.first[row[0]])
            score += sum(float(logits[k, i, t] - log_sums[k, i]) for i, t in enumerate(row[1:]))
            ends = logits[k, len(row) - 1, self._ends] - log_sums[k, len(row) - 1]
            scores.append(score + float(np.log(np.exp(ends).sum())))
        return scores

    def _encode(self, text: str) -> list[int]:
        """Tokens of a text; no token spans two words."""
        return [token for word in text.split() for token in self._encode_word(word)]

    def _encode_word(self, word: str) -> tuple[int, ...]:
        """Byte-pair encoding: the pair whose token has the lowest number is merged first."""
        known = self._encoded.get(word)
        if known is not None:
            return known
        parts = [c.encode() for c in _SPACE + word]
        while True:
            pairs = [self._index.get(a + b) for a, b in pairwise(parts)]
            merges = [(token, i) for i, token in enumerate(pairs) if token is not None]
            if not merges:
                break
            _, i = min(merges)
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        if len(self._encoded) >= MAX_ENCODED:
            self._encoded.clear()
        tokens = self._encoded[word] = tuple(self._index.get(part, 0) for part in parts)
        return tokens

    def _worst(self, tokens: list[int], scores: list[float], first: int, end: int) -> float:
        """Lowest log probability of the tokens of a word, punctuation left out."""
        places = range(first, end)
        spoken = [i for i in places if not _SPOKEN.isdisjoint(self._pieces[tokens[i]])]
        return min(scores[i] for i in spoken or places)

    def _greedy(self, logits: Floats) -> tuple[list[int], list[float], Floats]:
        """Best token and its log probability per position of ``(n, vocabulary)``; watched words."""
        best = logits.argmax(axis=-1)
        top = logits[np.arange(len(best)), best]
        log_sum = top + np.log(np.exp(logits - top[:, None]).sum(axis=-1))
        watched = (logits[:, self._watched] - self._unsure).max(axis=-1) - log_sum[:, None]
        return best.tolist(), (top - log_sum).tolist(), watched

    def _run(
        self, shared: dict[str, Array], ids: Array, past: dict[str, Array], cached: bool
    ) -> dict[str, Array]:
        flag = np.array([cached])
        return self._decoder.infer({**shared, **past, "input_ids": ids, "use_cache_branch": flag})

    def _transcript(
        self,
        tokens: list[int],
        scores: list[float],
        watched: Floats,
        n_calls: int,
        finished: bool,
    ) -> Transcript:
        words: list[bytes] = []
        firsts: list[int] = []
        for i, token in enumerate(tokens):
            piece = self._pieces[token]
            if not words or piece.startswith(_SPACE.encode()):
                words.append(b"")
                firsts.append(i)
            words[-1] += piece
        texts = ["".join(w.decode("utf-8", "replace").replace(_SPACE, " ").split()) for w in words]
        kept = [k for k, text in enumerate(texts) if text]
        ends = [*firsts[1:], len(tokens)]
        doubts = [np.maximum(0.0, scores[firsts[k]] - watched[firsts[k]]) for k in kept]
        return Transcript(
            tokens=tuple(tokens),
            log_probs=tuple(scores),
            text=" ".join(texts[k] for k in kept),
            word_log_probs=tuple(self._worst(tokens, scores, firsts[k], ends[k]) for k in kept),
            doubts=np.array(doubts, np.float32).reshape(len(kept), watched.shape[1]),
            n_calls=n_calls,
            finished=finished,
        )


def _first_tokens(
    words: Sequence[str], index: dict[bytes, int]
) -> tuple[NDArray[np.int64], Floats]:
    """First token of every word, as it is and capitalised, shape ``(words, 2)``.

    Also how much to doubt a word of which the token is only the beginning, in nats.
    """
    tokens = np.zeros((len(words), 2), np.int64)
    unsure = np.zeros((len(words), 2), np.float32)
    for i, word in enumerate(words):
        for k, form in enumerate((word, word.capitalize())):
            data = f"{_SPACE}{form}".encode()
            length = next(n for n in range(len(data), 0, -1) if data[:n] in index)
            tokens[i, k] = index[data[:length]]
            unsure[i, k] = DOUBT_OF_BEGINNING * (len(data) - length) / len(word)
    return tokens, unsure
