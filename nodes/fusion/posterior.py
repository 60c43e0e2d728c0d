"""Posterior over the objects of a scene, and *none of them*, from names, colours and a ray.

Bayes' rule with one likelihood per source of evidence, each a density or probability of what was
observed given that the speaker means object *i*. The ray's likelihood is a two-dimensional normal
density on the tangent plane of its direction, in which a person's own pointing error, the
estimator's error, the object's extent and its position's error add up (the measurement model of
Whitney et al., *Interpreting Multimodal Referring Expressions in Real Time*, ICRA 2016, with
a covariance in place of one fixed angle).

    python -c "from deixis.nodes.fusion.posterior import *; print(posterior([9, 1], [1, 1], 1, .1))"

All functions are pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deixis.nodes.fusion.rays import Ray
from deixis.runtime.messages import SceneObject

Array = NDArray[np.float64]

BACKGROUND_PER_SR = 1.0 / (2.0 * np.pi)
"""Density of a direction when it is about nothing: uniform on the half sphere in front."""
AIM_SPREAD = 0.25
"""People aim near the middle of a thing: standard deviation of the aim in units of its radius."""
_MIN_DISTANCE_M = 0.02


def tangent_basis(direction: Array) -> Array:
    """Two unit vectors perpendicular to a unit ``direction``, shape ``(2, 3)``."""
    helper = np.eye(3)[int(np.argmin(np.abs(direction)))]
    first = np.cross(direction, helper)
    first = first / np.linalg.norm(first)
    return np.stack((first, np.cross(direction, first)))


def ray_density(
    ray: Ray,
    positions_base_m: Array,
    position_covs_m2: Array,
    radii_m: Array,
    personal_sigma_rad: float,
) -> Array:
    """Density of the observed direction given that the person points at each position.

    Args:
        ray: What was observed; its own personal error counts before the default.
        positions_base_m: Centres, shape ``(n, 3)``.
        position_covs_m2: Their covariances, shape ``(n, 3, 3)``.
        radii_m: Half extents, shape ``(n,)``.
        personal_sigma_rad: Pointing error per axis of a person who was not calibrated.

    Returns:
        Densities per steradian, shape ``(n,)``.
    """
    personal = ray.personal_rad(personal_sigma_rad)
    basis = tangent_basis(ray.direction_base)
    offsets = positions_base_m - ray.origin_base_m
    distances = np.maximum(np.linalg.norm(offsets, axis=1), _MIN_DISTANCE_M)
    along = offsets @ ray.direction_base
    across = offsets @ basis.T  # (n, 2)
    across_norm = np.linalg.norm(across, axis=1)
    angles = np.arctan2(across_norm, along)
    # The tangent vector of length `angle` that leads from the ray to the object.
    towards = across / np.maximum(across_norm, 1e-12)[:, None] * angles[:, None]

    direction_cov = basis @ ray.direction_cov_rad2 @ basis.T
    place_covs = basis @ (ray.origin_cov_m2 + position_covs_m2) @ basis.T
    extent = (AIM_SPREAD * radii_m / distances) ** 2 + personal**2
    covs = (
        direction_cov
        + place_covs / (distances**2)[:, None, None]
        + (extent + 1e-8)[:, None, None] * np.eye(2)
    )
    squared = np.einsum("ni,ni->n", towards, np.linalg.solve(covs, towards[:, :, None])[:, :, 0])
    density: Array = np.exp(-0.5 * squared) / (2.0 * np.pi * np.sqrt(np.linalg.det(covs)))
    return density


def ray_likelihood(
    ray: Ray, objects: Sequence[SceneObject], personal_sigma_rad: float, weight: float = 1.0
) -> Array:
    """Likelihood of the ray per object: a mixture of *points at it* and *means nothing*.

    Args:
        ray: The ray at the word's time.
        objects: Objects of the scene.
        personal_sigma_rad: Pointing error per axis of a person who was not calibrated.
        weight: How much the words depend on the gesture, in [0, 1] (below 1 for named objects).

    Returns:
        Densities per steradian, shape ``(n,)``; :data:`BACKGROUND_PER_SR` is *no information*.
    """
    if not objects:
        return np.zeros(0)
    density = ray_density(
        ray,
        np.array([o.position_base_m for o in objects], dtype=np.float64),
        np.array([o.position_cov_m2 for o in objects], dtype=np.float64).reshape(-1, 3, 3),
        np.array([o.radius_m for o in objects], dtype=np.float64),
        personal_sigma_rad,
    )
    share = ray.confidence * weight
    return share * density + (1.0 - share) * BACKGROUND_PER_SR


def word_likelihood(
    known: dict[str, float], word: str | None, floor: float, unknown_share: float
) -> float:
    """Probability that a person calls an object ``word``, given what the vision says of it.

    Args:
        known: Probability per name or colour; the rest of the mass is unknown.
        word: What was said; None if nothing was.
        floor: Probability that the wrong word is used, heard or seen.
        unknown_share: Probability that something unknown is called exactly ``word``.

    Returns:
        A probability; 1 if nothing was said.
    """
    if word is None:
        return 1.0
    unknown = max(1.0 - sum(known.values()), 0.0)
    match = min(known.get(word, 0.0) + unknown * unknown_share, 1.0)
    return floor + (1.0 - floor) * match


def posterior(
    likelihoods: ArrayLike, priors: ArrayLike, none_likelihood: float, none_prior: float
) -> Array:
    """Normalised posterior; its last entry is *none of them*.

    Args:
        likelihoods: Likelihood of all evidence per object, shape ``(n,)``.
        priors: Unnormalised prior per object, shape ``(n,)``.
        none_likelihood: Likelihood of the evidence if something else is meant.
        none_prior: Prior probability that something else is meant.

    Returns:
        Probabilities that sum to 1, shape ``(n + 1,)``.
    """
    weights = np.asarray(priors, dtype=np.float64)
    total = float(weights.sum())
    shares = weights / total * (1.0 - none_prior) if total > 0 else weights
    joint = np.append(shares * np.asarray(likelihoods, dtype=np.float64), 0.0)
    joint[-1] = none_prior * none_likelihood
    evidence = float(joint.sum())
    if evidence <= 0.0:
        joint[-1] = evidence = 1.0
    return joint / evidence
