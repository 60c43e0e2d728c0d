from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from deixis.nodes.objects.merging import merge
from deixis.nodes.objects.source import Observation
from tests.nodes.objects.test_tracker import at


def seen(*detections, free=None) -> Observation:
    return Observation(detections, free)


def region(x: float, y: float, **more):
    """What the table top reports: an outline, no name."""
    return at(x, y, names={}, colours={}, mask=np.ones((50, 40), bool), **more)


def named(x: float, y: float, name: str = "cup", **more):
    """What a detector reports: a name, and a rough place."""
    rough = {"position_cov_m2": np.eye(3) * 0.03**2, "colours": {}}
    return at(x, y, name=name, **{**rough, **more})


def test_a_tag_is_the_thing_that_carries_it() -> None:
    tag = at(0.5, 0, name="box", hint="tag-4", box_px=(310.0, 220.0, 20.0, 20.0))
    whole = region(0.51, 0.01, box_px=(290.0, 200.0, 60.0, 60.0))
    other = region(0.3, 0.2)
    free = np.ones((48, 64), bool)
    merged = merge([seen(tag), seen(whole, other, free=free)])
    assert [d.hint for d in merged.detections] == ["tag-4", ""]
    assert merged.detections[0].box_px == whole.box_px
    assert merged.detections[0].mask is whole.mask
    assert np.array_equal(merged.detections[0].position_base_m, tag.position_base_m)
    assert np.array_equal(merged.free, free)


def test_a_named_box_and_the_region_of_the_same_thing_are_one() -> None:
    box, outline = named(0.49, 0.012), region(0.5, 0.01)
    (one,) = merge([seen(box), seen(outline)]).detections
    assert one.names == box.names
    assert one.mask is outline.mask
    # The silhouette says where it stands, the detector only where its box ends.
    assert np.array_equal(one.position_base_m, outline.position_base_m)
    assert one.confidence > max(box.confidence, outline.confidence)


def test_things_that_stand_apart_stay_apart() -> None:
    merged = merge([seen(named(0.5, 0.1)), seen(region(0.5, -0.1), region(0.3, 0.1))])
    assert len(merged.detections) == 3


def test_a_region_in_which_a_detector_sees_two_things_is_those_two() -> None:
    left = named(0.5, 0.04, box_px=(280.0, 200.0, 40.0, 60.0))
    right = named(0.5, -0.04, "bottle", box_px=(322.0, 190.0, 40.0, 70.0))
    heap = region(0.5, 0.0, box_px=(278.0, 188.0, 86.0, 74.0))
    merged = merge([seen(left, right), seen(heap)])
    assert [max(d.names) for d in merged.detections] == ["cup", "bottle"]


def test_two_boxes_of_one_detector_are_two_things() -> None:
    a, b = named(0.5, 0.0), named(0.52, 0.005, "bottle")
    assert len(merge([seen(a, b)]).detections) == 2


def test_a_place_is_bare_only_if_all_say_so() -> None:
    nothing, everything = np.zeros((24, 32), bool), np.ones((48, 64), bool)
    assert merge([seen(free=everything), seen(free=nothing)]).free.sum() == 0
    assert merge([seen(free=everything), seen()]).free.all()
    assert merge([seen(), seen()]).free is None


def test_what_one_source_has_not_finished_is_not_complete() -> None:
    assert merge([seen(), seen()]).complete
    assert not merge([seen(), replace(seen(), complete=False)]).complete


PLACES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-2, 2)), min_size=0, max_size=6, unique=True
)


@settings(max_examples=50, deadline=None)
@given(tagged=PLACES, boxes=PLACES, regions=PLACES)
def test_each_place_is_reported_once(tagged, boxes, regions) -> None:
    def spot(place):
        return 0.3 + 0.13 * place[0], 0.13 * place[1]

    merged = merge(
        [
            seen(*[at(*spot(p), hint=f"tag-{p}") for p in tagged]),
            seen(*[named(*spot(p)) for p in boxes]),
            seen(*[region(*spot(p)) for p in regions]),
        ]
    )
    assert len(merged.detections) == len({*tagged, *boxes, *regions})
