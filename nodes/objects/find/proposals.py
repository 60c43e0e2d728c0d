"""Says where in a picture something may be, without knowing what: no training, no calibration.

Proposals are the segments (:mod:`.segments`) that stand out most from what is around them, and
what is connected when large even areas are taken out: a thing with its cap and its label. A label
of the table's own colour can cut a thing in two: two segments of one colour close together are
proposed as one, too. With a camera that stands in the base frame, the table-top source gives
proposals instead.

    for proposal in propose(image): proposal.box_px, proposal.mask
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.find.segments import SegmentTree
from deixis.nodes.objects.regions import enlarged
from deixis.nodes.objects.source import Box, Image, Mask

MOST = 16
"""Segments of a picture that are proposed: each costs an embedding."""
_PIXELS = 320 * 240
"""Pictures are segmented at about this size."""
_MIN_SIDE_PX = 24
"""Smaller pictures have no room for a thing and what is around it."""
_MIN_SHARE, _MAX_SHARE = 0.001, 0.3
"""Share of the picture: below it is a speck, above it is what things stand on."""
_MIN_FILL = 0.3
_MIN_PERSISTENCE = 3.0
_LEVELS = (6.0, 12.0)
"""Strengths of edges up to which even areas grow together."""
_GROUND_SHARE = 0.015
"""Share of the picture from which on an even area is what things stand on, or behind them."""
_SAME_COLOUR = 18.0
_NEAR = 0.6
"""Widest gap between parts of one thing, in units of the smaller part's size."""
_SAME_BOX_IOU = 0.7


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A part of a picture that may be one thing.

    Attributes:
        box_px: x, y, width, height in the picture.
        mask: Its pixels within the box, shape ``(height, width)``.
    """

    box_px: Box
    mask: Mask


def propose(image: Image, most: int = MOST) -> list[Proposal]:
    """Proposals for a picture (BGR), those that stand out most first."""
    step = max(1, round(float(np.sqrt(image.shape[0] * image.shape[1] / _PIXELS))))
    size = (image.shape[1] // step, image.shape[0] // step)
    if min(size) < _MIN_SIDE_PX:
        return []
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    tree = SegmentTree.of(small)
    masks = [tree.mask(k) for k in _outstanding(tree, size, most)]
    more = _left_over(tree) + _joined(small, masks)
    return [_proposal(mask, step) for mask in _distinct(masks, more)]


def _outstanding(tree: SegmentTree, size: tuple[int, int], most: int) -> list[int]:
    """The most persistent segments of sensible size and shape, none twice."""
    width, height = size
    extent = tree.boxes[:, 2:] - tree.boxes[:, :2]
    share = tree.areas / (width * height)
    sides = (tree.boxes[:, :2] <= 0).sum(axis=1) + (tree.boxes[:, 2:] >= size).sum(axis=1)
    sensible = (
        (share >= _MIN_SHARE)
        & (share <= _MAX_SHARE)
        & (tree.areas >= _MIN_FILL * extent.prod(axis=1))
        & (sides < 2)
        & np.isfinite(tree.deaths)
    )
    persistence = np.where(sensible, tree.persistence, 0.0)
    kept: list[int] = []
    for k in np.argsort(-persistence):
        if persistence[k] < _MIN_PERSISTENCE or len(kept) == most:
            break
        box = _box(tree.boxes[k])
        if all(overlap(box, _box(tree.boxes[other])) < _SAME_BOX_IOU for other in kept):
            kept.append(int(k))
    return kept


def _left_over(tree: SegmentTree) -> list[Mask]:
    """What is connected when all large even areas are taken out: things with all their parts."""
    found = []
    for strength in _LEVELS:
        segments = tree.level(strength)
        rest = tree.areas[segments] < _GROUND_SHARE * segments.size
        count, numbers, stats, _ = cv2.connectedComponentsWithStats(
            rest.astype(np.uint8), connectivity=4
        )
        for k in range(1, count):
            _, _, width, height, area = stats[k]
            share = area / segments.size
            if _MIN_SHARE <= share <= _MAX_SHARE and area >= _MIN_FILL * width * height:
                found.append(np.asarray(numbers == k, bool))
    return found


def _joined(image: Image, masks: list[Mask]) -> list[Mask]:
    """Hulls of pairs of segments of one colour with a gap between them that shows the table's."""
    lab = cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_BGR2Lab)
    colours = [lab[mask].mean(axis=0) for mask in masks]
    boxes = [_bounds(mask) for mask in masks]
    sizes = [float(np.sqrt(mask.sum())) for mask in masks]
    found = []
    for i, j in combinations(range(len(masks)), 2):
        gap = np.maximum(boxes[i][:2], boxes[j][:2]) - np.minimum(boxes[i][2:], boxes[j][2:])
        near = 0 <= gap.max() < _NEAR * min(sizes[i], sizes[j])
        if near and float(np.linalg.norm(colours[i] - colours[j])) < _SAME_COLOUR:
            found.append(_hull(masks[i] | masks[j]))
    return found


def _hull(mask: Mask) -> Mask:
    hull = cv2.convexHull(np.argwhere(mask)[:, ::-1].astype(np.int32))
    out = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(out, hull, 1)
    return out.astype(bool)


def _distinct(masks: list[Mask], more: list[Mask]) -> list[Mask]:
    """All masks, and those of more whose boxes are not there yet."""
    kept = list(masks)
    boxes = [_box(_bounds(mask)) for mask in masks]
    for mask in more:
        box = _box(_bounds(mask))
        if all(overlap(box, other) < _SAME_BOX_IOU for other in boxes):
            kept.append(mask)
            boxes.append(box)
    return kept


def _box(corners: NDArray[np.int64]) -> Box:
    left, top, right, bottom = (float(v) for v in corners)
    return left, top, right - left, bottom - top


def _bounds(mask: Mask) -> NDArray[np.int64]:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return np.array([x, y, x + w, y + h])


def _proposal(mask: Mask, step: int) -> Proposal:
    corners = _bounds(mask)
    left, top, right, bottom = (int(v) for v in corners)
    return Proposal(_box(corners * step), enlarged(mask[top:bottom, left:right], step))
