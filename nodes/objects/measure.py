"""From a region of the picture to the things in it: mask, place and size of each.

for part in measure(crop, raw_mask, whole_mask, (left, top), camera): part.fit.position_base_m
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.regions import Grey, without_thin_parts
from deixis.nodes.objects.shapes import Fit, fit_solid
from deixis.nodes.objects.source import Array, Box, Mask
from deixis.nodes.objects.split import by_colour, side_by_side

_THIN = 0.2
"""What is thinner than this share of the smaller side is no part of a thing's body."""
_ONE_THING_IOU = 0.9
"""A region that a solid fits this well is one thing."""
_PART_IOU = 0.7
_BETTER = 0.04
_BEHIND_VARIANCE = 4.0
_CAP_AREA = 0.7
_CAP_INSIDE = 0.85


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One thing: its box, its pixels within the box, the solid fitted to it, its mean colour.

    The colour is in CIE Lab with lightness halved: shade says little about a thing.
    """

    box_px: Box
    mask: Mask
    fit: Fit
    tint: Array


def measure(
    image: NDArray[np.uint8],
    raw: Grey,
    whole: Grey,
    corner_px: tuple[int, int],
    camera: CameraCalibration,
) -> tuple[Part, ...]:
    """Measure the things in one region.

    Args:
        image: BGR crop of the picture around the region.
        raw: What differs from the plane in the crop, 0/1.
        whole: The region, holes filled, 0/1.
        corner_px: x, y of the crop in the picture.
        camera: Where the camera stands.

    Returns:
        Mostly one; several where things stand close together, or one of another colour stands in
        front; none when nothing there stands on the plane.
    """
    lab = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2Lab), np.uint8)
    one = _part(whole, lab, corner_px, camera, _without_handle(raw, whole))
    if one is not None and one.fit.iou >= _ONE_THING_IOU:
        return (one,)
    pieces = [_part(m, lab, corner_px, camera, _without_handle(m, m)) for m in side_by_side(raw)]
    if _better(pieces, one):
        return tuple(part for part in pieces if part is not None)
    halves = [_part(m, lab, corner_px, camera) for m in by_colour(image, whole)]
    if _better(halves, one):
        back, front = sorted(
            (part for part in halves if part is not None),
            key=lambda part: part.box_px[1] + part.box_px[3],
        )
        if one is not None and _is_cap(back, front):
            return (one,)
        # Of the one behind, the foot is hidden.
        doubt = replace(back.fit, covariance_m2=back.fit.covariance_m2 * _BEHIND_VARIANCE)
        return front, replace(back, fit=doubt)
    return () if one is None else (one,)


def _is_cap(upper: Part, lower: Part) -> bool:
    """Whether the upper part sits on the lower one rather than behind it: smaller, and above it."""
    inside = min(upper.box_px[0] + upper.box_px[2], lower.box_px[0] + lower.box_px[2])
    inside -= max(upper.box_px[0], lower.box_px[0])
    small = upper.mask.sum() < _CAP_AREA * lower.mask.sum()
    return bool(small and inside > _CAP_INSIDE * upper.box_px[2])


def _better(parts: Sequence[Part | None], one: Part | None) -> bool:
    """Whether several parts explain a region better than one."""
    ious = [0.0 if part is None else part.fit.iou for part in parts]
    if len(ious) < 2 or min(ious) < _PART_IOU:
        return False
    return one is None or sum(ious) / len(ious) > one.fit.iou + _BETTER


def _part(
    mask: Grey,
    lab: NDArray[np.uint8],
    corner_px: tuple[int, int],
    camera: CameraCalibration,
    body: Grey | None = None,
) -> Part | None:
    """A part with the better of the fits to its whole mask and to its body."""
    best = _fit(mask, corner_px, camera)
    if body is not None:
        other = _fit(body, corner_px, camera)
        if best is None or (other is not None and other.iou > best.iou):
            best = other
    if best is None:
        return None
    x, y, w, h = cv2.boundingRect(mask)
    box_px = (float(corner_px[0] + x), float(corner_px[1] + y), float(w), float(h))
    tint = np.array(cv2.mean(lab, mask)[:3]) * (0.5 * 100 / 255, 1, 1)
    return Part(box_px, mask[y : y + h, x : x + w].astype(bool), best, tint)


def _fit(mask: Grey, corner_px: tuple[int, int], camera: CameraCalibration) -> Fit | None:
    x, y, w, h = cv2.boundingRect(mask)
    if w < 4 or h < 4:
        return None
    tight = mask[y : y + h, x : x + w].astype(bool)
    return fit_solid(tight, (corner_px[0] + x, corner_px[1] + y), camera)


def _without_handle(raw: Grey, whole: Grey) -> Grey | None:
    """The region without thin parts, if that is still the same thing on the same foot."""
    _, y, w, h = cv2.boundingRect(whole)
    body = without_thin_parts(raw, _THIN * min(w, h))
    _, v, _, t = cv2.boundingRect(body)
    share = float(body.sum()) / max(float(whole.sum()), 1.0)
    same = 0.6 < share < 0.97 and y + h - (v + t) < 0.2 * h
    return body if same else None
