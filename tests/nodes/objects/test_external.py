from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deixis.calibration.store import save_camera
from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Header, Scene, SceneObject
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE, Drum, camera, frame, table

CUP = Drum(0.5, 0.1)


def outside(name: str, thing: Drum, at_s: float, *, box=(0.0, 0.0, 0.0, 0.0)) -> Scene:
    x, y, z = thing.centre
    cov = tuple((np.eye(3) * 0.01**2).ravel().tolist())
    told = SceneObject(
        "their-7", {name: 0.9}, {}, box, (x, y, z), cov, thing.radius_m, 0.9, int(at_s * NS_PER_S)
    )
    return Scene(Header(stamp_ns=int(at_s * NS_PER_S)), (told,))


@pytest.fixture
def make(tmp_path: Path):
    save_camera(camera(), tmp_path / "camera.json")

    def make(*sources: str) -> NodeBench:
        return NodeBench(
            ObjectsNode,
            {
                "calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE,
                "sources": list(sources),
            },
        )  # fmt: skip

    return make


def test_what_another_stack_sees_is_in_the_scene(make) -> None:
    with make("external") as bench:
        for k in range(10):
            bench.send("external", outside("mug", CUP, 1 + k / 10))
            bench.send("frame", frame(table(), 1 + k / 10))
        (thing,) = bench.outputs["scene"][-1].objects
    assert thing.object_id == "mug-1"
    assert thing.position_base_m == pytest.approx(tuple(CUP.centre), abs=1e-6)
    assert thing.names == {"mug": 0.9}
    # Their box was empty: it is where our camera sees it.
    assert thing.box_px[2] > 10


def test_our_region_and_their_name_are_one_object(make) -> None:
    with make("external", "tabletop") as bench:
        for k in range(10):
            bench.send("external", outside("mug", CUP, 1 + k / 10))
            bench.send("frame", frame(table((CUP, Drum(0.4, -0.2))), 1 + k / 10))
        ids = sorted(o.object_id for o in bench.outputs["scene"][-1].objects)
    assert ids == ["mug-1", "object-1"]


def test_a_stack_that_falls_silent_is_noted_and_its_objects_go(make) -> None:
    with make("external", "tabletop") as bench:
        for k in range(10):
            bench.send("external", outside("mug", CUP, 1 + k / 10))
            bench.send("frame", frame(table(), 1 + k / 10))
        assert bench.outputs["scene"][-1].objects
        assert "external" not in bench.node.context.notes
        for k in range(10, 40):
            bench.send("frame", frame(table(), 1 + k / 10))
        assert not bench.outputs["scene"][-1].objects
        assert "external" in bench.node.context.notes
