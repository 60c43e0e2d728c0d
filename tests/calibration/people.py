"""Holds of made-up people at known spots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import turn, unit
from deixis.calibration.pointing_holds import Spot
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Header, Pointing, Vec3

Array = NDArray[np.float64]

EYE = np.array([1.2, 0.05, 0.6])
CAMERA = np.array([0.0, 0.0, 0.65])
ARM_M = 0.55
SPOTS = [
    Spot("1", (0.40, 0.0, 0.0)),
    Spot("2", (0.25, -0.3, 0.0)),
    Spot("3", (0.25, 0.3, 0.0)),
    Spot("4", (0.55, -0.3, 0.0)),
    Spot("5", (0.55, 0.3, 0.0)),
]


def vec3(array: Any) -> Vec3:
    return float(array[0]), float(array[1]), float(array[2])


def pointing(stamp_ns: int, tip: Any, direction: Any, **changes: Any) -> Pointing:
    values: dict[str, Any] = {
        "track_id": 1,
        "origin_base_m": vec3(tip),
        "direction_base": vec3(direction),
        "origin_cov_m2": tuple((1e-5 * np.eye(3)).ravel().tolist()),
        "direction_cov_rad2": tuple((1e-4 * np.eye(3)).ravel().tolist()),
        "confidence": 0.95,
        "phase": "hold",
        "finger_direction_base": vec3(direction),
    }
    return Pointing(Header(stamp_ns), **(values | changes))


def hold(
    target: Vec3,
    *,
    yaw: float = 0.0,
    pitch: float = 0.0,
    finger_yaw: float = 0.0,
    hand_scale: float = 1.0,
    eye: bool = True,
    scatter: float = 0.0,
    rng: np.random.Generator | None = None,
    start_ns: int = 0,
    n: int = 20,
) -> list[Pointing]:
    """A hand whose lines are ``yaw`` and ``pitch`` beside the target: a calibration turns back.

    The tip is where the line from the eye, turned by these angles about the tip, hits the target.
    """
    rng = rng or np.random.default_rng(0)
    point = np.array(target)
    off = rng.normal(0, scatter, 2) if scatter else np.zeros(2)
    tip = EYE + ARM_M * unit(point - EYE)
    for _ in range(50):
        # The tip such that turning the line from the eye by the bias leads from it to the target.
        line = turn(unit(point - tip), -(yaw + off[0]), -(pitch + off[1]))
        tip = EYE + ARM_M * unit(0.5 * unit(tip - EYE) + 0.5 * line)
    seen_tip = CAMERA + (tip - CAMERA) / hand_scale
    finger = turn(unit(point - tip), -finger_yaw + off[0], off[1])
    frames = []
    for k in range(n):
        place = seen_tip + rng.normal(0, 0.001, 3)
        frames.append(
            pointing(
                start_ns + k * NS_PER_S // 30,
                place,
                unit(place - EYE) if eye else finger,
                finger_direction_base=vec3(finger),
                eye_base_m=vec3(EYE) if eye else None,
            )
        )
    return frames


def holds(spots: Sequence[Spot] = SPOTS, **habit: Any) -> list[list[Pointing]]:
    return [hold(s.target_base_m, **habit) for s in spots]


def moved(frames: Sequence[Pointing], stamp_ns: int) -> list[Pointing]:
    """The same frames at another time."""
    first = frames[0].header.stamp_ns
    return [
        msgspec.structs.replace(f, header=Header(f.header.stamp_ns - first + stamp_ns))
        for f in frames
    ]
