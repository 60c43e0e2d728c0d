"""Where an object stands, from its silhouette: simple solids on the plane, fitted to the outline.

One camera cannot tell near and small from far and large, but an object that stands on a known
plane has few unknowns (place, size, height), and how far its silhouette reaches in each of 16
directions of the picture (its support function) gives 16 equations. Each solid of a small family
(cups, bottles, bowls, balls, boxes) is fitted by damped Gauss-Newton, all at once; what sticks out
on one side only, a cup's handle, gets little weight (Huber, "Robust estimation of a location
parameter", 1964). The solid whose drawn silhouette overlaps the mask best wins.

    fit = fit_solid(mask, (left, top), camera)  # fit.position_base_m, fit.radius_m, fit.iou
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, plane_hit

Array = NDArray[np.float64]

_ITERATIONS = 10
_CONVERGED_M = 2e-4
_RADIUS_M = (0.008, 0.30)
_HEIGHT_M = (0.003, 0.45)
_RING = 16
_UNUSUAL = 0.04
"""Overlap that a solid of unusual proportions loses."""
_OUTLIER_PX = 1.5
_EDGE_PX = 0.3
"""How far an outline lies outside the centres of its outermost pixels."""
_ANGLES = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_DAMPING = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """One kind of solid with free place, size and height.

    Attributes:
        name: For people.
        hulls: Its silhouette is the union of the convex hulls of these groups of its points.
        slender: Usual range of height / radius.
    """

    name: str
    hulls: tuple[slice, ...]
    slender: tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class _Family:
    """Solids with the same parameters, fitted together.

    ``points`` maps parameters ``(k, m, p)`` for k solids to points ``(k, m, n, 3)``; the parameters
    are x, y, height, then sizes.
    """

    solids: tuple[Solid, ...]
    points: Callable[[Array], Array]
    start: Callable[[float, float, float], Array]
    steps: Array


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A solid fitted to a silhouette.

    Attributes:
        position_base_m: Centre of the solid, shape ``(3,)``.
        covariance_m2: From one pixel of error of the outline, shape ``(3, 3)``.
        radius_m: Half of its horizontal extent.
        height_m: Its height.
        iou: Overlap of its silhouette with the mask, 0 to 1.
        solid: Name of the solid.
    """

    position_base_m: Array
    covariance_m2: Array
    radius_m: float
    height_m: float
    iou: float
    solid: str


@cache
def _families() -> tuple[_Family, _Family]:
    angle = np.linspace(0, 2 * np.pi, _RING, endpoint=False)
    # Circumscribed a little, so that the polygon has about the circle's area.
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 1.012
    profiles = {
        "cylinder": ((1, 0), (1, 0.33), (1, 0.66), (1, 1)),
        "tapered": ((0.8, 0), (0.87, 0.33), (0.93, 0.66), (1, 1)),
        "bowl": ((0.45, 0), (0.75, 0.16), (0.92, 0.5), (1, 1)),
        "bottle": ((1, 0), (1, 0.58), (0.45, 0.78), (0.4, 1)),
    }
    hulls = tuple(slice(i * _RING, (i + 2) * _RING) for i in range(3))
    revolved = (
        Solid("cylinder", hulls, (1.2, 8)),
        Solid("tapered", hulls, (1.2, 4)),
        Solid("bowl", hulls, (0.5, 1.3)),
        Solid("bottle", hulls, (3.5, 10)),
        Solid("ball", (slice(None),), (1.9, 2.1)),
    )
    n = 4 * _RING
    by_radius, by_height = np.zeros((5, n, 3)), np.zeros((5, n, 3))
    for k, profile in enumerate(profiles.values()):
        by_radius[k, :, :2] = np.concatenate([ring * r for r, _ in profile])
        by_height[k, :, 2] = np.repeat([z for _, z in profile], _RING)
    # A ball: points spread evenly (Fibonacci lattice), resting on the plane.
    level = 1 - (2 * np.arange(n) + 1) / n
    turn = np.pi * (1 + 5**0.5) * np.arange(n)
    rho = np.sqrt(1 - level**2)
    by_radius[4] = np.stack([rho * np.cos(turn), rho * np.sin(turn), level], axis=1) * 1.015
    by_radius[4, :, 2] += 1

    def revolve(p: Array) -> Array:
        points = (
            p[..., 3, None, None] * by_radius[:, None] + p[..., 2, None, None] * by_height[:, None]
        )
        points[..., :2] += p[..., None, :2]
        return np.asarray(points)

    corners = np.array([(sx, sy) for sx in (-1, 1) for sy in (-1, 1)] * 2, np.float64)
    top = np.repeat([0.0, 1.0], 4)
    turns = np.deg2rad([0.0, 22.5, 45.0, 67.5])

    def boxes(p: Array) -> Array:
        along, across, yaw = p[..., 3, None], p[..., 4, None], p[..., 5, None]
        u, v = along * corners[:, 0], across * corners[:, 1]
        x = p[..., 0, None] + u * np.cos(yaw) - v * np.sin(yaw)
        y = p[..., 1, None] + u * np.sin(yaw) + v * np.cos(yaw)
        return np.stack([x, y, p[..., 2, None] * top], axis=-1)

    return (
        _Family(
            revolved, revolve,
            lambda x, y, r: np.tile([x, y, r, r], (5, 1)),
            np.full(4, 1e-4),
        ),
        _Family(
            tuple(Solid("box", (slice(None),), (0.5, 4)) for _ in turns), boxes,
            lambda x, y, r: np.array([[x, y, r, 0.75 * r, 0.75 * r, turn] for turn in turns]),
            np.array([1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-3]),
        ),
    )  # fmt: skip


def fit_solid(
    mask: NDArray[np.bool_], corner_px: tuple[float, float], camera: CameraCalibration
) -> Fit | None:
    """Fit the family of solids to a silhouette.

    Args:
        mask: The object's pixels.
        corner_px: x, y in the picture of the mask's first pixel.
        camera: Where the camera stands.

    Returns:
        The best one, or None if the silhouette is empty or its foot is not on the plane in view.
    """
    contours, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    if not contours:
        return None
    outline = np.concatenate(contours)[:, 0].astype(np.float64) + corner_px
    support = (outline @ _DIRECTIONS.T).max(axis=0) + _EDGE_PX
    start = rough_place((*outline.min(axis=0), *outline.max(axis=0)), camera)
    if start is None:
        return None
    best: Fit | None = None
    best_score = -1.0
    for family in _families():
        params, information = _solve(family, support, start, camera)
        points = family.points(params[:, None])[:, 0]
        for solid, p, info, own in zip(family.solids, params, information, points, strict=True):
            iou = _overlap(solid, own, mask, corner_px, camera)
            fit = _fit(solid, p, info, iou)
            low, high = solid.slender
            score = iou if low <= fit.height_m / fit.radius_m <= high else iou - _UNUSUAL
            if score > best_score:
                best_score, best = score, fit
    return best


def rough_place(
    edges_px: tuple[float, float, float, float], camera: CameraCalibration
) -> tuple[float, float, float] | None:
    """Rough place from a box alone: its foot on the plane, and half its width behind that.

    Args:
        edges_px: Left, top, right, bottom.
        camera: Where the camera stands.

    Returns:
        x, y and radius in metres, or None if the foot is not on the plane in view.
    """
    left, _, right, bottom = edges_px
    origin, along = camera.pixel_ray_base(((left + right) / 2, bottom))
    near = plane_hit(origin, along)
    if near is None:
        return None
    distance = float(np.linalg.norm(near - origin))
    radius = float(np.clip((right - left) / 2 * distance / camera.K[0, 0], *_RADIUS_M))
    away = along[:2] / max(float(np.linalg.norm(along[:2])), 1e-9)
    return float(near[0] + radius * away[0]), float(near[1] + radius * away[1]), radius


def _solve(
    family: _Family, support: Array, start: tuple[float, float, float], camera: CameraCalibration
) -> tuple[Array, Array]:
    """Parameters ``(k, p)`` of each solid and their information matrices ``(k, p, p)``."""
    p = family.start(*start)
    k, n = p.shape
    offsets = np.concatenate([np.zeros((1, n)), np.diag(family.steps)])
    damping = np.diag(np.where(family.steps < 5e-4, _DAMPING, 1.0))
    information = np.zeros((k, n, n))
    for _ in range(_ITERATIONS):
        points = family.points(p[:, None] + offsets)
        px = camera.project(points.reshape(-1, 3)).reshape(k, n + 1, -1, 2)
        reach = (px @ _DIRECTIONS.T).max(axis=2)
        jacobian = ((reach[:, 1:] - reach[:, :1]) / family.steps[:, None]).transpose(0, 2, 1)
        error = support - reach[:, 0]
        # Only what sticks out is taken for a foreign part; a solid must not be too large.
        weight = np.where(error > _OUTLIER_PX, _OUTLIER_PX / np.maximum(error, 1e-9), 1.0)
        weighted = jacobian.transpose(0, 2, 1) * weight[:, None]
        information = weighted @ jacobian + damping
        delta = np.linalg.solve(information, weighted @ error[..., None])[..., 0]
        p = p + np.clip(np.nan_to_num(delta), -0.06, 0.06)
        p[:, 2] = np.clip(p[:, 2], *_HEIGHT_M)
        sizes = slice(3, 4) if n == 4 else slice(3, 5)
        p[:, sizes] = np.clip(p[:, sizes], *_RADIUS_M)
        if np.abs(delta).max() < _CONVERGED_M:
            break
    return p, information


def _overlap(
    solid: Solid,
    points: Array,
    mask: NDArray[np.bool_],
    corner_px: tuple[float, float],
    camera: CameraCalibration,
) -> float:
    """Intersection over union of the drawn solid and the mask, with room around the mask."""
    pad = 6
    height, width = mask.shape
    drawn = np.zeros((height + 2 * pad, width + 2 * pad), np.uint8)
    px = camera.project(points)
    if not np.isfinite(px).all():
        return 0.0
    fine = 8  # fillConvexPoly takes coordinates with 3 fractional bits
    local = np.clip(np.round((px - corner_px + pad) * fine), -32000, 32000).astype(np.int32)
    for hull in solid.hulls:
        cv2.fillConvexPoly(drawn, cv2.convexHull(local[hull]), 1, shift=3)
    both = int(np.count_nonzero(drawn[pad:-pad, pad:-pad] & mask))
    either = int(np.count_nonzero(drawn)) + int(np.count_nonzero(mask)) - both
    return both / max(either, 1)


def _fit(solid: Solid, p: Array, information: Array, iou: float) -> Fit:
    if solid.name == "ball":
        radius, height = float(p[3]), 2 * float(p[3])
    else:
        radius, height = float(np.hypot(*p[3:5])) if len(p) > 4 else float(p[3]), float(p[2])
    cov = np.linalg.inv(information)
    to_centre = np.zeros((3, len(p)))
    to_centre[0, 0] = to_centre[1, 1] = 1.0
    to_centre[2, 3 if solid.name == "ball" else 2] = 1.0 if solid.name == "ball" else 0.5
    # The real object is none of the solids exactly.
    model = np.diag([(0.12 * radius) ** 2, (0.12 * radius) ** 2, (0.1 * height) ** 2])
    return Fit(
        position_base_m=np.array([p[0], p[1], height / 2]),
        covariance_m2=to_centre @ cov @ to_centre.T + model,
        radius_m=radius,
        height_m=height,
        iou=iou,
        solid=solid.name,
    )
