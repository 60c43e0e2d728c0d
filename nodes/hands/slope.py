"""How far a finger points out of the picture: what the geometry of a hand leaves open, by habit.

Across the picture a finger's direction is seen; towards or away from the camera it follows only
from how short the finger looks, and that says little of one that lies almost in the picture. How
the other landmarks lie says a little more. A small network has learned that from rendered hands
with random bones, postures and views (``python -m tests.scenes.train_slope``): it proposes a slope
and says how sure it is, and the mean of its slope and the fitted one, weighted by how sure each is,
is taken. It knows one hand model in many shapes and no real hands, so it may only correct by a
little.

    pose = SlopeNet().correct(pose, points, world_m, clarity=0.8, right=True)
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.hand_model import cross
from deixis.nodes.hands.hand_pose import HandPose
from deixis.nodes.hands.landmarks import MIDDLE, WRIST

Array = NDArray[np.float64]

WEIGHTS = Path(__file__).with_name("slope.npz")
UNIT_RAD = 0.2
"""Unit of what the network says."""
N_FEATURES = 109
_WORLD_UNIT_M = 0.09
_DOWN = np.array([0.0, 1.0, 0.0])
_MAX_SIGMAS = 3.0
"""Features farther from what was learned are taken to be this far."""
_MAX_CORRECTION_RAD = math.radians(20.0)
_WIDER = 1.2
"""It is a little too sure of hands it has not learned from (the people of the ``dev`` split)."""
_NOT_INDEPENDENT = 1.3
"""Both estimates come from the same landmarks: together they are less sure than two would be."""
_LEAST_VARIANCE = 1e-8
LOG_SCALE = (-3.0, 2.0)
"""Limits of the logarithm of the scale, in units of ``UNIT_RAD``."""


class SlopeNet:
    """The network: three alike, whose answers are averaged.

    Args:
        path: Its weights.
    """

    def __init__(self, path: Path = WEIGHTS) -> None:
        with np.load(path) as data:
            self._mean, self._scale = data["mean"], data["scale"]
            self._layers = [
                (data[f"w{i}"].astype(np.float32), data[f"b{i}"].astype(np.float32))
                for i in range(3)
            ]

    def correct(
        self, pose: HandPose, points: Array, world_m: Array, *, clarity: float, right: bool
    ) -> HandPose:
        """The pose with its direction turned out of, or into, the picture.

        Args:
            pose: The fitted hand.
            points: Undistorted image points on the plane z = 1, shape ``(21, 2)``.
            world_m: Metric points of the network, camera axes, shape ``(21, 3)``.
            clarity: How well the hand can be seen, in (0, 1].
            right: A right hand.

        Returns:
            The pose with another direction and its covariance; all else is as it was.
        """
        sight = line_of_sight(points)
        slope = slope_of(pose.direction_cam, sight)
        seen_as = features(points, world_m, pose.direction_cam, clarity=clarity, right=right)
        correction, sigma = self._infer(seen_as)
        across = pose.direction_cam - (pose.direction_cam @ sight) * sight
        across = across / max(float(np.linalg.norm(across)), 1e-9)
        aside = cross(sight, across)
        outward = cross(pose.direction_cam, aside)
        fitted = math.sqrt(max(float(outward @ pose.direction_cov_rad2 @ outward), _LEAST_VARIANCE))
        # Two estimates of one slope, each with its own uncertainty: their weighted mean.
        share = fitted**2 / (fitted**2 + sigma**2)
        slope = min(max(slope + share * correction, -math.pi / 2), math.pi / 2)
        sigma *= _NOT_INDEPENDENT * math.sqrt(share)
        direction = math.cos(slope) * across + math.sin(slope) * sight
        outward = cross(direction, aside)
        seen = float(aside @ pose.direction_cov_rad2 @ aside)
        covariance = seen * np.outer(aside, aside) + sigma**2 * np.outer(outward, outward)
        return dataclasses.replace(pose, direction_cam=direction, direction_cov_rad2=covariance)

    def _infer(self, x: Array) -> tuple[float, float]:
        """Correction and its standard deviation, radians."""
        scaled = np.clip((x - self._mean) / self._scale, -_MAX_SIGMAS, _MAX_SIGMAS)
        hidden = np.broadcast_to(
            scaled.astype(np.float32), (len(self._layers[0][0]), 1, N_FEATURES)
        )
        for i, (weight, bias) in enumerate(self._layers):
            hidden = hidden @ weight + bias
            if i < len(self._layers) - 1:
                hidden = np.maximum(hidden, 0)
        correction = UNIT_RAD * float(hidden[:, 0, 0].mean())
        # The scale is that of a Laplace distribution.
        spread = UNIT_RAD * float(np.exp(np.clip(hidden[:, 0, 1], *LOG_SCALE)).mean())
        limit = _MAX_CORRECTION_RAD
        return min(max(correction, -limit), limit), _WIDER * math.sqrt(2) * spread


def line_of_sight(points: Array) -> Array:
    """Unit vector to the middle of a hand's image points ``(21, 2)``."""
    sight = np.append(points.mean(axis=0), 1.0)
    return np.asarray(sight / np.linalg.norm(sight))


def slope_of(direction: Array, sight: Array) -> float:
    """By how much a direction points away from the camera, radians."""
    return math.asin(min(max(float(direction @ sight), -1.0), 1.0))


def features(
    points: Array, world_m: Array, direction: Array, *, clarity: float, right: bool
) -> Array:
    """What the network sees, shape ``(109,)``.

    Image points, metric points and the fitted direction, as if the camera looked straight at the
    hand, the hand stood upright and was a right one; and how well it can be seen.
    """
    sight = line_of_sight(points)
    x = cross(_DOWN, sight)
    x /= np.linalg.norm(x)
    view = np.stack([x, cross(sight, x), sight])
    image = np.column_stack([points, np.ones(len(points))]) @ view.T
    flat = image[:, :2] / image[:, 2:]
    up = flat[MIDDLE[0]] - flat[WRIST]
    length = max(float(np.linalg.norm(up)), 1e-9)
    s, c = up[0] / length, -up[1] / length
    turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
    flip = np.array([1.0 if right else -1.0, 1.0, 1.0])
    flat = flat @ turn[:2, :2].T * flip[:2]
    flat = flat - flat.mean(axis=0)
    size = max(float(np.linalg.norm(flat, axis=1).mean()), 1e-9)
    world = world_m @ view.T @ turn.T * flip
    world = (world - world.mean(axis=0)) / _WORLD_UNIT_M
    along = turn @ view @ direction * flip
    return np.concatenate([(flat / size).ravel(), world.ravel(), along, [clarity]])
