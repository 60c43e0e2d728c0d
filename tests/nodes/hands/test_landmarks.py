from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.palm import PalmDetector
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import open_engine


def test_both_hands_of_a_real_picture(bundle: Bundle, shared_data: Path) -> None:
    image = cv2.imread(str(shared_data / "hands" / "hands.jpg"))
    expected = json.loads((shared_data / "hands" / "hands_expected.json").read_text())
    detector = PalmDetector(open_engine(bundle, "palm_detector"))
    landmarker = HandLandmarker(open_engine(bundle, "hand_landmarks"))
    hands = [landmarker.locate(image, Crop.around_palm(p)) for p in detector.detect(image)]
    for golden in np.array(expected["hands"], float):
        errors = [np.linalg.norm(h.landmarks_px - golden, axis=1).max() for h in hands]
        assert min(errors) <= expected["tolerance_px"]
    # The picture shows the backs of hands with the thumb on the right when they point up.
    assert [h.handedness for h in hands] == ["left", "left"]
    assert all(h.presence > 0.9 for h in hands)
    # Metric points of an adult's hand, in the camera's axes: the same turn as in the picture.
    for hand in hands:
        span = hand.landmarks_world_m[12] - hand.landmarks_world_m[0]
        assert 0.1 < np.linalg.norm(span) < 0.25
        in_picture = hand.landmarks_px[12] - hand.landmarks_px[0]
        cosine = span[:2] @ in_picture / np.linalg.norm(span[:2]) / np.linalg.norm(in_picture)
        assert cosine > 0.97


def test_a_crop_without_a_hand_has_little_presence(bundle: Bundle, shared_data: Path) -> None:
    image = cv2.imread(str(shared_data / "hands" / "hands.jpg"))
    landmarker = HandLandmarker(open_engine(bundle, "hand_landmarks"))
    assert landmarker.locate(image, Crop(20, 20, 60, 0.3)).presence < 0.1
