from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="needs deixis[export]")

import onnx  # noqa: E402
from torch import nn  # noqa: E402

from deixis.export.compare_speech import (  # noqa: E402
    compare_decoder,
    compare_encoder,
    encoder_inputs,
    open_in_float,
)
from deixis.export.making import NO_RANGES  # noqa: E402
from deixis.export.models import moonshine, moonshine_decoder  # noqa: E402
from deixis.export.models.moonshine import HEAD_SIZE, Rotary, WindowLinear  # noqa: E402
from deixis.export.quantize import emit_cpu  # noqa: E402
from deixis.export.recipes.speech import SPEECH_DECODER, SPEECH_ENCODER  # noqa: E402
from deixis.export.samples import Samples  # noqa: E402
from deixis.export.weights import wheels  # noqa: E402
from deixis.export.weights.ort_reader import graphs, read_ort  # noqa: E402
from deixis.runtime.bundle import MetricInfo  # noqa: E402
from deixis.runtime.engines import open_model  # noqa: E402
from deixis.runtime.errors import WeightsError  # noqa: E402

SAID = (12065, 393, 297, 278, 3800)  # "Put that in the box"


@pytest.fixture(scope="module")
def encoder(wheel_folder: Path) -> moonshine.Encoder:
    return moonshine.encoder(wheel_folder)


@given(
    kernel=st.integers(1, 9),
    stride=st.integers(1, 9),
    extra=st.integers(0, 40),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=40, deadline=None)
def test_windows_are_a_strided_convolution(kernel: int, stride: int, extra: int, seed: int) -> None:
    torch.manual_seed(seed)
    conv = nn.Conv1d(3, 5, kernel, stride)
    x = torch.randn(2, 3, kernel + extra)
    want = conv(x).transpose(1, 2)
    torch.testing.assert_close(WindowLinear(conv)(x.transpose(1, 2)), want, atol=1e-5, rtol=1e-4)


def test_scores_depend_on_the_distance_only() -> None:
    rotary = Rotary()
    q, k = torch.randn(2, 1, 1, 1, HEAD_SIZE)
    scores = [
        (rotary(q, rotary.angles(n + 3, 1)) * rotary(k, rotary.angles(n, 1))).sum() for n in (0, 50)
    ]
    torch.testing.assert_close(scores[0], scores[1], atol=1e-4, rtol=1e-4)
    other = (rotary(q, rotary.angles(9, 1)) * rotary(k, rotary.angles(0, 1))).sum()
    assert abs(float(other - scores[0])) > 1e-3


@pytest.mark.parametrize("n", [2_000, 20_001, 48_000])
def test_encoder_equals_the_original(
    wheel_folder: Path, samples: Samples, encoder: moonshine.Encoder, n: int
) -> None:
    inputs = encoder_inputs(samples.speech[:n])
    want = open_in_float(wheels.SPEECH_ENCODER, wheel_folder).infer(inputs)["last_hidden_state"]
    arguments = [torch.from_numpy(array) for array in inputs.values()]
    for net in (encoder, encoder.deployed()):
        with torch.inference_mode():
            got = net(*arguments).numpy()
        np.testing.assert_allclose(got, want, atol=2.8e-4)


def test_encoder_honours_the_mask(
    wheel_folder: Path, samples: Samples, encoder: moonshine.Encoder
) -> None:
    inputs = encoder_inputs(samples.speech[:32_000])
    arguments = [torch.from_numpy(array) for array in inputs.values()]
    with torch.inference_mode():
        whole = encoder(*arguments).numpy()
        arguments[1][:, 16_000:] = 0
        got = encoder(*arguments).numpy()
    masked = {**inputs, "attention_mask": arguments[1].numpy()}
    want = open_in_float(wheels.SPEECH_ENCODER, wheel_folder).infer(masked)["last_hidden_state"]
    np.testing.assert_allclose(got, want, atol=2.8e-4)
    assert np.abs(whole - got).max() > 0.1


def test_a_pruned_encoder_is_deployed_as_it_is(
    samples: Samples, encoder: moonshine.Encoder
) -> None:
    torch.manual_seed(0)
    net = moonshine.Encoder()
    net.load_state_dict(encoder.state_dict())
    for layer in net.layers:
        assert isinstance(layer, moonshine.Layer)
        layer.self_attn = moonshine.Attention(heads=6)
        layer.mlp.fc1, layer.mlp.fc2 = nn.Linear(288, 800), nn.Linear(800, 288)
    arguments = [torch.from_numpy(a) for a in encoder_inputs(samples.speech[:16_000]).values()]
    with torch.inference_mode():
        torch.testing.assert_close(
            net.deployed()(*arguments), net.eval()(*arguments), atol=1e-4, rtol=1e-4
        )


def test_decoder_equals_the_original_call_by_call(wheel_folder: Path, samples: Samples) -> None:
    original = open_in_float(wheels.SPEECH_DECODER, wheel_folder)
    net = moonshine_decoder.decoder(wheel_folder).deployed()
    frames = np.random.default_rng(0).normal(0, 1, (2, 40, 288)).astype(np.float32)
    mask = np.ones((2, 40 * 384 + 500), np.int64)
    pasts = {name: np.zeros((2, 8, 0, HEAD_SIZE), np.float32) for name in moonshine_decoder.PASTS}
    ours, theirs = dict(pasts), dict(pasts)
    for cached, ids in ((False, [[1], [1]]), (True, [SAID, SAID[::-1]]), (True, [[2], [5]])):
        found = []
        for past, run in ((ours, None), (theirs, original)):
            inputs = {
                "encoder_attention_mask": mask,
                "input_ids": np.array(ids),
                "encoder_hidden_states": frames,
                **past,
                "use_cache_branch": np.array([cached]),
            }
            if run is None:
                arguments = [torch.from_numpy(inputs[n]) for n in moonshine_decoder.INPUTS]
                with torch.inference_mode():
                    outputs = [output.numpy() for output in net(*arguments)]
            else:
                answer = run.infer(inputs)
                outputs = [answer[name].copy() for name in moonshine_decoder.OUTPUTS]
            found.append(outputs[0])
            for name, present in zip(moonshine_decoder.PASTS, outputs[1:], strict=True):
                if not cached or ".decoder." in name:
                    past[name] = present
        np.testing.assert_allclose(found[0], found[1], atol=2e-3)


def test_reader_refuses_other_bytes() -> None:
    with pytest.raises(WeightsError, match="not a model"):
        read_ort(b"PK\x03\x04 this is a zip file")


def test_weights_of_another_network_are_refused(encoder: moonshine.Encoder) -> None:
    weights = {k: v for k, v in encoder.state_dict().items() if "layers.3" not in k}
    with pytest.raises(WeightsError, match=r"layers\.3"):
        moonshine.load(moonshine.Encoder(), weights)


@pytest.mark.slow
def test_encoder_file(
    wheel_folder: Path, samples: Samples, encoder: moonshine.Encoder, tmp_path: Path
) -> None:
    network, quantization = SPEECH_ENCODER.network, SPEECH_ENCODER.quantization
    assert network is not None
    assert quantization is not None
    model = network.emit(encoder)
    path = tmp_path / "encoder.onnx"
    path.write_bytes(model)
    assert _failed(compare_encoder(path, wheel_folder, samples)) == []
    shipped = read_ort(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder))
    engine = open_model(path)
    assert [i.name for i in engine.specs.inputs] == [i.name for i in shipped.graph.input]
    engine.close()
    assert len(emit_cpu(model, NO_RANGES, quantization)) < len(model) / 3
    assert network.emit(encoder) == model


@pytest.mark.slow
def test_decoder_file(wheel_folder: Path, samples: Samples, tmp_path: Path) -> None:
    network, quantization = SPEECH_DECODER.network, SPEECH_DECODER.quantization
    assert network is not None
    assert quantization is not None
    model = network.emit(moonshine_decoder.decoder(wheel_folder))
    path = tmp_path / "decoder.onnx"
    path.write_bytes(model)
    assert _failed(compare_decoder(path, wheel_folder, samples)) == []
    proto = onnx.load_from_string(model)
    assert {i.name for i in proto.graph.input} == set(moonshine_decoder.INPUTS)
    _, *branches = graphs(proto.graph)
    assert len(branches) == 2
    assert not any(branch.initializer for branch in branches)
    # The vocabulary, half of all weights, is there once.
    everything = dataclasses.replace(quantization, keep_float=())
    assert len(emit_cpu(model, NO_RANGES, everything)) < 20.5e6


def _failed(metrics: tuple[MetricInfo, ...]) -> list[MetricInfo]:
    from deixis.export.compare import passes

    return [metric for metric in metrics if not passes(metric)]
