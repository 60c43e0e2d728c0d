"""The objects benchmark as a user runs it, on small rendered scenes and on their taught views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.export.bench import objects
from deixis.export.bench.objects_playing import ScenePlayer
from deixis.runtime.bundle import Bundle

SCENES = Path(__file__).resolve().parents[2] / "scenes" / "tables_small"
KEYS = {
    "detection", "naming", "colour", "open_set", "position", "identity", "ms_per_frame",
}  # fmt: skip


def bench(data: Path, bundle: Bundle, *more: str) -> int:
    return main(["bench", "objects", "--data", str(data), "--bundle", str(bundle.root), *more])


@pytest.fixture
def one_scene(tmp_path: Path) -> Path:
    """The scene of two things, with the gallery."""
    for name in ("still_001", "gallery"):
        shutil.copytree(SCENES / name, tmp_path / name)
    return tmp_path


def test_a_scene_with_truth(
    one_scene: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "results" / "objects.json"
    assert bench(one_scene, bundle, "--json", "--out", str(out)) == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == KEYS
    assert report["detection"]["n"] == 2
    assert report["detection"]["recall"] == 1.0
    # The cup was never taught.
    assert report["naming"]["n"] == 1
    assert set(report["naming"]["views"]) == {"1", "3", "5", "all"}
    assert report["naming"]["views"]["5"] is None
    assert report["naming"]["views"]["all"] == 1.0
    assert report["open_set"]["n_unknown"] == 1
    assert report["position"]["n"] == 2
    assert 0 < report["position"]["median_mm"] < 30
    assert report["identity"] is None
    assert report["ms_per_frame"]["full"]["n"] == 1
    assert report["ms_per_frame"]["still"]["p50"] > 0
    written = json.loads(out.read_text())
    assert written["detection"] == report["detection"]
    assert written["detection_by"]["planks"]["looks"] == 1
    assert written["machine"]["cores"] >= 1
    assert written["interrupted"] is False


def test_a_truth_that_is_wrong_shows(
    one_scene: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str]
) -> None:
    path = one_scene / "still_001" / "truth.json"
    truth = json.loads(path.read_text())
    first, second = truth["frames"][0]["objects"]
    first["position_base_m"] = [0.3, 0.35, 0.04]
    first["box_px"] = [10, 10, 30, 30]
    truth["objects"][1]["name"] = "kettle"
    second["position_base_m"][0] += 0.03
    path.write_text(json.dumps(truth))
    assert bench(one_scene, bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["detection"]["recall"] == 0.5
    assert report["detection"]["false_per_frame"] >= 1
    assert report["position"]["median_mm"] > 15
    assert bench(one_scene, bundle) == 0
    assert "missed" in capsys.readouterr().out


def test_pictures_by_class(
    bundle: Bundle, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for thing in ("blue_ball", "green_bowl", "red_bottle", "yellow_can"):
        shutil.copytree(SCENES / "gallery" / thing, tmp_path / thing)
    (tmp_path / "unknown").mkdir()
    noise = np.random.default_rng(1).integers(0, 255, (96, 96, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "unknown" / "noise.png"), noise)
    assert bench(tmp_path, bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert set(report) == KEYS
    assert {key for key, part in report.items() if part} == {"naming", "open_set"}
    # Of three pictures a class two at most are taught.
    assert report["naming"]["views"]["1"] >= 0.5
    assert report["naming"]["views"]["3"] is None
    assert report["naming"]["n"] == 4
    assert report["open_set"]["n_unknown"] == 4 + 4
    # Pictures in the wrong folders are named wrongly.
    for thing in ("blue_ball", "green_bowl"):
        (tmp_path / thing).rename(tmp_path / f"{thing}_")
    (tmp_path / "blue_ball_" / "1.jpg").rename(tmp_path / "green_bowl_" / "4.jpg")
    (tmp_path / "green_bowl_" / "1.jpg").rename(tmp_path / "blue_ball_" / "4.jpg")
    shutil.rmtree(tmp_path / "red_bottle")
    shutil.rmtree(tmp_path / "yellow_can")
    assert bench(tmp_path, bundle, "--json") == 0
    mixed = json.loads(capsys.readouterr().out)
    assert mixed["naming"]["views"]["1"] < 1.0


def test_wrong_usage(
    one_scene: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert bench(one_scene, bundle, "--set", "rate_hz") == 2
    assert "PARAM=VALUE" in capsys.readouterr().err
    assert bench(one_scene, bundle, "--set", "rate=4") == 1
    assert "rate_hz" in capsys.readouterr().err
    assert bench(tmp_path / "none", bundle) == 1
    assert "no folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert bench(tmp_path / "empty", bundle) == 1
    shown = capsys.readouterr().err
    assert "neither scenes" in shown
    assert "--help" in shown


def test_an_interrupt_keeps_what_was_measured(
    one_scene: Path,
    bundle: Bundle,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(one_scene / "still_001", one_scene / "still_002")
    play = ScenePlayer.play

    def interrupted(self: ScenePlayer, scene: Any) -> Any:
        if scene.name == "still_002":
            raise KeyboardInterrupt
        return play(self, scene)

    monkeypatch.setattr(ScenePlayer, "play", interrupted)
    assert bench(one_scene, bundle, "--json") == 1
    shown = capsys.readouterr()
    assert "interrupted after 1 of 2 scenes" in shown.err
    assert json.loads(shown.out)["detection"]["n"] == 2


@pytest.mark.slow
def test_a_video(
    episodes: Path, bundle: Bundle, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "episodes").mkdir()
    shutil.copytree(episodes / "distractor", tmp_path / "episodes" / "distractor")
    shutil.copytree(episodes.parent / "gallery", tmp_path / "gallery")
    shutil.copy(episodes.parent / "camera.json", tmp_path)
    assert bench(tmp_path, bundle, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["identity"] == {"switches": 0, "tracks": 6}
    assert report["detection"]["recall"] > 0.98
    assert report["position"]["median_mm"] < 10


def test_the_help_documents_every_key() -> None:
    assert objects.__doc__ is not None
    assert all(key in objects.__doc__ for key in KEYS)
