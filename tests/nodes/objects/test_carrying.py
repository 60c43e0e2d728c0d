"""A hand takes one of several things and puts it down elsewhere: who is who afterwards?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deixis.calibration.store import save_camera
from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.messages import Hand, Hands, Header, Scene, SceneObject
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE, Drum, add_arm, camera, frame, table

FPS = 10


def at(scene: Scene, x: float, y: float) -> SceneObject | None:
    found = [
        o for o in scene.objects if np.hypot(*np.subtract(o.position_base_m[:2], (x, y))) < 0.035
    ]
    return found[0] if len(found) == 1 else None


class Table:
    """A drawn table in front of the node, one picture after the other."""

    def __init__(self, bench: NodeBench) -> None:
        self.bench = bench
        self.k = 0

    def show(self, things, tip_px=None, *, landmarks: bool = True) -> Scene:
        picture, hand = table(tuple(things), seed=self.k), None
        if tip_px is not None:
            picture, hand = add_arm(picture, tip_px)
        sent = frame(picture, 1.0 + self.k / FPS)
        seen: tuple[Hand, ...] = (hand,) if hand is not None and landmarks else ()
        self.bench.send("hands", Hands(Header(stamp_ns=sent.header.stamp_ns), seen))
        self.bench.send("frame", sent)
        self.k += 1
        return self.bench.outputs["scene"][-1]

    def rest(self, things, seconds: float) -> Scene:
        for _ in range(round(seconds * FPS)):
            scene = self.show(things)
        return scene

    def carry(self, things, which: int, to: tuple[float, float], *, landmarks: bool = True):
        """Reach for a thing, carry it off in the hand (it cannot be seen), put it down, leave."""
        cam = camera()
        start = cam.project(things[which].centre)[0]
        moved = replace(things[which], x_m=to[0], y_m=to[1])
        end = cam.project(moved.centre)[0]
        others = [t for i, t in enumerate(things) if i != which]
        after = [moved if i == which else t for i, t in enumerate(things)]
        away = np.array([start[0], -80.0])
        for tip in _path(away, start, 0.5):
            self.show(things, tip, landmarks=landmarks)
        for tip in _path(start, end, 0.8):
            self.show(others, tip, landmarks=landmarks)
        for tip in _path(end, np.array([end[0], -80.0]), 0.5):
            self.show(after, tip, landmarks=landmarks)
        return after


def _path(start: np.ndarray, end: np.ndarray, seconds: float) -> Iterator[tuple[float, float]]:
    for s in np.linspace(0, 1, round(seconds * FPS)):
        ease = 10 * s**3 - 15 * s**4 + 6 * s**5
        x, y = start + ease * (end - start)
        yield float(x), float(y)


@pytest.fixture
def shown(tmp_path: Path):
    save_camera(camera(), tmp_path / "camera.json")
    params = {"calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE}
    with NodeBench(ObjectsNode, params) as bench:
        yield Table(bench)


RED, BLUE = (30, 30, 190), (170, 70, 30)


@pytest.mark.parametrize("landmarks", [True, False])
@pytest.mark.parametrize(
    ("start", "end", "other"),
    [
        ((0.40, 0.22), (0.50, -0.22), (0.50, -0.06)),  # put down beside its twin
        ((0.40, 0.22), (0.42, -0.25), (0.52, 0.0)),  # carried right past its twin
        ((0.60, -0.2), (0.40, 0.15), (0.40, -0.02)),
        ((0.40, 0.02), (0.45, 0.25), (0.66, -0.1)),  # the arm lies over its twin when it reaches
    ],
)
def test_a_carried_thing_and_its_twin_keep_their_ids(shown, start, end, other, landmarks) -> None:
    things = [Drum(*start, bgr=RED), Drum(*other, bgr=RED), Drum(0.7, 0.3, bgr=BLUE)]
    before = shown.rest(things, 1.0)
    ids = [at(before, t.x_m, t.y_m) for t in things]
    assert all(ids)
    after = shown.carry(things, 0, end, landmarks=landmarks)
    scene = shown.rest(after, 2.5)
    assert len(scene.objects) == 3
    for first, thing in zip(ids, after, strict=True):
        found = at(scene, thing.x_m, thing.y_m)
        assert found is not None
        assert found.object_id == first.object_id


def test_twice_carried_is_still_the_same(shown) -> None:
    things = [Drum(0.4, 0.2, bgr=RED), Drum(0.55, 0.0, bgr=RED)]
    ids = [at(shown.rest(things, 1.0), t.x_m, t.y_m).object_id for t in things]
    things = shown.carry(things, 0, (0.4, -0.25))
    things = shown.carry(things, 1, (0.42, 0.22))
    scene = shown.rest(things, 2.5)
    assert [at(scene, t.x_m, t.y_m).object_id for t in things] == ids


def test_a_thing_exchanged_behind_the_hand_is_a_new_one(shown) -> None:
    red, blue = Drum(0.45, 0.1, bgr=RED), Drum(0.45, 0.1, bgr=BLUE)
    first = at(shown.rest([red], 1.0), 0.45, 0.1)
    tip = camera().project(red.centre)[0]
    for point in _path(np.array([tip[0], -80.0]), tip, 0.5):
        shown.show([red], point)
    for _ in range(15):
        shown.show([blue], tuple(tip))
    for point in _path(tip, np.array([tip[0], -80.0]), 0.5):
        shown.show([blue], point)
    scene = shown.rest([blue], 2.0)
    assert len(scene.objects) == 1
    assert scene.objects[0].object_id != first.object_id
    assert max(scene.objects[0].colours, key=scene.objects[0].colours.get) == "blue"


def test_pushed_quickly_it_stays_the_same(shown) -> None:
    twin = Drum(0.6, -0.2, bgr=RED)
    ids = {o.object_id for o in shown.rest([Drum(0.4, 0.2, bgr=RED), twin], 1.0).objects}
    for y in np.linspace(0.2, -0.2, 36):
        shown.show([Drum(0.4, y, bgr=RED), twin])
    scene = shown.rest([Drum(0.4, -0.2, bgr=RED), twin], 1.0)
    assert {o.object_id for o in scene.objects} == ids
    assert at(scene, 0.6, -0.2).object_id != at(scene, 0.4, -0.2).object_id
