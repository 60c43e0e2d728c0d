from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from deixis.calibration.store import save_camera
from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.errors import BundleError, CalibrationError, ConfigError, NodeError
from deixis.runtime.messages import Hands, Header, Playback, Scene
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE, Drum, add_arm, camera, frame, table
from tests.nodes.objects.test_fiducials import draw, lying

THINGS = (Drum(0.35, 0.2), Drum(0.55, -0.15, bgr=(170, 70, 30)), Drum(0.68, 0.1, bgr=(60, 130, 20)))


@pytest.fixture
def params(tmp_path: Path) -> dict[str, object]:
    save_camera(camera(), tmp_path / "camera.json")
    return {"calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE}


@pytest.fixture
def bench(params: dict[str, object]):
    with NodeBench(ObjectsNode, params) as bench:
        yield bench


def play(bench: NodeBench, picture, start_s: float, seconds: float, hand=None, stream="drawn"):
    for k in range(round(seconds * 30)):
        sent = frame(picture, start_s + k / 30, stream)
        if hand is not None:
            bench.send("hands", Hands(Header(stamp_ns=sent.header.stamp_ns), (hand,)))
        bench.send("frame", sent)
    return bench.outputs["scene"][-1]


def colours(scene: Scene) -> list[str]:
    return sorted(max(o.colours, key=o.colours.get) for o in scene.objects)


def test_the_scene_is_known_within_a_few_frames(bench: NodeBench) -> None:
    scene = play(bench, table(THINGS), 1.0, 0.2)
    assert colours(scene) == ["blue", "green", "red"]
    for thing in THINGS:
        nearest = min(
            np.linalg.norm(np.subtract(o.position_base_m, thing.centre)) for o in scene.objects
        )
        assert nearest < 0.03


def test_a_scene_carries_the_capture_time_of_its_frame(bench: NodeBench) -> None:
    play(bench, table(THINGS), 1.0, 0.5)
    for scene in bench.outputs["scene"]:
        assert all(o.last_seen_ns == scene.header.stamp_ns for o in scene.objects)


def test_frames_in_between_are_skipped(bench: NodeBench) -> None:
    play(bench, table(THINGS), 1.0, 1.0)
    before = len(bench.outputs["scene"])
    play(bench, table(THINGS), 2.0, 2.0)
    assert len(bench.outputs["scene"]) - before == pytest.approx(20, abs=1)


def test_an_arm_over_the_table_changes_no_id(bench: NodeBench) -> None:
    before = play(bench, table(THINGS), 1.0, 1.0)
    for k, x in enumerate(range(120, 560, 20)):
        picture, hand = add_arm(table(THINGS, seed=k), (x, 320))
        scene = play(bench, picture, 2.0 + k * 0.2, 0.2, hand)
        assert {o.object_id for o in scene.objects} == {o.object_id for o in before.objects}
    after = play(bench, table(THINGS), 7.0, 1.0)
    assert [o.object_id for o in after.objects] == [o.object_id for o in before.objects]


def test_what_is_taken_away_disappears(bench: NodeBench) -> None:
    play(bench, table(THINGS), 1.0, 1.0)
    scene = play(bench, table(THINGS[1:]), 2.0, 1.5)
    assert colours(scene) == ["blue", "green"]


def test_a_new_stream_is_a_new_scene(bench: NodeBench) -> None:
    play(bench, table(THINGS), 1.0, 1.0)
    scene = play(bench, table(THINGS[:1]), 2.0, 0.2, stream="file")
    assert colours(scene) == ["red"]
    assert [o.object_id for o in scene.objects] == ["object-4"]


def test_a_reset_starts_the_numbers_again(bench: NodeBench) -> None:
    play(bench, table(THINGS), 1.0, 1.0)
    bench.send("playback", Playback(Header(stamp_ns=0), None, "v.mp4", 0, reset=True))
    scene = play(bench, table(THINGS[:1]), 2.0, 0.2, stream="file")
    assert [o.object_id for o in scene.objects] == ["object-1"]


def test_tags_name_what_they_are_on(params: dict[str, object]) -> None:
    tags = [{"id": 7, "name": "box", "colour": "brown", "size_m": 0.06}]
    with NodeBench(ObjectsNode, {**params, "fiducials": {"tags": tags}}) as bench:
        scene = play(bench, draw(7, lying(0.5, 0.1, 0.4), 0.06, camera()), 1.0, 0.2)
    assert [(o.object_id, o.label()) for o in scene.objects] == [("box-1", "brown box")]


def test_pictures_of_another_shape_are_refused_with_a_note(bench: NodeBench) -> None:
    bench.send("frame", frame(np.zeros((480, 480, 3), np.uint8), 1.0))
    assert not bench.outputs["scene"]
    assert "aspect" in bench.node.context.notes["calibration"]
    play(bench, table(THINGS), 2.0, 0.2)
    assert "calibration" not in bench.node.context.notes


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"calibration": "missing.json"}, CalibrationError),
        ({"rate_hz": 0.0}, ConfigError),
        ({"sources": []}, ConfigError),
        ({"sources": ["fiducials"]}, ConfigError),
        ({"sources": ["magic"]}, ConfigError),
        ({"gallery": "missing"}, (NodeError, BundleError)),
    ],
)
def test_wrong_parameters_are_clear_errors(params, change, error) -> None:
    with pytest.raises(error):
        NodeBench(ObjectsNode, {**params, **change})
