"""A hand made of bones: joint angles in, the 21 landmarks out, for many hands at once.

It gives training and tests what recordings do not hold: every posture, from every side, with its
truth. The palm is that of :mod:`deixis.nodes.hands.hand_model`, already where the landmark network
puts its points; fingers and thumb follow the same proportions (Buryanov and Kotiuk, "Proportions of
hand segments", Int. J. Morphol. 2010). These are simulated hands, and figures on them say so.

Hand frame of a right hand, metres: x from the wrist towards the middle knuckle, y towards the
thumb, z out of the back.

    points_m = landmarks(people(rng, 8), np.zeros((8, 5, 4)))   # (8, 21, 3), flat hands
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.hand_model import PALM_LENGTH_M, palm_points, rotations

Array = NDArray[np.float64]

N_ANGLES = 4
"""Of a finger: flexion of its three joints, and spread towards the thumb. Of the thumb: azimuth of
its first bone from x towards y, its elevation out of the palm's plane, flexion of its two joints.
Radians."""

_THUMB_ROOT = np.array([0.36, 0.29, -0.12])
_THUMB_BONES = np.array([0.36, 0.34, 0.27])
_ACROSS = np.array([0.3, -0.8, -0.5])
"""Where the thumb bends to: across the palm."""
_FINGER_BONES = np.array(
    [[0.44, 0.27, 0.21], [0.49, 0.3, 0.23], [0.45, 0.28, 0.22], [0.36, 0.21, 0.19]]
)


@dataclass(frozen=True)
class People:
    """The proportions of n hands.

    Attributes:
        palm_m: The wrist and the four knuckles, ``(n, 5, 3)``.
        thumb_root_m: ``(n, 3)``.
        thumb_m: Lengths of the thumb's three bones, ``(n, 3)``.
        fingers_m: Lengths of the fingers' bones, index to little, ``(n, 4, 3)``.
    """

    palm_m: Array
    thumb_root_m: Array
    thumb_m: Array
    fingers_m: Array


def people(rng: np.random.Generator, n: int) -> People:
    """Hands of n people: sizes of adults, every bone a little different."""
    size = PALM_LENGTH_M * rng.normal(1.0, 0.06, (n, 1, 1))
    shape = rng.normal(1.0, 0.06, (n, 1, 3))
    long = rng.normal(1.0, 0.05, (n, 1, 1))
    palm = palm_points(right=True, hand_scale=1.0) / PALM_LENGTH_M
    return People(
        palm_m=(palm * shape + rng.normal(0, 0.02, (n, 5, 3))) * size,
        thumb_root_m=((_THUMB_ROOT * shape + rng.normal(0, 0.03, (n, 1, 3))) * size)[:, 0],
        thumb_m=(_THUMB_BONES * rng.normal(1.0, 0.08, (n, 1, 3)) * size)[:, 0],
        fingers_m=_FINGER_BONES * rng.normal(1.0, 0.05, (n, 4, 3)) * size * long,
    )


def landmarks(who: People, angles: Array) -> Array:
    """Landmarks in the hand frame.

    Args:
        who: n people.
        angles: Joint angles ``(n, …, 5, N_ANGLES)``, thumb first, radians.

    Returns:
        Metres, ``(n, …, 21, 3)``, MediaPipe's order.
    """
    batch = angles.shape[:-2]
    middle = (1,) * (len(batch) - 1)
    palm = who.palm_m.reshape(batch[0], *middle, 5, 3)
    out = np.empty((*batch, 21, 3))
    out[..., 0, :] = palm[..., 0, :]
    out[..., 1:5, :] = _thumb(who, angles[..., 0, :])
    for k in range(4):
        bones = who.fingers_m[:, k].reshape(batch[0], *middle, 3)
        first = 5 + 4 * k
        out[..., first, :] = palm[..., k + 1, :]
        steps = _directions(angles[..., k + 1, :]) * bones[..., None]
        out[..., first + 1 : first + 4, :] = out[..., first : first + 1, :] + np.cumsum(
            steps, axis=-2
        )
    return out


def _directions(angles: Array) -> Array:
    """Directions ``(…, 3, 3)`` of a finger's three bones."""
    bend = np.cumsum(angles[..., :3], axis=-1)
    spread = angles[..., 3:]
    parts = (np.cos(bend) * np.cos(spread), np.cos(bend) * np.sin(spread), -np.sin(bend))
    return np.stack(parts, axis=-1)


def _thumb(who: People, angles: Array) -> Array:
    """The thumb's four points, ``(…, 4, 3)``."""
    batch = angles.shape[:-1]
    azimuth, elevation = angles[..., 0], angles[..., 1]
    first = np.stack(
        [
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            -np.sin(elevation),
        ],
        axis=-1,
    )
    axis = np.cross(first, _ACROSS)
    axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    bend = np.cumsum(angles[..., 2:], axis=-1)
    turns = rotations((axis[..., None, :] * bend[..., None]).reshape(-1, 3))
    later = (turns.reshape(*batch, 2, 3, 3) @ first[..., None, :, None])[..., 0]
    shape = (batch[0], *(1,) * (len(batch) - 1))
    bones = np.concatenate([first[..., None, :], later], axis=-2)
    steps = np.cumsum(bones * who.thumb_m.reshape(*shape, 3, 1), axis=-2)
    root = np.broadcast_to(who.thumb_root_m.reshape(*shape, 1, 3), (*batch, 1, 3))
    points: Array = np.concatenate([root, root + steps], axis=-2)
    return points
