from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deixis.export.bench.objects_data import TableScene, TrueObject
from deixis.export.bench.objects_playing import SETTLE_S, Look
from deixis.export.bench.objects_scoring import Scores, auroc, best, iou, match
from deixis.runtime.messages import SceneObject

CAMERA = np.array([0.0, 0.0, 0.6])
FPS = 10.0


def true(name: str, x: float, *, visible: float = 1.0, held: bool = False) -> TrueObject:
    return TrueObject(
        name, name, "red", True, (x, 0.0, 0.04), (1000 * x, 50, 40, 60), visible, held
    )  # fmt: skip


def found(
    object_id: str, x: float, name: str = "", box: tuple[float, ...] | None = None
) -> SceneObject:
    return SceneObject(
        object_id=object_id,
        names={name: 0.9} if name else {},
        colours={"red": 0.8, "brown": 0.2},
        box_px=box or (1000 * x, 50, 40, 60),
        position_base_m=(x, 0.0, 0.04),
        position_cov_m2=(1e-4, 0, 0, 0, 1e-4, 0, 0, 0, 1e-4),
        radius_m=0.04,
        confidence=0.9,
        last_seen_ns=1,
    )  # fmt: skip


def scene(*frames: tuple[TrueObject, ...]) -> TableScene:
    return TableScene(
        "s", (Path("video.mp4"),), True, FPS, Path("camera.json"), None, frames,
        (False,) * len(frames), {"surface": "wood"},
    )  # fmt: skip


def play(known: TableScene, *published: tuple[SceneObject, ...]) -> Scores:
    scores = Scores()
    for k, objects in enumerate(published):
        scores.add(known, Look(k, objects, 5.0, "still", counts=True), CAMERA)
    return scores


def test_everything_right() -> None:
    frames = ((true("cup", 0.4), true("ball", 0.6)),) * 2
    objects = (found("cup-1", 0.41, "cup"), found("ball-1", 0.6, "ball"))
    scores = play(scene(*frames), objects, objects)
    assert scores.detection() == {"n": 4, "recall": 1.0, "precision": 1.0, "false_per_frame": 0.0}
    assert (scores.switches, scores.tracks, scores.failures) == (0, 2, [])
    position = scores.position()
    assert position is not None
    assert position["n"] == 2
    assert position["median_mm"] == pytest.approx(5, abs=0.1)
    assert position["p95_mm"] == pytest.approx(9.5, abs=0.1)
    # Names and colours of a video count once.
    assert [one.name for one in scores.clear] == ["cup", "ball"]


def test_missed_false_and_misnamed() -> None:
    known = scene((true("cup", 0.4), true("ball", 0.6)))
    scores = play(known, (found("bowl-1", 0.4, "bowl"), found("object-1", 0.8)))
    assert scores.detection() == {"n": 2, "recall": 0.5, "precision": 0.5, "false_per_frame": 1.0}
    assert {(f.what, f.detail) for f in scores.failures} == {
        ("missed", "ball"),
        ("name", "cup as bowl"),
        ("false", "object-1"),
    }
    assert scores.by["wood"] == {"looks": 1, "there": 2, "missed": 1, "false": 1}


def test_hidden_and_carried_things_may_be_published_or_not() -> None:
    shown = (true("cup", 0.4), true("ball", 0.6))
    hidden = (true("cup", 0.4, visible=0.2), true("ball", 0.7, held=True))
    both = (found("cup-1", 0.4, "cup"), found("ball-1", 0.6, "ball"))
    # The ball's old place is still published while the hand has it: that is not false.
    scores = play(scene(shown, hidden, hidden), both, (both[1],), ())
    assert scores.detection() == {"n": 2, "recall": 1.0, "precision": 1.0, "false_per_frame": 0.0}
    # A moment after it was put down it must be there again.
    settle = round(SETTLE_S * FPS)
    put_down = (true("cup", 0.4), true("ball", 0.7))
    frames = (shown, hidden, *[put_down] * (settle + 2))
    scores = play(scene(*frames), both, both, *[(both[0],)] * (settle + 2))
    assert scores.missed >= 1
    assert {f.detail for f in scores.failures} == {"ball"}


def test_changes_of_identity() -> None:
    frames = ((true("cup", 0.4), true("twin", 0.6)),) * 3
    a, b = found("cup-1", 0.4), found("cup-2", 0.6)
    swapped = (found("cup-2", 0.4), found("cup-1", 0.6))
    scores = play(scene(*frames), (a, b), (a, b), swapped)
    assert (scores.switches, scores.tracks) == (2, 2)
    assert [f.what for f in scores.failures if f.what == "id"] == ["id", "id"]


def test_matching_by_place_and_by_box() -> None:
    known = (true("cup", 0.4), true("ball", 0.47))
    near = found("1", 0.43)
    assert {k: o.object_id for k, o in match(known, [near]).items()} == {"cup": "1"}
    # Far off on the plane, but the same box in the picture.
    same_box = found("2", 0.55, box=(400, 50, 40, 60))
    assert match(known[:1], [same_box])["cup"] is same_box
    assert match(known[:1], [found("3", 0.55)]) == {}
    assert iou((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert iou((0, 0, 10, 10), (20, 0, 10, 10)) == 0


def test_known_from_unknown() -> None:
    assert auroc([0.9, 0.8], [0.1, 0.2]) == 1.0
    assert auroc([0.1], [0.9]) == 0.0
    assert auroc([0.5, 0.5], [0.5]) == 0.5
    assert auroc([0.9, 0.3], [0.5]) == 0.5
    assert auroc([], [0.5]) is None
    assert best({"cup": 0.4, "bowl": 0.3}) == ""
    assert best({"cup": 0.4, "bowl": 0.3}, 0.0) == "cup"
    assert best({}) == ""
