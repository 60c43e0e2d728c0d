"""The committed episodes are complete, consistent and small."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

HERE = Path(__file__).parent
EPISODES = HERE / "episodes"
REQUIRED = {
    "pick_that", "put_it_there", "red_cup_no_gesture", "distractor", "stop_mid_sentence",
    "out_of_domain", "two_commands", "noise_10db", "put_that_in_the_box",
}  # fmt: skip
NAMES = sorted(p.name for p in EPISODES.iterdir())
BUDGET_BYTES = 12_000_000


def truth(name: str) -> dict[str, Any]:
    return dict(json.loads((EPISODES / name / "truth.json").read_text()))


def audio(name: str) -> tuple[int, np.ndarray]:
    with wave.open(str(EPISODES / name / "audio.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)


def level_db(samples: np.ndarray) -> float:
    return float(20 * np.log10(max(np.sqrt(np.mean((samples / 32768.0) ** 2)), 1e-9)))


@pytest.fixture(scope="module")
def camera() -> dict[str, Any]:
    return dict(json.loads((HERE / "camera.json").read_text()))


def project(camera: dict[str, Any], points_base: Any) -> np.ndarray:
    to_cam = np.linalg.inv(np.array(camera["T_base_cam"]))
    cam = np.asarray(points_base) @ to_cam[:3, :3].T + to_cam[:3, 3]
    px = cam @ np.array(camera["K"]).T
    return np.asarray(px[:, :2] / px[:, 2:])


def test_the_required_episodes_are_there_and_small() -> None:
    assert set(NAMES) >= REQUIRED
    size = sum(p.stat().st_size for p in EPISODES.rglob("*") if p.is_file())
    assert size < BUDGET_BYTES


@pytest.mark.parametrize("name", NAMES)
def test_video_and_audio_have_the_length_that_truth_says(name: str) -> None:
    t = truth(name)
    assert (t["schema"], t["name"]) == (1, name)
    video = cv2.VideoCapture(str(EPISODES / name / "video.mp4"))
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(t["fps"])
    frames = 0
    while True:
        found, frame = video.read()
        if not found:
            break
        assert frame.shape == (t["height"], t["width"], 3)
        frames += 1
    assert frames == t["n_frames"] == len(t["hand"]) == round(t["duration_s"] * t["fps"])
    rate, samples = audio(name)
    assert rate == t["audio"]["sample_rate_hz"] == 16000
    assert len(samples) == round(t["duration_s"] * rate)


@pytest.mark.parametrize("name", NAMES)
def test_words_are_where_the_sound_is(name: str) -> None:
    t = truth(name)
    rate, samples = audio(name)
    quiet = level_db(samples[: int(0.5 * rate)])
    last = 0.0
    for utterance in t["utterances"]:
        words = utterance["words"]
        assert [w["word"] for w in words] == utterance["text"].split()
        assert words[0]["start_s"] == pytest.approx(utterance["start_s"], abs=1e-3)
        assert words[-1]["end_s"] == pytest.approx(utterance["end_s"], abs=1e-3)
        assert utterance["start_s"] - last >= 0.8
        for word in words:
            assert last <= word["start_s"] < word["end_s"]
            last = word["end_s"]
            part = samples[int(word["start_s"] * rate) : int(word["end_s"] * rate)]
            assert level_db(part) > quiet + (3 if t["audio"]["snr_db"] is not None else 25)
        if t["audio"]["snr_db"] is None:
            after = samples[int((last + 0.05) * rate) : int((last + 0.5) * rate)]
            assert level_db(after) < -50
    assert t["duration_s"] - last >= 2.0
    assert np.abs(samples).max() < 32767


@pytest.mark.parametrize("name", NAMES)
def test_rays_hit_their_targets_and_landmarks_project(name: str, camera: dict[str, Any]) -> None:
    t = truth(name)
    for row in t["hand"]:
        if not row["visible"]:
            assert row["landmarks_px"] is row["ray_origin_base_m"] is None
            continue
        points = np.array(row["landmarks_base_m"])
        assert points.shape == (21, 3)
        assert np.abs(project(camera, points) - row["landmarks_px"]).max() < 0.1
        origin, way = np.array(row["ray_origin_base_m"]), np.array(row["ray_direction_base"])
        assert np.linalg.norm(way) == pytest.approx(1, abs=1e-4)
        finger = points[8] - points[5]
        assert way @ finger / np.linalg.norm(finger) > 0.9999
        if row["phase"] == "hold":
            to_target = np.array(row["target_base_m"]) - origin
            assert np.linalg.norm(np.cross(to_target, way)) < 0.01
            assert 0.10 <= np.linalg.norm(points[8] - row["target_base_m"]) <= 0.25
        else:
            assert row["target_base_m"] is None


@pytest.mark.parametrize("name", NAMES)
def test_the_hand_holds_still_over_the_deictic_word(name: str) -> None:
    t = truth(name)
    held = [row["frame"] / t["fps"] for row in t["hand"] if row["phase"] == "hold"]
    for utterance in t["utterances"]:
        mine = [s for s in held if utterance["start_s"] < s < utterance["end_s"] + 0.5]
        deictic = [w for w in utterance["words"] if w["word"] in ("that", "there")]
        if not mine or not deictic:
            continue
        assert min(mine) <= deictic[0]["start_s"]
        assert max(mine) >= deictic[0]["end_s"]
        assert max(mine) > utterance["end_s"] + 0.2


@pytest.mark.parametrize("name", NAMES)
def test_objects_and_actions_refer_to_each_other(name: str, camera: dict[str, Any]) -> None:
    t = truth(name)
    ids = [o["id"] for o in t["objects"]]
    assert len(set(ids)) == len(ids) >= 6
    kinds = json.loads((HERE / "gallery" / "gallery.json").read_text())
    for item in t["objects"]:
        assert kinds[item["kind"]]["colour"] == item["colour"]
        assert item["name"] in kinds[item["kind"]]["names"]
        px = project(camera, [item["position_base_m"]])[0]
        assert (px > 8).all()
        assert (px < [camera["width"] - 8, camera["height"] - 8]).all()
    least = min(
        np.linalg.norm(np.subtract(a["position_base_m"], b["position_base_m"])[:2])
        for i, a in enumerate(t["objects"])
        for b in t["objects"][:i]
    )
    assert least >= (0.125 if name == "distractor" else 0.14)
    for action in t["expected_actions"]:
        command = t["utterances"][action["utterance"]]["command"]
        assert {k: action[k] for k in command} == command
        for key in ("object", "destination_object"):
            assert action[key] is None or action[key] in ids
    if name == "out_of_domain":
        assert t["expected_actions"] == []
        assert any(row["visible"] for row in t["hand"])


def test_the_gallery_shows_every_kind() -> None:
    kinds = json.loads((HERE / "gallery" / "gallery.json").read_text())
    assert len(kinds) >= 6
    for kind, about in kinds.items():
        assert about["names"]
        views = sorted((HERE / "gallery" / kind).glob("*.png"))
        assert len(views) == 4
        for view in views:
            picture = cv2.imread(str(view))
            assert picture is not None
            assert picture.shape == (128, 128, 3)


def test_the_still_table_is_the_first_frame_of_its_episode() -> None:
    still = cv2.imread(str(HERE / "table.png"))
    found, frame = cv2.VideoCapture(str(EPISODES / "red_cup_no_gesture" / "video.mp4")).read()
    assert found
    assert still is not None
    assert np.abs(still.astype(int) - frame.astype(int)).mean() < 2.0
