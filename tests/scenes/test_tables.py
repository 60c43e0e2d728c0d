"""The rendered tables: reproducible, and the two splits have nothing in common."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from .carry import Carry
from .chance import Chance
from .geometry import Camera
from .skeleton import GLB, Hand
from .table_stage import box_px, setting
from .tables import Cast, still, video
from .wares import KINDS, inventory

SMALL = Path(__file__).parent / "tables_small"


def cast(split: str, seed: int = 1, things: int | None = None) -> Cast:
    return Cast.of(argparse.Namespace(split=split, seed=seed, things=things))


def test_the_same_seed_gives_the_same_scene() -> None:
    first, again, other = (
        still(cast("dev", s).wares, cast("dev", s).chance(3), "x") for s in (1, 1, 2)
    )
    assert json.dumps(first.job()) == json.dumps(again.job())
    assert json.dumps(first.job()) != json.dumps(other.job())


def test_the_splits_share_no_thing_and_no_setting() -> None:
    wares = {split: inventory(split, 1) for split in ("dev", "report")}
    assert not {w.paint for w in wares["dev"]} & {w.paint for w in wares["report"]}
    own = {split: {k.names[0] for k in KINDS if k.split == split} for split in wares}
    assert min(len(own["dev"]), len(own["report"])) >= 10
    for split, kinds in own.items():
        there = {w.names[0] for w in wares[split]}
        assert kinds <= there
        assert not there & own["report" if split == "dev" else "dev"]
    settings = {s: [setting(Chance(s, i)) for i in range(40)] for s in wares}
    paints = {s: {one.paint for one in many} for s, many in settings.items()}
    assert not paints["dev"] & paints["report"]


def test_things_stand_apart_and_in_the_picture() -> None:
    one = cast("dev")
    for number in range(12):
        plan = still(one.wares, one.chance(number), "x")
        assert 1 <= len(plan.placed) <= 10
        camera = plan.setting.camera
        assert (
            0.55 < np.linalg.norm(np.subtract(camera.position_base_m, camera.look_at_base_m)) < 1.25
        )
        for a, b in itertools.combinations(plan.placed, 2):
            gap = np.hypot(a.x_m - b.x_m, a.y_m - b.y_m) - a.ware.radius_m - b.ware.radius_m
            assert gap > 0.02
        for placed in plan.placed:
            left, top, right, bottom = box_px(placed, camera)
            assert min(left, top) > 0
            assert right < camera.width
            assert bottom < camera.height


@pytest.mark.skipif(not GLB.exists(), reason="npm ci was not run in tests/scenes")
def test_a_hand_carries_a_thing_past_its_double() -> None:
    one, hand = cast("report"), Hand.load()
    attempts = (video(one.wares, hand, one.chance(number), 0) for number in range(400))
    plan = next(p for p in attempts if p is not None)
    first, double = plan.placed[:2]
    assert first.ware is double.ware
    assert [m.bones is None for m in plan.moments[:3] + plan.moments[-3:]] == [True] * 6
    assert any(m.held for m in plan.moments)
    moved = np.linalg.norm(plan.moments[-1].lift_m)
    assert 0.18 < moved < 0.45
    lowest = min(m.lift_m[2] for m in plan.moments)
    assert lowest == pytest.approx(0, abs=1e-9)
    # The thing is never carried off at a jump.
    steps = np.diff([m.lift_m for m in plan.moments], axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.08


@pytest.mark.skipif(not GLB.exists(), reason="npm ci was not run in tests/scenes")
def test_a_sweep_moves_nothing_and_comes_from_outside() -> None:
    camera = Camera()
    place = np.array([0.5, 0.0, 0.06])
    carry = Carry(
        Hand.load(), camera, place, place + np.array([0.1, 0.1, 0]), 0.5, 0.7, carries=False
    )
    moments = [carry.at(t) for t in np.arange(0, carry.duration_s, 0.05)]
    assert not any(m.held or m.lift_m.any() for m in moments)
    hands = [m.bones for m in moments if m.bones is not None]
    for bones in (hands[0], hands[-1]):
        assert not camera.in_view(camera.project(carry.hand.landmarks(bones))).any()


def test_what_the_committed_scenes_say_is_what_they_show() -> None:
    for path in sorted(SMALL.glob("still_*/truth.json")):
        truth = json.loads(path.read_text())
        camera = json.loads((path.parent / "camera.json").read_text())
        to_cam = np.linalg.inv(camera["T_base_cam"])
        for one in truth["frames"][0]["objects"]:
            x, y, w, h = one["box_px"]
            cam = to_cam[:3, :3] @ one["position_base_m"] + to_cam[:3, 3]
            px = np.array(camera["K"]) @ cam / cam[2]
            assert x < px[0] < x + w
            assert y < px[1] < y + h
            assert 0 < one["visible"] <= 1
