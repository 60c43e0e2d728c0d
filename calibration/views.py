"""Picks the views to calibrate from: sharp ones that show something new; and says what is missing.

    picker = ViewPicker(board, (640, 480))
    picker.offer(shot)                       # Verdict.TAKEN, BLURRED, SEEN_BEFORE, NO_BOARD
    print(picker.coverage(), picker.advice())

*Sharpness* is the width of the board's own edges: white minus black over the steepest slope across
the side of a square, in pixels; the median over the sides of one direction, and of both directions
the worse, so that a blur along one axis shows. A lens in focus gives 2 to 3 px; 4 px is the limit.

*New* is a view whose board's four corners lie, on average, 3 % of the picture's diagonal or more
from where they were in every other view.
"""

from __future__ import annotations

import enum
import math
from collections import Counter
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.boards import Array, CharucoTarget, Sighting
from deixis.calibration.dictionaries import Image, grey
from deixis.calibration.footage import Shot

COLUMNS, ROWS = 8, 6
MAX_EDGE_PX = 4.0
ENOUGH_VIEWS, ENOUGH_COVERAGE, ENOUGH_TILTS = 15, 0.8, 3

_NEW_SHARE = 0.03
_FLAT = 0.04
_NEAR_SHARE, _FAR_SHARE = 0.25, 0.08
_STEP_PX = 0.5
_SIDES = ("right", "bottom", "left", "top")


class Verdict(enum.StrEnum):
    """What became of a picture."""

    TAKEN = "taken"
    NO_BOARD = "no board"
    BLURRED = "blurred"
    SEEN_BEFORE = "seen before"


@dataclass(frozen=True)
class View:
    """A picture that was taken.

    Attributes:
        name: What the picture is called.
        sighting: The board's corners in it.
        edge_px: Width of the board's edges.
        outline_px: Where the board's four corners are, shape ``(4, 2)``.
        lean: How strongly the board's depth changes over its half, and towards which side of the
            picture it comes nearer, shape ``(2,)``; 0 for a board parallel to the picture.
    """

    name: str
    sighting: Sighting
    edge_px: float
    outline_px: Array
    lean: Array

    @property
    def tilt(self) -> str:
        """Which side of the board is nearer: a side, or ``flat``."""
        if float(np.hypot(*self.lean)) < _FLAT:
            return "flat"
        quarter = round(math.atan2(self.lean[1], self.lean[0]) / (math.pi / 2)) % 4
        return _SIDES[quarter]


class ViewPicker:
    """Goes through pictures and keeps the views that are worth it.

    Args:
        board: The board to look for.
        size: Width and height of the pictures.
        max_edge_px: Wider edges are blurred.
    """

    def __init__(
        self, board: CharucoTarget, size: tuple[int, int], max_edge_px: float = MAX_EDGE_PX
    ) -> None:
        self._board, self.size, self.max_edge_px = board, size, max_edge_px
        self.views: list[View] = []
        self.counts: Counter[Verdict] = Counter()
        self.cells: NDArray[np.int64] = np.zeros((ROWS, COLUMNS), np.int64)
        self.sharpest_px = math.inf
        self.sample: Image | None = None

    def offer(self, shot: Shot) -> Verdict:
        """Look at a picture and take it if it is sharp and new."""
        verdict = self._judge(shot)
        self.counts[verdict] += 1
        return verdict

    def coverage(self) -> float:
        """Share of the picture's cells in which corners have been seen."""
        return float((self.cells > 0).mean())

    def tilts(self) -> Counter[str]:
        """How many views lean towards each side, or are ``flat``."""
        return Counter(v.tilt for v in self.views)

    def distances(self) -> Counter[str]:
        """How many views show the board near, middling and far."""
        area = float(self.size[0] * self.size[1])
        shares = [cv2.contourArea(v.outline_px.astype(np.float32)) / area for v in self.views]
        return Counter(
            "near" if s > _NEAR_SHARE else "far" if s < _FAR_SHARE else "middle" for s in shares
        )

    def enough(self) -> bool:
        """Whether the views will do for a good calibration."""
        return not self.advice()

    def advice(self) -> str:
        """What to show next; nothing when all is there."""
        tilts = self.tilts()
        missing = [side for side in _SIDES if not tilts[side]]
        if self.coverage() < ENOUGH_COVERAGE:
            return f"show the board in the {self._emptiest()} of the picture"
        if len(_SIDES) - len(missing) < ENOUGH_TILTS:
            return f"tilt the board by 30 degrees: its {missing[0]} side nearer"
        if len(self.views) < ENOUGH_VIEWS:
            more = ENOUGH_VIEWS - len(self.views)
            return f"show {more} more views, tilted and at other distances"
        return ""

    def _judge(self, shot: Shot) -> Verdict:
        sighting = self._board.find(shot.image)
        if sighting is None:
            return Verdict.NO_BOARD
        edge_px = edge_width_px(shot.image, sighting, self._board.spec.square_m)
        self.sharpest_px = min(self.sharpest_px, edge_px)
        if edge_px > self.max_edge_px:
            return Verdict.BLURRED
        view = _view(shot.name, sighting, edge_px, self._board.size_m)
        nearest_px = _NEW_SHARE * math.hypot(*self.size)
        for other in self.views:
            apart = np.linalg.norm(view.outline_px - other.outline_px, axis=1)
            if float(apart.mean()) < nearest_px:
                return Verdict.SEEN_BEFORE
        self._take(view, shot.image)
        return Verdict.TAKEN

    def _take(self, view: View, image: Image) -> None:
        if all(len(view.sighting.ids) > len(v.sighting.ids) for v in self.views):
            self.sample = image.copy()
        self.views.append(view)
        width, height = self.size
        px = view.sighting.image_px
        column = np.clip(px[:, 0] * COLUMNS / width, 0, COLUMNS - 1).astype(int)
        row = np.clip(px[:, 1] * ROWS / height, 0, ROWS - 1).astype(int)
        np.add.at(self.cells, (row, column), 1)

    def _emptiest(self) -> str:
        """The ninth of the picture with the fewest covered cells."""
        covered = self.cells > 0
        shares = [
            (float(covered[a : a + 2, b : b + 3].mean()), f"{down}{across}".strip() or "middle")
            for a, down in ((0, "upper "), (2, ""), (4, "lower "))
            for b, across in ((0, "left"), (3, ""), (5, "right"))
        ]
        place = min(shares)[1]
        return {"upper": "upper middle", "lower": "lower middle"}.get(place, place)


def edge_width_px(image: Image, sighting: Sighting, square_m: float) -> float:
    """Width in pixels of the transition from black to white, in the worse of both directions.

    Args:
        image: The picture.
        sighting: Corners of a chessboard in it.
        square_m: Side of its squares.

    Returns:
        Infinity if no two neighbouring corners are seen.
    """
    picture = grey(image).astype(np.float32)
    at = {tuple(np.rint(o[:2] / square_m).astype(int)): p
          for o, p in zip(sighting.object_m, sighting.image_px, strict=True)}  # fmt: skip
    worst = 0.0
    for right, up in ((1, 0), (0, 1)):
        widths = [
            _side_width_px(picture, here, at[c + right, r + up])
            for (c, r), here in at.items()
            if (c + right, r + up) in at
        ]
        worst = max(worst, float(np.median(widths)) if widths else math.inf)
    return worst


def _side_width_px(picture: NDArray[np.float32], a: Array, b: Array) -> float:
    """The width across one side of a square, from its corners ``a`` and ``b``."""
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length
    across = np.array([-along[1], along[0]])
    # Half a square to each side for black and white; the edge itself is near the middle. In a white
    # square the marker begins after an eighth of it or so.
    offsets = np.arange(-length / 2, length / 2, _STEP_PX)
    starts = a + np.linspace(0.35, 0.65, 7)[:, None] * (b - a)
    points = (starts[:, None] + offsets[None, :, None] * across).astype(np.float32)
    profile = cv2.remap(picture, points[..., 0], points[..., 1], cv2.INTER_LINEAR).mean(axis=0)
    slopes = np.abs(np.gradient(profile, _STEP_PX))
    near = np.abs(offsets) <= max(0.1 * length, 1.5)
    steepest = float(slopes[near].max())
    return float(profile.max() - profile.min()) / steepest if steepest > 0 else math.inf


def _view(name: str, sighting: Sighting, edge_px: float, size_m: tuple[float, float]) -> View:
    half = np.array(size_m) / 2
    # About the board's centre and in halves of its size, so that the last row is the lean itself.
    unit = (sighting.object_m[:, :2] - half) / half.max()
    matrix, _ = cv2.findHomography(unit, sighting.image_px)
    homography = np.asarray(matrix, np.float64) / matrix[2, 2]
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half / half.max()
    outline = cv2.perspectiveTransform(corners[None], homography)[0]
    depth = homography[2, :2]
    # Nearer is where the depth falls; from the board's axes to the picture's.
    jacobian = homography[:2, :2] - np.outer(homography[:2, 2], depth)
    towards = -jacobian @ depth
    length = float(np.linalg.norm(towards))
    lean = towards / length * np.linalg.norm(depth) if length > 0 else np.zeros(2)
    return View(name, sighting, edge_px, np.asarray(outline, np.float64), lean)
