"""The speech benchmark: labels, noise, judging, and a real run on cuts of the rendered episodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from deixis.__main__ import main
from deixis.export.bench.labels import load_labels
from deixis.export.bench.mixing import loudest_energy, mix
from deixis.export.bench.playing import HeardSlot
from deixis.export.bench.scoring import calibration_error, normal, slot_agrees
from deixis.runtime.episodes import Episode
from deixis.runtime.errors import ConfigError, MediaError

RATE_HZ = 16_000


def write_labels(folder: Path, labels: object) -> None:
    (folder / "labels.json").write_text(json.dumps(labels))
    soundfile.write(folder / "a.wav", np.zeros(1600, np.float32), RATE_HZ)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ([], "expected an object"),
        ({}, "labels no file"),
        ({"a.wav": {"slots": {}}}, "intent"),
        ({"a.wav": {"intent": ""}}, "empty"),
        ({"a.wav": {"intent": "none", "slots": {"object": "cup"}}}, "slots"),
        ({"a.wav": {"intent": "pick", "slots": {"object": 3}}}, "object|slots"),
    ],
)
def test_wrong_labels_name_the_file_and_the_key(
    tmp_path: Path, labels: object, problem: str
) -> None:
    write_labels(tmp_path, labels)
    with pytest.raises(ConfigError, match=problem) as caught:
        load_labels(tmp_path)
    assert "labels.json" in str(caught.value)


def test_a_labelled_file_must_be_there(tmp_path: Path) -> None:
    write_labels(tmp_path, {"b.flac": {"intent": "none"}})
    with pytest.raises(MediaError, match=r"b\.flac"):
        load_labels(tmp_path)


def test_unknown_keys_are_ignored_and_a_limit_spreads(tmp_path: Path) -> None:
    write_labels(tmp_path, {"a.wav": {"intent": "none", "voice": "ben", "text": "hm"}})
    assert load_labels(tmp_path)[0].label.intent is None


@given(st.floats(-6, 30), st.integers(0, 99))
def test_noise_has_the_stated_level(snr_db: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    speech = (0.1 * rng.standard_normal(8192)).astype(np.float32)
    noise = (0.01 * rng.standard_normal(50_000)).astype(np.float32)
    mixed = mix(speech, noise, snr_db, np.random.default_rng(seed))
    assert np.abs(mixed).max() == pytest.approx(0.5)
    # What is left when the speech is taken out at its own scale is the noise.
    scale = float(mixed @ speech / (speech @ speech))
    left = mixed - scale * speech
    measured = 10 * np.log10(loudest_energy(scale * speech) / loudest_energy(left))
    assert measured == pytest.approx(snr_db, abs=1.5)


def test_slots_agree_by_their_words() -> None:
    assert normal(" The Red  CUP ") == "red cup"
    assert slot_agrees("red cup", HeardSlot("red cup", None, None))
    assert slot_agrees("in the box", HeardSlot("box", "in", None))
    assert slot_agrees("box", HeardSlot("box", "in", None))
    assert slot_agrees("around", HeardSlot("round", None, "around"))
    assert not slot_agrees("blue cup", HeardSlot("red cup", None, None))
    assert not slot_agrees("cup", None)


def test_calibration_error() -> None:
    assert calibration_error([(1.0, True)] * 10) == pytest.approx(0.0)
    assert calibration_error([(0.9, False)] * 10) == pytest.approx(0.9)
    assert calibration_error([]) is None


@pytest.fixture
def cuts(episodes: Path, tmp_path: Path) -> Path:
    """Two commands and one sentence that is none, cut out of the rendered episodes."""
    labels = {}
    for name, intent, slots in (
        ("put_that_in_the_box", "place", {"object": "that", "destination": "box"}),
        ("pick_that", "pick", {"object": "that"}),
        ("out_of_domain", "none", {}),
    ):
        folder = episodes / name
        if not folder.is_dir():
            pytest.skip(f"the episode {name} is not here")
        utterance = Episode.load(folder).truth.utterances[0]
        samples, _ = soundfile.read(folder / "audio.wav", dtype="float32")
        first, last = round(utterance.start_s * RATE_HZ), round(utterance.end_s * RATE_HZ)
        soundfile.write(tmp_path / f"{name}.flac", samples[first - 3200 : last + 3200], RATE_HZ)
        end_s = 0.2 + utterance.end_s - utterance.start_s
        labels[f"{name}.flac"] = {"intent": intent, "slots": slots, "speech_end_s": end_s}
        labels[f"{name}.flac"]["text"] = utterance.text
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("bundle")
def test_a_real_run(cuts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = cuts / "p.json"
    arguments = ["bench", "speech", "--data", str(cuts), "--workers", "1", "--json"]
    assert main([*arguments, "--predictions", str(predictions)]) == 0
    report = json.loads(capsys.readouterr().out)
    (clean,) = report["conditions"]
    assert {"name", "snr_db", "n", "accuracy", "false_accept_rate", "word_error_rate"} <= set(clean)
    assert (clean["name"], clean["snr_db"], clean["n"]) == ("clean", None, 3)
    assert clean["accuracy"] == 1.0
    assert clean["false_accept_rate"] == 0.0
    assert {"p50", "p95", "p99", "max", "n"} <= set(report["latency_ms"])
    assert report["latency_ms"]["n"] == 2
    assert {"real_time_factor", "ece"} <= set(report)
    heard = json.loads(predictions.read_text())["clean"]["put_that_in_the_box.flac"]
    assert heard["intent"] == "place"
    assert heard["slots"]["destination"] == "in box"
    assert [w["text"].strip(".").lower() for w in heard["words"]][:2] == ["put", "that"]


def test_wrong_usage_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_labels(tmp_path, {"a.wav": {"intent": "orderDrink"}})
    assert main(["bench", "speech", "--data", str(tmp_path)]) != 0
    assert "--domain" in capsys.readouterr().err
    assert main(["bench", "speech", "--data", str(tmp_path), "--snr", "6"]) == 2
