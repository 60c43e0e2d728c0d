"""A picture as a tree of segments: small patches, merged step by step across their weakest edge.

The strength of the edge between two segments is the mean difference in colour along it, as in the
region tree of Arbeláez et al., "Contour detection and hierarchical image segmentation" (2011). What
is one thing stays one segment for long: it is complete at a low strength and lost in its
surroundings only at a high one.

    tree = SegmentTree.of(small_image)
    tree.persistence[k], tree.boxes[k], tree.mask(k)
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.source import Image, Mask

_PATCH_PX = 7
"""Spacing of the patches; what is smaller than about two of them is not found."""
_LIGHTNESS_SHARE = 0.4
"""Weight of differences in lightness: shade changes it within one thing, colour it hardly does."""


@dataclass(frozen=True, slots=True, eq=False)
class SegmentTree:
    """All segments of a picture: first the patches, then what came of each merger.

    Attributes:
        patches: Number of the patch of each pixel, int32 ``(height, width)``.
        children: The two segments that were merged, int ``(n - n_patches, 2)``.
        births: Strength of the strongest edge within each segment, ``(n,)``, in units of ΔE.
        deaths: Strength of the edge over which it was merged into the next, ``(n,)``; inf at last.
        areas: Pixels, ``(n,)``.
        boxes: Left, top, right, bottom, int ``(n, 4)``.
    """

    patches: NDArray[np.int32]
    children: NDArray[np.int64]
    births: NDArray[np.float64]
    deaths: NDArray[np.float64]
    areas: NDArray[np.float64]
    boxes: NDArray[np.int64]

    @classmethod
    def of(cls, image: Image) -> SegmentTree:
        """Segment a picture (BGR) of a few hundred pixels in width."""
        smooth = cv2.medianBlur(image, 3).astype(np.float32) / np.float32(255)
        colours = np.asarray(cv2.cvtColor(smooth, cv2.COLOR_BGR2Lab), np.float32)
        colours[..., 0] *= np.float32(_LIGHTNESS_SHARE)
        patches = _patches(colours)
        n = int(patches.max()) + 1
        flat = patches.ravel()
        areas = np.bincount(flat, minlength=n).astype(np.float64)
        sums = [np.bincount(flat, colours[..., c].ravel(), n) for c in range(3)]
        mean = np.stack(sums, axis=1) / areas[:, None]
        first, second, lengths = _edges(patches, n)
        strengths = np.linalg.norm(mean[first] - mean[second], axis=1)
        children, births, deaths = _merge(n, first, second, lengths, strengths)
        areas = np.append(areas, np.zeros(len(children)))
        boxes = np.vstack([_boxes(patches, n), np.zeros((len(children), 4), np.int64)])
        for k, (i, j) in enumerate(children, start=n):
            areas[k] = areas[i] + areas[j]
            boxes[k, :2] = np.minimum(boxes[i, :2], boxes[j, :2])
            boxes[k, 2:] = np.maximum(boxes[i, 2:], boxes[j, 2:])
        return cls(patches, children, births, deaths, areas, boxes)

    @property
    def persistence(self) -> NDArray[np.float64]:
        """By how much the edge around each segment is stronger than all edges within it."""
        return np.asarray(self.deaths - self.births, np.float64)

    def level(self, strength: float) -> NDArray[np.int64]:
        """The segment of each pixel when edges up to a strength are gone, ``(height, width)``."""
        n = len(self.births) - len(self.children)
        whole = np.arange(len(self.births))
        for k in range(len(self.births) - 1, n - 1, -1):
            if whole[k] != k or self.births[k] <= strength:
                whole[self.children[k - n]] = whole[k]
        return np.asarray(whole[:n][self.patches], np.int64)

    def mask(self, segment: int) -> Mask:
        """Pixels of a segment, shape ``(height, width)``."""
        n = len(self.births) - len(self.children)
        chosen = np.zeros(n, bool)
        waiting = [segment]
        while waiting:
            k = waiting.pop()
            if k < n:
                chosen[k] = True
            else:
                waiting += self.children[k - n].tolist()
        return np.asarray(chosen[self.patches], bool)


def _patches(lab: NDArray[np.float32]) -> NDArray[np.int32]:
    """Patches of nearly equal size that end at edges: a watershed from the flattest spots."""
    height, width = lab.shape[:2]
    slope = np.zeros((height, width), np.float32)
    for channel in range(3):
        dx = cv2.Sobel(lab[..., channel], cv2.CV_32F, 1, 0)
        dy = cv2.Sobel(lab[..., channel], cv2.CV_32F, 0, 1)
        np.maximum(slope, np.hypot(dx, dy), out=slope)
    seeds = np.zeros((height, width), np.int32)
    reach, count = _PATCH_PX // 3, 0
    for y in range(_PATCH_PX // 2, height, _PATCH_PX):
        for x in range(_PATCH_PX // 2, width, _PATCH_PX):
            top, left = y - reach, x - reach
            spot = slope[top : y + reach + 1, left : x + reach + 1]
            row, column = divmod(int(spot.argmin()), spot.shape[1])
            count += 1
            seeds[top + row, left + column] = count
    steep = np.clip(2 * slope, 0, 255).astype(np.uint8)
    flooded = cv2.watershed(cv2.cvtColor(steep, cv2.COLOR_GRAY2BGR), seeds)
    # The watershed leaves a line of -1 between patches; the line joins a neighbour.
    known = np.where(flooded > 0, flooded, 0).astype(np.float32)
    grown = cv2.dilate(known, np.ones((3, 3), np.uint8))
    whole = np.where(known > 0, known, grown).astype(np.int32)
    _, numbers = np.unique(whole, return_inverse=True)
    return np.asarray(numbers.reshape(height, width), np.int32)


def _edges(
    patches: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of patches that touch, and the length of the edge between them in pixels."""
    across = np.stack([patches[:, :-1].ravel(), patches[:, 1:].ravel()])
    down = np.stack([patches[:-1].ravel(), patches[1:].ravel()])
    pairs = np.hstack([across, down]).astype(np.int64)
    pairs = pairs[:, pairs[0] != pairs[1]]
    keys, lengths = np.unique(pairs.min(axis=0) * n + pairs.max(axis=0), return_counts=True)
    return keys // n, keys % n, np.asarray(lengths, np.int64)


def _merge(
    n: int,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    lengths: NDArray[np.int64],
    strengths: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Merge the two segments with the weakest edge until one is left.

    Returns:
        Children of each merger, and births and deaths of all segments.
    """
    # A segment is known by one of its patches (the slot), around which the other slots lie, with
    # length and summed strength of the common edge. The one with fewer neighbours joins the other,
    # so that most edges stay as they are.
    around: list[dict[int, tuple[int, float]]] = [{} for _ in range(n)]
    segment = list(range(n))
    waiting: list[tuple[float, int, int]] = []
    edges = zip(first.tolist(), second.tolist(), lengths.tolist(), strengths.tolist(), strict=True)
    for i, j, length, strength in edges:
        around[i][j] = around[j][i] = (length, length * strength)
        waiting.append((length * strength / length, i, j))
    heapq.heapify(waiting)
    births, deaths = [0.0] * n, [np.inf] * n
    children: list[tuple[int, int]] = []
    while waiting:
        strength, i, j = heapq.heappop(waiting)
        edge = around[i].get(j)
        if edge is None or edge[1] / edge[0] != strength:
            # One of the two has joined another meanwhile, or the edge has grown.
            continue
        if len(around[i]) < len(around[j]):
            i, j = j, i
        births.append(max(strength, births[segment[i]], births[segment[j]]))
        deaths[segment[i]] = deaths[segment[j]] = strength
        deaths.append(np.inf)
        children.append((segment[i], segment[j]))
        segment[i] = len(births) - 1
        del around[i][j], around[j][i]
        for other, (length, total) in around[j].items():
            del around[other][j]
            known = around[i].get(other, (0, 0.0))
            joined = (known[0] + length, known[1] + total)
            around[i][other] = around[other][i] = joined
            heapq.heappush(waiting, (joined[1] / joined[0], i, other))
        around[j] = {}
    return np.array(children, np.int64).reshape(-1, 2), np.array(births), np.array(deaths)


def _boxes(patches: NDArray[np.int32], n: int) -> NDArray[np.int64]:
    rows, columns = np.indices(patches.shape)
    flat = patches.ravel()
    boxes = np.zeros((n, 4), np.int64)
    boxes[:, :2] = max(patches.shape)
    for at, values in ((0, columns), (1, rows)):
        np.minimum.at(boxes[:, at], flat, values.ravel())
        np.maximum.at(boxes[:, at + 2], flat, values.ravel() + 1)
    return boxes
