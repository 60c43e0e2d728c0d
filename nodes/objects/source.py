"""The one interface of everything that finds objects: tags, the table top, detectors, other stacks.

A source looks at one :class:`View` and returns an :class:`Observation`: what it detected, and where
it saw that there is nothing. The tracker joins the observations of all sources over time.

    observation = source.observe(View(image, camera, stamp_ns, hands=()))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.runtime.messages import Hand

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """One picture with what is known about it.

    Attributes:
        image: BGR uint8, shape ``(height, width, 3)``.
        camera: Calibration for pictures of this size.
        stamp_ns: Capture time.
        hands: Hands in the picture; what they cover is no object and hides what is behind.
    """

    image: Image
    camera: CameraCalibration
    stamp_ns: int
    hands: tuple[Hand, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One object in one picture.

    Attributes:
        box_px: x, y, width, height in the picture.
        position_base_m: Its centre, base frame, shape ``(3,)``.
        position_cov_m2: Covariance of the centre, shape ``(3, 3)``.
        radius_m: Half of its horizontal extent.
        height_m: Its height above the work plane.
        confidence: Probability that it is an object.
        mask: Its pixels within ``box_px`` rounded outwards, shape ``(height, width)``, if known.
        names: Probability per name, where the source knows what it is; else it is looked up.
        colours: Probability per colour, likewise.
        tint: Mean colour of its pixels (CIE Lab, lightness halved), shape ``(3,)``, if measured.
        hint: Identity that the source itself knows (a tag's id): equal hints are one object.
        clipped: Something covers a part of it: its place and looks are not to be trusted.
    """

    box_px: Box
    position_base_m: Array
    position_cov_m2: Array
    radius_m: float
    height_m: float
    confidence: float
    mask: Mask | None = None
    names: Mapping[str, float] = field(default_factory=dict)
    colours: Mapping[str, float] = field(default_factory=dict)
    tint: Array | None = None
    hint: str = ""
    clipped: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What one source saw in one picture.

    Attributes:
        detections: The objects.
        free: Where the source saw the bare work plane, so that an object that should be there is
            gone rather than hidden; any resolution of the same picture. None if it cannot tell.
        complete: Whether all that has changed was looked at; if not, the next picture is for the
            rest.
        problem: Why it cannot tell what is there, for people; empty when all is well.
    """

    detections: tuple[Detection, ...]
    free: Mask | None = None
    complete: bool = True
    problem: str = ""

    def is_free(self, box_px: Box, picture_size: tuple[int, int], share: float = 0.7) -> bool:
        """Whether at least this share of the middle of a box was seen to be bare."""
        if self.free is None:
            return False
        height, width = self.free.shape
        scale_x, scale_y = width / picture_size[0], height / picture_size[1]
        x, y, w, h = box_px
        # The rim of a box shows the plane even when the object is there.
        left, right = int((x + 0.15 * w) * scale_x), int(np.ceil((x + 0.85 * w) * scale_x))
        top, bottom = int((y + 0.15 * h) * scale_y), int(np.ceil((y + 0.85 * h) * scale_y))
        part = self.free[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        return part.size > 0 and float(part.mean()) >= share


class Source(Protocol):
    """Something that finds objects in a picture."""

    def observe(self, view: View) -> Observation:
        """Find the objects in one picture."""
        ...

    def reset(self) -> None:
        """Forget what was learnt from earlier pictures: a new scene begins."""
        ...

    def close(self) -> None:
        """Release what it holds."""
        ...


def integer_box(box_px: Box, picture_size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a box rounded outwards and cut to the picture (width, height)."""
    x, y, w, h = box_px
    left, top = max(int(np.floor(x)), 0), max(int(np.floor(y)), 0)
    right = min(int(np.ceil(x + w)), picture_size[0])
    bottom = min(int(np.ceil(y + h)), picture_size[1])
    return left, top, max(right, left), max(bottom, top)


def free_outside(boxes_px: Sequence[Box], view: View) -> Mask:
    """Where neither a box nor a hand is, in a picture an eighth of the size."""
    height, width = view.image.shape[:2]
    free = np.ones((max(height // 8, 1), max(width // 8, 1)), np.uint8)
    for box in boxes_px:
        left, top, right, bottom = integer_box(box, (width, height))
        free[top // 8 : bottom // 8 + 1, left // 8 : right // 8 + 1] = 0
    for hand in view.hands:
        points = np.round(np.asarray(hand.landmarks_px, np.float32) / 8).astype(np.int32)
        cv2.fillConvexPoly(free, cv2.convexHull(points), 0)
    return np.asarray(free, bool)
