"""``deixis calibrate camera`` as a user runs it, on pictures and on a video."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest
from rich.console import Console

from deixis.__main__ import main
from deixis.calibration.boards import CharucoTarget
from deixis.calibration.camera import gather
from deixis.calibration.dictionaries import Image
from deixis.calibration.footage import Footage, Shot
from deixis.calibration.poses import pose
from deixis.calibration.store import camera_path, load_camera, load_standing_camera, save_camera
from deixis.runtime.errors import CalibrationError
from tests.calibration.conftest import MIDDLE, SIZE, K, view_from
from tests.calibration.rendering import Renderer, Sheet, looking_at

Folder = Callable[[list[Image]], Path]


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def calibrate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["calibrate", "camera", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def test_pictures_become_a_calibration(
    tmp_path: Path, good_pictures: list[Image], folder_of: Folder, renderer: Renderer, sheet: Sheet
) -> None:
    blurred = renderer.picture(sheet, view_from(0, 20, 0.4, np.zeros(2)), motion_px=6)
    empty = np.full_like(blurred, 90)
    folder = folder_of([*good_pictures, good_pictures[0], blurred, empty])
    out = tmp_path / "cam.json"
    command = [sys.executable, "-m", "deixis", "calibrate", "camera"]
    done = subprocess.run(
        [*command, "--images", str(folder / "*.png"), "--device-id", "table", "--out", str(out)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    camera = load_camera(out)
    assert (camera.device_id, camera.width, camera.height) == ("table", *SIZE)
    assert camera.K[0, 0] == pytest.approx(K[0, 0], rel=0.005)
    assert camera.K[1, 1] == pytest.approx(K[1, 1], rel=0.005)
    assert camera.n_views == len(good_pictures)
    assert not camera.stands_in_base
    for verdict in ("no board", "blurred", "seen before"):
        assert re.search(f"passed over: {verdict} +1 ", done.stdout)
    assert "focal length" in done.stdout
    assert "next: deixis calibrate extrinsics" in done.stdout
    assert camera.picture == "cam.png"
    picture = cv2.imread(str(out.with_name(camera.picture)))
    assert picture is not None
    assert picture.shape[1] > 1000
    with pytest.raises(CalibrationError, match="not known where camera 'table' stands"):
        load_standing_camera(out)


def test_a_video_becomes_a_calibration_and_the_place_is_kept(
    tmp_path: Path, good_pictures: list[Image], capsys: pytest.CaptureFixture[str]
) -> None:
    video = tmp_path / "hand held.mp4"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"mp4v"), 10, SIZE)
    for picture in good_pictures:
        for _ in range(2):
            writer.write(picture)
    writer.release()
    code, report = calibrate(capsys, "--video", str(video))
    assert code == 0
    path = camera_path("hand-held")
    assert report["file"] == str(path)
    assert report["passed_over"]["seen before"] >= len(good_pictures) // 2
    # MPEG-4 costs some accuracy, no more.
    assert report["K"][0][0] == pytest.approx(K[0, 0], rel=0.01)
    assert Path(report["picture"]).is_file()
    standing = msgspec.structs.replace(
        load_camera(path), T_base_cam=pose([1.0, 2.0, 0.5], [0, 0, 0.6]), extrinsics_at="2026-01-01"
    )
    save_camera(standing, path)
    code, report = calibrate(capsys, "--video", str(video))
    assert code == 0
    assert report["stands_in_base"]
    again = load_camera(path)
    np.testing.assert_array_equal(again.T_base_cam, standing.T_base_cam)
    assert again.extrinsics_at == "2026-01-01"
    assert again.calibrated_at >= standing.calibrated_at


def test_without_a_board_it_says_what_it_looked_for(
    folder_of: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of([np.full((480, 640, 3), 128, np.uint8)] * 2)
    code, report = calibrate(capsys, "--images", str(folder))
    assert code == 1
    assert report["error"] == (
        "no board in any of 2 pictures; looked for a ChArUco board of 7x5 squares of 36 mm, "
        "markers of 27 mm from 4X4_50"
    )
    assert "--print-board" in report["hint"]


def test_with_another_board_it_names_that(
    good_pictures: list[Image], folder_of: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(good_pictures[:1])
    code, report = calibrate(capsys, "--images", str(folder), "--dictionary", "6X6_250")
    assert code == 1
    assert "shows markers of 4X4_50: " in report["hint"]


@pytest.mark.parametrize("n", [1, 3])
def test_too_few_views(
    good_pictures: list[Image], folder_of: Folder, capsys: pytest.CaptureFixture[str], n: int
) -> None:
    code, report = calibrate(capsys, "--images", str(folder_of(good_pictures[:n])))
    assert code == 1
    assert "too few to calibrate from; 5 is the least" in report["error"]
    assert not camera_path("x").parent.exists()


def test_blurred_views_only(
    renderer: Renderer, sheet: Sheet, folder_of: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    poses = [view_from(90 * i, 25, 0.32, np.zeros(2)) for i in range(3)]
    blurred = [renderer.picture(sheet, p, motion_px=6) for p in poses]
    code, report = calibrate(capsys, "--images", str(folder_of(blurred)))
    assert code == 1
    assert "all 3 views of the board are blurred: the sharpest has edges" in report["error"]
    assert "4 is the limit" in report["error"]


def test_views_parallel_to_the_picture_only(
    renderer: Renderer, sheet: Sheet, folder_of: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    ats = [
        (MIDDLE + np.array([0.03 * i - 0.08, 0.02 * i - 0.05, 0]), 0.3 + 0.05 * i) for i in range(6)
    ]
    poses = [np.linalg.inv(looking_at(at, at + np.array([0, 0, z]))) for at, z in ats]
    folder = folder_of([renderer.picture(sheet, p) for p in poses])
    code, report = calibrate(capsys, "--images", str(folder))
    assert code == 1
    assert "parallel to the picture" in report["error"]
    assert "tilt the board" in report["hint"]


def test_pictures_of_two_sizes(
    good_pictures: list[Image], folder_of: Folder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of([good_pictures[0], cv2.resize(good_pictures[1], (320, 240))])  # type: ignore[list-item]
    code, report = calibrate(capsys, "--images", str(folder))
    assert code == 1
    assert "00.png is 640x480, 01.png is 320x240" in report["error"]


def test_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calibrate(capsys)[0] == 2
    assert calibrate(capsys, "--images", "x", "--squares", "7by5")[0] == 2
    code, report = calibrate(capsys, "--images", str(tmp_path / "*.png"))
    assert (code, report["kind"]) == (1, "MediaError")
    code, report = calibrate(capsys, "--camera", "/dev/video99")
    assert (code, report["kind"]) == (1, "DeviceError")
    assert calibrate(capsys, "--video", str(tmp_path / "none.mp4"))[0] == 1


def test_a_damaged_file_is_found_out_before_the_work(
    tmp_path: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    out = tmp_path / "cam.json"
    out.write_text("{")
    folder = folder_of(good_pictures[:1])
    code, report = calibrate(capsys, "--images", str(folder), "--out", str(out))
    assert code == 1
    assert "not valid JSON" in report["error"]


def test_the_board_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "board.pdf"
    code, report = calibrate(capsys, "--print-board", str(path), "--squares", "6x4")
    assert code == 0
    assert path.read_bytes().startswith(b"%PDF")
    assert "216 mm wide" in report["measure"]
    assert main(["calibrate", "camera", "--print-board", str(path)]) == 0
    assert "252 mm wide" in capsys.readouterr().out


def test_a_running_camera_is_left_when_there_is_enough(
    good_pictures: list[Image], board: CharucoTarget
) -> None:
    given = []

    def endless() -> Any:
        for number in range(1000):
            given.append(number)
            # Held still between two views, as people do.
            yield Shot(str(number), good_pictures[number // 2 % len(good_pictures)])

    picker = gather(board, Footage("cam", None, endless()), 4.0, Console(quiet=True))
    assert len(given) < 40
    assert picker.enough()
    assert picker.advice() == ""
