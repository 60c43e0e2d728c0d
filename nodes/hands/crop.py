"""The turned square around a hand that the landmark network looks at.

The hand stands upright in the crop, its middle knuckle above its wrist, as in the network's
training data (MediaPipe's hand landmark module defines the two rectangles).

    crop = Crop.around_palm(palm)
    pixels = crop.cut(image)            # (1, 3, 224, 224)
    points_px = crop.to_image(points)   # from pixels of the crop back to the picture
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.nodes.hands.palm import MIDDLE_KNUCKLE, WRIST, Palm, to_input

CROP_PX = 224

# Scale of the square relative to the box of the points, and its shift along the hand (up is
# negative): the palm's box has no fingers yet, the landmarks' has.
_PALM_SCALE, _PALM_SHIFT = 2.6, -0.5
_HAND_SCALE, _HAND_SHIFT = 2.0, -0.1
# The fingertips are left out: they move most and would make the square breathe.
_STEADY = [0, 1, 2, 3, 5, 6, 9, 10, 13, 14, 17, 18]
_INDEX_KNUCKLE, _MIDDLE_KNUCKLE, _RING_KNUCKLE = 5, 9, 13


@dataclass(frozen=True, slots=True)
class Crop:
    """A square in the picture.

    Attributes:
        x_px: Centre.
        y_px: Centre.
        side_px: Length of its sides.
        rotation_rad: Clockwise turn of the hand in the picture; 0 has the fingers up.
    """

    x_px: float
    y_px: float
    side_px: float
    rotation_rad: float

    @classmethod
    def around_palm(cls, palm: Palm) -> Crop:
        """The square for a detected palm."""
        turn = _upright(palm.keypoints_px[WRIST], palm.keypoints_px[MIDDLE_KNUCKLE])
        left, top, right, bottom = palm.box_px
        width, height = right - left, bottom - top
        shift = _PALM_SHIFT * height
        return cls(
            (left + right) / 2 - math.sin(turn) * shift,
            (top + bottom) / 2 + math.cos(turn) * shift,
            _PALM_SCALE * max(width, height),
            turn,
        )

    @classmethod
    def around_landmarks(cls, landmarks_px: NDArray[np.floating]) -> Crop:
        """The square for the next frame, from this frame's landmarks ``(21, 2)``."""
        knuckles = (landmarks_px[_INDEX_KNUCKLE] + landmarks_px[_RING_KNUCKLE]) / 2
        turn = _upright(landmarks_px[0], (knuckles + landmarks_px[_MIDDLE_KNUCKLE]) / 2)
        points = np.asarray(landmarks_px, np.float64)[_STEADY]
        c, s = math.cos(turn), math.sin(turn)
        # Box in the hand's own axes, so that it does not change when the hand turns.
        along = points @ np.array([[c, -s], [s, c]])
        low, high = along.min(axis=0), along.max(axis=0)
        (x, y), (width, height) = (low + high) / 2, high - low
        y += _HAND_SHIFT * height
        return cls(c * x - s * y, s * x + c * y, _HAND_SCALE * float(max(width, height)), turn)

    def shifted(self, move_px: ArrayLike) -> Crop:
        """The same square elsewhere: moved by ``(dx, dy)``."""
        dx, dy = np.asarray(move_px, np.float64).tolist()
        return Crop(self.x_px + dx, self.y_px + dy, self.side_px, self.rotation_rad)

    def matrix(self, size_px: int = CROP_PX) -> NDArray[np.float64]:
        """Affine map ``(2, 3)`` from pixels of the crop to pixels of the picture."""
        scale = self.side_px / size_px
        c, s = scale * math.cos(self.rotation_rad), scale * math.sin(self.rotation_rad)
        middle = (size_px - 1) / 2
        return np.array(
            [
                [c, -s, self.x_px - (c - s) * middle],
                [s, c, self.y_px - (s + c) * middle],
            ]
        )

    def cut(self, image: NDArray[np.uint8], size_px: int = CROP_PX) -> NDArray[np.float32]:
        """The network's input ``(1, 3, size, size)``, RGB in [0, 1], black outside the picture."""
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (size_px, size_px)
        return to_input(cv2.warpAffine(image, self.matrix(size_px), size, flags=flags))

    def to_image(self, points_crop_px: ArrayLike, size_px: int = CROP_PX) -> NDArray[np.float64]:
        """Points ``(n, 2)`` of the crop in pixels of the picture."""
        matrix = self.matrix(size_px)
        out: NDArray[np.float64] = (
            np.asarray(points_crop_px, np.float64) @ matrix[:, :2].T + matrix[:, 2]
        )
        return out

    def unturn(self, points: ArrayLike) -> NDArray[np.float64]:
        """Metric points ``(n, 3)`` in the crop's axes, turned back to the camera's axes."""
        c, s = math.cos(self.rotation_rad), math.sin(self.rotation_rad)
        turn = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        out: NDArray[np.float64] = np.asarray(points, np.float64) @ turn.T
        return out


def _upright(wrist: NDArray[np.floating], knuckle: NDArray[np.floating]) -> float:
    """By how much the line from wrist to knuckle is turned clockwise from pointing up."""
    dx, dy = (np.asarray(knuckle, np.float64) - np.asarray(wrist, np.float64)).tolist()
    return math.atan2(dx, -dy)
