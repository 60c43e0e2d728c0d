"""The 21 landmarks of one hand: the network on a crop, and its answers back in the picture.

The network is BlazeHand (Zhang et al., "MediaPipe Hands: On-device Real-time Hand Tracking", 2020,
section 2.2).

    estimate = HandLandmarker(open_engine(bundle, "hand_landmarks")).locate(image, crop)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.clarity import image_quality
from deixis.nodes.hands.crop import Crop
from deixis.runtime.engines import Engine

WRIST = 0
INDEX = (5, 6, 7, 8)
MIDDLE = (9, 10, 11, 12)
RING = (13, 14, 15, 16)
LITTLE = (17, 18, 19, 20)
"""Landmarks of a finger from its knuckle to its tip (MediaPipe's order)."""


@dataclass(frozen=True, slots=True)
class HandEstimate:
    """What the network says about one crop.

    Attributes:
        landmarks_px: Image points, shape ``(21, 2)``.
        landmarks_world_m: Metric points about the hand's centre, camera axes, shape ``(21, 3)``.
        presence: Probability in [0, 1] that the crop shows a hand.
        right: Probability in [0, 1] that it is a right hand (the person's own right).
        side_px: Side of the crop: errors of the image points grow with it.
        quality: How sharp and bright the crop is, in (0, 1].
    """

    landmarks_px: NDArray[np.float64]
    landmarks_world_m: NDArray[np.float64]
    presence: float
    right: float
    side_px: float
    quality: float = 1.0

    @property
    def handedness(self) -> Literal["left", "right"]:
        """The more probable hand."""
        return "right" if self.right >= 0.5 else "left"


class HandLandmarker:
    """The landmark network with its pre- and post-processing.

    Args:
        engine: The model: ``image`` to ``landmarks``, ``presence``, ``handedness`` and
            ``world_landmarks``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> HandEstimate:
        """Find the landmarks of the hand in a crop.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            crop: Where the hand is.

        Raises:
            EngineError: The model failed.
        """
        pixels = crop.cut(image)
        # Before the network has driven the picture out of the caches.
        quality = image_quality(pixels)
        outputs = self._engine.infer({"image": pixels})
        # MediaPipe names this output for mirrored selfies; on a picture that is not mirrored it is
        # the probability of the person's own right hand.
        return HandEstimate(
            landmarks_px=crop.to_image(outputs["landmarks"][0, :, :2]),
            landmarks_world_m=crop.unturn(outputs["world_landmarks"][0]),
            presence=float(outputs["presence"].reshape(-1)[0]),
            right=float(outputs["handedness"].reshape(-1)[0]),
            side_px=crop.side_px,
            quality=quality,
        )
