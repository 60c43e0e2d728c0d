"""BlazePalm and BlazeHand ("full") as torch modules with the names and shapes the hands node uses.

The architectures and weights are MediaPipe's (Zhang et al., *MediaPipe Hands: On-device Real-time
Hand Tracking*, 2020), read from the TFLite files of its wheel.

    python -c "from pathlib import Path; from deixis.export.models import hands; \
print(hands.palm_detector(Path('.cache/wheels')))"
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from deixis.export.models.tflite_graph import TfliteGraph
from deixis.export.weights import wheels
from deixis.export.weights.tflite_reader import read_tflite


class PalmDetector(nn.Module):
    """BlazePalm: 2016 anchors on a 192 px picture."""

    def __init__(self, net: TfliteGraph) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect palms.

        Args:
            image: [1,3,192,192] float32, RGB 0..1.

        Returns:
            ``boxes`` [1,2016,18] (dx, dy, w, h and seven points, px of the 192 px picture
            relative to the anchor) and ``scores`` [1,2016] (logits).
        """
        boxes, scores = self.net(image)
        return boxes, scores.squeeze(2)


class HandLandmarks(nn.Module):
    """BlazeHand: 21 landmarks on a 224 px hand crop."""

    def __init__(self, net: TfliteGraph) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Locate the landmarks of one hand.

        Args:
            image: [1,3,224,224] float32, RGB 0..1, the crop turned so that the fingers point up.

        Returns:
            ``landmarks`` [1,21,3] (px of the crop; z relative to the wrist, same scale),
            ``presence`` [1] and ``handedness`` [1] (probabilities that there is a hand, and that it
            is a right one in a picture that is not mirrored), ``world_landmarks`` [1,21,3] (metres,
            origin at the hand's centre).
        """
        landmarks, presence, handedness, world = self.net(image)
        return (
            landmarks.reshape(-1, 21, 3),
            presence.squeeze(1),
            handedness.squeeze(1),
            world.reshape(-1, 21, 3),
        )


def palm_detector(wheel_folder: Path) -> PalmDetector:
    """Load BlazePalm full from MediaPipe's wheel in ``wheel_folder``."""
    data = wheels.read_member(wheels.PALM_DETECTION, wheel_folder)
    return PalmDetector(TfliteGraph(read_tflite(data))).eval()


def hand_landmarks(wheel_folder: Path) -> HandLandmarks:
    """Load BlazeHand full from MediaPipe's wheel in ``wheel_folder``."""
    data = wheels.read_member(wheels.HAND_LANDMARK, wheel_folder)
    return HandLandmarks(TfliteGraph(read_tflite(data))).eval()
