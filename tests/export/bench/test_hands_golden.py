from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.export.bench.hands_golden import load_goldens
from deixis.runtime.errors import ConfigError, DeixisError, MediaError

HAND = [[float(i), 2.0 * i] for i in range(21)]
WORLD = [[0.001 * i, 0.0, 0.0] for i in range(21)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "v.mp4").write_bytes(b"not looked into here")
    (tmp_path / "keypoint.csv").write_text("0,1,2\n")
    return tmp_path


def write(folder: Path, content: Any, name: str = "golden.json") -> Path:
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_a_picture(folder: Path) -> None:
    write(folder, {"image": "a.jpg", "hands": [HAND, HAND], "gesture": "palm", "unit": "pixel"})
    (golden,) = load_goldens(folder)
    assert (golden.name, golden.is_video, golden.tolerance_px) == ("a.jpg", False, 20.0)
    ((first, second),) = golden.frames
    np.testing.assert_array_equal(first.landmarks_px, HAND)
    assert (first.gesture, second.gesture, first.world_m) == ("palm", "palm", None)


def test_a_video_with_frames_of_no_one_and_several_hands(folder: Path) -> None:
    entry = {
        "video": "v.mp4",
        "frames": [None, [], HAND, [HAND], [HAND, HAND]],
        "world": [None, [], WORLD, [WORLD], [WORLD, WORLD]],
        "gesture": [None, [], "fist", ["fist"], ["fist", None]],
        "tolerance_px": 26,
        "tolerance_m": 0.015,
    }
    write(folder, entry)
    (golden,) = load_goldens(folder)
    assert golden.is_video
    assert [len(f) for f in golden.frames] == [0, 0, 1, 1, 2]
    assert (golden.tolerance_px, golden.tolerance_m) == (26, 0.015)
    np.testing.assert_array_equal(golden.frames[4][1].world_m, WORLD)
    assert [h.gesture for h in golden.frames[4]] == ["fist", None]


def test_a_list_a_single_file_and_files_about_something_else(folder: Path) -> None:
    write(folder, [{"image": "a.jpg", "hands": [HAND]}, {"video": "v.mp4", "frames": [HAND]}])
    write(folder, {"settings": 1}, "other.json")
    assert [g.name for g in load_goldens(folder)] == ["a.jpg", "v.mp4"]
    assert [g.name for g in load_goldens(folder / "golden.json")] == ["a.jpg", "v.mp4"]
    assert [g.name for g in load_goldens(folder, limit=1)] == ["a.jpg"]


def test_the_recorded_picture(shared_data: Path) -> None:
    (golden,) = load_goldens(shared_data / "hands")
    assert golden.name == "hands.jpg"
    assert [len(f) for f in golden.frames] == [2]


def test_episodes_have_true_rays(episodes: Path, tmp_path: Path) -> None:
    goldens = load_goldens(episodes, limit=2)
    shown = [hand for golden in goldens for frame in golden.frames for hand in frame]
    assert all(h.world_m is not None and h.world_m[:, 2].min() > 0.3 for h in shown)
    assert any(h.direction_base is not None for h in shown)
    assert any(h.direction_base is None for h in shown)
    # Without its camera an episode is no use.
    shutil.copytree(episodes / "look_there", tmp_path / "alone" / "look_there")
    with pytest.raises(MediaError, match=r"look_there.*needs its camera"):
        load_goldens(tmp_path / "alone")
    shutil.copy(episodes.parent / "camera.json", tmp_path / "alone")
    assert len(load_goldens(tmp_path / "alone")) == 1


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"image": "b.jpg", "hands": []}, r"golden.json names the image 'b.jpg'.*no file"),
        ({"image": 3, "hands": []}, "image: expected a file name"),
        ({"image": "a.jpg"}, "hands: expected a list"),
        ({"image": "a.jpg", "hands": [HAND[:20]]}, r"hands\[0\]: expected hands of 21 points"),
        ({"image": "a.jpg", "hands": [[["x"] * 2] * 21]}, r"hands\[0\]: expected points"),
        ({"image": "a.jpg", "hands": [[[1e999, 0.0]] * 21]}, "not finite"),
        (
            {"image": "a.jpg", "hands": [HAND], "tolerance_px": -1},
            "tolerance_px: expected a number",
        ),
        ({"video": "v.mp4", "hands": []}, "frames: expected a list"),
        ({"video": "v.mp4", "frames": [HAND], "world": []}, "world: 0 frames, and 1 of landmarks"),
        ({"video": "v.mp4", "frames": [HAND], "world": [[WORLD] * 2]}, r"world\[0\]: 2 hands"),
        ({"video": "v.mp4", "frames": [HAND], "gesture": [3]}, "expected names of gestures"),
        ({"video": "v.mp4", "frames": [HAND], "rays": [[[0, 0, 0]]]}, "expected vectors"),
        ({"nothing": 1}, 'no "image", "video" or episode'),
    ],
)
def test_what_is_wrong_is_named(folder: Path, entry: Any, message: str) -> None:
    path = write(folder, entry)
    with pytest.raises(DeixisError, match=message) as caught:
        load_goldens(path)
    assert str(path) in str(caught.value)


def test_a_folder_that_holds_nothing_golden(folder: Path) -> None:
    with pytest.raises(MediaError, match="nothing golden"):
        load_goldens(folder)
    with pytest.raises(ConfigError, match="there is no folder or file"):
        load_goldens(folder / "none")
    (folder / "broken.json").write_text("{")
    with pytest.raises(ConfigError, match=r"broken\.json is not valid JSON"):
        load_goldens(folder)
