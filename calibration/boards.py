"""What a camera is shown: a ChArUco board or one printed marker, and where its corners are seen.

    board = CharucoTarget(CharucoSpec())
    sighting = board.find(image)          # corners in metres on the sheet, and in pixels

The sheet's own frame is x to the right, y up, z out of the paper, metres. A board's origin is the
left bottom corner of its pattern (the printed sheet marks it), a marker's is its centre.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.dictionaries import Image, find_dictionary, grey, modules
from deixis.runtime.errors import ConfigError

Array = NDArray[np.float64]

_MIN_CORNERS = 6
_MARKER_ROOM = 0.5
_UNTIL = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 0.001)
# AprilTag's code has pixel centres at halves, unlike the rest of OpenCV.
_APRILTAG_SHIFT_PX = 0.5


class CharucoSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A chessboard with a marker in each white square (OpenCV's ChArUco).

    Attributes:
        columns: Squares from left to right.
        rows: Squares from top to bottom.
        square_m: Side of a square.
        marker_m: Side of a marker's black border.
        dictionary: Name of OpenCV's dictionary of markers, without ``DICT_``.
        legacy: Whether it was printed with OpenCV before 4.6 (differs where rows are even).
    """

    columns: int = 7
    rows: int = 5
    square_m: float = 0.036
    marker_m: float = 0.027
    dictionary: str = "4X4_50"
    legacy: bool = False

    def __str__(self) -> str:
        return (
            f"ChArUco board of {self.columns}x{self.rows} squares of {self.square_m * 1000:g} mm, "
            f"markers of {self.marker_m * 1000:g} mm from {self.dictionary}"
        )


class MarkerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One ArUco or AprilTag marker.

    Attributes:
        id: Its number in the dictionary.
        size_m: Side of its black border.
        dictionary: Name of OpenCV's dictionary, without ``DICT_``.
    """

    id: int
    size_m: float
    dictionary: str = "4X4_50"

    def __str__(self) -> str:
        return f"marker {self.id} of {self.dictionary}, {self.size_m * 1000:g} mm wide"


@dataclass(frozen=True)
class Sighting:
    """Corners that were found in one picture.

    Attributes:
        ids: Numbers of the corners, shape ``(n,)``.
        object_m: Where they are on the sheet, shape ``(n, 3)``, z = 0.
        image_px: Where they are seen, shape ``(n, 2)``.
    """

    ids: NDArray[np.int64]
    object_m: Array
    image_px: Array


class Target(Protocol):
    """What is shown to the camera."""

    @property
    def spec(self) -> CharucoSpec | MarkerSpec:
        """Its measures."""
        ...

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of its pattern."""
        ...

    @property
    def origin_m(self) -> tuple[float, float]:
        """Where the frame's origin is, from the left bottom corner of the pattern."""
        ...

    def find(self, image: Image) -> Sighting | None:
        """Its corners in a picture (grey or BGR); None if it is not seen well enough."""
        ...

    def squares(self) -> Array:
        """Its black rectangles, ``(n, 4)``: x, y of the left bottom corner, width, height, metres.

        Coordinates count from the left bottom corner of the pattern.
        """
        ...


class CharucoTarget:
    """A ChArUco board.

    Args:
        spec: Its measures.

    Raises:
        ConfigError: Such a board cannot be.
    """

    def __init__(self, spec: CharucoSpec) -> None:
        self.spec = spec
        dictionary = find_dictionary(spec.dictionary)
        if spec.columns < 3 or spec.rows < 3:
            raise ConfigError(f"a board of {spec.columns}x{spec.rows} squares is too small")
        if not 0 < spec.marker_m < spec.square_m:
            raise ConfigError(
                f"markers of {spec.marker_m * 1000:g} mm do not fit into squares of "
                f"{spec.square_m * 1000:g} mm"
            )
        n_markers = spec.columns * spec.rows // 2
        if n_markers > len(dictionary.bytesList):
            raise ConfigError(
                f"{spec.dictionary} has {len(dictionary.bytesList)} markers; a board of "
                f"{spec.columns}x{spec.rows} squares needs {n_markers}"
            )
        self._board = cv2.aruco.CharucoBoard(
            (spec.columns, spec.rows), spec.square_m, spec.marker_m, dictionary
        )
        self._board.setLegacyPattern(spec.legacy)
        self._detector = cv2.aruco.CharucoDetector(self._board)
        self._dictionary = dictionary
        corners = np.asarray(self._board.getChessboardCorners(), np.float64)
        self._corners_m = _upwards(corners, self.size_m[1])

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the pattern."""
        return self.spec.columns * self.spec.square_m, self.spec.rows * self.spec.square_m

    @property
    def origin_m(self) -> tuple[float, float]:
        """The origin is the pattern's left bottom corner."""
        return 0.0, 0.0

    def find(self, image: Image) -> Sighting | None:
        """The squares' inner corners in a picture; None below 6 of them, or if all are in line."""
        picture = grey(image)
        corners, ids, _, _ = self._detector.detectBoard(picture)
        if ids is None or len(ids) < _MIN_CORNERS:
            return None
        numbers = np.ravel(ids).astype(np.int64)
        if self._board.checkCharucoCornersCollinear(np.asarray(ids)):
            return None
        where_m = self._corners_m[numbers]
        px = np.asarray(corners, np.float64).reshape(-1, 2)
        return Sighting(numbers, where_m, self._refined(picture, where_m, px))

    def _refined(self, picture: Image, where_m: Array, px: Array) -> Array:
        """Corners where black and white meet.

        OpenCV's own refinement is half a pixel off before 5.0
        (github.com/opencv/opencv/issues/25539).
        """
        matrix, _ = cv2.findHomography(where_m[:, :2], px)
        x, y, w = matrix @ [*where_m.mean(axis=0)[:2], 1]
        # How many pixels a square is high and wide near the middle of what is seen.
        jacobian = (matrix[:2, :2] - np.outer([x / w, y / w], matrix[2, :2])) / w
        side_px = self.spec.square_m * float(np.linalg.norm(jacobian, axis=0).min())
        # The markers' corners must stay outside of the window.
        margin = (self.spec.square_m - self.spec.marker_m) / 2 / self.spec.square_m
        half = int(np.clip(0.8 * margin * side_px, 2, 9))
        start = px.astype(np.float32).reshape(-1, 1, 2)
        better = cv2.cornerSubPix(picture, start, (half, half), (-1, -1), _UNTIL)
        return np.asarray(better, np.float64).reshape(-1, 2)

    def squares(self) -> Array:
        """Black squares, and black modules of the markers."""
        spec, (_, height_m) = self.spec, self.size_m
        taken = set()
        black = []
        for number, quad in zip(self._board.getIds(), self._board.getObjPoints(), strict=True):
            left, top = np.asarray(quad, np.float64)[0, :2]
            taken.add((int(left // spec.square_m), int(top // spec.square_m)))
            marker = modules(self._dictionary, int(np.ravel(number)[0]), spec.marker_m)
            corner = np.array([left, height_m - top - spec.marker_m, 0, 0])
            black.append(marker + corner)
        full = [
            (c * spec.square_m, height_m - (r + 1) * spec.square_m, spec.square_m, spec.square_m)
            for r in range(spec.rows)
            for c in range(spec.columns)
            if (c, r) not in taken
        ]
        return np.concatenate([np.array(full), *black])


class MarkerTarget:
    """A single marker, its corners found by lines fitted to its sides.

    Args:
        spec: Its measures.

    Raises:
        ConfigError: The dictionary has no such marker, or its size is none.
    """

    def __init__(self, spec: MarkerSpec) -> None:
        self.spec = spec
        self._dictionary = find_dictionary(spec.dictionary)
        if not 0 <= spec.id < len(self._dictionary.bytesList):
            raise ConfigError(
                f"{spec.dictionary} has no marker {spec.id}",
                hint=f"its markers are 0 to {len(self._dictionary.bytesList) - 1}",
            )
        if spec.size_m <= 0:
            raise ConfigError("the size of a marker must be above 0")
        self._finder = cv2.aruco.ArucoDetector(self._dictionary)
        # Lines fitted to whole sides are several times as exact as the other refinements, but take
        # a quarter of a second for a whole picture: only around what was found.
        settings = cv2.aruco.DetectorParameters()
        settings.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_APRILTAG
        self._refiner = cv2.aruco.ArucoDetector(self._dictionary, settings)
        half = spec.size_m / 2
        self._corners_m = np.array(
            [[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]]
        )

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height of the marker."""
        return self.spec.size_m, self.spec.size_m

    @property
    def origin_m(self) -> tuple[float, float]:
        """The origin is the marker's centre."""
        return self.spec.size_m / 2, self.spec.size_m / 2

    def find(self, image: Image) -> Sighting | None:
        """The marker's four corners, the left top one first, clockwise; None if it is not seen."""
        picture = grey(image)
        found = self._corners(self._finder, picture)
        if found is None:
            return None
        low, high = found.min(axis=0), found.max(axis=0)
        room = _MARKER_ROOM * float((high - low).max())
        left, top = np.maximum(low - room, 0).astype(int)
        right, bottom = np.ceil(high + room).astype(int)
        part = np.ascontiguousarray(picture[top:bottom, left:right])
        exact = self._corners(self._refiner, part)
        if exact is None:
            return None
        return Sighting(
            np.arange(4), self._corners_m, exact + np.array([left, top]) - _APRILTAG_SHIFT_PX
        )

    def squares(self) -> Array:
        """The marker's black modules."""
        return modules(self._dictionary, self.spec.id, self.spec.size_m)

    def _corners(self, detector: cv2.aruco.ArucoDetector, picture: Image) -> Array | None:
        quads, ids, _ = detector.detectMarkers(picture)
        numbers = [] if ids is None else np.ravel(ids).tolist()
        own = [q for n, q in zip(numbers, quads, strict=True) if n == self.spec.id]
        # Of two markers with one number nobody knows which is meant.
        return np.asarray(own[0], np.float64).reshape(4, 2) if len(own) == 1 else None


def make_target(spec: CharucoSpec | MarkerSpec) -> Target:
    """The target with these measures.

    Raises:
        ConfigError: Such a target cannot be.
    """
    return CharucoTarget(spec) if isinstance(spec, CharucoSpec) else MarkerTarget(spec)


def _upwards(points_m: Array, height_m: float) -> Array:
    """Points with y downwards from the top, in the frame with y upwards from the bottom."""
    return points_m * [1, -1, 1] + [0, height_m, 0]
