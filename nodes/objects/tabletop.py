"""Finds whatever stands on the work plane without knowing what it is: no training, no depth.

The plane's own look is modelled (:mod:`.background`), what differs from it is cut into connected
regions, arms and hands are told from objects, and a solid on the plane is fitted to each region
(:mod:`.measure`, :mod:`.shapes`) for its place and size.

    source = TabletopSource(TabletopParams(), Workspace())
    for detection in source.observe(View(image, camera, stamp_ns)).detections: ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.background import SurfaceModel, edge_contrast, log_picture
from deixis.nodes.objects.joining import join_stacked
from deixis.nodes.objects.measure import Part, measure
from deixis.nodes.objects.regions import (
    Grey,
    closed,
    dilated,
    enlarged,
    filled,
    hand_mask,
    largest,
    outlines,
    projected_hull,
    rim,
    skin_share,
    touches_border,
)
from deixis.nodes.objects.shapes import Fit, rough_place
from deixis.nodes.objects.source import Array, Detection, Mask, Observation, View
from deixis.nodes.objects.workspace import Workspace

_FINGERTIP = 0.12
"""Size of a fingertip in a picture, as a share of its height."""
_OTHER_COLOUR = 25.0
"""Grey levels in the mean of a region: more is not the same thing in another light."""

_CROWDED = 0.7
"""Share of the work plane: where more differs from its surface, the surface is a wrong guess."""
_NO_SURFACE = "no table surface in view: is the workspace on the table, and the table in the light?"


class TabletopParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Thresholds of the table-top source.

    Attributes:
        min_radius_m: Smaller things are crumbs.
        max_radius_m: Larger things are no objects that one points at.
        max_height_m: Highest object; above the table's far edge it is looked for this far up.
        min_iou: Least overlap of a region with the solid fitted to it.
        working_width_px: Pictures are analysed at about this width.
    """

    min_radius_m: float = 0.007
    max_radius_m: float = 0.2
    max_height_m: float = 0.3
    min_iou: float = 0.52
    working_width_px: int = 320


@dataclass(frozen=True, slots=True, eq=False)
class _Layout:
    """What depends on the camera and the picture's size alone."""

    picture_size: tuple[int, int]
    camera: CameraCalibration
    step: int
    size: tuple[int, int]
    plane: Mask
    reach: Mask
    table: SurfaceModel
    beyond: SurfaceModel


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A region that was measured, so that it need not be again while it stays as it is."""

    box: Sequence[int]
    coarse: Mask
    colour: Array
    parts: tuple[Part, ...]

    def under(self, hidden: Grey) -> bool:
        """Whether a part of it may be hidden."""
        x, y, w, h = self.box
        return bool(hidden[y : y + h, x : x + w].any())

    def matches(self, box: Sequence[int], coarse: Mask, colour: Array) -> bool:
        """Whether a region of the small picture is the same but for noise along its outline."""
        if np.abs(self.colour - colour).max() > _OTHER_COLOUR:
            return False
        (x, y, w, h), (u, v, s, t) = self.box, box
        if max(abs(x - u), abs(y - v), abs(x + w - u - s), abs(y + h - v - t)) > 1:
            return False
        left, top = min(x, u), min(y, v)
        both = np.zeros((2, max(y + h, v + t) - top, max(x + w, u + s) - left), bool)
        both[0, y - top : y - top + h, x - left : x - left + w] = self.coarse
        both[1, v - top : v - top + t, u - left : u - left + s] = coarse
        outline = 2 * (w + h)
        return int((both[0] != both[1]).sum()) <= 0.35 * outline


class TabletopSource:
    """Class-agnostic detection on the work plane.

    Args:
        params: Thresholds.
        workspace: Where to look.
        at_once: Of what is new, so many regions are measured in one picture (a solid is fitted in
            5 ms); the others are there, but their place waits for the next picture.
    """

    def __init__(
        self, params: TabletopParams, workspace: Workspace, at_once: int = 1_000_000
    ) -> None:
        self._params = params
        self._at_once = at_once
        self._workspace = workspace
        self._layout: _Layout | None = None
        self._known: list[_Known] = []
        self._turn = 0

    def reset(self) -> None:
        """Forget the look of the table and the fits of earlier pictures."""
        self._layout = None
        self._known = []

    def close(self) -> None:
        """Nothing to release."""

    def observe(self, view: View) -> Observation:
        """Find the objects in one picture; see :class:`deixis.nodes.objects.source.Source`."""
        layout = self._layout_for(view)
        resized = cv2.resize(view.image, layout.size, interpolation=cv2.INTER_AREA)
        small = np.asarray(resized, np.uint8)
        planes = log_picture(small)
        if not layout.table.fit(planes, patterned=True):
            return Observation((), problem=_NO_SURFACE)
        foreground, contrast = self._foreground(layout, planes)
        if foreground[layout.plane].mean() > _CROWDED:
            return Observation((), problem=_NO_SURFACE)
        hands = hand_mask(view.hands, layout.step, layout.size)
        arm = np.zeros_like(foreground)
        objects: list[Grey] = []
        for contour in outlines(foreground):
            region = np.zeros_like(foreground)
            cv2.drawContours(region, [contour], -1, 1, cv2.FILLED)
            if self._is_arm(region, hands, small, layout):
                arm |= region
            elif (region.astype(bool) & layout.plane).sum() >= 8:
                objects.append(region)
        # With room for blur and for the hand's shadow where it meets the thing.
        hidden = dilated(arm | hands, 9)
        detections: list[Detection] = []
        known: list[_Known] = []
        regions = self._rejoined(join_stacked(objects, contrast, small))
        # Not always the same ones first, so that all have their turn.
        self._turn = (self._turn + 1) % max(len(regions), 1)
        left = self._at_once
        complete = True
        for region in regions[self._turn :] + regions[: self._turn]:
            box = cv2.boundingRect(region)
            x, y, w, h = box
            coarse = region[y : y + h, x : x + w].astype(bool)
            colour = np.array(cv2.mean(small[y : y + h, x : x + w], coarse.astype(np.uint8))[:3])
            now = self._unchanged(box, coarse, colour)
            if now is None and not (region & hidden).any():
                if left > 0:
                    left -= 1
                    parts = self._measure(region, box, view, layout)
                    now = _Known(box, coarse, colour, parts)
                else:
                    complete = False
            if now is None:
                detections += _clipped(box, view.camera, layout.step)
            else:
                known.append(now)
                detections += self._reported(now.parts, layout)
        # What a hand covers for a while mostly stands there unchanged afterwards.
        covered = [old for old in self._known if old not in known and old.under(hidden)]
        self._known = known + covered
        taken = dilated(foreground | hands, 3)
        return Observation(tuple(detections), layout.reach & (taken == 0), complete)

    def _layout_for(self, view: View) -> _Layout:
        height, width = view.image.shape[:2]
        old = self._layout
        if old is None or old.picture_size != (width, height) or old.camera is not view.camera:
            step = max(1, round(width / self._params.working_width_px))
            size = (width // step, height // step)
            plane = projected_hull(view.camera, self._workspace.outline(0.0), step, size)
            volume = np.concatenate(
                [self._workspace.outline(z) for z in (0.0, self._params.max_height_m)]
            )
            reach = projected_hull(view.camera, volume, step, size)
            shape = (size[1], size[0])
            self._layout = _Layout(
                (width, height), view.camera, step, size, plane, reach,
                SurfaceModel(shape, plane), SurfaceModel(shape, reach & ~plane),
            )  # fmt: skip
            self._known = []
            return self._layout
        return old

    def _contrast(
        self, layout: _Layout, planes: NDArray[np.float32], plane: Mask, reach: Mask,
        part: tuple[int, int, int] | None = None,
    ) -> NDArray[np.float32]:  # fmt: skip
        """Contrast with the table and, around it, with what lies beyond the table too."""
        contrast = layout.table.contrast(planes, part)
        # A bottle at the far edge rises in front of the floor or wall: where that is plain too,
        # objects are followed up there; where it is not, they are cut at the table's edge.
        if layout.beyond.coefficients is None:
            return np.where(plane, contrast, np.float32(0))
        beyond = np.minimum(contrast, layout.beyond.contrast(planes, part))
        return np.where(plane, contrast, np.where(reach, beyond, np.float32(0)))

    def _foreground(
        self, layout: _Layout, planes: NDArray[np.float32]
    ) -> tuple[Grey, NDArray[np.float32]]:
        """0/1 mask of the small picture, tidied and with holes filled; and its contrast."""
        if not layout.beyond.fit(planes):
            layout.beyond.reset()
        contrast = self._contrast(layout, planes, layout.plane, layout.reach)
        differs = (contrast > 1).astype(np.uint8)
        # The table's far edge is neither table nor floor: a flat line that joins what stands near
        # it and, with it, closes holes that are none. Upright lines stay: a label may have no more.
        thick = cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((3, 1), np.uint8))
        solid = filled(closed(np.where(layout.plane, differs, np.asarray(thick, np.uint8))))
        cross = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
        tidy = cv2.morphologyEx(solid, cv2.MORPH_OPEN, cross)
        return np.asarray(tidy, np.uint8), contrast

    def _is_arm(self, region: Grey, hands: Grey, small: NDArray[np.uint8], layout: _Layout) -> bool:
        """Whether a region is a hand or an arm (with whatever it covers)."""
        if (region & hands).any():
            return True
        inside = region.astype(bool)
        if not (inside & rim(layout.reach)).any():
            return False
        # An arm comes in from outside. So may a large object; then skin decides. What is no larger
        # than a fingertip may as well be a thing at the edge.
        _, _, width, height = cv2.boundingRect(region)
        if max(width, height) < _FINGERTIP * layout.size[1]:
            return False
        return skin_share(small, inside) > 0.25 or height > 0.3 * layout.size[1]

    def _reported(self, parts: Sequence[Part], layout: _Layout) -> list[Detection]:
        out: list[Detection] = []
        for part in parts:
            if touches_border(part.box_px, layout.picture_size):
                out += _clipped(part.box_px, layout.camera, 1)
            elif self._fits(part.fit):
                out.append(_detection(part))
        return out

    def _fits(self, fit: Fit) -> bool:
        params = self._params
        return (
            fit.iou >= params.min_iou
            and params.min_radius_m <= fit.radius_m <= params.max_radius_m
            and self._workspace.contains(fit.position_base_m, fit.radius_m / 2)
        )

    def _rejoined(self, regions: list[Grey]) -> list[Grey]:
        """Pieces that were one region a picture ago and fill the same place are one region still.

        A label with the table's colour can cut a bottle in two in one picture and not in another.
        """
        for known in self._known:
            x, y, w, h = known.box
            window = (slice(y, y + h), slice(x, x + w))
            pieces = [r for r in regions if r[window].any() and r[window].sum() == r.sum()]
            if len(pieces) < 2:
                continue
            union = np.bitwise_or.reduce(pieces)
            u, v, s, t = cv2.boundingRect(union)
            same_box = max(abs(u - x), abs(v - y), abs(u + s - x - w), abs(v + t - y - h)) <= 1
            if same_box and union.sum() > 0.65 * known.coarse.sum():
                whole = np.zeros_like(union)
                whole[window] = known.coarse
                regions = [r for r in regions if all(r is not p for p in pieces)] + [whole]
        return regions

    def _unchanged(self, box: Sequence[int], coarse: Mask, colour: Array) -> _Known | None:
        """What was measured in an earlier picture, if this region has not changed since."""
        return next((known for known in self._known if known.matches(box, coarse, colour)), None)

    def _measure(
        self, region: Grey, box: Sequence[int], view: View, layout: _Layout
    ) -> tuple[Part, ...]:
        """Cut a region out at full resolution and measure what is in it."""
        step, room = layout.step, 2
        x0, y0 = max(box[0] - room, 0), max(box[1] - room, 0)
        x1 = min(box[0] + box[2] + room, layout.size[0])
        y1 = min(box[1] + box[3] + room, layout.size[1])
        window = (slice(y0, y1), slice(x0, x1))
        left, top = x0 * step, y0 * step
        crop = view.image[top : y1 * step, left : x1 * step]
        plane, reach = enlarged(layout.plane[window], step), enlarged(layout.reach[window], step)
        contrast = self._contrast(layout, log_picture(crop), plane, reach, (left, top, step))
        near = enlarged(dilated(region[window], 3), step)
        raw = closed((near & (edge_contrast(contrast) > 1)).astype(np.uint8))
        whole = raw
        # What is surely inside at the coarse level stays in, as much of it as it takes to keep the
        # region in one piece: a label with the table's colour runs right across a bottle.
        for margin in (5, 3, 1):
            core = enlarged(cv2.erode(region[window], np.ones((margin, margin), np.uint8)), step)
            whole = filled(raw | core.astype(np.uint8))
            if largest(whole).sum() > 0.95 * whole.sum():
                break
        return measure(crop, raw, largest(whole), (left, top), view.camera)


def _detection(part: Part) -> Detection:
    fit = part.fit
    return Detection(
        box_px=part.box_px,
        position_base_m=fit.position_base_m,
        position_cov_m2=fit.covariance_m2,
        radius_m=fit.radius_m,
        height_m=fit.height_m,
        confidence=float(np.clip((fit.iou - 0.4) / 0.4, 0.1, 0.99)),
        mask=part.mask,
        tint=part.tint,
    )


def _clipped(box: Sequence[float], camera: CameraCalibration, step: int) -> list[Detection]:
    """A region of which a part is hidden: something is there, and little more is known."""
    x, y, w, h = (float(value * step) for value in box)
    place = rough_place((x, y, x + w, y + h), camera)
    if place is None:
        return []
    radius = place[2]
    return [
        Detection(
            box_px=(x, y, w, h),
            position_base_m=np.array([place[0], place[1], radius]),
            position_cov_m2=np.eye(3) * radius**2,
            radius_m=radius,
            height_m=2 * radius,
            confidence=0.5,
            clipped=True,
        )
    ]
