"""How hands are held: joint angles, where the hand faces, and which gesture that is.

Each kind of posture is a range that people's hands vary in. Several kinds stand for one gesture,
and many for *none*: what hands do on a table and what looks like a gesture without being one.

    angles, turns, labels = draw(rng, draw_kinds(rng, 1000))   # (1000, 2, 5, 4), (1000, 3, 3), …
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.hands.gestures import (
    BECKON,
    FIST,
    NONE,
    PALM,
    POINT,
    THUMB_DOWN,
    THUMB_UP,
)
from deixis.nodes.hands.hand_model import rotations

Array = NDArray[np.float64]
Ranges = tuple[tuple[float, float], ...]
Facing = Literal["any", "open", "edge", "thumb_up", "thumb_down", "thumb_aside", "beckon"]

# Degrees, from and to: flexion of the three joints from the knuckle on; then spread, see _SPREAD.
_STRAIGHT: Ranges = ((-12, 14), (-3, 14), (-3, 12))
_BENT: Ranges = ((18, 45), (25, 55), (10, 30))
_CURLED: Ranges = ((55, 92), (80, 112), (30, 70))
_LOOSE: Ranges = ((38, 85), (60, 110), (25, 60))
_CUPPED: Ranges = ((18, 45), (30, 62), (15, 38))
_PINCHING: Ranges = ((35, 58), (35, 58), (12, 35))
_SLACK: Ranges = ((-5, 28), (8, 30), (4, 20))
_SPREAD: Ranges = ((-2, 16), (-4, 6), (-14, 3), (-26, 2))
"""Towards the thumb, index to little; a bent finger spreads less."""

# The thumb: azimuth and elevation of its first bone, flexion of its joints.
_T_ASIDE: Ranges = ((30, 62), (0, 30), (-4, 18), (-12, 18))
_T_ALONG: Ranges = ((18, 38), (10, 32), (0, 25), (0, 25))
_T_ACROSS: Ranges = ((18, 40), (40, 72), (22, 52), (15, 62))
_T_UP: Ranges = ((42, 98), (-10, 25), (-26, 6), (-28, 6))
_T_OPPOSED: Ranges = ((32, 58), (42, 70), (8, 28), (2, 28))


@dataclass(frozen=True)
class Kind:
    """One way to hold a hand.

    Attributes:
        label: Its gesture.
        weight: How often it is drawn.
        thumb: Ranges of the thumb.
        fingers: Ranges of the fingers, index to little.
        facing: Which ways it is turned.
    """

    label: int
    weight: float
    thumb: Ranges
    fingers: tuple[Ranges, Ranges, Ranges, Ranges]
    facing: Facing = "any"


def _all(finger: Ranges) -> tuple[Ranges, Ranges, Ranges, Ranges]:
    return (finger, finger, finger, finger)


_POINTING = (_STRAIGHT, _LOOSE, _LOOSE, _LOOSE)
_POINTING_TIGHT = (_STRAIGHT, _CURLED, _CURLED, _CURLED)
KINDS: Final[Mapping[str, Kind]] = {
    "point": Kind(POINT, 3, _T_ACROSS, _POINTING_TIGHT),
    "point_loosely": Kind(POINT, 3, _T_ALONG, _POINTING),
    "point_thumb_out": Kind(POINT, 2, _T_ASIDE, _POINTING),
    "palm": Kind(PALM, 9, _T_ASIDE, _all(_STRAIGHT), "open"),
    "palm_closed": Kind(PALM, 4, _T_ALONG, _all(_STRAIGHT), "open"),
    "fist": Kind(FIST, 4, _T_ACROSS, _all(_CURLED)),
    "fist_thumb_aside": Kind(FIST, 2, _T_ALONG, _all(_CURLED)),
    "thumb_up": Kind(THUMB_UP, 5, _T_UP, _all(_CURLED), "thumb_up"),
    "thumb_up_loosely": Kind(THUMB_UP, 2, _T_UP, _all(_LOOSE), "thumb_up"),
    "thumb_down": Kind(THUMB_DOWN, 5, _T_UP, _all(_CURLED), "thumb_down"),
    "thumb_down_loosely": Kind(THUMB_DOWN, 2, _T_UP, _all(_LOOSE), "thumb_down"),
    "beckon": Kind(BECKON, 6, _T_ASIDE, _all(_STRAIGHT), "beckon"),
    "beckon_index": Kind(BECKON, 2, _T_ACROSS, _POINTING_TIGHT, "beckon"),
    "thumb_aside": Kind(NONE, 2, _T_UP, _all(_CURLED), "thumb_aside"),
    "relaxed": Kind(NONE, 4, _T_ASIDE, _all(_BENT)),
    "holding": Kind(NONE, 4, _T_OPPOSED, _all(_CUPPED)),
    "reaching": Kind(NONE, 3, _T_OPPOSED, _all(((5, 28), (12, 34), (6, 22)))),
    "pinch": Kind(NONE, 2, _T_OPPOSED, (_PINCHING, _LOOSE, _LOOSE, _LOOSE)),
    "ok": Kind(NONE, 2, _T_OPPOSED, (_PINCHING, _SLACK, _STRAIGHT, _STRAIGHT)),
    "two": Kind(NONE, 3, _T_ACROSS, (_STRAIGHT, _STRAIGHT, _LOOSE, _LOOSE)),
    "three": Kind(NONE, 2, _T_ACROSS, (_STRAIGHT, _STRAIGHT, _STRAIGHT, _LOOSE)),
    "horns": Kind(NONE, 1, _T_ACROSS, (_STRAIGHT, _CURLED, _CURLED, _STRAIGHT)),
    "little": Kind(NONE, 1, _T_ACROSS, (_CURLED, _CURLED, _CURLED, _STRAIGHT)),
    "telephone": Kind(NONE, 1, _T_UP, (_CURLED, _CURLED, _CURLED, _STRAIGHT)),
    "edge": Kind(NONE, 3, _T_ALONG, _all(_STRAIGHT), "edge"),
}
NAMES: Final = tuple(KINDS)
BECKONING: Final = frozenset(i for i, k in enumerate(KINDS.values()) if k.label == BECKON)
ANY_WAY: Final = frozenset(i for i, k in enumerate(KINDS.values()) if k.facing == "any")
_LABELS = np.array([k.label for k in KINDS.values()])
_WEIGHTS = np.array([k.weight for k in KINDS.values()], np.float64)
_CURL = {"beckon": _CURLED, "beckon_index": _CURLED}

# Rotations from the hand frame to camera axes (x right, y down, z away) of a right hand:
_PALM_SHOWN = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
"""Fingers up, palm to the camera."""
_BACK_SHOWN = np.array([[0.0, -1, 0], [-1, 0, 0], [0, 0, -1]])
_THUMB_UP = np.array([[1.0, 0, 0], [0, -1, 0], [0, 0, -1]])
"""Fingers to the picture's right, thumb up, back to the camera."""
_PALM_UP = np.array([[0.0, -1, 0], [0, 0, 1], [-1, 0, 0]])
"""Fingers towards the camera, palm up."""
_PALM_DOWN = np.array([[0.0, 1, 0], [0, 0, -1], [-1, 0, 0]])


def draw(
    rng: np.random.Generator, kinds: NDArray[np.intp]
) -> tuple[Array, Array, NDArray[np.intp]]:
    """Draw one posture each.

    Args:
        rng: Source of chance.
        kinds: Which kinds, ``(n,)``, indices of :data:`NAMES`.

    Returns:
        Joint angles ``(n, 2, 5, 4)`` (radians; as held, and where a beckoning hand curls to, the
        same for others), rotations to camera axes ``(n, 3, 3)`` of right hands, labels ``(n,)``.
    """
    angles = np.empty((len(kinds), 2, 5, 4))
    turns = np.empty((len(kinds), 3, 3))
    for k in np.unique(kinds):
        at = kinds == k
        name, kind = NAMES[k], KINDS[NAMES[k]]
        held = _angles(rng, kind, int(at.sum()))
        angles[at] = np.stack([held, _curled(rng, name, held)], axis=1)
        turns[at] = _turns(rng, kind.facing, int(at.sum()))
    return angles, turns, _LABELS[kinds]


def draw_kinds(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    """Kinds by their weights."""
    return rng.choice(len(NAMES), n, p=_WEIGHTS / _WEIGHTS.sum())


def _angles(rng: np.random.Generator, kind: Kind, n: int) -> Array:
    out = np.empty((n, 5, 4))
    out[:, 0] = _uniform(rng, kind.thumb, n)
    # Fingers of one hand bend alike.
    alike = rng.uniform(size=(n, 1))
    for k, finger in enumerate(kind.fingers):
        low, high = np.deg2rad(np.array(finger)).T
        share = 0.6 * alike + 0.4 * rng.uniform(size=(n, 3))
        out[:, k + 1, :3] = low + share * (high - low)
        straight = np.clip(1 - out[:, k + 1, 0] / np.deg2rad(60), 0.15, 1.0)
        out[:, k + 1, 3] = straight * _uniform(rng, (_SPREAD[k],), n)[:, 0]
    return out


def _curled(rng: np.random.Generator, name: str, held: Array) -> Array:
    if name not in _CURL:
        return held
    out = held.copy()
    curl = _CURL[name]
    # Not always all the way.
    far = rng.uniform(0.55, 1.0, (len(held), 1, 1))
    fingers = (1,) if name == "beckon_index" else (1, 2, 3, 4)
    for k in fingers:
        out[:, k, :3] += far[:, 0] * (_uniform(rng, curl, len(held)) - held[:, k, :3])
    return out


def _uniform(rng: np.random.Generator, ranges: Ranges, n: int) -> Array:
    low, high = np.deg2rad(np.array(ranges, np.float64)).T
    return rng.uniform(low, high, (n, len(ranges)))


def _turns(rng: np.random.Generator, facing: Facing, n: int) -> Array:
    if facing == "any":
        # Uniform over all rotations: a normalised Gaussian quaternion.
        q = rng.normal(size=(n, 4))
        q /= np.linalg.norm(q, axis=1, keepdims=True)
        angle = 2 * np.arccos(np.clip(q[:, :1], -1, 1))
        axis = q[:, 1:] / np.maximum(np.linalg.norm(q[:, 1:], axis=1, keepdims=True), 1e-9)
        return rotations(axis * angle)
    if facing in ("open", "edge"):
        base = np.where(rng.uniform(size=(n, 1, 1)) < 0.6, _PALM_SHOWN, _BACK_SHOWN)
        upright = rng.uniform(size=n) < 0.7
        roll = np.where(upright, rng.normal(0, 25, n), rng.uniform(-180, 180, n))
        if facing == "open":
            tilt = np.abs(rng.normal(0, 30, n)).clip(0, 58)
            about = rng.uniform(0, 2 * np.pi, n)
            return _tilted(_roll(np.deg2rad(roll)) @ base, about, np.deg2rad(tilt))
        # Turned about the fingers until only the edge is seen.
        edge = _about([1, 0, 0], np.deg2rad(rng.choice([-1, 1], n) * rng.uniform(76, 104, n)))
        return _tilted(
            _roll(np.deg2rad(roll)) @ base @ edge, rng.uniform(0, 2 * np.pi, n),
            np.deg2rad(rng.uniform(0, 10, n)),
        )  # fmt: skip
    if facing == "beckon":
        base = np.stack([_PALM_UP, _BACK_SHOWN, _PALM_DOWN])
        chosen = base[rng.choice(3, n, p=(0.3, 0.45, 0.25))]
        yaw = _about([0, 1, 0], np.deg2rad(rng.normal(0, 35, n)))
        return _tilted(
            yaw @ chosen, rng.uniform(0, 2 * np.pi, n), np.deg2rad(rng.uniform(0, 30, n))
        )
    # A thumb: fingers to any side of it, then tilted by less than what changes its meaning.
    yaw = _about([0, 1, 0], rng.uniform(0, 2 * np.pi, n))
    turn = {"thumb_up": 0.0, "thumb_down": np.pi}.get(facing)
    roll = rng.choice([-0.5, 0.5], n) * np.pi if turn is None else np.full(n, turn)
    tilt = np.deg2rad(rng.uniform(0, 20 if turn is None else 35, n))
    return _tilted(_roll(roll) @ yaw @ _THUMB_UP, rng.uniform(0, 2 * np.pi, n), tilt)


def _roll(angle: Array) -> Array:
    """Turns in the picture."""
    return _about([0, 0, 1], angle)


def _tilted(turns: Array, about: Array, tilt: Array) -> Array:
    """Turned by ``tilt`` about axes that lie in the picture."""
    axis = np.stack([np.cos(about), np.sin(about), np.zeros_like(about)], axis=1)
    tilted: Array = rotations(axis * tilt[:, None]) @ turns
    return tilted


def _about(axis: list[float], angle: Array) -> Array:
    return rotations(np.asarray(axis, np.float64) * angle[:, None])
