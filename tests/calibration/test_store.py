from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.calibration.store import CameraCalibration, load_camera, plane_hit, save_camera
from deixis.runtime.errors import CalibrationError


def camera(**changes: Any) -> CameraCalibration:
    """A camera 0.65 m above the base that looks ahead and down."""
    forward = np.array([0.58, 0.0, -0.59]) / np.linalg.norm([0.58, 0.0, -0.59])
    right = np.array([0.0, -1.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = [0.0, 0.0, 0.65]
    values: dict[str, Any] = {
        "device_id": "test",
        "width": 640,
        "height": 480,
        "K": np.array([[490.0, 0, 319.5], [0, 480.0, 239.5], [0, 0, 1]]),
        "distortion": np.array([0.05, -0.02, 0.001, 0.001, 0.0]),
        "T_base_cam": pose,
        "calibrated_at": "2026-11-25T00:00:00Z",
        "reprojection_error_px": 0.2,
    }
    return CameraCalibration(**(values | changes))


def written(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "camera.json"
    save_camera(camera(), path)
    data = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(data))
    return path


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "camera.json"
    save_camera(camera(), path)
    loaded = load_camera(path)
    assert loaded.device_id == "test"
    np.testing.assert_array_equal(loaded.K, camera().K)
    np.testing.assert_array_equal(loaded.T_base_cam, camera().T_base_cam)
    assert [p.name for p in path.parent.iterdir()] == ["camera.json"]


@given(x=st.floats(0, 639), y=st.floats(0, 479), distance_m=st.floats(0.2, 5))
def test_a_pixels_ray_projects_back_to_the_pixel(x: float, y: float, distance_m: float) -> None:
    origin, direction = camera().pixel_ray_base((x, y))
    assert np.linalg.norm(direction) == pytest.approx(1)
    back = camera().project(origin + distance_m * direction)
    np.testing.assert_allclose(back, [[x, y]], atol=0.02)


def test_points_behind_the_camera_have_no_pixel() -> None:
    assert np.isnan(camera().project([[-1.0, 0.0, 0.65]])).all()


def test_plane_hit() -> None:
    np.testing.assert_allclose(plane_hit([0, 0, 1], [1, 0, -1]), [1, 0, 0])
    np.testing.assert_allclose(plane_hit([0, 0, 1], [1, 0, -1], z_m=0.5), [0.5, 0, 0.5])
    assert plane_hit([0, 0, 1], [1, 0, 1]) is None
    assert plane_hit([0, 0, 1], [1, 0, 0]) is None


def test_the_same_ray_at_half_the_size() -> None:
    half = camera().for_frame(320, 240)
    # The centre of a pixel of the small picture is the corner between four of the large one.
    _, small = half.pixel_ray_base((100.0, 50.0))
    _, large = camera().pixel_ray_base((200.5, 100.5))
    np.testing.assert_allclose(small, large, atol=1e-12)


def test_another_aspect_ratio_is_refused() -> None:
    with pytest.raises(CalibrationError, match=r"640x480.*1280x720"):
        camera().for_frame(1280, 720)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no camera calibration") as caught:
        load_camera(tmp_path / "none.json")
    assert "--set hands.calibration=" in caught.value.hint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 2}, "schema 2"),
        ({"K": [[490, 0], [0, 490]]}, r"K is \(2, 2\)"),
        ({"K": [[490, 0, "x"], [0, 490, 2], [0, 0, 1]]}, "not an array of numbers"),
        ({"K": [[-490, 0, 1], [0, 490, 2], [0, 0, 1]]}, "not a camera matrix"),
        ({"T_base_cam": np.diag([1, 1, 1.2, 1]).tolist()}, "does not hold a rotation"),
        ({"T_base_cam": np.diag([1, 1, -1, 1]).tolist()}, "does not hold a rotation"),
        ({"distortion": [0, 0, 0]}, "3 distortion coefficients"),
        ({"height": 0}, "640x0"),
        ({"colour": "black"}, "colour"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        load_camera(written(tmp_path, **changes))


def test_a_file_that_is_not_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    path.write_bytes(b"\xff\xfe{")
    with pytest.raises(CalibrationError, match="not valid JSON"):
        load_camera(path)


def test_nothing_invalid_is_written(tmp_path: Path) -> None:
    path = tmp_path / "camera.json"
    with pytest.raises(CalibrationError, match="not finite"):
        save_camera(camera(distortion=np.full(5, np.nan)), path)
    assert not path.exists()
