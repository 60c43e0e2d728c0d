from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.calibration.quality import age_days, extra_sigma_rad, is_exact, is_stale
from deixis.calibration.store import CameraCalibration, PoseResidual, load_camera

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def camera(
    days_old: float = 0.0, *, rms_px: float = 0.2, mm: float | None = 1.0, deg: float = 0.1
) -> CameraCalibration:
    date = (NOW - timedelta(days=days_old)).isoformat()
    residual = None
    if mm is not None:
        residual = PoseResidual(
            method="board", translation_mm=mm, rotation_deg=deg, reprojection_px=0.1, n_views=5
        )
    return CameraCalibration(
        device_id="c", width=640, height=480, K=np.diag([500.0, 500.0, 1.0]),
        distortion=np.zeros(5), T_base_cam=np.diag([1.0, -1.0, -1.0, 1.0]), calibrated_at=date,
        reprojection_error_px=rms_px, extrinsics_at=date, extrinsics_residual=residual,
    )  # fmt: skip


def test_the_parts_add_up_as_independent_errors() -> None:
    fresh = extra_sigma_rad(camera(), NOW)
    parts = (0.2 / math.sqrt(2) / 500, math.radians(0.1), 0.001)
    assert fresh == pytest.approx(math.hypot(*parts))
    after_30_days = extra_sigma_rad(camera(30), NOW)
    assert after_30_days == pytest.approx(math.hypot(fresh, math.radians(0.1)))
    assert extra_sigma_rad(camera(120), NOW) == pytest.approx(math.hypot(fresh, math.radians(0.2)))


@given(
    days=st.floats(0, 2000), more_days=st.floats(0.1, 2000), rms_px=st.floats(0.01, 5),
    mm=st.floats(0, 20), deg=st.floats(0, 3),
)  # fmt: skip
def test_age_and_residual_never_make_it_better(
    days: float, more_days: float, rms_px: float, mm: float, deg: float
) -> None:
    sigma = extra_sigma_rad(camera(days, rms_px=rms_px, mm=mm, deg=deg), NOW)
    assert sigma > 0
    assert extra_sigma_rad(camera(days + more_days, rms_px=rms_px, mm=mm, deg=deg), NOW) > sigma
    assert extra_sigma_rad(camera(days, rms_px=rms_px + 0.1, mm=mm, deg=deg), NOW) > sigma
    assert extra_sigma_rad(camera(days, rms_px=rms_px, mm=mm + 1, deg=deg), NOW) > sigma
    assert extra_sigma_rad(camera(days, rms_px=rms_px, mm=mm, deg=deg + 0.1), NOW) > sigma


def test_a_pose_of_unknown_accuracy_counts_as_a_degree() -> None:
    assert math.degrees(extra_sigma_rad(camera(mm=None), NOW)) == pytest.approx(1, abs=0.01)


def test_a_defined_camera_is_exact_and_never_stale() -> None:
    rendered = load_camera(ROOT / "tests" / "scenes" / "camera.json")
    assert is_exact(rendered)
    assert extra_sigma_rad(rendered, NOW + timedelta(days=5000)) == 0
    assert not is_stale(rendered, NOW + timedelta(days=5000))


def test_the_older_of_both_dates_counts() -> None:
    old = msgspec.structs.replace(camera(200), extrinsics_at=NOW.isoformat())
    assert age_days(old, NOW) == pytest.approx(200)
    assert is_stale(old, NOW)
    assert not is_stale(old, NOW, max_age_days=201)
    assert not is_stale(camera(10), NOW)


@pytest.mark.parametrize(
    ("date", "days"), [("2026-11-25T12:00:00", 1), ("2026-11-27T12:00:00Z", 0)]
)
def test_dates_without_zone_are_utc_and_the_future_is_now(date: str, days: float) -> None:
    dated = msgspec.structs.replace(camera(), calibrated_at=date)
    assert age_days(dated, NOW) == pytest.approx(days)


def test_a_date_that_cannot_be_read_is_stale() -> None:
    odd = msgspec.structs.replace(camera(), calibrated_at="last week")
    assert age_days(odd, NOW) is None
    assert is_stale(odd, NOW)
    assert extra_sigma_rad(odd, NOW) > extra_sigma_rad(camera(300), NOW)
