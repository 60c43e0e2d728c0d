"""BlazeFace ("short range") and the face mesh as torch modules, named as the hands node uses them.

The architectures and weights are MediaPipe's (Bazarevsky et al., *BlazeFace: Sub-millisecond Neural
Face Detection on Mobile GPUs*, 2019; Kartynnik et al., *Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs*, 2019), read from the TFLite files of its wheel.

    python -c "from pathlib import Path; from deixis.export.models import faces; \
print(faces.face_detector(Path('.cache/wheels')))"
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor, nn

from deixis.export.models.tflite_graph import TfliteGraph
from deixis.export.weights import wheels
from deixis.export.weights.tflite_reader import read_tflite


class FaceDetector(nn.Module):
    """BlazeFace: 896 anchors on a 128 px picture."""

    def __init__(self, net: TfliteGraph) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Detect faces.

        Args:
            image: [1,3,128,128] float32, RGB 0..1.

        Returns:
            ``boxes`` [1,896,16] (dx, dy, w, h and six points, px of the 128 px picture relative to
            the anchor) and ``scores`` [1,896] (logits).
        """
        # The network was trained on -1..1; the node hands 0..1 to every network.
        boxes, scores = self.net(2 * image - 1)
        return boxes, scores.squeeze(2)


class FaceLandmarks(nn.Module):
    """The face mesh: 468 landmarks on a 192 px crop."""

    def __init__(self, net: TfliteGraph) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Locate the landmarks of one face.

        Args:
            image: [1,3,192,192] float32, RGB 0..1, the crop turned so that the face is upright.

        Returns:
            ``landmarks`` [1,468,3] (px of the crop; z towards the head's middle, same scale) and
            ``presence`` [1] (logit that there is a face).
        """
        landmarks, presence = self.net(image)
        return landmarks.reshape(-1, 468, 3), presence.reshape(-1)


def face_detector(wheel_folder: Path) -> FaceDetector:
    """Load BlazeFace from MediaPipe's wheel in ``wheel_folder``."""
    data = wheels.read_member(wheels.FACE_DETECTION, wheel_folder)
    return FaceDetector(TfliteGraph(read_tflite(data))).eval()


def face_landmarks(wheel_folder: Path) -> FaceLandmarks:
    """Load the face mesh from MediaPipe's wheel in ``wheel_folder``."""
    data = wheels.read_member(wheels.FACE_LANDMARK, wheel_folder)
    return FaceLandmarks(TfliteGraph(read_tflite(data))).eval()
