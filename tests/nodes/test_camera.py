from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.calibration.av_sync import AvSync, save_av_sync
from deixis.nodes.camera import CameraNode
from deixis.runtime import devices
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import CalibrationError, DeviceError, MediaError
from deixis.runtime.messages import Frame, Header, Playback
from deixis.runtime.testing import NodeBench

N_FRAMES = 15
FPS = 30


def brightness(index: int) -> int:
    return 40 + 12 * index


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Half a second in which every frame has its own brightness."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (64, 48))
    for index in range(N_FRAMES):
        writer.write(np.full((48, 64, 3), brightness(index), np.uint8))
    writer.release()
    return path


def indices(frames: list[Frame]) -> list[int]:
    """Which frames of the clip these are, by their brightness."""
    return [round((float(f.image.mean()) - brightness(0)) / 12) for f in frames]


def playback(path: Path | str, start_ns: int) -> Playback:
    return Playback(Header(start_ns), audio_path=None, video_path=str(path), start_ns=start_ns)


def test_a_file_is_paced_and_stamped(video: Path) -> None:
    with NodeBench(CameraNode, {"source": str(video)}) as bench:
        start_ns = bench.clock.now_ns()
        bench.advance(1000 * 4.5 / FPS)
        frames = bench.outputs["frame"]
        assert indices(frames) == [0, 1, 2, 3, 4]
        stamps = [f.header.stamp_ns - start_ns for f in frames]
        assert stamps == [round(k * NS_PER_S / FPS) for k in range(5)]
        assert frames[0].image.shape == (48, 64, 3)
        assert frames[0].image.dtype == np.uint8


def test_the_end_of_a_file_leaves_the_node_idle(video: Path) -> None:
    with NodeBench(CameraNode, {"source": str(video)}) as bench:
        bench.advance(2000)
        assert indices(bench.outputs["frame"]) == list(range(N_FRAMES))
        assert bench.node.next_tick_ns() is None


def test_a_looped_file_goes_on_without_a_gap_as_a_new_stream(video: Path) -> None:
    with NodeBench(CameraNode, {"source": str(video), "loop": True}) as bench:
        bench.advance(1000 * (N_FRAMES + 2.5) / FPS)
        frames = bench.outputs["frame"]
        assert indices(frames) == [*range(N_FRAMES), 0, 1, 2]
        steps = np.diff([f.header.stamp_ns for f in frames]) / NS_PER_S * FPS
        np.testing.assert_allclose(steps, 1, atol=1e-6)
        assert frames[0].stream != frames[-1].stream


def test_late_frames_are_skipped_not_queued(video: Path, caplog: pytest.LogCaptureFixture) -> None:
    with NodeBench(CameraNode, {"source": str(video)}) as bench:
        start_ns = bench.clock.now_ns()
        bench.advance(10)
        # The process was held up: frames 1 to 6 are over when it runs again.
        bench.clock.advance_to(start_ns + round(7.5 / FPS * NS_PER_S))
        with caplog.at_level(logging.WARNING):
            bench.node.tick()
        bench.advance(1000 * 1.1 / FPS)
        assert indices(bench.outputs["frame"]) == [0, 7, 8]
        assert "6 frames" in caplog.text


def test_a_video_later_than_its_end_is_simply_over(video: Path) -> None:
    with NodeBench(CameraNode, {}) as bench:
        bench.send("playback", playback(video, bench.clock.now_ns() - 10 * NS_PER_S))
        bench.advance(100)
        assert bench.outputs["frame"] == []
        assert bench.node.next_tick_ns() is None


@pytest.mark.parametrize("content", [None, b"this is no video"])
def test_an_unreadable_file_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "broken.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match=r"broken\.mp4"):
        NodeBench(CameraNode, {"source": str(path)})


def test_a_missing_device_is_an_error() -> None:
    with pytest.raises(DeviceError, match="there is no camera /dev/video97"):
        NodeBench(CameraNode, {"source": "97"})


def test_playback_takes_over_and_gives_back(video: Path, tmp_path: Path) -> None:
    with NodeBench(CameraNode, {"source": str(video), "loop": True}) as bench:
        bench.advance(1000 * 2.5 / FPS)
        start_ns = bench.clock.now_ns() + 50 * NS_PER_MS
        bench.send("playback", playback(video, start_ns))
        bench.advance(50 + 1000 * (N_FRAMES + 3) / FPS)
        frames = bench.outputs["frame"]
        streams = list(dict.fromkeys(f.stream for f in frames))
        assert len(streams) == 3
        played = [f for f in frames if f.stream == streams[1]]
        assert indices(played) == list(range(N_FRAMES))
        assert played[0].header.stamp_ns == start_ns
        assert indices([f for f in frames if f.stream == streams[2]])[0] == 0


def test_an_idle_node_plays_back_and_is_idle_again(video: Path) -> None:
    with NodeBench(CameraNode, {}, base_dir=video.parent) as bench:
        bench.advance(100)
        assert bench.outputs["frame"] == []
        bench.send("playback", playback(video.name, bench.clock.now_ns()))
        bench.advance(1000)
        assert indices(bench.outputs["frame"]) == list(range(N_FRAMES))
        assert bench.node.next_tick_ns() is None


def test_a_bad_playback_is_noted_and_the_source_goes_on(video: Path) -> None:
    with NodeBench(CameraNode, {"source": str(video)}) as bench:
        bench.send("playback", playback("nowhere.mp4", bench.clock.now_ns()))
        assert "nowhere.mp4" in bench.node.context.notes["playback"]
        bench.advance(100)
        assert indices(bench.outputs["frame"]) == [0, 1, 2, 3]


class FakeCapture:
    """A camera that gives three frames and then vanishes, each time it is opened."""

    def __init__(self, *args: object) -> None:
        self.left = 4  # opening takes one to see whether it delivers

    def set(self, key: int, value: float) -> bool:
        return True

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self.left -= 1
        return self.left >= 0

    def retrieve(self) -> tuple[bool, Any]:
        return True, np.zeros((48, 64, 3), np.uint8)

    def release(self) -> None:
        pass


def test_a_vanished_device_is_noted_and_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = tmp_path / "video0"
    device.touch()
    monkeypatch.setattr(devices.cv2, "VideoCapture", FakeCapture)
    real = devices.Path
    monkeypatch.setattr(devices, "Path", lambda p: device if str(p) == "/dev/video0" else real(p))
    with NodeBench(CameraNode, {"source": "0"}) as bench:
        bench.advance(2)
        assert len(bench.outputs["frame"]) == 3
        first = bench.outputs["frame"][0].stream
        device.unlink()
        bench.advance(2)
        assert "there is no camera" in bench.node.context.notes["device"]
        bench.advance(5000)
        assert len(bench.outputs["frame"]) == 3
        device.touch()
        bench.advance(8000)
        assert bench.outputs["frame"][3].stream != first


def test_a_picture_stands_still_and_gives_way_to_a_playback(tmp_path: Path, video: Path) -> None:
    path = tmp_path / "table.png"
    cv2.imwrite(str(path), np.full((48, 64, 3), 250, np.uint8))
    with NodeBench(CameraNode, {"source": str(path)}) as bench:
        bench.advance(1000)
        still = bench.outputs["frame"][:]
        assert len(still) == pytest.approx(FPS, abs=1)
        assert len({f.stream for f in still}) == 1
        assert np.all(still[-1].image == 250)
        bench.send("playback", playback(video, bench.clock.now_ns()))
        bench.advance(1000)
        after = bench.outputs["frame"][len(still) :]
    assert indices(after)[:N_FRAMES] == list(range(N_FRAMES))
    assert np.all(after[-1].image == 250)
    assert after[-1].stream not in {still[0].stream, after[0].stream}


def test_a_file_that_is_no_picture(tmp_path: Path) -> None:
    path = tmp_path / "table.png"
    path.write_bytes(b"no picture")
    with pytest.raises(MediaError, match=r"table\.png is not a picture"):
        NodeBench(CameraNode, {"source": str(path)})


def test_the_offset_from_the_sound_is_taken_off_its_own_frames(tmp_path: Path, video: Path) -> None:
    sync = AvSync(
        camera_id="front", microphone="table", offset_ms=42.5, spread_ms=2.0, n_events=5,
        calibrated_at="2026-11-25T00:00:00+00:00",
    )  # fmt: skip
    save_av_sync(sync, tmp_path / "front.json")
    params = {"source": video.name, "av_sync": "front.json"}
    with NodeBench(CameraNode, params, base_dir=tmp_path) as bench:
        start_ns = bench.clock.now_ns()
        bench.advance(1000 * 2.5 / FPS)
        frames = bench.outputs["frame"]
        stamps = [f.header.stamp_ns - start_ns for f in frames]
        assert stamps == [round(k * NS_PER_S / FPS) - 42_500_000 for k in range(3)]
        # A recording is played as it was recorded: its sound is not this microphone's.
        bench.send("playback", playback(video, bench.clock.now_ns() + 10 * NS_PER_MS))
        played_ns = bench.clock.now_ns() + 10 * NS_PER_MS
        bench.advance(20)
        assert bench.outputs["frame"][-1].header.stamp_ns == played_ns


def test_an_offset_that_is_not_there_is_an_error(video: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no sound and picture offset"):
        NodeBench(CameraNode, {"source": str(video), "av_sync": "nowhere.json"})
