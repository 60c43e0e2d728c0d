"""Where an object stands, from its silhouette: simple solids on the plane, fitted to the outline.

One camera cannot tell near and small from far and large, but an object that stands on a known
plane has few unknowns (place, size, height), and how far its silhouette reaches in each of 16
directions of the picture (its support function) gives 16 equations. Each solid of a small family
(cups, bottles, bowls, balls, boxes) is fitted by damped Gauss-Newton, all at once, in the picture
without the lens's distortion; a support function's slope is that of the one point that reaches
farthest. What sticks out on one side only, a cup's handle, gets little weight (Huber, "Robust
estimation of a location parameter", 1964). The solid whose drawn silhouette overlaps the mask best
wins.

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
_SIDES = np.array([[-1.0, 0], [0, -1], [1, 0], [0, 1]])
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

    The parameters are x, y, height, then sizes. ``points`` maps those of k solids ``(k, p)`` to
    points ``(k, n, 3)``, ``slopes`` to their derivatives ``(k, n, p, 3)``.
    """

    solids: tuple[Solid, ...]
    points: Callable[[Array], Array]
    slopes: Callable[[Array], Array]
    start: Callable[[float, float, float], Array]
    damping: Array
    limits: tuple[Array, Array]


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

    along_x, along_y = np.broadcast_arrays(*np.eye(3)[:2, None, None], by_radius)[:2]
    revolved_slopes = np.stack([along_x, along_y, by_height, by_radius], axis=2)

    def revolve(p: Array) -> Array:
        points = p[:, 3, None, None] * by_radius + p[:, 2, None, None] * by_height
        points[..., :2] += p[:, None, :2]
        return np.asarray(points)

    corners = np.array([(sx, sy) for sx in (-1, 1) for sy in (-1, 1)] * 2, np.float64)
    top = np.repeat([0.0, 1.0], 4)
    turns = np.deg2rad([0.0, 22.5, 45.0, 67.5])

    def boxes(p: Array) -> Array:
        c, s = np.cos(p[:, 5, None]), np.sin(p[:, 5, None])
        u, v = p[:, 3, None] * corners[:, 0], p[:, 4, None] * corners[:, 1]
        x, y = p[:, 0, None] + u * c - v * s, p[:, 1, None] + u * s + v * c
        return np.stack([x, y, p[:, 2, None] * top], axis=-1)

    def box_slopes(p: Array) -> Array:
        c, s = np.cos(p[:, 5, None]), np.sin(p[:, 5, None])
        u, v = p[:, 3, None] * corners[:, 0], p[:, 4, None] * corners[:, 1]
        out = np.zeros((len(p), 8, 6, 3))
        out[:, :, 0, 0] = out[:, :, 1, 1] = 1.0
        out[:, :, 2, 2] = top
        out[:, :, 3, 0], out[:, :, 3, 1] = corners[:, 0] * c, corners[:, 0] * s
        out[:, :, 4, 0], out[:, :, 4, 1] = -corners[:, 1] * s, corners[:, 1] * c
        out[:, :, 5, 0], out[:, :, 5, 1] = -u * s - v * c, u * c - v * s
        return out

    return (
        _Family(
            revolved, revolve, lambda p: revolved_slopes,
            lambda x, y, r: np.tile([x, y, r, r], (5, 1)),
            np.full(4, _DAMPING), _limits(1),
        ),
        _Family(
            tuple(Solid("box", (slice(None),), (0.5, 4)) for _ in turns), boxes, box_slopes,
            lambda x, y, r: np.array([[x, y, r, 0.75 * r, 0.75 * r, turn] for turn in turns]),
            np.array([_DAMPING] * 5 + [1.0]), _limits(2, free=1),
        ),
    )  # fmt: skip


def _limits(sizes: int, free: int = 0) -> tuple[Array, Array]:
    """Least and greatest values of a family's parameters."""
    low = [-np.inf, -np.inf, _HEIGHT_M[0], *[_RADIUS_M[0]] * sizes, *[-np.inf] * free]
    high = [np.inf, np.inf, _HEIGHT_M[1], *[_RADIUS_M[1]] * sizes, *[np.inf] * free]
    return np.array(low), np.array(high)


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
    support = (_straight(outline, camera) @ _DIRECTIONS.T).max(axis=0) + _EDGE_PX
    start = rough_place((*outline.min(axis=0), *outline.max(axis=0)), camera)
    if start is None:
        return None
    best: tuple[Solid, Array, Array, float] | None = None
    best_score = -1.0
    for family in _families():
        params, information = _solve(family, support, _DIRECTIONS, start, camera)
        points = family.points(params)
        for solid, p, info, own in zip(family.solids, params, information, points, strict=True):
            iou = _overlap(solid, own, mask, corner_px, camera)
            radius, height = _size(solid, p)
            low, high = solid.slender
            score = iou if low <= height / radius <= high else iou - _UNUSUAL
            if score > best_score:
                best_score, best = score, (solid, p, info, iou)
    return None if best is None else _fit(*best)


def fit_box(
    box_px: tuple[float, float, float, float], sigma_px: float, camera: CameraCalibration
) -> Fit | None:
    """Fit an upright cylinder to a box alone: four edges for place, radius and height.

    Args:
        box_px: x, y, width, height in the picture.
        sigma_px: Standard deviation of its edges.
        camera: Where the camera stands.

    Returns:
        The cylinder (its ``iou`` says nothing), or None if its foot is not on the plane in view.
    """
    x, y, w, h = box_px
    start = rough_place((x, y, x + w, y + h), camera)
    if start is None:
        return None
    middles = np.array([[x, y + h / 2], [x + w / 2, y], [x + w, y + h / 2], [x + w / 2, y + h]])
    support = (_straight(middles, camera) * _SIDES).sum(axis=1)
    revolved = _families()[0]
    params, information = _solve(revolved, support, _SIDES, start, camera)
    return _fit(revolved.solids[0], params[0], information[0] / sigma_px**2, 0.0)


def _straight(points_px: Array, camera: CameraCalibration) -> Array:
    """Points ``(n, 2)`` where a lens without distortion would show them."""
    return np.asarray(camera.normalized(points_px) @ camera.K[:2, :2].T + camera.K[:2, 2])


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
    family: _Family,
    support: Array,
    directions: Array,
    start: tuple[float, float, float],
    camera: CameraCalibration,
) -> tuple[Array, Array]:
    """Parameters ``(k, p)`` of each solid and their information matrices ``(k, p, p)``."""
    p = family.start(*start)
    to_cam = camera.T_base_cam[:3, :3].T
    onto_picture = camera.K @ to_cam
    shift = -onto_picture @ camera.T_base_cam[:3, 3]
    damping = np.diag(family.damping)
    information = np.zeros((len(p), len(damping), len(damping)))
    solids = np.arange(len(p))[:, None]
    for _ in range(_ITERATIONS):
        seen = family.points(p) @ onto_picture.T + shift
        px = seen[..., :2] / np.maximum(seen[..., 2:], 1e-6)
        reaches = px @ directions.T
        # The point that reaches farthest in each direction; as it moves, so does the reach.
        far = reaches.argmax(axis=1)
        reach = np.take_along_axis(reaches, far[:, None], axis=1)[:, 0]
        moves = family.slopes(p)[solids, far] @ onto_picture.T
        own_px, depth = px[solids, far], seen[solids, far, 2]
        slope = moves[..., :2] - own_px[:, :, None] * moves[..., 2:]
        jacobian = (slope * directions[:, None]).sum(axis=-1) / np.maximum(depth, 1e-6)[..., None]
        error = support - reach
        # Only what sticks out is taken for a foreign part; a solid must not be too large.
        weight = np.where(error > _OUTLIER_PX, _OUTLIER_PX / np.maximum(error, 1e-9), 1.0)
        weighted = jacobian.transpose(0, 2, 1) * weight[:, None]
        information = weighted @ jacobian + damping
        delta = np.linalg.solve(information, weighted @ error[..., None])[..., 0]
        p = np.clip(p + np.clip(delta, -0.06, 0.06), *family.limits)
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


def _size(solid: Solid, p: Array) -> tuple[float, float]:
    """Radius and height."""
    if solid.name == "ball":
        return float(p[3]), 2 * float(p[3])
    return float(np.hypot(*p[3:5])) if len(p) > 4 else float(p[3]), float(p[2])


def _fit(solid: Solid, p: Array, information: Array, iou: float) -> Fit:
    radius, height = _size(solid, p)
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
