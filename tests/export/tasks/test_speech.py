from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.samples import Recording, Samples
from deixis.export.tasks import speech
from deixis.export.tasks.speech import (
    SPEECH_DECODER,
    SPEECH_ENCODER,
    SPEECH_LETTERS,
    SpeechCases,
    pink_noise,
    variants,
)
from deixis.runtime.engines import Array, Engine, EngineSpecs
from deixis.runtime.errors import ExportError


class Deaf:
    """An encoder that hears nothing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def specs(self) -> EngineSpecs:
        return self._engine.specs

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: 0 * value for name, value in self._engine.infer(inputs).items()}

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def cases(wheel_folder: Path, samples: Samples) -> SpeechCases:
    """A few of the words, so that the tests take seconds."""
    cases: SpeechCases = SPEECH_ENCODER.prepare(wheel_folder, samples)
    return dataclasses.replace(cases, said=cases.said[1::59])


def test_variants_are_always_the_same_and_differ() -> None:
    rng = np.random.default_rng(0)
    recordings = [
        Recording(name, rng.normal(0, 0.1, 16_000).astype(np.float32), text)
        for name, text in (("a", "pick that"), ("b", None))
    ]
    once, again = (list(variants(recordings)) for _ in range(2))
    assert {one.text for one in once} == {"pick that"}
    assert len({one.sound.tobytes() for one in once}) == len(once)
    for one, other in zip(once, again, strict=True):
        np.testing.assert_array_equal(one.sound, other.sound)
    assert {len(one.sound) for one in once} == {round(16_000 / speed) for speed in speech.SPEEDS}


def test_pink_noise_has_equal_energy_in_octaves() -> None:
    power = np.abs(np.fft.rfft(pink_noise(np.random.default_rng(0), 2**16))) ** 2
    octaves = [power[2**i : 2 ** (i + 1)].sum() for i in range(8, 15)]
    assert max(octaves) < 1.5 * min(octaves)


def test_what_hears_nothing_gets_nothing_right(cases: SpeechCases) -> None:
    encoder = cases.engines["encoder"]
    assert SPEECH_ENCODER.score(encoder, cases) > 60
    assert SPEECH_ENCODER.score(Deaf(encoder), cases) < 20
    assert SPEECH_LETTERS.score(cases.engines["letters"], cases) > 50


def test_the_decoders_task_judges_the_decoder(cases: SpeechCases) -> None:
    decoder = cases.engines["decoder"]
    assert SPEECH_DECODER.score(decoder, cases) > 60
    assert SPEECH_DECODER.score(Deaf(decoder), cases) < 20


def test_hundreds_of_things_are_judged(wheel_folder: Path, samples: Samples) -> None:
    cases = SPEECH_ENCODER.prepare(wheel_folder, samples)
    assert SPEECH_ENCODER.n(cases) == SPEECH_DECODER.n(cases) > 300
    assert SPEECH_LETTERS.n(cases) > SPEECH_ENCODER.n(cases)


def test_too_few_words_are_refused(wheel_folder: Path, samples: Samples) -> None:
    silent = [dataclasses.replace(r, text=None) for r in samples.recordings]
    few = dataclasses.replace(samples, recordings=tuple(silent), episodes=())
    with pytest.raises(ExportError, match="only 0 words"):
        SPEECH_ENCODER.prepare(wheel_folder, few)


def test_labelled_commands_count_where_there_are_any(
    wheel_folder: Path, samples: Samples, tmp_path: Path
) -> None:
    said = next(e for e in samples.episodes if e.name == "pick_that")
    for name in ("right.wav", "wrong.wav"):
        shutil.copy(said / "audio.wav", tmp_path / name)
    labels = {
        "right.wav": {"intent": "pick", "slots": {"object": "that"}},
        "wrong.wav": {"intent": "none"},
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    labelled = dataclasses.replace(samples, episodes=(tmp_path / "episode",))
    cases = SPEECH_ENCODER.prepare(wheel_folder, labelled)
    assert SPEECH_ENCODER.n(cases) == 2
    assert SPEECH_ENCODER.score(cases.engines["encoder"], cases) == 50.0
