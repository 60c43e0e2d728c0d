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

from deixis.calibration.pointing import PointingCalibration, save_pointing
from deixis.nodes.hands.node import HandsNode
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import CalibrationError, ConfigError, NodeError
from deixis.runtime.messages import Frame, Header, Playback, Pointing
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
    # The worst of the episodes: all together have 3.6 (docs/hands.md).
    assert np.median(errors_deg) < 7.5
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


def test_a_camera_whose_place_is_unknown_sees_hands_but_no_rays(
    bundle: Bundle, tmp_path: Path
) -> None:
    with bench_of(bundle, camera_file(tmp_path, height_m=0.0)) as bench:
        bench.send("frame", Frame(Header(7), np.zeros((480, 640, 3), np.uint8)))
        assert "calibrate extrinsics" in bench.node.context.notes["calibration"]
        assert len(bench.outputs["hands"]) == 1


def test_it_does_not_start_without_what_it_needs(bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="there is no camera calibration"):
        bench_of(bundle, tmp_path / "none.json")
    with pytest.raises(NodeError, match="needs a bundle"):
        NodeBench(HandsNode, {"calibration": str(camera_file(tmp_path))})
    with pytest.raises(ConfigError, match="calibration"):
        NodeBench(HandsNode, {}, bundle=bundle)


PEOPLE = Path(__file__).parents[2] / "scenes" / "people"


def rays_of_people(bundle: Bundle, **params: Any) -> list[tuple[dict[str, Any], Pointing]]:
    """Each rendered person that is seen to point, and the last ray."""
    if not (PEOPLE / "golden.json").is_file():
        pytest.skip("no pictures under tests/scenes/people")
    found = []
    with bench_of(bundle, PEOPLE / "camera.json", **params) as bench:
        for person in json.loads((PEOPLE / "golden.json").read_text()):
            picture = np.asarray(cv2.imread(str(PEOPLE / person["image"])), np.uint8)
            bench.outputs["pointing"].clear()
            for k in range(10):
                stamp = Header(START_NS + k * NS_PER_S // 30)
                bench.send("frame", Frame(stamp, picture, person["image"]))
            if bench.outputs["pointing"]:
                found.append((person, bench.outputs["pointing"][-1]))
    return found


def test_rays_of_people_run_from_the_eye_over_the_fingertip(bundle: Bundle) -> None:
    rays = [(p, r) for p, r in rays_of_people(bundle) if r.eye_base_m is not None]
    assert len(rays) >= 3
    for person, ray in rays:
        assert ray.eye_base_m is not None
        line = np.subtract(ray.origin_base_m, ray.eye_base_m)
        assert angle_deg(line, np.array(ray.direction_base)) < 1
        assert ray.finger_direction_base is not None
        assert ray.personal_sigma_rad is None
        assert np.linalg.norm(np.subtract(ray.eye_base_m, person["eye_base_m"])) < 0.35
    errors = [angle_deg(p["rays"][0], np.array(r.direction_base)) for p, r in rays]
    assert np.median(errors) < 15


def test_a_user_calibration_goes_into_the_rays(bundle: Bundle, tmp_path: Path) -> None:
    user = PointingCalibration(user_id="anna", eye_weight=0.0, sigma_rad=0.02, hand_scale=1.1)
    save_pointing(user, tmp_path / "anna.json")
    rays = rays_of_people(bundle, pointing_calibration=str(tmp_path / "anna.json"))
    with_eye = [r for _, r in rays if r.eye_base_m is not None]
    assert with_eye
    for ray in with_eye:
        # An eye weight of 0 leaves the finger.
        assert angle_deg(ray.direction_base, np.array(ray.finger_direction_base)) < 0.1
        assert ray.personal_sigma_rad == pytest.approx(0.02)


def test_rays_without_an_eye_are_noted_once_it_lasts(clip: Clip, bundle: Bundle) -> None:
    held = [f for f, t in zip(clip.frames, clip.truth, strict=True) if t["phase"] == "hold"]
    with bench_of(bundle, clip.camera) as bench:
        for k in range(40):
            stamp = Header(START_NS + k * NS_PER_S // 10)
            bench.send("frame", Frame(stamp, held[k % len(held)].image, "clip"))
            if k == 10:
                assert "eye" not in bench.node.context.notes
        assert "follow the finger" in bench.node.context.notes["eye"]
        assert all(r.eye_base_m is None for r in bench.outputs["pointing"])
    with bench_of(bundle, clip.camera, heads=False) as bench:
        for k in range(40):
            stamp = Header(START_NS + k * NS_PER_S // 10)
            bench.send("frame", Frame(stamp, held[k % len(held)].image, "clip"))
        assert "eye" not in bench.node.context.notes


def camera_file(folder: Path, height_m: float = 1.0) -> Path:
    pose = np.eye(4)
    pose[2, 3] = height_m
    path = folder / "camera.json"
    path.write_text(
        json.dumps(
            {
                "schema": 1, "device_id": "test", "width": 640, "height": 480,
                "K": [[490, 0, 319.5], [0, 490, 239.5], [0, 0, 1]], "distortion": [0] * 5,
                "T_base_cam": pose.tolist(), "calibrated_at": "2026-11-25T00:00:00Z",
                "reprojection_error_px": 0.0,
            }
        )
    )  # fmt: skip
    return path
