"""Heads: metric eyes from landmarks that are known, and the networks on rendered people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, load_camera
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.face import FaceDetector, FaceEstimate, FaceLandmarker, FoundFace
from deixis.nodes.hands.heads import (
    FACE_MM,
    Head,
    HeadTracker,
    head_of_hand,
    metric_head,
    search_windows,
)
from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.engines import open_engine
from tests.nodes.hands.test_pointing import camera

FRAME_NS = NS_PER_S // 30
Array = NDArray[np.float64]
BLANK = np.zeros((480, 640, 3), np.uint8)
PEOPLE = Path(__file__).parents[2] / "scenes" / "people"


def face(
    view: CameraCalibration, eye_cam_m: Array, presence: float = 0.99, yaw_rad: float = 0.0
) -> FaceEstimate:
    """The mesh of a usual face that is turned by ``yaw_rad`` from the camera."""
    c, s = np.cos(yaw_rad), np.sin(yaw_rad)
    turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    shape = np.array(list(FACE_MM.values())) / 1000 @ turn.T
    points = np.zeros((468, 3))
    points[:, :2] = view.project(view.to_base(eye_cam_m[None]))
    points[list(FACE_MM), :2] = view.project(view.to_base(eye_cam_m + shape))
    return FaceEstimate(points, presence, 0.25 * view.K[0, 0] / eye_cam_m[2])


@pytest.mark.parametrize("yaw_deg", [-50, 0, 20, 50])
def test_the_eyes_are_where_the_size_of_the_face_puts_them(yaw_deg: float) -> None:
    view, eye, yaw = camera(distortion=0.05), np.array([0.1, -0.2, 1.3]), np.deg2rad(yaw_deg)
    head = metric_head(face(view, eye, yaw_rad=yaw), view, 5)
    assert head is not None
    np.testing.assert_allclose(head.eye_cam_m, eye, atol=1e-3)
    np.testing.assert_allclose(head.across_cam, [-np.cos(yaw), 0, np.sin(yaw)], atol=1e-3)
    assert head.stamp_ns == 5
    # The distance is the least certain: more than people's eyes differ, and hardly anything else.
    sight = eye / np.linalg.norm(eye)
    along = np.sqrt(sight @ head.eye_cov_m2 @ sight) / np.linalg.norm(eye)
    assert 0.057 < along < 0.12
    across = np.linalg.svd(sight[None])[2][1]
    assert np.sqrt(across @ head.eye_cov_m2 @ across) < 0.015


def head_at(x: float, y: float, z: float) -> Head:
    return Head(np.array([x, y, z]), 1e-4 * np.eye(3), np.array([-1.0, 0, 0]), 0)


def test_a_face_that_is_none_gives_no_head() -> None:
    view = camera()
    upside_down = face(view, np.array([0.0, 0.0, 1.0]))
    upside_down.points_px[:] = 0.0
    assert metric_head(upside_down, view, 0) is None


def test_a_hand_belongs_to_the_head_an_arm_away() -> None:
    near, far = head_at(0.0, -0.2, 1.4), head_at(1.3, -0.2, 1.4)
    tip = np.array([0.1, 0.1, 0.95])
    assert head_of_hand([far, near], tip, right=True) is near
    assert head_of_hand([far], tip, right=True) is None
    assert head_of_hand([], tip, right=True) is None
    # A hand in one's face holds something; it does not point past the eye.
    assert head_of_hand([near], near.eye_cam_m + np.array([0, 0.1, 0]), right=True) is None


def test_of_two_heads_the_one_whose_arm_need_not_cross_is_taken() -> None:
    left, right = head_at(-0.35, 0.0, 1.2), head_at(0.35, 0.0, 1.2)
    tip = np.array([0.0, 0.1, 0.8])
    # They face the camera: the right arm of the person on the right of the picture is between both.
    assert head_of_hand([left, right], tip, right=True) is right
    assert head_of_hand([left, right], tip, right=False) is left


class Networks:
    """A detector and a landmarker that know where the face is, and count their runs."""

    def __init__(self, view: CameraCalibration, eye_cam_m: Array | None) -> None:
        self.view, self.eye_cam_m = view, eye_cam_m
        self.runs: list[str] = []

    def detect(self, image: NDArray[np.uint8], window: Crop) -> list[FoundFace]:
        self.runs.append("detect")
        if self.eye_cam_m is None:
            return []
        return [FoundFace(face(self.view, self.eye_cam_m).next_crop(), 0.9)]

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> FaceEstimate:
        self.runs.append("locate")
        if self.eye_cam_m is None:
            return face(self.view, np.array([0.0, 0.0, 1.0]), presence=0.1)
        return face(self.view, self.eye_cam_m)


def follow(tracker: HeadTracker, view: CameraCalibration, n: int, start: int = 0) -> list[int]:
    """How many heads there are in each of n frames."""
    return [len(tracker.update(BLANK, view, (start + k) * FRAME_NS)) for k in range(n)]


def test_a_head_is_found_kept_and_forgotten() -> None:
    view = camera()
    networks = Networks(view, np.array([0.0, 0.0, 1.2]))
    tracker = HeadTracker(networks, networks)
    # Found in the first frame, its crop is set by the mesh in the second.
    assert follow(tracker, view, 60) == [0, 0] + 58 * [1]
    networks.eye_cam_m = None
    counts = follow(tracker, view, 60, start=60)
    assert counts[0] == 1
    assert counts[-1] == 0
    tracker.reset()
    assert follow(tracker, view, 1, start=120) == [0]


def test_at_most_one_network_runs_in_a_frame_and_seldom() -> None:
    view = camera()
    networks = Networks(view, np.array([0.0, 0.0, 1.2]))
    tracker = HeadTracker(networks, networks, every=6)
    most, before = 0, 0
    for k in range(120):
        tracker.update(BLANK, view, k * FRAME_NS)
        most, before = max(most, len(networks.runs) - before), len(networks.runs)
    assert most == 1
    assert len(networks.runs) <= 120 / 6 + 3
    # Others are looked for, but the head is what is looked at most.
    assert networks.runs.count("locate") > networks.runs.count("detect") > 0


def test_a_head_is_not_followed_twice() -> None:
    view = camera()
    networks = Networks(view, np.array([0.0, 0.0, 1.2]))
    assert max(follow(HeadTracker(networks, networks, max_heads=4), view, 200)) == 1


def test_the_windows_cover_the_picture() -> None:
    for width, height in ((640, 480), (1280, 720), (480, 640), (500, 500)):
        seen = np.zeros((height, width), bool)
        small = [w for w in search_windows(width, height) if w.side_px < max(width, height)]
        for w in small:
            left, top = round(w.x_px - w.side_px / 2), round(w.y_px - w.side_px / 2)
            right, bottom = round(w.x_px + w.side_px / 2), round(w.y_px + w.side_px / 2)
            seen[max(top, 0) : bottom + 1, max(left, 0) : right + 1] = True
        assert seen.mean() > 0.99


@pytest.fixture(scope="module")
def people() -> list[dict[str, Any]]:
    if not (PEOPLE / "golden.json").is_file():
        pytest.skip("no pictures under tests/scenes/people")
    return list(json.loads((PEOPLE / "golden.json").read_text()))


def test_rendered_heads_are_found_where_they_are(
    bundle: Bundle, people: list[dict[str, Any]]
) -> None:
    networks = [open_engine(bundle, role) for role in ("face_detector", "face_landmarks")]
    detector, landmarker = FaceDetector(networks[0]), FaceLandmarker(networks[1])
    depth, aside_m = [], []
    for person in people:
        view = load_camera(PEOPLE / person["camera"])
        picture = np.asarray(cv2.imread(str(PEOPLE / person["image"])), np.uint8)
        tracker = HeadTracker(detector, landmarker, every=1, max_heads=1)
        heads: list[Head] = []
        for k in range(40):
            heads = tracker.update(picture, view, k * FRAME_NS)
            if heads:
                break
        if not heads:
            continue
        true, found = view.to_cam(np.array(person["eye_base_m"])), heads[0].eye_cam_m
        depth.append(np.linalg.norm(found) / np.linalg.norm(true) - 1)
        aside_m.append(np.linalg.norm(found / found[2] - true / true[2]) * true[2])
    for engine in networks:
        engine.close()
    assert len(depth) >= 0.7 * len(people)
    assert np.median(np.abs(depth)) < 0.08
    assert np.median(aside_m) < 0.012
