"""``deixis calibrate av-sync`` on drawn clips, as files that OpenCV and libsndfile write."""

from __future__ import annotations

import json
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deixis.__main__ import main
from deixis.calibration.av_sync import load_av_sync
from deixis.nodes import calibrate_av_sync
from deixis.nodes.calibrate_av_sync import joined
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from tests.calibration.claps import FPS, HEIGHT, RATE_HZ, WIDTH, clip


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("clap")
    some = clip(offset_ms=85.0, seed=7)
    video, wav = folder / "my clap.mp4", folder / "clap.wav"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT))
    for image in some.images:
        writer.write(cv2.cvtColor(image, cv2.COLOR_GRAY2BGR))
    writer.release()
    soundfile.write(wav, some.samples, RATE_HZ)
    return video, wav


def test_the_offset_of_a_recording_is_stored_with_its_picture(
    files: tuple[Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    video, wav = files
    code = main(["calibrate", "av-sync", "--video", str(video), "--wav", str(wav), "--json"])
    assert code == 0
    report = json.loads(capsys.readouterr().out)
    assert report["offset_ms"] == pytest.approx(85.0, abs=10.0)
    assert report["n_events"] >= 4
    path = tmp_path / "deixis" / "calibration" / "av-sync" / "my-clap.json"
    assert report["file"] == str(path)
    stored = load_av_sync(path)
    assert stored.offset_ms == report["offset_ms"]
    assert stored.microphone == "clap.wav"
    assert cv2.imread(str(path.with_name(stored.picture or ""))) is not None


def test_the_table_says_what_to_do_with_it(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video, wav = files
    out = tmp_path / "front.json"
    arguments = ["--video", str(video), "--wav", str(wav), "--out", str(out)]
    assert main(["calibrate", "av-sync", *arguments, "--device-id", "front"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "ms after the sound of the same moment" in text
    assert "camera.av_sync=" in text
    assert load_av_sync(out).camera_id == "front"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--video", "clap.mp4"], 2, "--wav"),
        (["--camera", "/dev/video97"], 2, "--camera needs --mic"),
        (["--camera", "/dev/video97", "--mic", "--size", "big"], 2, "not WIDTHxHEIGHT"),
        (["--wav", "clap.wav"], 2, "--camera --video"),
        (["--video", "none.mp4", "--wav", "{wav}"], 1, "none.mp4 is not a video"),
        (["--video", "{video}", "--wav", "none.wav"], 1, "there is no audio file"),
    ],
)
def test_what_is_missing_is_said(
    files: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    named = [a.format(video=files[0], wav=files[1]) for a in arguments]
    assert main(["calibrate", "av-sync", *named]) == code
    assert message in capsys.readouterr().err


def test_silence_is_said(
    files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(5 * RATE_HZ, np.float32), RATE_HZ)
    arguments = ["--video", str(files[0]), "--wav", str(tmp_path / "silence.wav")]
    assert main(["calibrate", "av-sync", *arguments]) == 1
    assert "no clap is heard" in capsys.readouterr().err


def test_chunks_that_jitter_are_one_stretch_of_sound() -> None:
    rng = np.random.default_rng(0)
    chunks = []
    for k in range(50):
        # 320 samples each; 160 were lost before the 20th.
        stamp_ns = 7 * NS_PER_S + 20 * k * NS_PER_MS + (10 * NS_PER_MS if k >= 20 else 0)
        jitter_ns = int(rng.integers(-NS_PER_MS, NS_PER_MS))
        chunks.append((stamp_ns + jitter_ns, np.full(320, k, np.float32), 160 if k == 20 else 0))
    start_ns, samples = joined(chunks)
    assert start_ns == pytest.approx(7 * NS_PER_S, abs=NS_PER_MS // 3)
    assert len(samples) == 50 * 320 + 160
    assert samples[20 * 320 + 160] == 20
    assert not samples[20 * 320 : 20 * 320 + 160].any()


@pytest.mark.slow
def test_devices_that_run_are_watched_by_their_stamps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made-up devices on the real clock; real ones are not here."""
    some = clip(offset_ms=60.0, seed=4, n_events=4)
    start_ns = time.monotonic_ns() + 300 * NS_PER_MS

    class Camera:
        def __init__(self, device: str, params: object, clock: object) -> None:
            self.index = 0

        def read(self) -> tuple[NDArray[np.uint8], int] | None:
            if self.index >= len(some.images):
                return None
            stamp_ns = start_ns + round(self.index * NS_PER_S / FPS)
            time.sleep(max(0.0, (stamp_ns - time.monotonic_ns()) / NS_PER_S))
            self.index += 1
            return some.images[self.index - 1], stamp_ns

        def close(self) -> None:
            pass

    class Microphone:
        name = "made up"

        def __init__(self, wanted: object, chunk: int) -> None:
            self.at, self.chunk = 0, chunk

        def take(self, now_ns: int) -> list[tuple[int, NDArray[np.float32], int]]:
            chunks = []
            while (due_ns := start_ns + self.at * NS_PER_S // RATE_HZ) <= now_ns - 30 * NS_PER_MS:
                samples = some.samples[self.at : self.at + self.chunk]
                if not len(samples):
                    break
                chunks.append((due_ns, samples, 0))
                self.at += self.chunk
            return chunks

        def close(self) -> None:
            pass

    monkeypatch.setattr(calibrate_av_sync, "VideoDevice", Camera)
    monkeypatch.setattr(calibrate_av_sync, "Device", Microphone)
    seconds = str(len(some.images) / FPS - 0.3)
    arguments = ["--camera", "/dev/video7", "--mic", "--seconds", seconds, "--json"]
    out = tmp_path / "x.json"
    assert main(["calibrate", "av-sync", *arguments, "--out", str(out)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["offset_ms"] == pytest.approx(60.0, abs=10.0)
    assert (report["camera_id"], report["microphone"]) == ("video7", "made up")
