"""A small model of a pointing hand: a rigid palm and an index finger with four joint angles.

Proportions follow the skeleton of an adult hand (Buryanov and Kotiuk, "Proportions of hand
segments", Int. J. Morphol. 2010), moved to where the landmark network puts its points, which is not
where the joints' centres are: its wrist lies about 16 mm inside the palm, its knuckles 2 to 5 mm
towards the fingers (measured on rendered hands with known joints).

Hand frame of a right hand: x from the wrist towards the middle knuckle, y towards the thumb, z out
of the back; a left hand is its mirror image in y.

    points, slopes = model_points(REST, right=True, hand_scale=1.0)   # (8, 3), (8, 3, 5)
"""

from __future__ import annotations

import math

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
_ADD_UP = np.tri(3)

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


def model_points(parameters: Array, right: bool, hand_scale: float) -> tuple[Array, Array]:
    """The model's eight points in the hand frame, and how the joints move them.

    Args:
        parameters: Shape ``(11,)``; rotation and translation are not applied.
        right: A right hand.
        hand_scale: Size relative to the model.

    Returns:
        Points in metres, shape ``(8, 3)``, and their derivatives by the last five parameters,
        shape ``(8, 3, 5)``.
    """
    palm = palm_points(right, hand_scale)
    bend = _ADD_UP @ parameters[[FLEXION, MIDDLE_FLEXION, END_FLEXION]]
    side = 1.0 if right else -1.0
    cos_spread, sin_spread = math.cos(parameters[SPREAD]), side * math.sin(parameters[SPREAD])
    length = _PHALANGES * (math.exp(parameters[LOG_LENGTH]) * PALM_LENGTH_M * hand_scale)
    ahead, down = length * np.cos(bend), length * np.sin(bend)
    # All three phalanges lie in one plane, which the spread turns about the hand's z axis.
    bones, bent, spread = np.zeros((3, 3, 3))
    bones[:, 0], bones[:, 1], bones[:, 2] = ahead * cos_spread, ahead * sin_spread, -down
    bent[:, 0], bent[:, 1], bent[:, 2] = -down * cos_spread, -down * sin_spread, -ahead
    spread[:, 0], spread[:, 1] = -side * ahead * sin_spread, side * ahead * cos_spread
    points, slopes = np.zeros((8, 3)), np.zeros((8, 3, 5))
    points[:5], points[5:] = palm, palm[KNUCKLE] + _ADD_UP @ bones
    slopes[5:, :, 0] = _ADD_UP @ bent
    slopes[5:, :, 1] = _ADD_UP @ spread
    # A joint moves what comes after it.
    slopes[6:, :, 2] = slopes[6:, :, 0] - bent[0]
    slopes[7, :, 3] = bent[2]
    slopes[5:, :, 4] = points[5:] - palm[KNUCKLE]
    return points, slopes


def rotations(vectors: Array) -> Array:
    """Rotation matrices ``(n, 3, 3)`` of rotation vectors ``(n, 3)`` (Rodrigues' formula)."""
    angle = np.maximum(np.linalg.norm(vectors, axis=1), 1e-12)[:, None]
    x, y, z = (vectors / angle).T
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    angle = angle[:, :, None]
    matrices: Array = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    return matrices


def cross(a: Array, b: Array) -> Array:
    """Cross product of two vectors ``(3,)``; numpy's, made for many, takes ten times as long."""
    (ax, ay, az), (bx, by, bz) = a.tolist(), b.tolist()
    return np.array([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
