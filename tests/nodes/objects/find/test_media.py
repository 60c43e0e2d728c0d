from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.nodes.objects.find.media import MediaFile, duration_s, media_files, samples
from deixis.runtime.errors import MediaError
from tests.nodes.objects.find.drawing import table, write_video


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep").mkdir()
    write_video(tmp_path / "deep" / "b.avi", [table(64, 48)] * 25)
    cv2.imwrite(str(tmp_path / "a.png"), table(64, 48))
    cv2.imwrite(str(tmp_path / ".hidden.png"), table(64, 48))
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_is_searched_all_the_way_down(folder: Path) -> None:
    found = media_files([folder, folder / "a.png"])
    assert [f.path.name for f in found] == ["a.png", "b.avi"]
    assert [f.named for f in found] == [True, False]
    assert [f.is_video for f in found] == [False, True]


def test_a_video_is_looked_at_at_the_pace_that_is_asked_for(folder: Path) -> None:
    video = MediaFile(folder / "deep" / "b.avi", named=True)
    assert duration_s(video) == pytest.approx(2.5, abs=0.05)
    assert [s.at_s for s in samples(video, 0.5)] == pytest.approx([0, 0.5, 1, 1.5, 2], abs=0.02)
    assert len(list(samples(video, 0.04))) == 25


def test_a_picture_is_one_sample(folder: Path) -> None:
    (sample,) = samples(MediaFile(folder / "a.png", named=True), 0.5)
    assert sample.at_s == 0
    assert sample.image.shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.mp4", "there is no file or folder"),
        ("notes.txt", "neither a video nor a picture"),
        ("talk.mcap", "MCAP are not searched yet"),
    ],
)
def test_what_cannot_be_searched_is_named(folder: Path, name: str, message: str) -> None:
    if name.endswith(".mcap"):
        (folder / name).write_bytes(b"\x89MCAP0\r\n")
    with pytest.raises(MediaError, match=message):
        media_files([folder / name])


def test_a_recording_in_a_folder_is_told_of(folder: Path) -> None:
    (folder / "talk.mcap").write_bytes(b"\x89MCAP0\r\n")
    recording = next(f for f in media_files([folder]) if f.path.suffix == ".mcap")
    assert not recording.named
    with pytest.raises(MediaError, match="MCAP are not searched yet"):
        next(samples(recording, 0.5))


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no video or picture"):
        media_files([tmp_path])


@pytest.mark.parametrize("name", ["broken.mp4", "broken.png"])
def test_a_damaged_file_is_an_error(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(np.random.default_rng(0).bytes(2000))
    with pytest.raises(MediaError, match="OpenCV can read"):
        list(samples(MediaFile(tmp_path / name, named=True), 0.5))
