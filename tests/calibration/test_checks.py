from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deixis.__main__ import main
from deixis.calibration.av_sync import AvSync, av_sync_path, save_av_sync
from deixis.calibration.pointing import PointingCalibration, pointing_path, save_pointing
from deixis.calibration.store import camera_path, save_camera
from tests.calibration.test_quality import camera


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    main(["doctor", "--json", *arguments])
    found = json.loads(capsys.readouterr().out)["findings"]
    return [f for f in found if f["what"] == "camera calibration"]


def saved(path: Path, **changes: Any) -> Path:
    today = datetime.now(UTC).isoformat()
    dates = {"calibrated_at": today, "extrinsics_at": today}
    save_camera(msgspec.structs.replace(camera(), **(dates | changes)), path)
    return path


def test_none_in_the_default_folder_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    (finding,) = doctor(capsys)
    assert finding["state"] == "optional"
    assert "deixis calibrate camera" in finding["mend"]


def test_a_good_one_is_ok(capsys: pytest.CaptureFixture[str]) -> None:
    saved(camera_path("wrist"))
    saved(camera_path("table"))
    findings = doctor(capsys)
    assert [f["state"] for f in findings] == ["ok", "ok"]
    assert "0 days old, reprojection 0.20 px, place to 1.0 mm and 0.10" in findings[0]["detail"]


def test_a_named_one_that_is_missing_is_a_fault(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "none.json"
    assert main(["doctor", "--json", "--calibration", str(path)]) == 1
    findings = json.loads(capsys.readouterr().out)["findings"]
    finding = next(f for f in findings if f["what"] == "camera calibration")
    assert (finding["state"], finding["detail"]) == ("missing", f"there is no {path}")
    assert str(path) in finding["mend"]


def test_stale_large_and_unplaced(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old = saved(tmp_path / "old.json", calibrated_at="2020-01-01T00:00:00Z")
    large = saved(tmp_path / "large.json", reprojection_error_px=1.4)
    wobbly = saved(tmp_path / "wobbly.json", extrinsics_residual=camera(mm=9).extrinsics_residual)
    nowhere = tmp_path / "nowhere.json"
    _without_pose(nowhere)
    named = [a for p in (old, large, wobbly, nowhere) for a in ("--calibration", str(p))]
    found = {Path(f["detail"].split(":")[0]).stem: f for f in doctor(capsys, *named)}
    assert "stale" in found["old"]["detail"]
    assert "calibrate camera" in found["old"]["mend"]
    assert found["old"]["state"] == "optional"
    assert "large residual, reprojection 1.40 px" in found["large"]["detail"]
    assert "large residual, place to 9.0 mm" in found["wobbly"]["detail"]
    assert "calibrate extrinsics" in found["wobbly"]["mend"]
    assert "not known where the camera stands" in found["nowhere"]["detail"]
    assert found["nowhere"]["state"] == "missing"
    (fresh,) = doctor(capsys, "--calibration", str(old), "--max-age-days", "99999")
    assert fresh["state"] == "ok"


def _without_pose(path: Path) -> None:
    data = json.loads(saved(path).read_text())
    data["T_base_cam"] = [[float(i == j) for j in range(4)] for i in range(4)]
    del data["extrinsics_at"], data["extrinsics_residual"]
    path.write_text(json.dumps(data))


def test_a_damaged_one_is_wrong(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text("{")
    (finding,) = doctor(capsys, "--calibration", str(path))
    assert finding["state"] == "wrong"
    assert "not valid JSON" in finding["detail"]


def test_persons_and_offsets_are_dated_too(capsys: pytest.CaptureFixture[str]) -> None:
    today = datetime.now(UTC).isoformat()
    anna = PointingCalibration(
        user_id="anna", calibrated_at=today, n_points=5, error_after_m=0.05, hand_scale=1.02
    )
    save_pointing(anna, pointing_path("anna"))
    sync = AvSync(
        camera_id="c1", microphone="m", offset_ms=40.0, spread_ms=3.0, n_events=4,
        calibrated_at="2020-01-01T00:00:00+00:00",
    )  # fmt: skip
    save_av_sync(sync, av_sync_path("c1"))
    main(["doctor", "--json"])
    found = {f["what"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    person, offset = found["pointing calibration"], found["sound and picture"]
    assert person["state"] == "ok"
    assert "anna, 5 spots, 5.0 cm off" in person["detail"]
    assert offset["state"] == "optional"
    assert "stale" in offset["detail"]
    assert "calibrate av-sync" in offset["mend"]
