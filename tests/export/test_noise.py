from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from deixis.export.noise import LEAST_LIKENESS, likeness, refuse_noise
from deixis.export.quantize import collect_ranges
from deixis.export.samples import Samples, object_crops
from deixis.runtime.errors import ExportError
from tests.export.onnx_models import small_net

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    "inputs",
    [
        [{"image": RNG.random((1, 3, 64, 64), np.float32)} for _ in range(4)],
        [{"image": RNG.normal(size=(2, 1, 32, 32)).astype(np.float32)} for _ in range(4)],
        [{"image": RNG.integers(0, 256, (1, 48, 64, 3)).astype(np.uint8)} for _ in range(4)],
        [{"sound": RNG.normal(size=(1, 16_000)).astype(np.float32)} for _ in range(4)],
    ],
)
def test_noise_is_refused_and_the_mend_named(inputs: list) -> None:
    with pytest.raises(ExportError, match="are noise") as caught:
        refuse_noise(inputs)
    assert "--calib" in caught.value.hint


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "no inputs"),
        ([{"image": np.zeros((1, 3, 32, 32), np.float32)}] * 3, "constant"),
        ([{"features": np.ones((1, 64), np.float32), "mask": np.arange(64)}], "constant"),
        ([{"features": np.arange(8, dtype=np.float32)}] * 3, "all the same"),
    ],
)
def test_constants_and_repeats_are_refused(inputs: list, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        refuse_noise(inputs)


def test_what_has_no_neighbours_is_not_judged_by_them() -> None:
    for shape in ((1, 1280), (4, 1280), (1, 15, 92), (1, 82, 288), (1, 4, 30, 36), (2048,)):
        refuse_noise([{"features": RNG.normal(size=shape).astype(np.float32)} for _ in range(5)])


def test_some_constant_pictures_among_others_are_no_reason() -> None:
    ramp = np.linspace(0, 1, 32, dtype=np.float32) * np.ones((1, 3, 32, 1), np.float32)
    refuse_noise([{"image": np.zeros((1, 3, 32, 32), np.float32)}] * 3 + [{"image": ramp}])


def test_recorded_pictures_and_sound_pass(samples: Samples, sample_folder: Path) -> None:
    refuse_noise([{"image": crop[None]} for crop in object_crops(samples.frames[0])])
    for wav in sorted(sample_folder.glob("*/audio.wav")):
        sound = soundfile.read(wav, dtype="float32")[0]
        pieces = [sound[None, i : i + 16_000] for i in range(0, len(sound) - 16_000, 16_000)]
        refuse_noise([{"sound": piece} for piece in pieces])
        found = [likeness(piece) for piece in pieces]
        assert np.median([value for value in found if value is not None]) > 3 * LEAST_LIKENESS


def test_nothing_is_calibrated_on_noise() -> None:
    noise = [{"image": RNG.random((1, 3, 24, 24), np.float32)} for _ in range(4)]
    with pytest.raises(ExportError, match="are noise"):
        collect_ranges(small_net(), noise)
