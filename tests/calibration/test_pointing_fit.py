from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deixis.calibration.pointing import DEFAULT_POINTING, load_pointing, save_pointing
from deixis.calibration.pointing_fit import fit_pointing
from deixis.calibration.pointing_holds import Spot, angles_off, gather
from deixis.calibration.pointing_picture import draw_plan
from deixis.runtime.errors import CalibrationError
from tests.calibration.people import CAMERA, SPOTS, hold, holds

NOW = datetime(2026, 11, 25, tzinfo=UTC)


def test_a_constant_habit_is_found_and_taken_away(tmp_path: Path) -> None:
    fit = fit_pointing("anna", SPOTS, holds(yaw=0.06, pitch=-0.05), now=NOW)
    user = fit.user
    assert user.bias_yaw_rad == pytest.approx(0.06, abs=0.01)
    assert user.bias_pitch_rad == pytest.approx(-0.05, abs=0.01)
    assert fit.improved
    assert fit.eye_seen
    assert user.error_before_m > 0.06
    assert user.error_after_m < 0.25 * user.error_before_m
    assert user.n_points == 5
    assert user.calibrated_at == "2026-11-25T00:00:00+00:00"
    assert user.sigma_rad < DEFAULT_POINTING.sigma_rad
    assert user.hand_scale == pytest.approx(1.0)  # no camera, no size
    save_pointing(user, tmp_path / "anna.json")
    assert load_pointing(tmp_path / "anna.json") == user


@pytest.mark.parametrize("hand_scale", [0.93, 1.08])
def test_the_hands_size_shows_in_where_the_lines_lead(hand_scale: float) -> None:
    frames = holds(hand_scale=hand_scale, yaw=0.03)
    fit = fit_pointing("anna", SPOTS, frames, camera_base_m=CAMERA)
    assert fit.user.hand_scale == pytest.approx(hand_scale, abs=0.025)
    assert fit.scale_sd < 0.04
    assert fit.user.error_after_m < 0.4 * fit.user.error_before_m


def test_a_hand_that_was_measured_is_believed() -> None:
    fit = fit_pointing(
        "anna", SPOTS, holds(hand_scale=1.08), camera_base_m=CAMERA, hand_length_m=0.182 * 1.08
    )
    assert fit.user.hand_scale == pytest.approx(1.08, abs=0.01)


def test_the_size_is_relative_to_the_one_that_the_tips_were_found_with() -> None:
    frames = [
        [msgspec.structs.replace(f, hand_scale=0.95) for f in frames]
        for frames in holds(hand_scale=1.05)
    ]
    fit = fit_pointing("anna", SPOTS, frames, camera_base_m=CAMERA)
    assert fit.user.hand_scale == pytest.approx(0.95 * 1.05, abs=0.03)
    frames[3] = [msgspec.structs.replace(f, hand_scale=1.0) for f in frames[3]]
    with pytest.raises(CalibrationError, match="set to another value in between"):
        fit_pointing("anna", SPOTS, frames, camera_base_m=CAMERA)


def test_without_an_eye_the_fingers_line_is_calibrated() -> None:
    fit = fit_pointing("anna", SPOTS, holds(eye=False, finger_yaw=0.12))
    assert not fit.eye_seen
    assert fit.user.finger_bias_yaw_rad == pytest.approx(0.12, abs=0.02)
    assert fit.user.bias_yaw_rad == 0.0
    assert fit.user.eye_weight == DEFAULT_POINTING.eye_weight
    assert fit.user.sigma_rad == DEFAULT_POINTING.sigma_rad
    assert fit.user.error_after_m < 0.3 * fit.user.error_before_m


def test_an_eye_that_is_not_seen_at_each_spot_is_left_out() -> None:
    frames = holds()
    frames[2] = [msgspec.structs.replace(f, eye_base_m=None) for f in frames[2]]
    assert not fit_pointing("anna", SPOTS, frames).eye_seen


def test_the_finger_has_its_own_bias_beside_the_eyes() -> None:
    fit = fit_pointing("anna", SPOTS, holds(yaw=-0.04, finger_yaw=0.15))
    assert fit.user.bias_yaw_rad == pytest.approx(-0.04, abs=0.015)
    assert fit.user.finger_bias_yaw_rad == pytest.approx(0.15, abs=0.02)
    assert fit.user.eye_weight > 0.8


def test_a_person_without_a_habit_is_not_corrected() -> None:
    rng = np.random.default_rng(4)
    kept = [fit_pointing("anna", SPOTS, holds(scatter=0.03, rng=rng)) for _ in range(6)]
    unimproved = [fit for fit in kept if not fit.improved]
    assert unimproved
    for fit in unimproved:
        assert fit.user.bias_yaw_rad == fit.user.bias_pitch_rad == 0.0
        assert fit.user.error_after_m == fit.user.error_before_m


def test_a_person_who_scatters_more_is_less_sure() -> None:
    sigmas = [
        np.mean(
            [
                fit_pointing(
                    "anna", SPOTS, holds(scatter=scatter, rng=np.random.default_rng(seed))
                ).user.sigma_rad
                for seed in range(4)
            ]
        )
        for scatter in (0.01, 0.04, 0.08)
    ]
    assert sigmas[0] < sigmas[1] < sigmas[2]


def test_one_careless_spot_counts_for_less() -> None:
    frames = holds(yaw=0.05)
    frames[4] = hold(SPOTS[4].target_base_m, yaw=0.05 + 0.2)
    fit = fit_pointing("anna", SPOTS, frames)
    assert fit.user.bias_yaw_rad == pytest.approx(0.05, abs=0.03)


def test_the_error_after_is_measured_at_spots_that_were_left_out() -> None:
    # Scatter that no habit explains: where it was fitted it looks smaller than it is.
    rng = np.random.default_rng(1)
    left_out, fitted = [], []
    for _ in range(8):
        frames = holds(yaw=0.08, scatter=0.04, rng=rng)
        fit = fit_pointing("anna", SPOTS, frames)
        off = np.linalg.norm(gather(SPOTS, frames, None).residuals(fit.user), axis=1)
        for result, angle in zip(fit.spots, off, strict=True):
            reach_m = np.linalg.norm(np.subtract(result.spot.target_base_m, result.tip_base_m))
            left_out.append(result.after.passes_m)
            fitted.append(reach_m * np.sin(angle))
    assert np.mean(left_out) > 1.15 * np.mean(fitted)


def test_three_spots_are_too_few() -> None:
    with pytest.raises(CalibrationError, match="3 spots are too few") as caught:
        fit_pointing("anna", SPOTS[:3], holds(SPOTS[:3]))
    assert "five" in caught.value.hint


def test_spots_in_one_line_are_refused() -> None:
    line = [Spot(str(k), (0.3, -0.3 + 0.15 * k, 0.0)) for k in range(5)]
    with pytest.raises(CalibrationError, match="in one line"):
        fit_pointing("anna", line, holds(line))


def test_spots_that_nearly_coincide_are_refused() -> None:
    spots = [*SPOTS[:4], Spot("twin", (0.55, -0.29, 0.0))]
    with pytest.raises(CalibrationError, match="spots 4 and twin are too close together"):
        fit_pointing("anna", spots, holds(spots))


def test_a_spot_without_a_hold_is_named() -> None:
    frames = holds()
    frames[2] = frames[2][:3]
    with pytest.raises(CalibrationError, match=r"spot 3: no steady hold \(3 frames"):
        fit_pointing("anna", SPOTS, frames)


def test_a_hand_that_wavers_is_named() -> None:
    frames = holds()
    rng = np.random.default_rng(0)
    frames[1] = [
        msgspec.structs.replace(
            f, direction_base=tuple(np.add(f.direction_base, rng.normal(0, 0.08, 3)).tolist())
        )
        for f in frames[1]
    ]
    with pytest.raises(CalibrationError, match="spot 2: the hand did not hold still"):
        fit_pointing("anna", SPOTS, frames)


def test_pointing_at_another_spot_is_noticed_and_named() -> None:
    frames = holds()
    frames[1] = hold(SPOTS[2].target_base_m)
    with pytest.raises(CalibrationError, match=r"spot 2: the hand pointed \d+° away.*spot 3"):
        fit_pointing("anna", SPOTS, frames)


def test_two_spots_in_the_wrong_order_are_noticed() -> None:
    frames = holds()
    frames[1], frames[4] = frames[4], frames[1]
    with pytest.raises(CalibrationError, match=r"spot [25]: the hand pointed .* spots are too far"):
        fit_pointing("anna", SPOTS, frames)


def test_angles_off_are_left_and_up() -> None:
    ahead = np.array([[1.0, 0.0, 0.0]] * 2 + [[0.0, 0.0, -1.0]])
    directions = np.array(
        [
            [math.cos(0.3), math.sin(0.3), 0.0],
            [math.cos(0.2), 0.0, -math.sin(0.2)],
            [0.0, math.sin(0.1), -math.cos(0.1)],
        ]
    )
    off = angles_off(directions, 3 * ahead)
    np.testing.assert_allclose(off[:2], [[0.3, 0.0], [0.0, -0.2]], atol=1e-12)
    assert np.linalg.norm(off[2]) == pytest.approx(0.1)


def test_the_picture_shows_hits_nearer_after_than_before() -> None:
    fit = fit_pointing("anna", SPOTS, holds(yaw=0.1, pitch=-0.06), now=NOW)
    for result in fit.spots:
        assert result.after.passes_m < result.before.passes_m
        assert result.after.hit_base_m[2] == pytest.approx(0.0)
    image = draw_plan(fit)
    colours = {tuple(c) for c in np.unique(image.reshape(-1, 3), axis=0).tolist()}
    assert {(30, 110, 230), (130, 110, 0)} <= colours


def test_holds_carry_the_estimators_variance() -> None:
    frames = gather(SPOTS, holds(), None)
    # 1e-4 rad² of direction, 1e-5 m² of the tip at about half a metre.
    assert np.all(frames.variances_rad2 > 1e-4)
    assert np.all(frames.variances_rad2 < 2.5e-4)
