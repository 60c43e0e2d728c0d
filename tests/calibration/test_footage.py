from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.calibration import footage
from deixis.calibration.footage import (
    camera_frames,
    device_name,
    picture_files,
    safe_name,
    video_frames,
)
from deixis.runtime import devices
from deixis.runtime.errors import DeviceError, MediaError


def picture(level: int) -> np.ndarray:
    return np.full((48, 64, 3), level, np.uint8)


def test_pictures_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = tmp_path / "my camera"
    folder.mkdir()
    for name, level in (("b.png", 2), ("a.PNG", 1), ("c.bmp", 3)):
        cv2.imwrite(str(folder / name), picture(level))
    (folder / "notes.txt").write_text("no picture")
    found = picture_files(str(folder))
    assert (found.device_id, found.total) == ("my-camera", 3)
    assert [(s.name, int(s.image[0, 0, 0])) for s in found.shots] == [
        ("a.PNG", 1), ("b.png", 2), ("c.bmp", 3),
    ]  # fmt: skip
    assert picture_files(str(folder / "*.png")).total == 1


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="there is no picture at"):
        picture_files(str(tmp_path))
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(MediaError, match=r"bad\.png is not a picture"):
        list(picture_files(str(tmp_path)).shots)


def test_a_long_video_is_sampled_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (64, 48))
    for level in range(50):
        writer.write(picture(5 * level))
    writer.release()
    assert len(list(video_frames(path).shots)) == 50
    monkeypatch.setattr(footage, "_MOST_FRAMES", 20)
    found = video_frames(path)
    shots = list(found.shots)
    assert [s.name for s in shots] == [f"frame {i}" for i in range(0, 50, 3)]
    assert found.total == 16
    np.testing.assert_allclose([s.image.mean() for s in shots], np.arange(0, 250, 15), atol=3)
    path.write_bytes(b"nothing")
    with pytest.raises(MediaError, match="not a video"):
        video_frames(path)


class Camera:
    """A camera of 3 pictures, then nothing."""

    released = 0

    def __init__(self, *_: Any) -> None:
        self._left = 4

    def set(self, *_: Any) -> bool:
        return True

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self._left -= 1
        return True

    def read(self) -> tuple[bool, Any]:
        self._left -= 1
        return self._left >= 0, picture(9)

    def release(self) -> None:
        Camera.released += 1


@pytest.fixture
def camera(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(devices.cv2, "VideoCapture", Camera)
    monkeypatch.setattr(footage, "_BY_ID", tmp_path / "by-id")
    return device


def test_a_camera_that_stops_is_an_error(camera: Path) -> None:
    found = camera_frames(str(camera), width=64, height=48, seconds=60)
    assert (found.device_id, found.total) == ("video0", None)
    assert [next(found.shots).name for _ in range(3)] == ["picture 0", "picture 1", "picture 2"]
    with pytest.raises(DeviceError, match="stopped"):
        next(found.shots)
    assert Camera.released > 0


def test_a_camera_is_left_after_a_while(camera: Path) -> None:
    assert list(camera_frames(str(camera), width=64, height=48, seconds=0).shots) == []


def test_a_cameras_name_does_not_depend_on_the_socket(camera: Path, tmp_path: Path) -> None:
    (tmp_path / "by-id").mkdir()
    (tmp_path / "by-id" / "usb-Maker_Cam_123-video-index0").symlink_to(camera)
    assert device_name(str(camera)) == "Maker_Cam_123"
    assert device_name("/dev/video77") == "video77"
    assert device_name("77") == "video77"


def test_names_that_cannot_be_files() -> None:
    assert safe_name("a/b c") == "a-b-c"
    assert safe_name("../") == "camera"
