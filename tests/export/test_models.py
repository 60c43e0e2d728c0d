from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export import compare, compare_faces  # noqa: E402
from deixis.export.models import faces, hands  # noqa: E402
from deixis.export.models.efficientnet_lite import crop_embedding, efficientnet_lite0  # noqa: E402
from deixis.export.models.tflite_graph import (  # noqa: E402
    ChannelPad,
    ChannelPReLU,
    TfliteGraph,
    same_padding,
)
from deixis.export.samples import Samples, object_crops  # noqa: E402
from deixis.export.weights import wheels  # noqa: E402
from deixis.export.weights.tflite_reader import TfliteModel, TfliteOp, read_tflite  # noqa: E402
from deixis.runtime.errors import ExportError, WeightsError  # noqa: E402


@given(st.integers(1, 300), st.integers(1, 7), st.integers(1, 3))
def test_same_padding_gives_tensorflows_size(n: int, kernel: int, stride: int) -> None:
    left, right, top, bottom = same_padding((n, n), (kernel, kernel), (stride, stride))
    assert (left, right) == (top, bottom)
    assert right - left in (0, 1)
    padded = n + left + right
    if padded >= kernel:
        assert (padded - kernel) // stride + 1 == math.ceil(n / stride)


def test_prelu_as_convolutions() -> None:
    slope = torch.tensor([0.25, -0.5, 1.0, 3.0])
    x = torch.linspace(-4, 4, 4 * 30).reshape(1, 4, 5, 6)
    want = torch.nn.functional.prelu(x, slope)
    torch.testing.assert_close(ChannelPReLU(slope)(x), want)


def test_channel_pad_appends_zeros() -> None:
    x = torch.arange(12.0).reshape(1, 3, 2, 2)
    out = ChannelPad(3, 2)(x)
    torch.testing.assert_close(out, torch.cat([x, torch.zeros(1, 2, 2, 2)], 1))


def test_reader_refuses_other_bytes() -> None:
    with pytest.raises(WeightsError, match="not a TFLite model"):
        read_tflite(b"PK\x03\x04 this is a zip file")


def test_reader_folds_float16(wheel_folder: Path) -> None:
    model = read_tflite(wheels.read_member(wheels.HAND_LANDMARK, wheel_folder))
    assert "DEQUANTIZE" not in {op.kind for op in model.ops}
    weights = [c for k, c in model.constants.items() if k in model.ops[0].inputs]
    assert {w.dtype for w in weights} == {np.dtype(np.float32)}
    assert model.shapes[model.inputs[0]] == (1, 224, 224, 3)


def test_unsupported_operator_is_named() -> None:
    op = TfliteOp("PAD", (0, 1), (2,), {})
    spatial = np.array([[0, 0], [1, 1], [0, 0], [0, 0]], np.int32)
    model = TfliteModel((op,), {1: spatial}, {0: (1, 4, 4, 3), 2: (1, 6, 4, 3)}, (0,), (2,))
    with pytest.raises(WeightsError, match="PAD: only channels"):
        TfliteGraph(model)


def test_palm_detector_equals_tflite_on_frames(wheel_folder: Path, samples: Samples) -> None:
    model, original = hands.palm_detector(wheel_folder), compare.original_palm(wheel_folder)
    for frame in samples.frames[::24]:
        image = compare.palm_input(frame)
        want = original.infer({"image": image})
        with torch.inference_mode():
            boxes, scores = model(torch.from_numpy(image))
        np.testing.assert_allclose(boxes.numpy(), want["boxes"], atol=0.01)
        np.testing.assert_allclose(scores.numpy(), want["scores"], atol=0.001)


def test_hand_landmarks_equal_tflite_on_hands(wheel_folder: Path, samples: Samples) -> None:
    model, original = hands.hand_landmarks(wheel_folder), compare.original_hand(wheel_folder)
    for image in compare.hand_inputs(wheel_folder, samples)[::8]:
        want = original.infer({"image": image})
        with torch.inference_mode():
            got = model(torch.from_numpy(image))
        atols = (0.01, 1e-4, 1e-4, 1e-5)
        for name, value, atol in zip(want, got, atols, strict=True):
            np.testing.assert_allclose(value.numpy(), want[name], atol=atol, err_msg=name)


def test_face_detector_equals_tflite_on_people(wheel_folder: Path, samples: Samples) -> None:
    model = faces.face_detector(wheel_folder)
    original = compare_faces.original_face_detector(wheel_folder)
    for image in compare_faces.face_detector_inputs(samples)[::16]:
        want = original.infer({"image": image})
        with torch.inference_mode():
            boxes, scores = model(torch.from_numpy(image))
        np.testing.assert_allclose(boxes.numpy(), want["boxes"], atol=0.01)
        np.testing.assert_allclose(scores.numpy(), want["scores"], atol=0.001)


def test_face_landmarks_equal_tflite_on_faces(wheel_folder: Path, samples: Samples) -> None:
    model = faces.face_landmarks(wheel_folder)
    original = compare_faces.original_face(wheel_folder)
    sure = 0
    for image in compare_faces.face_inputs(wheel_folder, samples):
        want = original.infer({"image": image})
        sure += want["presence"][0] > 0
        with torch.inference_mode():
            landmarks, presence = model(torch.from_numpy(image))
        np.testing.assert_allclose(landmarks.numpy(), want["landmarks"], atol=0.01)
        np.testing.assert_allclose(presence.numpy(), want["presence"], atol=0.001)
    assert sure >= 3


def test_faces_cannot_be_compared_without_people(wheel_folder: Path, samples: Samples) -> None:
    nobody = Samples(samples.frames[:1], samples.speech)
    with pytest.raises(ExportError, match="no people"):
        compare_faces.face_detector_inputs(nobody)
    with pytest.raises(ExportError, match="0 faces in 0 pictures"):
        compare_faces.face_inputs(wheel_folder, nobody)


def test_handedness_is_the_probability_of_a_right_hand(
    wheel_folder: Path, shared_data: Path
) -> None:
    # hands.jpg shows the backs of two left hands; the right half is turned upside down.
    import cv2

    picture = cv2.imread(str(shared_data / "hands" / "hands.jpg"))
    left_hand = picture[:, : picture.shape[1] // 2]
    original = compare.original_palm(wheel_folder)
    net = hands.hand_landmarks(wheel_folder)
    for image, right in ((left_hand, False), (cv2.flip(left_hand, 1), True)):
        (palm,) = compare.PalmDetector(original).detect(image)
        with torch.inference_mode():
            _, presence, handedness, _ = net(
                torch.from_numpy(compare.Crop.around_palm(palm).cut(image))
            )
        assert presence.item() > 0.9
        assert (handedness.item() > 0.5) is right


def test_efficientnet_gives_the_reference_logits(wheel_folder: Path) -> None:
    # Reference: efficientnet_lite_pytorch 0.1.0 on the same picture (max |Δ| was 0).
    y, x = np.mgrid[0:224, 0:224] / 224
    picture = np.stack([np.sin(9 * x + 4 * y), np.cos(7 * x * y), np.sin(5 * y) * x])
    model = efficientnet_lite0(wheel_folder)
    with torch.inference_mode():
        logits = model(torch.from_numpy(picture.astype(np.float32))[None])[0]
    assert logits.topk(5).indices.tolist() == [644, 818, 885, 604, 782]
    np.testing.assert_allclose(
        logits.topk(5).values.numpy(), [6.3064, 6.0446, 5.3139, 5.1362, 4.9098], atol=2e-3
    )


def test_folding_batch_norms_changes_nothing(wheel_folder: Path, samples: Samples) -> None:
    crops = torch.from_numpy(object_crops(samples.frames[0]))
    plain = efficientnet_lite0(wheel_folder)
    with torch.inference_mode():
        want = torch.nn.functional.normalize(plain.features((crops - 127) / 128), dim=1)
        got = crop_embedding(wheel_folder)(crops)
    assert not [
        m for m in crop_embedding(wheel_folder).modules() if "BatchNorm" in type(m).__name__
    ]
    torch.testing.assert_close(got, want, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.norm(dim=1), torch.ones(6))
