"""The speech benchmark as a user runs it, on a few real utterances."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from deixis.__main__ import main
from deixis.runtime.bundle import Bundle
from deixis.runtime.episodes import Episode

KEYS = {"conditions", "latency_ms", "real_time_factor", "ece"}
CONDITION_KEYS = {"name", "snr_db", "n", "accuracy", "false_accept_rate", "word_error_rate"}
LABELS = {
    "pick_that": {"intent": "pick", "slots": {"object": "that"}},
    "put_that_in_the_box": {
        "intent": "place",
        "slots": {"object": "that", "destination": "the box"},
    },
    "out_of_domain": {"intent": "none"},
}


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory, episodes: Path) -> Path:
    """The first utterance of three episodes, one as WAV at another rate and in stereo."""
    folder = tmp_path_factory.mktemp("recordings")
    labels = {}
    for name, label in LABELS.items():
        episode = Episode.load(episodes / name)
        said = episode.truth.utterances[0]
        samples, rate_hz = soundfile.read(episode.audio, dtype="float32")
        first = max(0, int((said.start_s - 0.3) * rate_hz))
        cut = samples[first : int((said.end_s + 0.3) * rate_hz)]
        zero_s = first / rate_hz
        file = f"{name}.flac"
        if name == "pick_that":
            file = f"{name}.wav"
            cut, rate_hz = cut.repeat(3).repeat(2).reshape(-1, 2), rate_hz * 3
        soundfile.write(folder / file, cut, rate_hz)
        words = [[w.word, w.start_s - zero_s, w.end_s - zero_s] for w in said.words]
        times = {"speech_end_s": said.end_s - zero_s, "words": words}
        labels[file] = {**label, "text": said.text, **times}
    (folder / "labels.json").write_text(json.dumps(labels))
    return folder


def command(recordings: Path, bundle: Bundle, *more: str) -> list[str]:
    return ["bench", "speech", "--data", str(recordings), "--bundle", str(bundle.root), *more]


@pytest.mark.slow
def test_a_folder_is_measured(recordings, bundle, tmp_path, capsys):
    out, predictions = tmp_path / "new" / "out.json", tmp_path / "predictions.json"
    more = ("--json", "--out", str(out), "--predictions", str(predictions))
    assert main(command(recordings, bundle, *more)) == 0
    report = json.loads(capsys.readouterr().out)
    assert KEYS | {"stop", "premature", "machine", "date", "commit"} <= set(report)
    (condition,) = report["conditions"]
    assert set(condition) >= CONDITION_KEYS
    assert (condition["name"], condition["snr_db"], condition["n"]) == ("clean", None, 3)
    assert condition["accuracy"] == 1.0
    assert condition["false_accept_rate"] == 0.0
    assert condition["word_error_rate"] < 0.5
    assert set(report["latency_ms"]) == {"p50", "p95", "p99", "max", "n"}
    assert report["latency_ms"]["n"] == 2
    assert report["word_times"]["n"] >= 2
    assert report["real_time_factor"] > 0.0
    assert 0.0 <= report["ece"] <= 1.0
    assert report["premature"]["ends_estimated"] == 0
    assert json.loads(out.read_text()) == report
    understood = json.loads(predictions.read_text())["clean"]
    assert list(understood) == ["pick_that.wav", "put_that_in_the_box.flac", "out_of_domain.flac"]
    assert understood["put_that_in_the_box.flac"]["slots"] == {
        "object": "that",
        "destination": "in box",
    }
    word = understood["pick_that.wav"]["words"][-1]
    assert 0.0 < word["start_s"] < word["end_s"]
    assert understood["out_of_domain.flac"]["intent"] is None
    assert understood["out_of_domain.flac"]["utterances"][0]["reason"]


@pytest.mark.slow
def test_noise_real_time_and_the_curve(recordings, bundle, tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs deixis[export]")
    noise, picture = tmp_path / "noise.wav", tmp_path / "curve.svg"
    samples, rate_hz = soundfile.read(recordings / "out_of_domain.flac")
    soundfile.write(noise, samples, rate_hz)
    labels = json.loads((recordings / "labels.json").read_text())
    one = tmp_path / "one.json"
    one.write_text(json.dumps({"pick_that.wav": labels["pick_that.wav"]}))
    more = ("--labels", str(one), "--noise", str(noise), "--snr", "60", "--curve", str(picture))
    assert main(command(recordings, bundle, "--stream", *more, "--json")) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(c["name"], c["snr_db"]) for c in report["conditions"]] == [
        ("clean", None),
        ("60 dB", 60),
    ]
    assert report["conditions"][0]["false_accept_rate"] is None
    assert report["streamed"]
    assert {point["kind"] for point in report["curve"]} == {"semantic", "fixed"}
    slowest = report["curve"][-1]
    assert slowest["latency_ms"]["p50"] > 500
    assert "<svg" in picture.read_text()


@pytest.mark.slow
def test_ctrl_c_prints_what_is_done(recordings, bundle, tmp_path):
    labels = json.loads((recordings / "labels.json").read_text())
    many = {name: label for name, label in labels.items() if label["intent"] != "none"}
    (tmp_path / "many").mkdir()
    entries = {}
    for i in range(300):
        name = f"{i}.flac"
        (tmp_path / "many" / name).symlink_to(recordings / "put_that_in_the_box.flac")
        entries[name] = many["put_that_in_the_box.flac"]
    (tmp_path / "many" / "labels.json").write_text(json.dumps(entries))
    out = tmp_path / "out.json"
    words = command(tmp_path / "many", bundle, "--json", "--workers", "1", "--out", str(out))
    process = subprocess.Popen(
        [sys.executable, "-m", "deixis", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    time.sleep(6.0)
    os.killpg(process.pid, signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "interrupted after" in stderr
    assert "Traceback" not in stderr
    report = json.loads(stdout)
    assert report["interrupted"]
    assert sum(c["n"] for c in report["conditions"]) < 300
    assert json.loads(out.read_text()) == report


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--noise", "kitchen.flac"], 2, "--noise and --snr"),
        (["--noise", "kitchen.flac", "--snr", "loud"], 2, "loud"),
        (["--limit", "0"], 2, "at least 1"),
        (["--curve", "curve.pdf"], 2, ".svg"),
        (["--domain", "nowhere"], 1, "no domain"),
        (["--noise", "nowhere.flac", "--snr", "6"], 1, "nowhere.flac"),
        (["--data", "nowhere"], 1, "labels.json"),
    ],
)
def test_mistakes_end_with_one_message(recordings, bundle, capsys, more, code, message):
    assert main(command(recordings, bundle, *more)) == code
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_that_is_no_audio_is_named(bundle, tmp_path, capsys):
    (tmp_path / "a.wav").write_bytes(b"nothing to hear")
    (tmp_path / "labels.json").write_text(json.dumps({"a.wav": {"intent": "none"}}))
    assert main(command(tmp_path, bundle)) == 1
    assert "a.wav" in capsys.readouterr().err


def test_labels_of_another_domain_are_refused(recordings, bundle, tmp_path, capsys):
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps({"pick_that.wav": {"intent": "pik"}}))
    assert main(command(recordings, bundle, "--labels", str(labels))) == 1
    error = capsys.readouterr().err
    assert "pick_that.wav: intent" in error
    assert "did you mean 'pick'?" in error


def test_help_shows_the_example(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "speech", "--help"])
    text = capsys.readouterr().out
    assert "deixis bench speech --data" in text
    assert "labels.json" in text


def test_the_verb_needs_no_torch():
    code = (
        "import sys, deixis.export.bench.verb, deixis.export.bench.speech; "
        "print([m for m in ('torch', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
