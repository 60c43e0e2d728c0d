from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.export.bench.objects_data import load
from deixis.runtime.errors import ConfigError, MediaError


@pytest.fixture
def folder(episodes: Path, tmp_path: Path) -> Path:
    """One scene of one picture with one thing, and a gallery that shows it."""
    scene = tmp_path / "one"
    scene.mkdir()
    shutil.copy(episodes.parent / "camera.json", scene)
    cv2.imwrite(str(scene / "0000.png"), np.zeros((480, 640, 3), np.uint8))
    gallery = tmp_path / "gallery"
    (gallery / "red_cup").mkdir(parents=True)
    (gallery / "gallery.json").write_text('{"red_cup": {"names": ["cup"]}}')
    write(tmp_path)
    return tmp_path


def write(folder: Path, **changes: Any) -> None:
    truth = {
        "objects": [
            {"id": "a", "kind": "red_cup", "name": "cup", "colour": "red"},
            {"id": "b", "kind": "vase", "name": "vase"},
        ],
        "frames": [
            {
                "objects": [
                    {"id": "a", "position_base_m": [0.5, 0, 0.04], "box_px": [1, 2, 3, 4]},
                    {"id": "b", "position_base_m": [0.6, 0, 0.1], "visible": 0.4, "held": True},
                ]
            }
        ],
        **changes,
    }
    (folder / "one" / "truth.json").write_text(json.dumps(truth))


def test_a_scene(folder: Path) -> None:
    data = load(folder)
    assert data.gallery == folder / "gallery"
    (scene,) = data.scenes
    assert (scene.name, scene.is_video, scene.hand) == ("one", False, (False,))
    a, b = scene.frames[0]
    assert (a.name, a.colour, a.known, a.visible, a.held) == ("cup", "red", True, 1.0, False)
    assert (b.name, b.colour, b.known, b.visible, b.held) == ("vase", None, False, 0.4, True)
    assert a.box_px == (1, 2, 3, 4)


def test_the_episodes_are_scenes_in_which_things_stand(episodes: Path) -> None:
    data = load(episodes.parent, limit=2)
    assert data.gallery is not None
    assert len(data.scenes) == 2
    scene = data.scenes[0]
    assert scene.is_video
    assert len(scene.frames) > 50
    assert scene.frames[0] == scene.frames[-1]
    assert all(one.known for one in scene.frames[0])


def test_what_is_wrong_with_a_scene(folder: Path) -> None:
    write(folder, frames=[{"objects": [{"id": "c", "position_base_m": [0, 0, 0]}]}])
    with pytest.raises(ConfigError, match="names 'c'"):
        load(folder)
    write(folder, frames=[{"objects": [{"id": "a", "position_base_m": [0, 0]}]}])
    with pytest.raises(ConfigError, match="position_base_m"):
        load(folder)
    write(folder, frames=None)
    with pytest.raises(ConfigError, match="'a' has no position_base_m"):
        load(folder)
    write(folder, frames=[{"objects": []}] * 2)
    with pytest.raises(MediaError, match="2 frames, and there are 1 pictures"):
        load(folder)
    write(folder)
    (folder / "one" / "camera.json").unlink()
    with pytest.raises(MediaError, match="needs its camera"):
        load(folder)
    (folder / "one" / "truth.json").write_text("{")
    with pytest.raises(ConfigError, match=r"truth\.json"):
        load(folder)


def test_classes(tmp_path: Path) -> None:
    for name, count in (("cup", 3), ("milk_carton", 2), ("unknown", 1), ("empty", 0)):
        (tmp_path / name).mkdir()
        for k in range(count):
            (tmp_path / name / f"{k}.jpg").write_bytes(b"")
    data = load(tmp_path)
    assert {name: len(paths) for name, paths in data.classes.items()} == {
        "cup": 3, "milk_carton": 2,
    }  # fmt: skip
    assert [path.name for path in data.unknown] == ["0.jpg"]
    (tmp_path / "cup" / "1.jpg").unlink()
    (tmp_path / "cup" / "2.jpg").unlink()
    with pytest.raises(ConfigError, match="holds one picture") as error:
        load(tmp_path)
    assert error.value.hint is not None
    shutil.rmtree(tmp_path / "cup")
    with pytest.raises(ConfigError, match="one class"):
        load(tmp_path)


def test_folders_that_are_neither(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no folder"):
        load(tmp_path / "none")
    with pytest.raises(ConfigError, match="neither scenes"):
        load(tmp_path)
