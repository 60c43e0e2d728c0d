"""Objects that carry a printed tag (ArUco or AprilTag): identity and full pose from one square.

Each tag's pose is solved from its four corners with the planar solver for squares (Collins and
Bartoli, "Infinitesimal plane-based pose estimation", IJCV 2014; OpenCV's IPPE_SQUARE).

    source = FiducialSource(FiducialParams(tags=(Tag(id=7, name="box", size_m=0.04),)))
"""

from __future__ import annotations

from typing import Any

import cv2
import msgspec
import numpy as np

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.source import Array, Detection, Image, Observation, View
from deixis.runtime.config import nearest
from deixis.runtime.errors import ConfigError

_CORNER_SIGMA_PX = 0.5
_REFINED_SHIFT_PX = 0.5
"""OpenCV's AprilTag refinement counts from the corner of the first pixel, not from its centre."""


class Tag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One printed tag and the object that carries it.

    Attributes:
        id: Number of the tag in its dictionary.
        size_m: Side of its black square.
        name: What the object is called.
        colour: Its colour, if it is to be named by one.
        offset_m: Centre of the object in the tag's frame (x right, y up, z out of the paper).
        radius_m: Half of the object's horizontal extent; by default that of the tag.
        height_m: Height of the object.
    """

    id: int
    size_m: float
    name: str
    colour: str | None = None
    offset_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    radius_m: float | None = None
    height_m: float = 0.0


class FiducialParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which tags to look for.

    Attributes:
        dictionary: Name of OpenCV's dictionary, without or with ``DICT_`` before it.
        tags: The tags; others are ignored.
    """

    dictionary: str = "APRILTAG_36h11"
    tags: tuple[Tag, ...] = ()


class FiducialSource:
    """Finds tagged objects.

    Args:
        params: The dictionary and the tags.

    Raises:
        ConfigError: Unknown dictionary, a tag named twice or not in it, or a size that is none.
    """

    def __init__(self, params: FiducialParams) -> None:
        dictionary = _dictionary(params.dictionary)
        self._tags: dict[int, Tag] = {}
        for tag in params.tags:
            if tag.id in self._tags:
                raise ConfigError(f"fiducials: tag {tag.id} is listed twice")
            if not 0 <= tag.id < len(dictionary.bytesList):
                raise ConfigError(
                    f"fiducials: {params.dictionary} has no tag {tag.id}",
                    hint=f"its tags are 0 to {len(dictionary.bytesList) - 1}",
                )
            if tag.size_m <= 0:
                raise ConfigError(f"fiducials: tag {tag.id}: size_m must be above 0")
            self._tags[tag.id] = tag
        self._finder = _detector(dictionary, cv2.aruco.CORNER_REFINE_SUBPIX)
        # Lines fitted to the whole sides: 1-2 mm at 0.8 m, against 5-15 mm with OpenCV's other
        # ways; but a quarter of a second for a whole picture, so only around what was found.
        self._refiner = _detector(dictionary, cv2.aruco.CORNER_REFINE_APRILTAG)

    def reset(self) -> None:
        """Nothing to forget: each picture stands for itself."""

    def close(self) -> None:
        """Nothing to release."""

    def observe(self, view: View) -> Observation:
        """Find the tags in one picture; see :class:`deixis.nodes.objects.source.Source`."""
        found = ((self._tags[n], c) for n, c in self.corners(view.image) if n in self._tags)
        located = (_locate(tag, corners, view.camera) for tag, corners in found)
        return Observation(tuple(detection for detection in located if detection is not None))

    def corners(self, image: Image) -> list[tuple[int, Array]]:
        """The number of each tag in a picture and its corners, shape ``(4, 2)``, pixels."""
        found = _find(self._finder, image)
        return [(n, self._refine(image, n, c) if n in self._tags else c) for n, c in found]

    def _refine(self, image: Image, number: int, corners: Array) -> Array:
        low, high = corners.min(axis=0), corners.max(axis=0)
        room = 0.5 * float((high - low).max())
        left, top = np.maximum(low - room, 0).astype(int)
        right, bottom = (high + room).astype(int)
        part = np.ascontiguousarray(image[top:bottom, left:right])
        # A miss is no loss: the corners are there, only less exact.
        again = (c for n, c in _find(self._refiner, part) if n == number)
        better = next(again, None)
        return corners if better is None else better + np.array([left, top]) - _REFINED_SHIFT_PX


def _detector(dictionary: Any, refinement: int) -> cv2.aruco.ArucoDetector:
    settings = cv2.aruco.DetectorParameters()
    settings.cornerRefinementMethod = refinement
    return cv2.aruco.ArucoDetector(dictionary, settings)


def _find(detector: cv2.aruco.ArucoDetector, image: Image) -> list[tuple[int, Array]]:
    quads, ids, _ = detector.detectMarkers(image)
    numbers = [] if ids is None else np.ravel(ids).tolist()
    return [
        (int(n), np.asarray(quad, np.float64).reshape(4, 2))
        for n, quad in zip(numbers, quads, strict=True)
    ]


def _dictionary(name: str) -> Any:
    known = [n.removeprefix("DICT_") for n in dir(cv2.aruco) if n.startswith("DICT_")]
    plain = name.removeprefix("DICT_")
    if plain not in known:
        raise ConfigError(
            f"fiducials: unknown dictionary {name!r}{nearest(plain, known)}",
            hint=f"known: {', '.join(known)}",
        )
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{plain}"))


def _locate(tag: Tag, corners_px: Array, camera: CameraCalibration) -> Detection | None:
    half = tag.size_m / 2
    # The order that both ArUco and IPPE_SQUARE use: left top first, clockwise.
    square = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    found, rotation, translation = cv2.solvePnP(
        square, corners_px, camera.K, camera.distortion, flags=cv2.SOLVEPNP_IPPE_SQUARE
    )
    if not found or float(np.ravel(translation)[2]) <= 0:
        return None
    _, jacobian = cv2.projectPoints(square, rotation, translation, camera.K, camera.distortion)
    pose = np.asarray(jacobian, np.float64)[:, :6]
    cov = np.linalg.pinv(pose.T @ pose) * _CORNER_SIGMA_PX**2
    turn = np.asarray(cv2.Rodrigues(rotation)[0], np.float64)
    arm = turn @ np.asarray(tag.offset_m, np.float64)
    # The centre moves with the tag's turn about it: d(centre) = d(t) - [arm]x d(rotation).
    skew = np.array([[0, -arm[2], arm[1]], [arm[2], 0, -arm[0]], [-arm[1], arm[0], 0]])
    to_centre = np.hstack([-skew, np.eye(3)])
    to_base = camera.T_base_cam[:3, :3]
    centre = camera.to_base((arm + np.ravel(translation))[None])[0]
    x, y = corners_px.min(axis=0)
    right, bottom = corners_px.max(axis=0)
    return Detection(
        box_px=(float(x), float(y), float(right - x), float(bottom - y)),
        position_base_m=centre,
        position_cov_m2=to_base @ to_centre @ cov @ to_centre.T @ to_base.T,
        radius_m=tag.radius_m if tag.radius_m is not None else half * 2**0.5,
        height_m=tag.height_m,
        confidence=0.99,
        names={tag.name: 1.0},
        colours={} if tag.colour is None else {tag.colour: 1.0},
        hint=f"tag-{tag.id}",
    )
