from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects.source import Detection, Observation
from deixis.nodes.objects.tracker import Tracker, TrackerParams
from deixis.runtime.clock import NS_PER_S

SIZE = (640, 480)
PERIOD_S = 0.2


def at(x: float, y: float, *, name: str = "cup", colour: str = "red", **more) -> Detection:
    u, v = 320 - 600 * y, 480 - 500 * x
    values = {
        "box_px": (u - 20, v - 25, 40.0, 50.0),
        "position_base_m": np.array([x, y, 0.04]),
        "position_cov_m2": np.eye(3) * 0.006**2,
        "radius_m": 0.04,
        "height_m": 0.08,
        "confidence": 0.95,
        "names": {name: 0.9},
        "colours": {colour: 0.9},
    }
    return Detection(**{**values, **more})


class Player:
    """Feeds pictures to a tracker at a steady pace."""

    def __init__(self, **params) -> None:
        self.tracker = Tracker(TrackerParams(**params))
        self.now_ns = NS_PER_S

    def show(self, *detections: Detection, bare: bool = True, times: int = 1):
        for _ in range(times):
            self.now_ns += int(PERIOD_S * NS_PER_S)
            free = np.full((48, 64), bare)
            self.tracker.update(Observation(detections, free), SIZE, self.now_ns)
            self.tracker.name_new(self.now_ns)
        return self.objects()

    def objects(self):
        return {o.object_id: o for o in self.tracker.objects(self.now_ns)}


def test_it_takes_two_looks_to_become_an_object() -> None:
    player = Player()
    assert player.show(at(0.5, 0)) == {}
    assert list(player.show(at(0.5, 0))) == ["cup-1"]


def test_a_flash_never_becomes_one() -> None:
    player = Player()
    player.show(at(0.5, 0))
    player.show(times=6)
    assert player.show(at(0.5, 0)) == {}


def test_two_alike_side_by_side_keep_their_ids() -> None:
    player = Player()
    for i in range(20):
        wobble = 0.004 * (-1) ** i
        objects = player.show(at(0.5, 0.05 + wobble), at(0.5, -0.05 - wobble))
    assert objects["cup-1"].position_base_m[1] == pytest.approx(0.05, abs=0.01)
    assert objects["cup-2"].position_base_m[1] == pytest.approx(-0.05, abs=0.01)


def test_an_id_is_never_renamed_when_the_name_changes() -> None:
    player = Player()
    player.show(at(0.5, 0, name="cup"), times=2)
    objects = player.show(at(0.5, 0, name="bowl"), times=10)
    assert list(objects) == ["cup-1"]
    assert max(objects["cup-1"].names, key=objects["cup-1"].names.get) == "bowl"


def test_a_hidden_object_stays_and_says_when_it_was_last_seen() -> None:
    player = Player()
    player.show(at(0.5, 0), times=3)
    seen_ns = player.now_ns
    objects = player.show(bare=False, times=20)
    assert objects["cup-1"].last_seen_ns == seen_ns
    assert objects["cup-1"].confidence < 0.95
    assert list(player.show(at(0.5, 0))) == ["cup-1"]


def test_a_hidden_object_is_forgotten_after_the_deadline() -> None:
    player = Player(hidden_s=3.0)
    player.show(at(0.5, 0), times=3)
    assert player.show(bare=False, times=14)
    assert not player.show(bare=False, times=2)


def test_an_object_whose_place_is_bare_goes() -> None:
    player = Player(gone_s=0.6)
    player.show(at(0.5, 0), times=3)
    assert player.show(times=2)
    assert not player.show(times=3)


def test_a_short_gap_does_not_remove_it() -> None:
    player = Player(gone_s=0.6)
    player.show(at(0.5, 0), times=3)
    for _ in range(10):
        player.show(times=2)
        assert list(player.show(at(0.5, 0))) == ["cup-1"]


def test_what_went_and_comes_back_elsewhere_is_the_same() -> None:
    player = Player()
    player.show(at(0.5, 0), at(0.4, 0.3, name="ball"), times=3)
    player.show(at(0.4, 0.3, name="ball"), times=8)
    objects = player.show(at(0.3, -0.2), at(0.4, 0.3, name="ball"), times=2)
    assert sorted(objects) == ["ball-1", "cup-1"]
    assert objects["cup-1"].position_base_m[:2] == pytest.approx((0.3, -0.2))


def test_one_of_another_look_is_a_new_object() -> None:
    player = Player()
    player.show(at(0.5, 0), times=3)
    player.show(times=8)
    assert list(player.show(at(0.3, -0.2, colour="blue"), times=2)) == ["cup-2"]


def test_a_pushed_object_is_followed_at_once() -> None:
    player = Player()
    player.show(at(0.5, 0), times=5)
    objects = player.show(at(0.5, 0.04))
    assert objects["cup-1"].position_base_m[1] == pytest.approx(0.04, abs=0.002)


def test_a_clipped_view_refreshes_but_does_not_move_it() -> None:
    player = Player()
    player.show(at(0.5, 0), times=3)
    partly = replace(at(0.52, 0.03, name="bowl"), clipped=True)
    objects = player.show(partly, bare=False, times=10)
    assert objects["cup-1"].position_base_m[:2] == pytest.approx((0.5, 0.0), abs=1e-6)
    assert objects["cup-1"].last_seen_ns == player.now_ns
    assert "bowl" not in objects["cup-1"].names


def test_a_clipped_view_is_never_a_new_object() -> None:
    player = Player()
    assert player.show(replace(at(0.5, 0), clipped=True), bare=False, times=5) == {}


def test_position_noise_is_smoothed() -> None:
    rng = np.random.default_rng(0)
    player, errors = Player(), []
    for i in range(60):
        objects = player.show(at(0.5 + rng.normal(0, 0.005), rng.normal(0, 0.005)))
        if i > 10:
            errors.append(np.hypot(*np.subtract(objects["cup-1"].position_base_m[:2], (0.5, 0))))
    assert np.mean(errors) < 0.004


def test_tags_are_told_apart_by_their_number_even_when_they_swap() -> None:
    player = Player()
    a, b = at(0.5, 0.02, hint="tag-1"), at(0.5, -0.02, hint="tag-2")
    player.show(a, b, times=3)
    objects = player.show(at(0.5, -0.02, hint="tag-1"), at(0.5, 0.02, hint="tag-2"), times=2)
    assert objects["cup-1"].position_base_m[1] == pytest.approx(-0.02, abs=1e-3)


def test_numbers_start_again_only_when_asked_to() -> None:
    player = Player()
    player.show(at(0.5, 0), times=2)
    player.tracker.reset(renumber=False)
    assert list(player.show(at(0.5, 0), times=2)) == ["cup-2"]
    player.tracker.reset(renumber=True)
    assert list(player.show(at(0.5, 0), times=2)) == ["cup-1"]


@settings(max_examples=30, deadline=None)
@given(
    places=st.lists(
        st.tuples(st.integers(0, 4), st.integers(-3, 3)), min_size=1, max_size=8, unique=True
    ),
    hidden=st.lists(st.sets(st.integers(0, 7)), min_size=5, max_size=25),
    seed=st.integers(0, 1000),
)
def test_ids_are_stable_under_noise_and_occlusion(places, hidden, seed) -> None:
    rng = np.random.default_rng(seed)
    spots = [(0.3 + 0.13 * i, 0.13 * j) for i, j in places]
    player = Player()
    first = player.show(*[at(x, y) for x, y in spots], times=2)
    assert len(first) == len(spots)
    for out in hidden:
        seen = [spot for i, spot in enumerate(spots) if i not in out]
        shown = [at(*(np.array(spot) + rng.normal(0, 0.004, 2))) for spot in seen]
        rng.shuffle(shown)
        objects = player.show(*shown, bare=False)
        assert objects.keys() == first.keys()
        for key, before in first.items():
            moved = np.subtract(objects[key].position_base_m, before.position_base_m)
            assert np.linalg.norm(moved) < 0.03


def test_two_that_are_seen_as_one_heap_stay_where_they_are() -> None:
    player = Player()
    left, right = at(0.5, 0.05), at(0.5, -0.05, name="bottle", colour="blue")
    before = player.show(left, right, times=3)
    x, y = left.box_px[0], left.box_px[1]
    width = right.box_px[0] + right.box_px[2] - x
    heap = at(0.5, 0.0, names={}, colours={}, box_px=(x, y, width, 50.0), radius_m=0.09)
    after = player.show(heap, times=20)
    assert after.keys() == before.keys()
    for key, thing in after.items():
        assert thing.position_base_m == before[key].position_base_m
        assert thing.last_seen_ns == player.now_ns


def test_a_moving_thing_passes_a_resting_one_of_its_kind() -> None:
    player = Player()
    places = np.linspace(0.2, -0.2, 12)
    first = player.show(at(0.5, 0.0), at(0.52, places[0]), times=3)
    for y in places:
        hides = abs(y) < 0.05
        # While it passes, only one of the two is seen.
        seen = [at(0.52, y)] if hides else [at(0.5, 0.0), at(0.52, y)]
        player.show(*seen, bare=False)
    objects = player.show(at(0.5, 0.0), at(0.52, places[-1]), times=8)
    assert objects.keys() == first.keys()
    for key in first:
        rests = abs(first[key].position_base_m[1]) < 0.01
        assert (abs(objects[key].position_base_m[1]) < 0.02) == rests


def test_an_object_carries_its_embedding_and_height() -> None:
    player = Player()
    player.show(at(0.5, 0), times=2)
    (track,) = player.tracker.tracks
    vector = np.full(16, 0.25, np.float32)
    track.see({"mug": 0.5}, {"red": 1.0}, vector, track.box_px, player.now_ns)
    (thing,) = player.objects().values()
    assert np.frombuffer(thing.embedding, "<f2") == pytest.approx(vector, abs=1e-3)
    assert thing.height_m == 0.08
    # What was taught comes first; the detector's noun has what that leaves open.
    assert thing.names == pytest.approx({"mug": 0.5, "cup": 0.45})


def test_what_turns_up_beside_a_hand_has_to_last() -> None:
    player = Player()
    player.show(at(0.5, 0), times=8)
    for k in range(10):
        player.now_ns += NS_PER_S // 10
        seen = (at(0.5, 0), at(0.3, 0.2)) if k < 8 else (at(0.5, 0),)
        player.tracker.update(Observation(seen, np.ones((48, 64), bool)), SIZE, player.now_ns)
        player.tracker.name_new(player.now_ns, hands=True)
        assert list(player.objects()) == ["cup-1"]


def test_two_quick_views_are_a_fragment_until_they_last() -> None:
    player = Player()
    player.show(at(0.5, 0), times=8)
    for _ in range(3):
        player.now_ns += NS_PER_S // 30
        both = Observation((at(0.5, 0), at(0.3, 0.2)), None)
        player.tracker.update(both, SIZE, player.now_ns)
        player.tracker.name_new(player.now_ns)
    assert list(player.objects()) == ["cup-1"]
    assert len(player.show(at(0.5, 0), at(0.3, 0.2))) == 2
