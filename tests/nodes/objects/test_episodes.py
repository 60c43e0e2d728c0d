"""The node alone on the rendered episodes: what stands where, what it is called, stable ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Frame, Hand, Hands, Header, Scene, SceneObject
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE

SCENES = Path(__file__).resolve().parents[2] / "scenes"
FOLDERS = sorted(p.parent for p in (SCENES / "episodes").glob("*/truth.json"))

if not FOLDERS or not (SCENES / "gallery" / "gallery.json").is_file():
    pytest.skip("no rendered episodes in tests/scenes", allow_module_level=True)


@dataclass
class Played:
    """One episode as the node saw it."""

    truth: dict[str, Any]
    scenes: list[Scene]

    def at(self, name: str, scene: Scene) -> SceneObject | None:
        """The object of a scene that stands where the true one does."""
        true = next(o for o in self.truth["objects"] if o["id"] == name)
        return min(
            (o for o in scene.objects if apart_m(o, true) < 0.05),
            key=lambda o: apart_m(o, true), default=None,
        )  # fmt: skip


def apart_m(found: SceneObject, true: dict[str, Any]) -> float:
    return float(np.linalg.norm(np.subtract(found.position_base_m, true["position_base_m"])))


def frames(folder: Path, seconds: float) -> Iterator[tuple[int, np.ndarray]]:
    video = cv2.VideoCapture(str(folder / "video.mp4"))
    for k in range(round(seconds * 30)):
        good, image = video.read()
        if not good:
            break
        yield k, image
    video.release()


def play(folder: Path, bundle: Bundle, seconds: float = 1e3) -> Played:
    truth = json.loads((folder / "truth.json").read_text())
    params = {
        "calibration": str(SCENES / "camera.json"), "gallery": str(SCENES / "gallery"),
        "workspace": WORKSPACE,
    }  # fmt: skip
    with NodeBench(ObjectsNode, params, bundle=bundle) as bench:
        for k, image in frames(folder, min(seconds, truth["duration_s"])):
            header = Header(stamp_ns=NS_PER_S + int(k / 30 * NS_PER_S))
            hand = truth["hand"][k] if k < len(truth["hand"]) else {"visible": False}
            seen = ()
            if hand["visible"]:
                points = tuple(map(tuple, hand["landmarks_px"]))
                seen = (Hand(1, "right", 1.0, points, ((0.0, 0.0, 0.0),) * 21),)
            bench.send("hands", Hands(header, seen))
            bench.send("frame", Frame(header, image, "episode"))
        return Played(truth, bench.outputs["scene"])


@pytest.fixture(scope="module", params=FOLDERS, ids=lambda p: p.name)
def played(request: pytest.FixtureRequest, bundle: Bundle) -> Played:
    return play(request.param, bundle)


@pytest.mark.slow
def test_the_scene_is_complete_after_half_a_second(played: Played) -> None:
    scene = next(s for s in played.scenes if s.header.stamp_ns >= 1.5 * NS_PER_S)
    assert len(scene.objects) == len(played.truth["objects"])
    for true in played.truth["objects"]:
        found = played.at(true["id"], scene)
        assert found is not None, true["id"]
        assert apart_m(found, true) < 0.03, true["id"]
        assert max(found.names, key=found.names.get) == true["name"]
        assert max(found.colours, key=found.colours.get) == true["colour"]
        assert found.object_id.startswith(f"{true['name']}-")


@pytest.mark.slow
def test_ids_stay_the_same_while_the_arm_passes_over(played: Played) -> None:
    settled = [s for s in played.scenes if s.header.stamp_ns >= 1.5 * NS_PER_S]
    ids = {true["id"]: played.at(true["id"], settled[0]) for true in played.truth["objects"]}
    for scene in settled:
        assert len(scene.objects) == len(ids)
        for name, first in ids.items():
            found = played.at(name, scene)
            assert first is not None
            assert found is not None, name
            assert found.object_id == first.object_id
