from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deixis.calibration.av_events import MotionMeter, impacts, onsets
from deixis.calibration.av_picture import draw_sync
from deixis.calibration.av_sync import AvSync, Kind, Match, load_av_sync, match, save_av_sync
from deixis.runtime.errors import CalibrationError
from tests.calibration.claps import FPS, RATE_HZ, Clip, clip

SYNC = AvSync(
    camera_id="front", microphone="table", offset_ms=41.5, spread_ms=3.0, n_events=5,
    calibrated_at="2026-11-25T00:00:00+00:00",
)  # fmt: skip


def motion_of(some: Clip) -> tuple[Any, Any]:
    meter = MotionMeter()
    motion = np.array([meter.update(image) for image in some.images])
    return np.arange(len(motion)) / FPS, motion


def measured(some: Clip, kind: Kind = "clap") -> Match:
    return match(onsets(some.samples, RATE_HZ), impacts(*motion_of(some), kind), kind)


@pytest.mark.parametrize("offset_ms", [-120.0, -33.0, 0.0, 50.0, 125.0, 200.0])
def test_the_offset_of_claps(offset_ms: float) -> None:
    found = measured(clip(offset_ms=offset_ms, seed=round(offset_ms) % 7))
    assert 1000 * found.offset_s == pytest.approx(offset_ms, abs=10.0)
    assert found.spread_s < 0.008
    assert len(found.heard_s) >= 4


@pytest.mark.parametrize(
    "conditions",
    [
        {"exposure_ms": 2.0},
        {"exposure_ms": 33.0},
        {"pixel_noise": 10.0},
        {"snr_db": 12.0},
        {"speed_px_s": 300.0},
        {"speed_px_s": 900.0},
    ],
    ids=str,
)
def test_the_offset_in_other_conditions(conditions: dict[str, float]) -> None:
    found = measured(clip(offset_ms=70.0, seed=3, n_events=6, **conditions))
    assert 1000 * found.offset_s == pytest.approx(70.0, abs=10.0)


@pytest.mark.parametrize("offset_ms", [-60.0, 90.0])
@pytest.mark.parametrize("exposure_ms", [10.0, 30.0])
def test_the_offset_of_a_lamp(offset_ms: float, exposure_ms: float) -> None:
    some = clip(offset_ms=offset_ms, seed=2, n_events=7, kind="flash", exposure_ms=exposure_ms)
    found = measured(some, "flash")
    assert 1000 * found.offset_s == pytest.approx(offset_ms, abs=10.0)


def test_sounds_and_motions_of_other_things_have_no_say() -> None:
    heard = np.array([1.0, 2.3, 2.9, 3.7, 5.1, 6.0])
    seen = np.array([0.4, 1.08, 1.6, 2.38, 3.78, 4.4, 5.18])
    found = match(heard, seen)
    assert found.offset_s == pytest.approx(0.08)
    assert found.heard_s.tolist() == [1.0, 2.3, 3.7, 5.1]


def test_one_slip_does_not_move_the_offset() -> None:
    heard = np.array([1.0, 2.3, 3.9, 5.4, 7.1])
    seen = heard + np.array([0.050, 0.051, 0.049, 0.050, 0.085])
    found = match(heard, seen)
    assert found.offset_s == pytest.approx(0.05, abs=0.001)
    assert len(found.heard_s) == 4


def test_onsets_are_exact_to_the_millisecond() -> None:
    some = clip(offset_ms=0.0, seed=5, n_events=6)
    np.testing.assert_allclose(onsets(some.samples, RATE_HZ), some.events_s, atol=0.0015)


def test_a_hum_and_a_voice_that_swells_are_no_onsets() -> None:
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    swelling = np.sin(2 * np.pi * 200 * t) * (0.5 - 0.5 * np.cos(2 * np.pi * 0.5 * t))
    noise = np.random.default_rng(0).normal(0, 0.02, len(t))
    assert len(onsets(0.5 * swelling + noise, RATE_HZ)) == 0
    assert len(onsets(np.zeros(RATE_HZ), RATE_HZ)) == 0
    assert len(onsets(np.zeros(3), RATE_HZ)) == 0


def test_noise_is_no_motion() -> None:
    rng = np.random.default_rng(0)
    meter = MotionMeter()
    images = [rng.normal(80, 6, (240, 320)).clip(0, 255).astype(np.uint8) for _ in range(6)]
    still = [meter.update(image) for image in images][1:]
    moved = images[0].copy()
    moved[100:140, 100:140] = 220
    assert meter.update(moved) > 20 * max(still)


def test_nothing_is_heard() -> None:
    silent = clip(offset_ms=0.0, n_events=0)
    with pytest.raises(CalibrationError, match="no clap is heard") as caught:
        measured(silent)
    assert "clap five times" in caught.value.hint


def test_nothing_is_seen() -> None:
    some = clip(offset_ms=0.0)
    with pytest.raises(CalibrationError, match="nothing in the picture stops abruptly"):
        match(onsets(some.samples, RATE_HZ), impacts(np.arange(60) / FPS, np.zeros(60)))


def test_one_event_is_too_few() -> None:
    with pytest.raises(CalibrationError, match=r"only 1 event both heard and seen.*3 are needed"):
        measured(clip(offset_ms=20.0, n_events=1))


def test_an_offset_beyond_belief_is_none() -> None:
    heard = np.array([1.0, 2.3, 3.9, 5.4, 7.1])
    with pytest.raises(CalibrationError, match="only 0 events"):
        match(heard, heard + 0.6)


def test_a_fast_steady_beat_is_ambiguous() -> None:
    heard = 1.0 + 0.3 * np.arange(8)
    with pytest.raises(CalibrationError, match="fit several offsets"):
        match(heard, heard + 0.05)


def test_events_that_do_not_agree_are_refused() -> None:
    heard = np.array([1.0, 2.3, 3.9, 5.4])
    with pytest.raises(CalibrationError, match=r"do not agree: ±\d+ ms"):
        match(heard, heard + np.array([-0.039, 0.0, 0.039, 0.039]))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "front.json"
    save_av_sync(SYNC, path)
    assert load_av_sync(path) == SYNC


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema": 3}, "schema 3"),
        ({"offset_ms": 4000.0}, "4000"),
        ({"kind": "bang"}, "bang"),
        ({"offset_ms": None}, "offset_ms"),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "front.json"
    save_av_sync(SYNC, path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(CalibrationError, match=message):
        load_av_sync(path)


def test_the_picture_moves_the_motion_to_the_sound() -> None:
    some = clip(offset_ms=150.0, seed=1)
    times_s, motion = motion_of(some)
    found = measured(some)
    image = draw_sync(SYNC, found, times_s, motion)
    middles = []
    for top, colour in ((60, (30, 110, 230)), (330, (130, 110, 0))):
        # A mark for each event stands at the bottom of a panel, on the moment it was seen.
        marks = np.argwhere((image[top + 207 : top + 212] == colour).all(axis=2))
        middles.append(np.median(marks[:, 1]))
    assert middles[0] == pytest.approx(0.5 * image.shape[1] + 336 * 0.15 / 0.5, abs=6)
    assert middles[1] == pytest.approx(0.5 * image.shape[1], abs=3)
