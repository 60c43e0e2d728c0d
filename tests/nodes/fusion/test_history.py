from __future__ import annotations

import pytest

from deixis.nodes.fusion.history import RayHistory, SceneHistory
from deixis.nodes.fusion.rays import hit_plane
from deixis.runtime.clock import NS_PER_S
from tests.nodes.fusion.helpers import hold, ms, ray, scene

CUP = (0.45, 0.20, 0.0)
SPOT = (0.35, -0.20, 0.0)


def history_of(*rays):
    history = RayHistory()
    for pointing in rays:
        history.add(pointing)
    return history


def hit(found):
    return hit_plane(found[0], 0.0)[0]


def test_put_that_there_finds_each_word_its_own_hold():
    moving = [ray(ms(t), (0.4, 0.1, 0.0), phase="reach") for t in range(620, 760, 33)]
    history = history_of(*hold(150, 600, CUP), *moving, *hold(800, 1300, SPOT))
    that, there = (ms(300), ms(500)), (ms(650), ms(1000))
    first, second = history.lookup([that, there])
    assert hit(first) == pytest.approx(CUP, abs=1e-6)
    assert hit(second) == pytest.approx(SPOT, abs=1e-6)
    assert first[1] != second[1]


@pytest.mark.parametrize("error_ms", [-150, 150])
def test_the_words_times_may_be_off(error_ms):
    history = history_of(*hold(150, 600, CUP), *hold(800, 1300, SPOT))
    spans = [(ms(300 + error_ms), ms(500 + error_ms)), (ms(750 + error_ms), ms(1000 + error_ms))]
    first, second = history.lookup(spans)
    assert hit(first) == pytest.approx(CUP, abs=1e-6)
    assert hit(second) == pytest.approx(SPOT, abs=1e-6)


def test_two_words_never_share_one_hold():
    found = history_of(*hold(0, 1200, CUP)).lookup([(ms(200), ms(400)), (ms(600), ms(800))])
    assert sum(f is not None for f in found) == 1


def test_a_jump_without_a_pause_begins_a_new_hold():
    # The phase says "hold" throughout, as when the hand moves between two frames.
    history = history_of(*hold(0, 480, CUP), *hold(500, 1000, SPOT))
    first, second = history.lookup([(ms(200), ms(400)), (ms(600), ms(800))])
    assert hit(first) == pytest.approx(CUP, abs=1e-6)
    assert hit(second) == pytest.approx(SPOT, abs=1e-6)


def test_a_flicker_of_the_phase_does_not_split_a_hold():
    flicker = ray(ms(415), CUP, phase="reach")
    history = history_of(*hold(0, 400, CUP), flicker, *hold(440, 800, CUP))
    found = history.lookup([(ms(200), ms(300)), (ms(500), ms(600))])
    assert sum(f is not None for f in found) == 1


@pytest.mark.parametrize(
    ("end_before_ms", "seen"), [(100, True), (550, True), (650, False), (2000, False)]
)
def test_the_nearest_hold_counts_only_within_a_limit(end_before_ms, seen):
    history = history_of(*hold(3000 - end_before_ms - 300, 3000 - end_before_ms, CUP))
    (found,) = history.lookup([(ms(3000), ms(3200))])
    assert (found is not None) == seen


def test_only_holds_count():
    history = history_of(*hold(0, 500, CUP, phase="retract"))
    assert history.lookup([(ms(200), ms(300))]) == [None]


def test_rays_of_two_hands_are_not_mixed():
    right = hold(0, 500, CUP, track=1)
    left = hold(0, 500, SPOT, track=2, confidence=0.3)
    mixed = [pointing for pair in zip(right, left, strict=True) for pointing in pair]
    (found,) = history_of(*mixed).lookup([(ms(200), ms(300))])
    assert hit(found) == pytest.approx(CUP, abs=1e-6)


def test_old_rays_are_forgotten():
    history = RayHistory(span_ns=NS_PER_S)
    for pointing in [*hold(0, 500, CUP), *hold(5000, 5100, SPOT)]:
        history.add(pointing)
    assert history.lookup([(ms(200), ms(300))]) == [None]


def test_the_signature_changes_with_new_evidence_in_the_window_only():
    span = (ms(200), ms(300))
    history = history_of(*hold(0, 400, CUP))
    before = history.signature(span)
    history.add(ray(ms(450), CUP))
    within = history.signature(span)
    history.add(ray(ms(900), CUP))
    assert before != within
    assert history.signature(span) == within


def test_the_scene_at_a_words_time():
    scenes = SceneHistory(span_ns=2 * NS_PER_S)
    assert scenes.at(ms(0)) is None
    for t in range(0, 4000, 200):
        scenes.add(scene(ms(t)))
    assert scenes.at(ms(2450)).header.stamp_ns == ms(2400)
    assert scenes.at(ms(0)).header.stamp_ns == ms(1800)
    scenes.add(scene(ms(100)))
    assert scenes.newest.header.stamp_ns == ms(3800)
