"""The real thing: daemon, one process a node, real models, recorded episodes in real time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
import soxr

from deixis.runtime.bundle import Bundle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A run folder of its own, so that no other daemon is met."""
    return {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("run"))}


def deixis(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deixis", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


@pytest.fixture(scope="module")
def daemon(bundle: Bundle, environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """``deixis run demo`` in another shell."""
    process = subprocess.Popen(
        [sys.executable, "-m", "deixis", "run", "demo", "--bundle", str(bundle.root)],
        cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while deixis(environment, "status").returncode:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert time.monotonic() < deadline, "the daemon is not ready"
        time.sleep(0.2)
    # The still picture of the table needs a moment to become a scene.
    time.sleep(2.0)
    yield process
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=15)


def test_an_episode_gives_its_actions(bundle: Bundle, environment: dict[str, str]) -> None:
    """Correctness is asserted here, latency in ``deixis demo`` and ``deixis profile``."""
    done = deixis(
        environment, "demo", "--only", "put_it_there", "--json", "--budget-ms", "5000",
        "--bundle", str(bundle.root),
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [a["intent"] for a in report["actions"]] == ["pick", "place"]
    assert report["all_expected"]
    assert report["latency_ms"]["n"] == 2
    assert {"endpointing", "speech", "fusion", "delivery"} == set(report["stages"])
    assert any(name.startswith("hands/frame") for name in report["drops"])
    outcome = report["episodes"][0]["outcomes"][0]
    assert outcome["words"]
    assert outcome["pointed_at"][0]["word"] == "that"
    assert outcome["object_candidates"][0]["probability"] > 0.5


def test_push_to_talk_reaches_the_recogniser(
    daemon: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    done = deixis(environment, "command", "--talk", "0.5")
    assert done.returncode == 1
    assert "no command was heard" in done.stderr
    assert "push-to-talk does nothing: the gate is 'open'" in done.stderr


def test_a_typed_command(daemon: subprocess.Popen[str], environment: dict[str, str]) -> None:
    truth = json.loads((ROOT / "tests/scenes/episodes/red_cup_no_gesture/truth.json").read_text())
    # The still picture that the demo graph shows is the first frame of this episode.
    target = next(o for o in truth["objects"] if o["name"] == "bottle")
    point = ",".join(str(v) for v in target["position_base_m"])
    done = deixis(environment, "command", "pick up that", "--point-at", point, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)["outcomes"][0]
    assert outcome["outcome"] == "act"
    assert outcome["action"]["intent"] == "pick"
    assert "bottle" in outcome["action"]["object"]["label"]
    assert outcome["robot"]["state"] == "done"
    text = deixis(environment, "command", "drop it")
    assert text.returncode == 0, text.stdout + text.stderr
    assert "release" in text.stdout


def test_a_typed_command_that_is_none(
    daemon: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    done = deixis(environment, "command", "the weather is lovely today")
    assert done.returncode == 1
    assert "reject" in done.stdout


def test_recorded_sound_and_picture_into_a_running_daemon(
    daemon: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    episode = ROOT / "tests/scenes/episodes/pick_that"
    done = deixis(
        environment, "command", "--reset", "--json",
        "--wav", str(episode / "audio.wav"), "--video", str(episode / "video.mp4"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    outcome = json.loads(done.stdout)["outcomes"][0]
    assert outcome["action"]["intent"] == "pick"
    assert outcome["latency_ms"]["end_to_end"] > 0


def test_a_raised_palm_stops_the_robot(
    daemon: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """Nothing is said; a rendered hand comes up, shows its palm and stays."""
    frames = [
        cv2.imread(str(f)) for f in sorted((ROOT / "tests/scenes/gestures").glob("raising_*"))
    ]
    video = cv2.VideoWriter(
        str(tmp_path / "palm.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, (640, 480)
    )
    # Long enough before for the node to be at it, and after for two stops if there were two.
    for frame in [*[frames[0]] * 15, *frames, *[frames[-1]] * 45]:
        video.write(frame)
    video.release()
    soundfile.write(tmp_path / "silence.wav", np.zeros(3 * 16_000), 16_000)
    done = deixis(
        environment, "command", "--reset", "--json",
        "--wav", str(tmp_path / "silence.wav"), "--video", str(tmp_path / "palm.mp4"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (outcome,) = json.loads(done.stdout)["outcomes"]
    assert (outcome["outcome"], outcome["reason"]) == ("stop", "raised palm")
    assert outcome["robot"]["state"] == "stopped"
    assert 0 < outcome["latency_ms"]["palm_stop"] < 500


def test_sound_at_another_rate_is_resampled_and_said(
    daemon: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> None:
    audio, rate_hz = soundfile.read(ROOT / "tests/scenes/episodes/red_cup_no_gesture/audio.wav")
    stereo = soxr.resample(np.stack([audio, audio], axis=1), rate_hz, 44_100)
    soundfile.write(tmp_path / "cd.wav", stereo, 44_100)
    done = deixis(environment, "command", "--reset", "--wav", str(tmp_path / "cd.wav"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bring red cup" in done.stdout
    assert "44100 Hz resampled to 16000 Hz, 2 channels mixed to one" in done.stderr


def test_a_file_that_is_no_sound(
    daemon: subprocess.Popen[str], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"not a wav")
    done = deixis(environment, "command", "--wav", str(tmp_path / "a.wav"))
    assert done.returncode == 1
    assert "cannot read" in done.stderr


def test_status_and_doctor_see_the_daemon(
    daemon: subprocess.Popen[str], environment: dict[str, str]
) -> None:
    status = json.loads(deixis(environment, "status", "--json").stdout)
    assert status["state"] == "ready"
    nodes = {n["node_id"]: n for n in status["nodes"]}
    assert nodes["hands"]["telemetry"]["inputs"]["frame"]["received"] > 10
    assert "speech" in deixis(environment, "status").stdout
    findings = json.loads(deixis(environment, "doctor", "--json").stdout)["findings"]
    assert next(f for f in findings if f["what"] == "daemon")["state"] == "ok"


def test_ctrl_c_ends_it_cleanly(daemon: subprocess.Popen[str], environment: dict[str, str]) -> None:
    daemon.send_signal(signal.SIGINT)
    assert daemon.wait(15) == 0
    assert deixis(environment, "status").returncode == 1
    assert not list(Path(environment["XDG_RUNTIME_DIR"], "deixis", "default").glob("*.pub"))
