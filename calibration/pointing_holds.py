"""What was seen at the spots that a person pointed at: one steady hold a spot, checked.

holds = gather(spots, frames, camera_base_m=camera.T_base_cam[:3, 3])
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import PointingCalibration, combine, unit
from deixis.runtime.errors import CalibrationError
from deixis.runtime.messages import Pointing, Vec3

Array = NDArray[np.float64]

MIN_SPOTS = 4
MIN_FRAMES = 8
_STEADY_RAD = math.radians(3.0)
_APART_RAD = math.radians(4.0)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place to point at, base frame, metres."""

    name: str
    target_base_m: Vec3


@dataclass(frozen=True, slots=True, eq=False)
class Holds:
    """One steady hold a spot: medians over its frames, base frame.

    Attributes:
        spots: Where the person pointed.
        targets_m: The same as an array, shape ``(n, 3)``.
        tips_m: Fingertips, as found with the hand size that was assumed, ``(n, 3)``.
        eyes_m: Eyes, ``(n, 3)``; None if they were not seen at every spot.
        fingers: Unit directions of the finger, ``(n, 3)``.
        variances_rad2: Variance of the estimator per axis, ``(n,)``.
        camera_m: Centre of the camera, ``(3,)``; None if it is not known.
        hand_scale: The hand size that was assumed.
    """

    spots: tuple[Spot, ...]
    targets_m: Array
    tips_m: Array
    eyes_m: Array | None
    fingers: Array
    variances_rad2: Array
    camera_m: Array | None
    hand_scale: float

    def without(self, index: int) -> Holds:
        """All but one."""
        keep = [i for i in range(len(self.spots)) if i != index]
        return self.only(keep)

    def only(self, keep: Sequence[int]) -> Holds:
        """Some of them."""
        rows = list(keep)
        return replace(
            self,
            spots=tuple(self.spots[i] for i in rows),
            targets_m=self.targets_m[rows],
            tips_m=self.tips_m[rows],
            eyes_m=None if self.eyes_m is None else self.eyes_m[rows],
            fingers=self.fingers[rows],
            variances_rad2=self.variances_rad2[rows],
        )

    def leverages(self) -> Array:
        """By how much an angle at the eye is larger at the fingertip, ``(n,)``; 1 without eyes."""
        if self.eyes_m is None:
            return np.ones(len(self.spots))
        from_eye = np.linalg.norm(self.targets_m - self.eyes_m, axis=1)
        from_tip = np.linalg.norm(self.targets_m - self.tips_m, axis=1)
        ratio: Array = from_eye / np.maximum(from_tip, 0.05)
        return ratio

    def rays(self, user: PointingCalibration) -> tuple[Array, Array]:
        """Origins and unit directions ``(n, 3)`` of a person's rays."""
        tips = self.tips_m
        if self.camera_m is not None:
            tips = self.camera_m + (user.hand_scale / self.hand_scale) * (tips - self.camera_m)
        return tips, combine(tips, self.eyes_m, self.fingers, user)

    def residuals(self, user: PointingCalibration) -> Array:
        """Angles ``(n, 2)`` in radians, to the left and upwards, of the rays from their targets."""
        tips, directions = self.rays(user)
        return angles_off(directions, self.targets_m - tips)


def gather(
    spots: Sequence[Spot], frames: Sequence[Sequence[Pointing]], camera_base_m: Array | None
) -> Holds:
    """Condense the frames of each spot's hold.

    Args:
        spots: Where the person pointed.
        frames: The hand's messages while it held, one sequence a spot.
        camera_base_m: Centre of the camera, ``(3,)``.

    Raises:
        CalibrationError: There are too few spots, they lie in one line or too close together, or at
            one of them the hand was not seen to hold still.
    """
    if len(spots) < MIN_SPOTS:
        raise CalibrationError(
            f"{len(spots)} spots are too few to tell a habit from chance",
            hint=f"point at {MIN_SPOTS} or more, better five",
        )
    if len({p.hand_scale for hold in frames for p in hold}) > 1:
        raise CalibrationError(
            "the hand's size was set to another value in between", hint="point at all spots again"
        )
    tips, eyes, fingers, variances = [], [], [], []
    for spot, hold in zip(spots, frames, strict=True):
        if len(hold) < MIN_FRAMES:
            raise CalibrationError(
                f"spot {spot.name}: no steady hold ({len(hold)} frames, {MIN_FRAMES} are needed)",
                hint="point with a straight index finger and keep still for a second",
            )
        directions = unit([p.direction_base for p in hold])
        spread = float(np.sqrt(np.mean(np.sum((directions - directions.mean(0)) ** 2, axis=1))))
        if spread > _STEADY_RAD:
            raise CalibrationError(
                f"spot {spot.name}: the hand did not hold still ({math.degrees(spread):.1f}° of "
                f"scatter, {math.degrees(_STEADY_RAD):.0f}° is the limit)",
                hint="rest the elbow, or come closer to the camera",
            )
        tips.append(np.median([p.origin_base_m for p in hold], axis=0))
        seen = [p.eye_base_m for p in hold if p.eye_base_m is not None]
        eyes.append(np.median(seen, axis=0) if len(seen) > len(hold) / 2 else np.full(3, np.nan))
        # Recordings from before the finger's own line was told have the ray alone, which was that.
        lines = [p.finger_direction_base or p.direction_base for p in hold]
        fingers.append(unit(np.median(unit(lines), axis=0)))
        variances.append(np.median([_variance(p, spot) for p in hold]))
    all_eyes = np.array(eyes)
    holds = Holds(
        spots=tuple(spots),
        targets_m=np.array([s.target_base_m for s in spots], np.float64),
        tips_m=np.array(tips),
        eyes_m=all_eyes if np.isfinite(all_eyes).all() else None,
        fingers=np.array(fingers),
        variances_rad2=np.array(variances),
        camera_m=camera_base_m,
        hand_scale=frames[0][0].hand_scale,
    )
    _check_spread(holds)
    return holds


def angles_off(directions: Array, wanted: Array) -> Array:
    """Angles ``(n, 2)`` of unit vectors from wanted directions: to the left, upwards, radians."""
    aim = unit(wanted)
    left = np.stack([-aim[:, 1], aim[:, 0], np.zeros(len(aim))], axis=1)
    # Straight down there is no left: any horizontal axis will do.
    left[np.hypot(aim[:, 0], aim[:, 1]) < 1e-6] = (0.0, 1.0, 0.0)
    left = unit(left)
    up = np.cross(aim, left)
    across = np.stack([np.sum(directions * left, 1), np.sum(directions * up, 1)], axis=1)
    sine = np.linalg.norm(across, axis=1)
    angle = np.arctan2(sine, np.sum(directions * aim, axis=1))
    scaled: Array = across * (angle / np.maximum(sine, 1e-12))[:, None]
    return scaled


def _variance(pointing: Pointing, spot: Spot) -> float:
    """The estimator's variance per axis at a spot: direction, and tip over distance."""
    away = math.dist(pointing.origin_base_m, spot.target_base_m)
    direction = np.trace(np.reshape(pointing.direction_cov_rad2, (3, 3))) / 2
    tip = np.trace(np.reshape(pointing.origin_cov_m2, (3, 3))) / 3
    return float(direction + tip / max(away, 0.05) ** 2)


def _check_spread(holds: Holds) -> None:
    views = unit(holds.targets_m - holds.tips_m.mean(axis=0))
    for i in range(len(views)):
        for j in range(i):
            apart = math.acos(float(np.clip(views[i] @ views[j], -1, 1)))
            if apart < _APART_RAD:
                raise CalibrationError(
                    f"spots {holds.spots[j].name} and {holds.spots[i].name} are too close "
                    f"together: {math.degrees(apart):.1f}° seen from the hand",
                    hint="spread the spots over the whole table",
                )
    # Onto a plane across the mean view, where what is straight in space stays straight.
    views = views / np.maximum(views @ unit(views.mean(axis=0)), 0.1)[:, None]
    spread = np.linalg.svd(views - views.mean(axis=0), compute_uv=False) / math.sqrt(len(views))
    if spread[1] < _APART_RAD / 2:
        raise CalibrationError(
            "the spots lie in one line, seen from the hand: they do not tell up from sideways",
            hint="put one in each corner of the table and one in the middle",
        )
