"""Where people's eyes are: faces followed at a low rate, and their eyes as metric points.

A head moves slowly, so its networks run only in every sixth frame, and one of them in a frame: the
detector on the whole picture and on parts of it in turn (a face must fill a tenth of what it sees),
then the mesh on each face that is known. The next frames look at a face that was just found.

A face's pose is that of a rigid one whose landmarks fall on the mesh's (PnP). How far it is follows
from its size: the rigid one's eyes are 63 mm apart, those of adults are with a spread of 3.6 mm
(Dodgson, "Variation and extrema of human interpupillary distance", SPIE 5291, 2004), 5.7 % of the
distance. The eye is the middle between both: which one a person aims with is part of their own
error, which ``deixis calibrate pointing`` corrects.

    heads = HeadTracker(FaceDetector(...), FaceLandmarker(...)).update(image, calibration, stamp_ns)
    head = head_of_hand(heads, tip_cam, right=True)
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.hands.crop import Crop
from deixis.nodes.hands.face import FaceEstimate, FoundFace
from deixis.runtime.clock import NS_PER_S

Array = NDArray[np.float64]

EYE_DISTANCE_M, EYE_DISTANCE_SIGMA_M = 0.063, 0.0036
FACE_MM = {
    33: (-44.7, -0.5, 5.3),
    133: (-17.3, 1.4, -0.9),
    362: (17.3, 1.4, -0.9),
    263: (44.7, -0.5, 5.3),
    168: (0.0, -6.9, -14.4),
    6: (0.0, 2.6, -19.3),
    197: (0.0, 10.0, -24.9),
    4: (0.0, 32.2, -38.9),
    1: (0.0, 38.6, -37.7),
    98: (-15.7, 44.2, -16.4),
    327: (15.7, 44.2, -16.4),
    70: (-56.8, -19.6, 8.9),
    300: (56.8, -19.6, 8.9),
    105: (-42.5, -30.0, -4.1),
    334: (42.5, -30.0, -4.1),
    234: (-65.6, 19.6, 53.8),
    454: (65.6, 19.6, 53.8),
    10: (0.0, -58.7, -5.0),
}
"""A face by numbers of the mesh's landmarks: x to the person's left, y down, z into the head, about
the middle between the eyes. It is the mean of what the mesh says of rendered faces that look at the
camera, without what moves when a face talks."""

_SHAPE_SIGMA = 0.03
"""Spread of one face's distance as it turns, on rendered heads."""
_PLACE_SIGMA_M = 0.006
"""Error of the eyes across the line of sight, per axis."""

_LEAST_SIZE = 0.005
"""Of a face on the plane z = 1: that of one 30 m away."""

ARM_M = (0.25, 1.1)
"""How far a fingertip is from the pointing person's eyes: 0.3 to 0.9 m, and what the distances of
both may be wrong by."""
_USUAL_ARM_M, _ARM_SIGMA_M = 0.6, 0.15
_CROSSED_SIGMA_M = 0.2

_KEPT_NS = NS_PER_S
_FIRST_FRAMES = 8
"""In a new scene a head is searched in every frame, until all of a picture was seen once."""
_SAME_HEAD_M = 0.15
_SMOOTHING = 0.5
"""Share of a new sighting in a head's place."""
_SEARCH_EVERY = 3
"""While a head is known, every third turn looks for others."""


@dataclass(frozen=True, slots=True)
class Head:
    """One head, camera frame.

    Attributes:
        eye_cam_m: Middle between the eyes, metres, ``(3,)``.
        eye_cov_m2: Its covariance, ``(3, 3)``.
        across_cam: Unit vector from the left to the right eye (the person's), ``(3,)``.
        stamp_ns: Capture time of the frame it was last seen in.
    """

    eye_cam_m: Array
    eye_cov_m2: Array
    across_cam: Array
    stamp_ns: int


class Detector(Protocol):
    """Finds faces in a square of a picture."""

    def detect(self, image: NDArray[np.uint8], window: Crop) -> list[FoundFace]:
        """Faces, most certain first."""
        ...


class Landmarker(Protocol):
    """Finds the landmarks of the face in a crop."""

    def locate(self, image: NDArray[np.uint8], crop: Crop) -> FaceEstimate:
        """The landmarks and how sure they are."""
        ...


def metric_head(face: FaceEstimate, calibration: CameraCalibration, stamp_ns: int) -> Head | None:
    """Where the eyes of a face are.

    Args:
        face: Its landmarks.
        calibration: The camera, at the size of the picture.
        stamp_ns: Capture time of the picture.

    Returns:
        The head, or None if the landmarks fit no face in front of the camera.
    """
    points = calibration.normalized(face.points_px[list(FACE_MM), :2])
    if np.ptp(points, axis=0).max() < _LEAST_SIZE:
        return None
    shape = np.array(list(FACE_MM.values())) / 1000
    found, turn, shift = cv2.solvePnP(shape, points, np.eye(3), None, flags=cv2.SOLVEPNP_SQPNP)
    if not found or shift[2, 0] <= 0:
        return None
    eye = np.asarray(shift[:, 0], np.float64)
    along = eye * np.hypot(EYE_DISTANCE_SIGMA_M / EYE_DISTANCE_M, _SHAPE_SIGMA)
    return Head(
        eye_cam_m=eye,
        eye_cov_m2=np.outer(along, along) + _PLACE_SIGMA_M**2 * np.eye(3),
        # x is to the person's left.
        across_cam=-np.asarray(cv2.Rodrigues(turn)[0], np.float64)[:, 0],
        stamp_ns=stamp_ns,
    )


def head_of_hand(heads: Sequence[Head], tip_cam: Array, right: bool) -> Head | None:
    """The head that a hand belongs to.

    Its eyes are an arm's length from the fingertip; of several such heads it is the one that fits
    best, also by the side the hand is on.
    """
    best: tuple[float, Head] | None = None
    for head in heads:
        reach = tip_cam - head.eye_cam_m
        length = float(np.linalg.norm(reach))
        if not ARM_M[0] <= length <= ARM_M[1]:
            continue
        aside = float(reach @ head.across_cam) * (1 if right else -1)
        misfit = ((length - _USUAL_ARM_M) / _ARM_SIGMA_M) ** 2
        misfit += (min(aside, 0.0) / _CROSSED_SIGMA_M) ** 2
        if best is None or misfit < best[0]:
            best = misfit, head
    return None if best is None else best[1]


@dataclass(slots=True)
class _Track:
    crop: Crop
    head: Head | None = None
    settled: bool = False
    """The mesh has placed the crop, not the detector, whose are worse."""


class HeadTracker:
    """Follows a few heads with at most one network run in a frame.

    Args:
        detector: Finds faces.
        landmarker: Finds their landmarks.
        every: Frames from one run of a network to the next, but for faces that were just found.
        max_heads: How many heads are followed at most.
        min_presence: Below this presence a face is lost.
    """

    def __init__(
        self,
        detector: Detector,
        landmarker: Landmarker,
        *,
        every: int = 6,
        max_heads: int = 2,
        min_presence: float = 0.5,
    ) -> None:
        self._detector, self._landmarker = detector, landmarker
        self._every, self._max_heads = every, max_heads
        self._min_presence = min_presence
        self._windows: Iterator[Crop] = iter(())
        self.reset()

    def reset(self) -> None:
        """Forget all heads."""
        self._tracks: list[_Track] = []
        self._size: tuple[int, int] | None = None
        self._frame = self._turn = 0

    def update(
        self, image: NDArray[np.uint8], calibration: CameraCalibration, stamp_ns: int
    ) -> list[Head]:
        """Take the next frame.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.
            calibration: The camera, at the size of the picture.
            stamp_ns: Its capture time.

        Returns:
            The heads seen within the last second.

        Raises:
            EngineError: A model failed.
        """
        self._tracks = [
            t for t in self._tracks
            if t.head is None or stamp_ns - t.head.stamp_ns <= _KEPT_NS
        ]  # fmt: skip
        found = any(t.head is None for t in self._tracks)
        new_scene = not self._tracks and self._frame < _FIRST_FRAMES
        if found or new_scene or self._frame % self._every == 0:
            self._look(image, calibration, stamp_ns)
        self._frame += 1
        return [t.head for t in self._tracks if t.head is not None]

    def _look(
        self, image: NDArray[np.uint8], calibration: CameraCalibration, stamp_ns: int
    ) -> None:
        """Run one network: the mesh on the face that waits longest, or the detector."""
        self._turn += 1
        new = [t for t in self._tracks if t.head is None]
        search = len(self._tracks) < self._max_heads and self._turn % _SEARCH_EVERY == 0
        if new or (self._tracks and not search):
            track = new[0] if new else min(self._tracks, key=_last_seen_ns)
            face = self._landmarker.locate(image, track.crop)
            self._tracks.remove(track)
            if face.presence >= self._min_presence:
                head = metric_head(face, calibration, stamp_ns) if track.settled else None
                head = track.head if head is None else _smoothed(track.head, head)
                self._keep(_Track(face.next_crop(), head, settled=True))
            elif track.head is not None:
                # Hidden for a moment, or gone: the next second will tell.
                self._tracks.append(track)
            return
        for found in self._detector.detect(image, self._next_window(image)):
            known = any(_overlap(found.crop, track.crop) for track in self._tracks)
            if not known and len(self._tracks) < self._max_heads:
                self._tracks.append(_Track(found.crop))

    def _keep(self, track: _Track) -> None:
        """Keep a track unless it has run onto a head that is known."""
        if not any(_overlap(track.crop, other.crop) for other in self._tracks):
            self._tracks.append(track)

    def _next_window(self, image: NDArray[np.uint8]) -> Crop:
        """The whole picture, then its parts, and over again."""
        height, width = image.shape[:2]
        if self._size != (width, height):
            self._size = (width, height)
            self._windows = itertools.cycle(search_windows(width, height))
        return next(self._windows)


def search_windows(width: int, height: int) -> list[Crop]:
    """Squares to look for faces in, in turn: the whole picture, then overlapping parts of it."""
    whole = Crop((width - 1) / 2, (height - 1) / 2, float(max(width, height)), 0.0)
    side = max(width, height) / 2
    columns, rows = (
        np.linspace(side / 2, size - side / 2, max(1, math.ceil(2 * size / side) - 1))
        for size in (width, height)
    )
    parts = [Crop(x - 0.5, y - 0.5, side, 0.0) for y in rows.tolist() for x in columns.tolist()]
    return [whole, *parts]


def _last_seen_ns(track: _Track) -> int:
    return -1 if track.head is None else track.head.stamp_ns


def _smoothed(before: Head | None, now: Head) -> Head:
    """A sighting averaged with the ones before, unless the head has moved away."""
    if before is None or np.linalg.norm(before.eye_cam_m - now.eye_cam_m) > _SAME_HEAD_M:
        return now
    eye = before.eye_cam_m + _SMOOTHING * (now.eye_cam_m - before.eye_cam_m)
    return Head(eye, now.eye_cov_m2, now.across_cam, now.stamp_ns)


def _overlap(a: Crop, b: Crop) -> bool:
    """Whether two crops show one face: the middle of the one is well inside the other."""
    away = max(abs(a.x_px - b.x_px), abs(a.y_px - b.y_px))
    return away < 0.3 * max(a.side_px, b.side_px)
