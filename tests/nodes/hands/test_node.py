"""The hands node alone: real models, frames of a rendered episode with known rays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.nodes.hands.node import HandsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import CalibrationError, ConfigError, NodeError
from deixis.runtime.messages import Frame, Header, Playback
from deixis.runtime.testing import NodeBench

START_NS = 5 * NS_PER_S
N_FRAMES = 45


@dataclass
class Clip:
    """Frames of an episode from shortly before the hand comes into view, with their truth."""

    camera: Path
    frames: list[Frame]
    truth: list[dict[str, Any]]


@pytest.fixture(scope="module")
def clip(episodes: Path) -> Clip:
    camera = episodes.parent / "camera.json"
    folders = sorted(p.parent for p in episodes.glob("*/truth.json"))
    if not folders or not camera.is_file():
        pytest.skip("no rendered episodes under tests/scenes/episodes")
    for folder in folders:
        hand = json.loads((folder / "truth.json").read_text())["hand"]
        visible = [h["frame"] for h in hand if h["visible"]]
        if not visible:
            continue
        first = max(0, visible[0] - 3)
        video = cv2.VideoCapture(str(folder / "video.mp4"))
        images = [video.read()[1] for _ in range(first + N_FRAMES)][first:]
        video.release()
        frames = [
            Frame(Header(START_NS + k * NS_PER_S // 30), image, "clip")
            for k, image in enumerate(images)
        ]
        return Clip(camera, frames, hand[first : first + N_FRAMES])
    pytest.skip("no episode shows a hand")


def bench_of(bundle: Bundle, camera: Path, **params: Any) -> NodeBench:
    return NodeBench(HandsNode, {"calibration": str(camera), **params}, bundle=bundle)


def angle_deg(a: Any, b: NDArray[np.float64]) -> float:
    cosine = np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))


def test_hands_and_rays_of_an_episode(clip: Clip, bundle: Bundle) -> None:
    # The rendered hand is 19 cm long.
    with bench_of(bundle, clip.camera, hand_scale=19 / 18.2) as bench:
        for frame in clip.frames:
            bench.send("frame", frame)
        hands, rays = bench.outputs["hands"], bench.outputs["pointing"]
    stamps = [f.header.stamp_ns for f in clip.frames]
    assert [h.header.stamp_ns for h in hands] == stamps
    truth = dict(zip(stamps, clip.truth, strict=True))
    errors_px = [
        np.linalg.norm(np.subtract(h.hands[0].landmarks_px, true["landmarks_px"]), axis=1)
        for h, true in zip(hands, clip.truth, strict=True)
        if h.hands and true["visible"]
    ]
    assert np.mean(errors_px) < 8
    assert np.median(np.array(errors_px)[:, 8]) < 3  # the index tip
    assert all(h.hands[0].handedness == "right" for h in hands if h.hands)
    held = [r for r in rays if truth[r.header.stamp_ns]["phase"] == "hold"]
    assert len(held) >= 5
    errors_deg = [
        angle_deg(r.direction_base, truth[r.header.stamp_ns]["ray_direction_base"]) for r in held
    ]
    assert np.median(errors_deg) < 6
    tips = [truth[r.header.stamp_ns]["landmarks_base_m"][8] for r in held]
    assert (
        np.median(np.linalg.norm(np.subtract([r.origin_base_m for r in held], tips), axis=1)) < 0.03
    )
    assert np.mean([r.phase == "hold" for r in held]) > 0.5
    assert np.median([r.confidence for r in held]) > 0.7


def test_one_hand_keeps_one_track(clip: Clip, bundle: Bundle) -> None:
    with bench_of(bundle, clip.camera) as bench:
        for frame in clip.frames:
            bench.send("frame", frame)
        ids = [h.hands[0].track_id for h in bench.outputs["hands"] if h.hands]
    assert len(set(ids[5:])) == 1
    assert all(a <= b for a, b in pairwise(ids))


@pytest.mark.parametrize("how", ["playback", "stream"])
def test_a_new_scene_forgets_the_hands(clip: Clip, bundle: Bundle, how: str) -> None:
    shown = [f for f, t in zip(clip.frames, clip.truth, strict=True) if t["phase"] == "hold"][:2]
    with bench_of(bundle, clip.camera) as bench:
        bench.send("frame", shown[0])
        stream = shown[1].stream
        if how == "playback":
            bench.send("playback", Playback(Header(1), None, None, 1, reset=True))
        else:
            stream = "another"
        bench.send("frame", Frame(shown[1].header, shown[1].image, stream))
        first, second = (h.hands[0].track_id for h in bench.outputs["hands"])
    assert first != second


def test_a_picture_without_hands_is_an_empty_message(bundle: Bundle, tmp_path: Path) -> None:
    with bench_of(bundle, camera_file(tmp_path)) as bench:
        bench.send("frame", Frame(Header(7), np.full((480, 640, 3), 80, np.uint8)))
        assert bench.outputs["hands"][0].hands == ()
        assert bench.outputs["hands"][0].header.stamp_ns == 7
        assert bench.outputs["pointing"] == []


def test_a_calibration_for_other_pictures_is_noted(bundle: Bundle, tmp_path: Path) -> None:
    with bench_of(bundle, camera_file(tmp_path)) as bench:
        bench.send("frame", Frame(Header(7), np.zeros((360, 640, 3), np.uint8)))
        assert "640x480" in bench.node.context.notes["calibration"]
        assert len(bench.outputs["hands"]) == 1
        bench.send("frame", Frame(Header(8), np.zeros((240, 320, 3), np.uint8)))
        assert "calibration" not in bench.node.context.notes


def test_it_does_not_start_without_what_it_needs(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no camera calibration"):
        bench_of(bundle, tmp_path / "none.json")
    with pytest.raises(NodeError, match="needs a bundle"):
        NodeBench(HandsNode, {"calibration": str(camera_file(tmp_path))})
    with pytest.raises(ConfigError, match="calibration"):
        NodeBench(HandsNode, {}, bundle=bundle)


def camera_file(folder: Path) -> Path:
    path = folder / "camera.json"
    path.write_text(
        json.dumps(
            {
                "schema": 1, "device_id": "test", "width": 640, "height": 480,
                "K": [[490, 0, 319.5], [0, 490, 239.5], [0, 0, 1]], "distortion": [0] * 5,
                "T_base_cam": np.eye(4).tolist(), "calibrated_at": "2026-11-25T00:00:00Z",
                "reprojection_error_px": 0.0,
            }
        )
    )  # fmt: skip
    return path
