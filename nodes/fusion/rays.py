"""One pointing ray with its uncertainty, averaged from frames or made from a typed point.

    python -c "from deixis.nodes.fusion.rays import ray_to_point; print(ray_to_point((0.4, 0, 0)))"

Everything is in the base frame: z = 0 is the work plane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.messages import PointedAt, Pointing, Slot, Vec3

Array = NDArray[np.float64]

TYPED_SIGMA_M = 0.03
_TYPED_HEIGHT_M = 1.0
# Errors of consecutive frames are largely the same error (the hand's shape, the calibration): only
# half of the variance is taken to average out.
_COMMON_SHARE = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Ray:
    """A pointing ray in the base frame.

    Attributes:
        origin_base_m: Where it starts, shape ``(3,)``.
        direction_base: Unit vector, shape ``(3,)``.
        origin_cov_m2: Covariance of the origin, shape ``(3, 3)``.
        direction_cov_rad2: Covariance of the direction in its tangent plane, shape ``(3, 3)``.
        confidence: Probability that the person points at all.
        n_rays: How many frames were averaged; 0 for a typed point.
        target_base_m: The exact point that was typed, if it was.
        personal_sigma_rad: The person's own pointing error per axis, if they were calibrated.
    """

    origin_base_m: Array
    direction_base: Array
    origin_cov_m2: Array
    direction_cov_rad2: Array
    confidence: float
    n_rays: int
    target_base_m: Vec3 | None = None
    personal_sigma_rad: float | None = None

    def personal_rad(self, default_rad: float) -> float:
        """The person's own pointing error per axis; a typed point has none.

        Args:
            default_rad: That of a person who was not calibrated.
        """
        if self.target_base_m is not None:
            return 0.0
        return default_rad if self.personal_sigma_rad is None else self.personal_sigma_rad

    @property
    def sigma_rad(self) -> float:
        """One standard deviation of the direction per axis."""
        return float(np.sqrt(max(float(np.trace(self.direction_cov_rad2)), 0.0) / 2.0))


def vec3(array: Array) -> Vec3:
    """Three floats of an array as a message's tuple."""
    return float(array[0]), float(array[1]), float(array[2])


def average(pointings: Sequence[Pointing], weights: Sequence[float]) -> Ray:
    """Precision-weighted mean of the rays of one hold.

    Args:
        pointings: At least one, all of the same hand and hold.
        weights: One positive weight each (confidence, closeness in time).

    Returns:
        The mean ray. Its direction covariance is the mean covariance, of which half is assumed
        common to all frames, plus the frames' own scatter. The person's own error is that of the
        calibrated frames: it is the same error in each of them, so nothing averages out.
    """
    origins = np.array([p.origin_base_m for p in pointings], dtype=np.float64)
    directions = np.array([p.direction_base for p in pointings], dtype=np.float64)
    origin_covs = np.array([p.origin_cov_m2 for p in pointings], dtype=np.float64).reshape(-1, 3, 3)
    covs = np.array([p.direction_cov_rad2 for p in pointings], dtype=np.float64).reshape(-1, 3, 3)
    variances = np.trace(covs, axis1=1, axis2=2) / 2.0
    share = np.asarray(weights, dtype=np.float64) / np.maximum(variances, 1e-6)
    share = share / share.sum()
    n_effective = 1.0 / float(np.sum(share**2))
    shrink = _COMMON_SHARE + (1.0 - _COMMON_SHARE) / n_effective

    direction = share @ directions
    direction = direction / np.linalg.norm(direction)
    off = directions - (directions @ direction)[:, None] * direction
    scatter = np.einsum("k,ki,kj->ij", share, off, off) / n_effective
    confidences = np.array([p.confidence for p in pointings], dtype=np.float64)
    personal = [p.personal_sigma_rad for p in pointings if p.personal_sigma_rad is not None]
    return Ray(
        origin_base_m=share @ origins,
        direction_base=direction,
        origin_cov_m2=np.einsum("k,kij->ij", share, origin_covs) * shrink,
        direction_cov_rad2=np.einsum("k,kij->ij", share, covs) * shrink + scatter,
        confidence=float(np.clip(share @ confidences, 0.0, 1.0)),
        n_rays=len(pointings),
        personal_sigma_rad=float(np.sqrt(np.mean(np.square(personal)))) if personal else None,
    )


def ray_to_point(point_base_m: Vec3, sigma_m: float = TYPED_SIGMA_M) -> Ray:
    """A ray straight down on a typed point, with a Gaussian of ``sigma_m`` around the point."""
    sigma_rad = sigma_m / _TYPED_HEIGHT_M
    return Ray(
        origin_base_m=np.add(point_base_m, (0.0, 0.0, _TYPED_HEIGHT_M)),
        direction_base=np.array((0.0, 0.0, -1.0)),
        origin_cov_m2=np.zeros((3, 3)),
        direction_cov_rad2=np.diag((sigma_rad**2, sigma_rad**2, 0.0)),
        confidence=1.0,
        n_rays=0,
        target_base_m=point_base_m,
    )


def hit_plane(
    ray: Ray, personal_sigma_rad: float, height_m: float = 0.0
) -> tuple[Vec3, float] | None:
    """Where a ray meets the work plane or one parallel to it, and how uncertain that is.

    Args:
        ray: The ray.
        personal_sigma_rad: The pointing error of a person who was not calibrated.
        height_m: Height of the plane.

    Returns:
        The point (a typed point is returned as it is) and the larger standard deviation (m) of its
        two horizontal axes; None if the ray does not come down to the plane.
    """
    if ray.target_base_m is not None:
        return ray.target_base_m, TYPED_SIGMA_M
    origin, direction = ray.origin_base_m, ray.direction_base
    if direction[2] > -1e-3 or origin[2] <= height_m:
        return None
    length_m = (height_m - origin[2]) / direction[2]
    point = origin + length_m * direction
    # hit = o + d * (height - o_z) / d_z; its derivatives by the origin and by the direction:
    project = np.eye(3)
    project[:, 2] -= direction / direction[2]
    tangent = np.eye(3) - np.outer(direction, direction)
    direction_cov = ray.direction_cov_rad2 + ray.personal_rad(personal_sigma_rad) ** 2 * tangent
    cov = project @ (ray.origin_cov_m2 + length_m**2 * direction_cov) @ project.T
    sigma_m = float(np.sqrt(max(float(np.linalg.eigvalsh(cov[:2, :2])[-1]), 0.0)))
    return (float(point[0]), float(point[1]), height_m), sigma_m


def pointed_at(slot: Slot, ray: Ray | None, personal_sigma_rad: float) -> PointedAt | None:
    """A slot's ray as evidence: where the hand pointed when its word was said."""
    if ray is None:
        return None
    hit = hit_plane(ray, personal_sigma_rad)
    return PointedAt(
        slot=slot.name,
        word=slot.text,
        word_ns=slot.start_ns,
        origin_base_m=vec3(ray.origin_base_m),
        direction_base=vec3(ray.direction_base),
        hit_base_m=hit[0] if hit else None,
        sigma_rad=ray.sigma_rad,
        n_rays=ray.n_rays,
    )
