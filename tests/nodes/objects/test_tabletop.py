from __future__ import annotations

import numpy as np
import pytest

from deixis.nodes.objects.source import View
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource, Workspace
from tests.nodes.objects.pictures import WORKSPACE, Drum, add_arm, camera, table

THINGS = (
    Drum(0.35, 0.25, bgr=(30, 30, 190)),
    Drum(0.5, -0.2, bgr=(170, 70, 30)),
    Drum(0.7, 0.15, 0.035, 0.2, bgr=(60, 130, 20)),
    Drum(0.6, -0.02, 0.05, 0.08, bgr=(15, 180, 225)),
    Drum(0.4, 0.0, 0.03, 0.06, bgr=(235, 240, 240)),
)


@pytest.fixture
def source() -> TabletopSource:
    return TabletopSource(TabletopParams(), Workspace(**WORKSPACE))


def found(source: TabletopSource, picture, hands=(), cam=None) -> list[np.ndarray]:
    view = View(picture, cam or camera(), 0, hands)
    return [d.position_base_m for d in source.observe(view).detections if not d.clipped]


def errors(positions: list[np.ndarray], things=THINGS) -> list[float]:
    return [min(np.linalg.norm(p[:2] - t.centre[:2]) for p in positions) for t in things]


@pytest.mark.parametrize("seed", range(3))
def test_all_things_are_found_and_no_shadow_is(source: TabletopSource, seed: int) -> None:
    positions = found(source, table(THINGS, seed=seed))
    assert len(positions) == len(THINGS)
    assert max(errors(positions)) < 0.03


@pytest.mark.parametrize(
    ("paint", "grain"),
    [((225, 228, 230), 0), ((90, 140, 185), 8), ((90, 130, 70), 4), ((40, 40, 42), 3)],
)
def test_the_table_may_have_any_plain_colour(source: TabletopSource, paint, grain: float) -> None:
    things = tuple(t for t in THINGS if np.abs(np.subtract(t.bgr, paint)).max() > 80)
    positions = found(source, table(things, paint=paint, grain=grain))
    assert max(errors(positions, things)) < 0.03
    assert len(positions) == len(things)


def test_one_thing_in_front_of_another_makes_two(source: TabletopSource) -> None:
    front = Drum(0.5, 0.0, 0.04, 0.09, bgr=(30, 30, 190))
    behind = Drum(0.62, 0.03, 0.04, 0.12, bgr=(170, 70, 30))
    positions = found(source, table((front, behind)))
    assert len(positions) == 2
    assert errors(positions, (front,))[0] < 0.03
    assert errors(positions, (behind,))[0] < 0.06


def test_two_alike_with_a_narrow_gap_are_two(source: TabletopSource) -> None:
    pair = (Drum(0.447, 0.037), Drum(0.51, -0.057))
    positions = found(source, table(pair))
    assert len(positions) == 2
    assert max(errors(positions, pair)) < 0.03


def test_a_band_of_the_tables_colour_does_not_cut_what_was_whole(source: TabletopSource) -> None:
    cam = camera()
    drum = Drum(0.55, 0.1, 0.04, 0.16, bgr=(60, 130, 20))
    source.observe(View(table((drum,)), cam, 0))
    picture = table((drum,), seed=1)
    bare = table(seed=1)
    band = cam.project(np.concatenate([drum.ring(0.05, 1.2), drum.ring(0.085, 1.2)]))
    rows = slice(int(np.sort(band[:, 1])[30]), int(np.sort(band[:, 1])[-30]))
    picture[rows] = bare[rows]
    found_again = source.observe(View(picture, cam, 1)).detections
    assert len(found_again) == 1
    assert np.linalg.norm(found_again[0].position_base_m - drum.centre) < 0.03


def test_an_empty_table_is_empty(source: TabletopSource) -> None:
    observation = source.observe(View(table(), camera(), 0))
    assert observation.detections == ()
    assert observation.is_free((250, 250, 60, 60), (640, 480))


def test_the_place_of_a_thing_is_not_free(source: TabletopSource) -> None:
    observation = source.observe(View(table(THINGS), camera(), 0))
    for detection in observation.detections:
        assert not observation.is_free(detection.box_px, (640, 480))


@pytest.mark.parametrize("with_landmarks", [True, False])
@pytest.mark.parametrize("tip", [(250, 300), (420, 330), (330, 260)])
def test_an_arm_is_no_object(source: TabletopSource, tip, with_landmarks: bool) -> None:
    picture, hand = add_arm(table(THINGS), tip)
    positions = found(source, picture, (hand,) if with_landmarks else ())
    for position in positions:
        assert min(np.linalg.norm(position[:2] - t.centre[:2]) for t in THINGS) < 0.03


def test_a_hand_without_an_arm_needs_its_landmarks(source: TabletopSource) -> None:
    picture, hand = add_arm(table(), (320, 330), sleeve=False)
    assert found(source, picture, (hand,)) == []


def test_what_the_hand_covers_is_not_free(source: TabletopSource) -> None:
    picture, hand = add_arm(table(), (320, 330), sleeve=False)
    observation = source.observe(View(picture, camera(), 0, (hand,)))
    assert not observation.is_free((330, 240, 40, 40), (640, 480))


def test_things_outside_the_workspace_are_left_out() -> None:
    narrow = TabletopSource(TabletopParams(), Workspace(**{**WORKSPACE, "x_max_m": 0.55}))
    positions = found(narrow, table(THINGS))
    assert positions
    assert all(p[0] < 0.6 for p in positions)


def test_other_sizes_of_picture_work(source: TabletopSource) -> None:
    import cv2

    picture = np.asarray(cv2.resize(table(THINGS), (960, 720)), np.uint8)
    positions = found(source, picture, cam=camera().for_frame(960, 720))
    assert max(errors(positions)) < 0.03


def test_a_table_cloth_full_of_pattern_finds_nothing_rather_than_everything(
    source: TabletopSource,
) -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (480, 640, 3)).astype(np.uint8)
    assert len(found(source, noise)) == 0


def test_it_reuses_what_it_measured_while_nothing_changes(
    source: TabletopSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    cam = camera()
    first = source.observe(View(table(THINGS, seed=1), cam, 0))
    monkeypatch.setattr("deixis.nodes.objects.measure.fit_solid", None)
    second = source.observe(View(table(THINGS, seed=2), cam, 1))
    assert len(second.detections) == len(first.detections)
