"""``deixis calibrate extrinsics`` as a user runs it: board, marker, hand-eye, wrong input."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.calibration.boards import MarkerSpec
from deixis.calibration.dictionaries import Image
from deixis.calibration.poses import Array, apart, inverse, pose_from_xyz_rpy, rotation_vector
from deixis.calibration.store import (
    CameraCalibration,
    camera_path,
    load_camera,
    load_standing_camera,
    save_camera,
)
from tests.calibration.conftest import good_views, view_from
from tests.calibration.rendering import Renderer, Sheet, looking_at, marker_sheet
from tests.calibration.test_hand_eye import T_GRIPPER_CAM, gripper_poses

Folder = Callable[[list[Image]], Path]
BOARD_IN_BASE = (0.4, 0.1, 0.0, 0.0, 0.0, -90.0)


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


@pytest.fixture
def calibration(tmp_path: Path, true_camera: CameraCalibration) -> Path:
    path = tmp_path / "cam.json"
    save_camera(true_camera, path)
    return path


def extrinsics(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    code = main(["calibrate", "extrinsics", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


def assert_near(found: Array, truth: Array) -> None:
    shift_m, turn_rad = apart(found, truth)
    assert shift_m < 0.003
    assert math.degrees(turn_rad) < 0.3


def text(values: tuple[float, ...]) -> str:
    return ",".join(map(str, values))


def test_a_board_on_the_table(
    calibration: Path, renderer: Renderer, sheet: Sheet, folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    T_cam_sheet = view_from(-70, 45, 0.65, np.zeros(2))
    folder = folder_of([renderer.picture(sheet, T_cam_sheet, seed=i) for i in range(4)])
    code, report = extrinsics(
        capsys, "--images", str(folder), "--calibration", str(calibration),
        f"--board-in-base={text(BOARD_IN_BASE)}",
    )  # fmt: skip
    assert code == 0
    camera = load_standing_camera(calibration)
    assert_near(camera.T_base_cam, pose_from_xyz_rpy(BOARD_IN_BASE) @ inverse(T_cam_sheet))
    residual = camera.extrinsics_residual
    assert residual is not None
    assert (residual.method, residual.n_views) == ("board", 4)
    assert residual.translation_mm < 2
    assert camera.extrinsics_at is not None
    picture = cv2.imread(str(calibration.with_name("cam.extrinsics.png")))
    assert picture is not None
    assert residual.picture == "cam.extrinsics.png"
    assert report["spread_mm"] < 2


def test_a_marker_and_the_only_calibration_there_is(
    true_camera: CameraCalibration, renderer: Renderer, folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    save_camera(true_camera, camera_path("only"))
    spec = MarkerSpec(id=3, size_m=0.15, dictionary="APRILTAG_36h11")
    T_sheet_cam = looking_at([0.02, 0.01, 0], [0.3, -0.15, 0.4], 0.1)
    pictures = [
        renderer.picture(marker_sheet(spec), inverse(T_sheet_cam), seed=i) for i in range(4)
    ]
    code, report = extrinsics(
        capsys, "--images", str(folder_of(pictures)), "--marker", "3", "--marker-mm", "150",
        "--dictionary", "APRILTAG_36h11",
    )  # fmt: skip
    assert code == 0
    assert report["file"] == str(camera_path("only"))
    assert report["residual"]["method"] == "marker"
    assert_near(load_camera(camera_path("only")).T_base_cam, T_sheet_cam)


def quaternion(matrix: Array) -> list[float]:
    vector = rotation_vector(matrix)
    angle = float(np.linalg.norm(vector))
    return [*(vector / angle * math.sin(angle / 2)), math.cos(angle / 2)]


def written_poses(folder: Path, hands: list[Array]) -> Path:
    views: list[dict[str, Any]] = [
        {"picture": f"{i:02d}.png", "T_base_gripper": h.tolist()} for i, h in enumerate(hands)
    ]
    views[1] = {
        "picture": "01.png", "xyz_m": hands[1][:3, 3].tolist(),
        "quaternion_xyzw": quaternion(hands[1]),
    }  # fmt: skip
    path = folder / "poses.json"
    path.write_text(json.dumps({"schema": 1, "views": views}))
    return path


def test_a_camera_on_the_arm(
    calibration: Path, tmp_path: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    hands = gripper_poses([*good_views()[:8], good_views()[8]])
    folder = folder_of([*good_pictures[:8], np.full_like(good_pictures[0], 90)])
    poses = written_poses(folder, hands)
    out = tmp_path / "wrist.json"
    code, report = extrinsics(
        capsys, "--poses", str(poses), "--calibration", str(calibration), "--out", str(out)
    )
    assert code == 0
    camera = load_camera(out)
    assert camera.T_gripper_cam is not None
    assert_near(camera.T_gripper_cam, T_GRIPPER_CAM)
    assert report["without_board"] == ["08.png"]
    assert report["residual"]["n_views"] == 8
    assert report["disagreement_mm"] < 3
    assert out.with_name("wrist.extrinsics.png").is_file()
    # The file that was read stays as it was.
    assert load_camera(calibration).T_gripper_cam is None
    assert main(["calibrate", "extrinsics", "--poses", str(poses), "--calibration", str(out)]) == 0
    shown = capsys.readouterr().out
    assert "in the gripper's frame" in shown
    assert "no board in 08.png" in shown


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xyz_m": [0, 0, 0]}, "view 0 has neither T_base_gripper nor xyz_m with quaternion"),
        ({"xyz_m": [0, 0, 0], "quaternion_xyzw": [0, 0, 0, 2]}, "length is 2.000, not 1"),
        ({"T_base_gripper": [[1, 0], [0, 1]]}, "is not a 4x4 matrix"),
        ({"T_base_gripper": [[1, 0], [0]]}, "T_base_gripper is no matrix"),
        ({"pose": 1}, "unknown field `pose`"),
    ],
)
def test_wrong_poses_are_named(
    calibration: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any],
    message: str,
) -> None:  # fmt: skip
    path = tmp_path / "poses.json"
    path.write_text(json.dumps({"schema": 1, "views": [{"picture": "1.png", **change}]}))
    code, report = extrinsics(capsys, "--poses", str(path), "--calibration", str(calibration))
    assert code == 1
    assert message in report["error"]


def test_two_poses_are_too_few(
    calibration: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    poses = written_poses(folder_of(good_pictures[:2]), gripper_poses(good_views()[:2]))
    code, report = extrinsics(capsys, "--poses", str(poses), "--calibration", str(calibration))
    assert code == 1
    assert "2 poses with a picture of the board are too few" in report["error"]


def test_pictures_without_the_target(
    calibration: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = folder_of(good_pictures[:1])
    code, report = extrinsics(
        capsys, "--images", str(folder), "--calibration", str(calibration), "--marker", "40",
        "--marker-mm", "50",
    )  # fmt: skip
    assert code == 1
    assert report["error"] == (
        "none of 1 pictures shows the target; looked for a marker 40 of 4X4_50, 50 mm wide"
    )
    assert "4X4_50: " in report["hint"]
    poses = written_poses(
        folder_of([np.zeros((480, 640, 3), np.uint8)] * 2), gripper_poses(good_views()[:2])
    )
    code, report = extrinsics(capsys, "--poses", str(poses), "--calibration", str(calibration))
    assert code == 1
    assert "none of 2 pictures shows the target" in report["error"]


def test_a_board_that_moves(
    calibration: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = folder_of(good_pictures[:3])
    code, report = extrinsics(capsys, "--images", str(folder), "--calibration", str(calibration))
    assert code == 1
    assert "the target or the camera moved" in report["error"]
    assert not load_camera(calibration).stands_in_base


def test_pictures_of_another_aspect_ratio(
    calibration: Path, good_pictures: list[Image], folder_of: Folder,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = folder_of([np.ascontiguousarray(good_pictures[2][:400])])
    code, report = extrinsics(capsys, "--images", str(folder), "--calibration", str(calibration))
    assert code == 1
    assert "another aspect ratio" in report["error"]


def test_wrong_usage(
    calibration: Path, true_camera: CameraCalibration, capsys: pytest.CaptureFixture[str]
) -> None:
    assert extrinsics(capsys, "--calibration", str(calibration))[0] == 2
    assert extrinsics(capsys, "--calibration", str(calibration), "--marker", "3")[0] == 2
    assert extrinsics(capsys, "--calibration", str(calibration), "--board-in-base=1,2")[0] == 2
    code, report = extrinsics(capsys, "--images", "x")
    assert (code, report["hint"]) == (2, "there is none yet: deixis calibrate camera")
    for name in ("a", "b"):
        save_camera(true_camera, camera_path(name))
    code, report = extrinsics(capsys, "--images", "x")
    assert code == 2
    assert str(camera_path("b")) in report["hint"]
    assert extrinsics(capsys, "--calibration", "none.json", "--images", "x")[0] == 1


def test_the_marker_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "marker.png"
    code, report = extrinsics(
        capsys, "--print-board", str(path), "--marker", "3", "--marker-mm", "120"
    )
    assert code == 0
    assert path.is_file()
    assert "120 mm wide" in report["measure"]
