"""The speech models: Moonshine's encoder and decoder, and the head that hears letters.

python -c "from deixis.export.recipes.speech import SPEECH_ENCODER; print(SPEECH_ENCODER.task.name)"
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from deixis.export import compare, compare_speech
from deixis.export.distillation.speech import speech_batches, speech_loss
from deixis.export.models import moonshine, moonshine_decoder
from deixis.export.models.letters import FRAME_SIZE, letter_head
from deixis.export.recipes.recipe import (
    Inputs,
    Network,
    Quantization,
    Recipe,
    Recovery,
)
from deixis.export.samples import SAMPLE_RATE_HZ, Samples
from deixis.export.tasks import speech as tasks
from deixis.export.train import LETTER_WEIGHTS
from deixis.export.weights import wheels
from deixis.nodes.speech.moonshine import START_TOKEN

TIMED_S = 2


def _sounds(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    short = samples.speech[: TIMED_S * SAMPLE_RATE_HZ]
    recordings = [recording.speech for recording in samples.recordings]
    return [compare_speech.encoder_inputs(sound) for sound in (short, *recordings)]


def _tokens(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    """The call after the first one, which reads what that one left, for the first two seconds."""
    net = moonshine_decoder.decoder(wheel_folder).deployed()
    sound = samples.speech[: TIMED_S * SAMPLE_RATE_HZ]
    empty = np.zeros((1, moonshine_decoder.HEADS, 0, moonshine.HEAD_SIZE), np.float32)
    inputs: Inputs = {
        "encoder_attention_mask": np.ones((1, len(sound)), np.int64),
        "input_ids": np.array([[START_TOKEN]]),
        "encoder_hidden_states": compare.encoder_frames(wheel_folder, sound),
        **dict.fromkeys(moonshine_decoder.PASTS, empty),
        "use_cache_branch": np.array([False]),
    }
    with torch.inference_mode():
        outputs = net(*(torch.from_numpy(inputs[name]) for name in moonshine_decoder.INPUTS))
    logits, *presents = (output.numpy() for output in outputs)
    inputs |= dict(zip(moonshine_decoder.PASTS, presents, strict=True))
    inputs["input_ids"] = logits[:, -1:].argmax(axis=-1)
    inputs["use_cache_branch"] = np.array([True])
    return [inputs]


def _frames(wheel_folder: Path, samples: Samples) -> list[Inputs]:
    sounds = [sound["input_values"][0] for sound in _sounds(wheel_folder, samples)]
    return [{"frames": compare.encoder_frames(wheel_folder, sound)} for sound in sounds]


def _decoder_example() -> tuple[Tensor, ...]:
    def past(name: str) -> Tensor:
        # Lengths of their own, so that torch takes none of them for another.
        length = 4 if ".decoder." in name else 19
        return torch.zeros(2, moonshine_decoder.HEADS, length, moonshine.HEAD_SIZE)

    return (
        torch.ones(2, 8000, dtype=torch.int64),
        torch.ones(2, 3, dtype=torch.int64),
        torch.zeros(2, 20, moonshine.SIZE),
        *(past(name) for name in moonshine_decoder.PASTS),
        torch.tensor([True]),
    )


SPEECH_ENCODER = Recipe(
    role="speech_encoder",
    source=wheels.SPEECH_ENCODER,
    network=Network(
        build=moonshine.encoder,
        example=lambda: (torch.zeros(1, 32_000), torch.ones(1, 32_000, dtype=torch.int64)),
        inputs=("input_values", "attention_mask"),
        outputs=("last_hidden_state",),
        dynamic={"input_values": {1: "samples"}, "attention_mask": {1: "samples"}},
    ),
    parity=compare_speech.compare_encoder,
    inputs=_sounds,
    timed_on="2 s of speech",
    task=tasks.SPEECH_ENCODER,
    shipped=wheels.SPEECH_ENCODER,
    # Heads and feed-forward layers can go (``Pruning(round_to=32, keep=("stem*",),
    # heads={"layers.*.self_attn": 8})``), but how to teach it back is not found yet.
    recovery=Recovery(batches=speech_batches, loss=speech_loss),
    # The first takes sound as it is and the last sums that range over orders of magnitude.
    quantization=Quantization(
        method="dynamic", operators=("MatMul",), keep_float=("stem.conv1*", "stem.conv3*")
    ),
)
SPEECH_DECODER = Recipe(
    role="speech_decoder",
    source=wheels.SPEECH_DECODER,
    network=Network(
        build=moonshine_decoder.decoder,
        example=_decoder_example,
        inputs=moonshine_decoder.INPUTS,
        outputs=moonshine_decoder.OUTPUTS,
        dynamic={
            "encoder_attention_mask": {0: "batch", 1: "samples"},
            "input_ids": {0: "batch", 1: "tokens"},
            "encoder_hidden_states": {0: "batch", 1: "frames"},
            **{
                name: {0: "batch", 2: "past" if ".decoder." in name else "kept"}
                for name in moonshine_decoder.PASTS
            },
        },
    ),
    parity=compare_speech.compare_decoder,
    inputs=_tokens,
    timed_on="one token",
    task=tasks.SPEECH_DECODER,
    shipped=wheels.SPEECH_DECODER,
    # What the gates let through has outliers; in INT8 it alone costs more than all the rest.
    quantization=Quantization(
        method="dynamic", operators=("MatMul",), keep_float=("layers.*.mlp.fc2*",)
    ),
)
SPEECH_LETTERS = Recipe(
    role="speech_letters",
    source=LETTER_WEIGHTS,
    network=Network(
        build=lambda wheel_folder: letter_head(),
        example=lambda: (torch.zeros(1, 50, FRAME_SIZE),),
        inputs=("frames",),
        outputs=("log_probs",),
        dynamic={"frames": {1: "T"}},
    ),
    parity=compare.compare_letters,
    inputs=_frames,
    timed_on="2 s of speech",
    task=tasks.SPEECH_LETTERS,
    quantization=Quantization(operators=("Conv",)),
)
