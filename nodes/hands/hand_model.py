"""A small model of a pointing hand: a rigid palm and an index finger with four joint angles.

Proportions follow the skeleton of an adult hand (Buryanov and Kotiuk, "Proportions of hand
segments", Int. J. Morphol. 2010), moved to where the landmark network puts its points, which is not
where the joints' centres are: its wrist lies about 16 mm inside the palm, its knuckles 2 to 5 mm
towards the fingers (measured on rendered hands with known joints).

Hand frame of a right hand: x from the wrist towards the middle knuckle, y towards the thumb, z out
of the back; a left hand is its mirror image in y.

    points = model_points(REST[None], right=True, hand_scale=1.0)   # (1, 8, 3)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PALM_LANDMARKS = (0, 5, 9, 13, 17)
FINGER_LANDMARKS = (6, 7, 8)
MODEL_LANDMARKS = PALM_LANDMARKS + FINGER_LANDMARKS
"""Which of the 21 landmarks the model explains, in the order of its points."""
KNUCKLE, TIP = 1, 7
"""Index knuckle and index tip among the model's points."""

PALM_LENGTH_M = 0.0868
"""Wrist joint to middle knuckle of a hand 18.2 cm long (wrist crease to middle fingertip), between
the means of women and men; ``hand_scale`` = 1 stands for it. The unit of the proportions below."""
_PALM = np.array(
    [
        [0.19, 0.0, 0.0],
        [1.035, 0.25, -0.065],
        [1.03, 0.0, 0.0],
        [0.942, -0.217, -0.04],
        [0.83, -0.405, -0.115],
    ]
)
_PHALANGES = np.array([0.405, 0.245, 0.2])

N_PARAMETERS = 11
"""Small rotation (3, radians), translation (3, metres, camera frame), flexion of the index knuckle,
its spread, flexion of the middle and end joint (radians), logarithm of the finger's length."""
FLEXION, SPREAD, MIDDLE_FLEXION, END_FLEXION, LOG_LENGTH = 6, 7, 8, 9, 10

REST = np.zeros(N_PARAMETERS)
REST[6:] = [*np.deg2rad([0.0, -4.0, 5.0, 3.0]), 0.0]
"""A pointing hand: the finger almost straight."""


def palm_points(right: bool, hand_scale: float) -> Array:
    """The palm's five points in the hand frame, metres, shape ``(5, 3)``."""
    mirror = np.array([1.0, 1.0 if right else -1.0, 1.0])
    points: Array = _PALM * mirror * (PALM_LENGTH_M * hand_scale)
    return points


def model_points(parameters: Array, right: bool, hand_scale: float) -> Array:
    """The model's eight points in the hand frame.

    Args:
        parameters: ``(n, 11)``, n hands at once; rotation and translation are not applied.
        right: A right hand.
        hand_scale: Size relative to the model.

    Returns:
        Points in metres, shape ``(n, 8, 3)``.
    """
    palm = palm_points(right, hand_scale)
    bend = np.cumsum(parameters[:, [FLEXION, MIDDLE_FLEXION, END_FLEXION]], axis=1)
    spread = parameters[:, SPREAD] if right else -parameters[:, SPREAD]
    # All three phalanges lie in one plane, which the spread turns about the hand's z axis.
    directions = np.stack(
        [
            np.cos(bend) * np.cos(spread)[:, None],
            np.cos(bend) * np.sin(spread)[:, None],
            -np.sin(bend),
        ],
        axis=2,
    )
    lengths = _PHALANGES * np.exp(parameters[:, LOG_LENGTH, None]) * (PALM_LENGTH_M * hand_scale)
    finger = palm[KNUCKLE] + np.cumsum(directions * lengths[:, :, None], axis=1)
    return np.concatenate([np.broadcast_to(palm, (len(parameters), *palm.shape)), finger], axis=1)


def rotations(vectors: Array) -> Array:
    """Rotation matrices ``(n, 3, 3)`` of rotation vectors ``(n, 3)`` (Rodrigues' formula)."""
    angle = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
    x, y, z = (vectors / angle).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    angle = angle[:, :, None]
    matrices: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return matrices
