from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deixis.calibration.pointing import (
    DEFAULT_POINTING,
    PointingCalibration,
    combine,
    load_pointing,
    pointing_path,
    save_pointing,
    turn,
)
from deixis.runtime.errors import CalibrationError

TIP, EYE, FINGER = (0.6, 0.1, 0.3), (1.1, 0.0, 0.6), (-0.8, 0.3, -0.5)


def unit(vector: Any) -> Any:
    return np.asarray(vector) / np.linalg.norm(vector)


def person(**changes: Any) -> PointingCalibration:
    return msgspec.structs.replace(DEFAULT_POINTING, **changes)


def test_by_default_the_line_from_the_eye_counts_and_else_the_fingers() -> None:
    seen = combine(TIP, EYE, FINGER, DEFAULT_POINTING)
    np.testing.assert_allclose(seen, unit(np.subtract(TIP, EYE)), atol=1e-12)
    unseen = combine(TIP, None, FINGER, DEFAULT_POINTING)
    np.testing.assert_allclose(unseen, unit(FINGER), atol=1e-12)


def test_an_eye_at_the_fingertip_is_no_eye() -> None:
    close = np.add(TIP, (0.0, 0.0, 0.01))
    np.testing.assert_allclose(combine(TIP, close, FINGER, DEFAULT_POINTING), unit(FINGER))
    np.testing.assert_allclose(combine(TIP, TIP, FINGER, DEFAULT_POINTING), unit(FINGER))


def test_lines_are_blended() -> None:
    half = combine(TIP, EYE, FINGER, person(eye_weight=0.5))
    np.testing.assert_allclose(half, unit(unit(np.subtract(TIP, EYE)) + unit(FINGER)))
    np.testing.assert_allclose(combine(TIP, EYE, FINGER, person(eye_weight=0.0)), unit(FINGER))


def test_each_line_has_its_own_bias() -> None:
    user = person(bias_yaw_rad=0.1, finger_bias_pitch_rad=0.2)
    seen, unseen = combine(TIP, EYE, (1, 0, 0), user), combine(TIP, None, (1, 0, 0), user)
    straight = unit(np.subtract(TIP, EYE))
    turned = math.atan2(seen[1], seen[0]) - math.atan2(straight[1], straight[0])
    assert turned % (2 * math.pi) == pytest.approx(0.1)
    assert seen[2] == pytest.approx(straight[2])
    np.testing.assert_allclose(unseen, (math.cos(0.2), 0.0, math.sin(0.2)))


@given(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.floats(-0.2, 0.2), st.floats(-0.2, 0.2))
def test_a_turn_keeps_the_length_and_turns_by_its_angle(
    azimuth: float, elevation: float, yaw: float, pitch: float
) -> None:
    level = math.cos(elevation)
    before = np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
    after = turn(before, yaw, pitch)
    assert np.linalg.norm(after) == pytest.approx(1)
    assert math.asin(after[2]) == pytest.approx(elevation + pitch, abs=1e-9)
    np.testing.assert_allclose(turn(turn(after, 0, -pitch), -yaw, 0), before, atol=1e-9)


def test_many_at_once_are_as_one_by_one() -> None:
    rng = np.random.default_rng(0)
    tips, eyes, fingers = rng.normal(0, 1, (3, 5, 3))
    user = person(eye_weight=0.7, bias_yaw_rad=0.05, bias_pitch_rad=-0.04)
    together = combine(tips, eyes, fingers, user)
    assert together.shape == (5, 3)
    for row, tip, eye, finger in zip(together, tips, eyes, fingers, strict=True):
        np.testing.assert_allclose(row, combine(tip, eye, finger, user))


def test_round_trip(tmp_path: Path) -> None:
    user = person(user_id="anna", bias_yaw_rad=0.03, error_before_m=0.1, n_points=5)
    path = tmp_path / "sub" / "anna.json"
    save_pointing(user, path)
    assert load_pointing(path) == user
    assert [p.name for p in path.parent.iterdir()] == ["anna.json"]


def test_people_have_files_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/etc/xdg")
    assert pointing_path("anna") == Path("/etc/xdg/deixis/calibration/pointing/anna.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 9}, "schema 9"),
        ({"eye_weight": 1.5}, r"eye_weight 1\.5"),
        ({"hand_scale": 0.1}, r"hand_scale 0\.1"),
        ({"bias_yaw_rad": 2.0}, "bias is more than 45"),
        ({"sigma_rad": 0.0}, "sigma"),
        ({"user_id": ""}, "no user"),
        ({"eye_weight": "all"}, "eye_weight"),
        ({"shoe_size": 44}, "shoe_size"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "anna.json"
    save_pointing(DEFAULT_POINTING, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CalibrationError, match=message):
        load_pointing(path)


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no pointing calibration") as caught:
        load_pointing(tmp_path / "none.json")
    assert "deixis calibrate pointing" in caught.value.hint


def test_nothing_impossible_is_written(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="bias"):
        save_pointing(person(bias_pitch_rad=math.nan), tmp_path / "anna.json")
    assert not list(tmp_path.iterdir())
