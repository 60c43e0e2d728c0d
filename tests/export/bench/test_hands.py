"""The hands benchmark as a user runs it, on a real picture and a rendered episode."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.export.bench.hands_golden import load_goldens
from deixis.runtime.bundle import Bundle

LANDMARKS = {
    "n", "mean_px", "p95_px", "worst_px", "within_tolerance", "mean_world_m", "worst_world_m",
    "missed_hands",
}  # fmt: skip


def bench(data: Path, bundle: Bundle, *more: str) -> int:
    return main(["bench", "hands", "--data", str(data), "--bundle", str(bundle.root), *more])


def test_both_hands_of_the_real_picture(
    shared_data: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(shared_data / "hands", bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == {"landmarks", "rays", "ms_per_frame"}
    assert set(report["landmarks"]) == LANDMARKS
    assert report["landmarks"]["n"] == 42
    assert report["landmarks"]["missed_hands"] == 0
    assert report["landmarks"]["worst_px"] <= 20
    assert report["landmarks"]["mean_world_m"] is None
    assert report["rays"] is None
    assert set(report["ms_per_frame"]) == {"p50", "p95", "p99"}


@pytest.fixture
def clip(episodes: Path, tmp_path: Path) -> Path:
    """Half a second of an episode in which the hand is held, as a video with golden landmarks."""
    (golden,) = load_goldens(episodes / "pick_that")
    first = next(i for i, f in enumerate(golden.frames) if f and f[0].direction_base is not None)
    source = cv2.VideoCapture(str(golden.media))
    images = [source.read()[1] for _ in range(first + 15)][first:]
    source.release()
    video = cv2.VideoWriter(
        str(tmp_path / "v.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30, images[0].shape[1::-1]
    )
    for image in images:
        video.write(image)
    video.release()
    hands = [frame[0] for frame in golden.frames[first : first + 15]]
    entry = {
        "video": "v.mp4",
        "frames": [h.landmarks_px.tolist() for h in hands],
        "world": [np.asarray(h.world_m).tolist() for h in hands],
        "tolerance_px": 26,
        "tolerance_m": 0.04,
        "camera": str((episodes.parent / "camera.json").resolve()),
        "rays": [[np.asarray(h.direction_base).tolist()] for h in hands],
    }
    (tmp_path / "golden.json").write_text(json.dumps(entry))
    return tmp_path


def test_a_video_with_rays(
    clip: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "results" / "hands.json"
    assert bench(clip, bundle, "--out", str(out)) == 0
    shown = capsys.readouterr().out
    assert "hands missed" in shown
    report = json.loads(out.read_text())
    assert report["landmarks"]["n"] == 15 * 21
    assert report["landmarks"]["missed_hands"] == 0
    assert report["landmarks"]["within_tolerance"] > 0.95
    assert report["rays"]["n"] == 15
    assert report["rays"]["median_deg"] < 6
    assert report["machine"]["cores"] >= 1
    assert report["interrupted"] is False
    # Golden points that are wrong are seen to be.
    entry = json.loads((clip / "golden.json").read_text())
    entry["frames"] = (np.array(entry["frames"]) + 40).tolist()
    (clip / "golden.json").write_text(json.dumps(entry))
    assert bench(clip, bundle, "--json") == 0
    worse = json.loads(capsys.readouterr().out)
    assert worse["landmarks"]["mean_px"] > 40
    assert worse["landmarks"]["within_tolerance"] < 0.05


def test_a_video_that_is_too_short(
    clip: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    entry = json.loads((clip / "golden.json").read_text())
    for key in ("frames", "world", "rays"):
        entry[key] *= 2
    (clip / "golden.json").write_text(json.dumps(entry))
    assert bench(clip, bundle) == 1
    assert "ends after 15 frames" in capsys.readouterr().err


def test_wrong_usage(clip: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(clip, bundle, "--set", "max_hands") == 2
    assert "PARAM=VALUE" in capsys.readouterr().err
    assert bench(clip, bundle, "--set", "max_hand=4") == 1
    assert "max_hands" in capsys.readouterr().err
    assert bench(clip / "none", bundle) == 1
    assert "there is no folder" in capsys.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("mediapipe") is not None, reason="it is installed")
def test_mediapipe_that_is_missing(
    clip: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(clip, bundle, "--mediapipe") == 1
    assert "pip install deixis mediapipe==0.10.21" in capsys.readouterr().err
