"""Calibrates a person from holds at known spots, and says honestly how much that helps.

The error *after* is measured at each spot with an estimate from the other spots only. If it is not
below the error *before*, the person points as people do and nothing is corrected.

The hand's size shows because it moves the fingertip along the camera's line of sight, tip = camera
+ size · (tip − camera), and with it the line from the eye, differently at each spot. That is a weak
sign: where it is not seen, the size stays as assumed, or at the measured length of the hand.

    fit = fit_pointing("anna", spots, frames, camera_base_m=camera.T_base_cam[:3, 3])
    save_pointing(fit.user, "anna.json")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.pointing import DEFAULT_POINTING, PointingCalibration, unit
from deixis.calibration.pointing_estimate import estimate_user, expected_scatter_rad, scatter_rad
from deixis.calibration.pointing_holds import Holds, Spot, gather
from deixis.calibration.store import plane_hit
from deixis.runtime.errors import CalibrationError
from deixis.runtime.messages import Pointing, Vec3

Array = NDArray[np.float64]

FAR_M = 2.0
"""Misses are also given at this distance, at which the published ones were measured."""
_ARM_M = 0.6
"""From eye to fingertip, where no eye is seen."""
_WRONG_SIGMAS = 5.0


@dataclass(frozen=True, slots=True)
class Miss:
    """By how much a ray misses its spot.

    Attributes:
        passes_m: How far from the spot it passes.
        far_m: The same scaled to a spot 2 m from the eye.
        hit_base_m: Where it meets the spot's level; None if it does not.
    """

    passes_m: float
    far_m: float
    hit_base_m: Vec3 | None


@dataclass(frozen=True, slots=True)
class SpotResult:
    """A spot, and how it was met without and with the calibration of the other spots."""

    spot: Spot
    tip_base_m: Vec3
    before: Miss
    after: Miss


@dataclass(frozen=True, slots=True)
class PointingFit:
    """A person's calibration and how well it does.

    Attributes:
        user: The calibration.
        spots: Before and after, spot by spot.
        eye_seen: Whether the line from the eye was calibrated, or the finger's alone.
        improved: Whether it does better than none; if not, ``user`` corrects nothing.
        scale_sd: How sure the hand's size is (standard deviation, relative).
    """

    user: PointingCalibration
    spots: tuple[SpotResult, ...]
    eye_seen: bool
    improved: bool
    scale_sd: float


def fit_pointing(
    user_id: str,
    spots: Sequence[Spot],
    frames: Sequence[Sequence[Pointing]],
    *,
    camera_base_m: Array | None = None,
    hand_length_m: float | None = None,
    now: datetime | None = None,
) -> PointingFit:
    """Calibrate a person.

    Args:
        user_id: Whose calibration it is.
        spots: Where the person pointed, four or more.
        frames: The hand's messages while it held, one sequence a spot.
        camera_base_m: Centre of the camera, ``(3,)``; without it the hand's size is not fitted.
        hand_length_m: Wrist crease to middle fingertip, if it was measured.
        now: The date to write.

    Raises:
        CalibrationError: There are too few spots, they lie in one line or too close together, the
            hand was not still at one of them, or it pointed at something else.
    """
    holds = gather(spots, frames, camera_base_m)
    default = msgspec.structs.replace(
        DEFAULT_POINTING, user_id=user_id, hand_scale=holds.hand_scale
    )
    found = estimate_user(holds, default, hand_length_m)
    _check_targets(holds, found.user)

    alone = [holds.only([i]) for i in range(len(spots))]
    left_out = [
        estimate_user(holds.without(i), default, hand_length_m).user for i in range(len(spots))
    ]
    before = [_miss(hold, default) for hold in alone]
    after = [_miss(h, user) for h, user in zip(alone, left_out, strict=True)]
    improved = _mean_far_m(after) < _mean_far_m(before)
    if not improved:
        after, left_out = before, [default] * len(spots)

    def own_scatter_rad(*, eye: bool) -> float:
        part = holds if eye else replace(holds, eyes_m=None)
        residuals = [part.only([i]).residuals(user)[0] for i, user in enumerate(left_out)]
        return scatter_rad(np.array(residuals), part)

    eye_seen = holds.eyes_m is not None
    user = msgspec.structs.replace(
        found.user if improved else default,
        sigma_rad=own_scatter_rad(eye=True) if eye_seen else DEFAULT_POINTING.sigma_rad,
        finger_sigma_rad=own_scatter_rad(eye=False),
        calibrated_at=(now or datetime.now(UTC)).isoformat(timespec="seconds"),
        error_before_m=_mean_far_m(before),
        error_after_m=_mean_far_m(after),
        n_points=len(spots),
    )
    results = tuple(
        SpotResult(spot, _vec3(tip), b, a)
        for spot, tip, b, a in zip(spots, holds.tips_m, before, after, strict=True)
    )
    return PointingFit(user, results, eye_seen, improved, found.scale_sd)


def _miss(hold: Holds, user: PointingCalibration) -> Miss:
    tips, directions = hold.rays(user)
    tip, direction, target = tips[0], directions[0], hold.targets_m[0]
    reach = target - tip
    # A ray that leads away from the spot passes it where it starts.
    along = max(float(direction @ reach), 0.0)
    passes_m = float(np.linalg.norm(reach - along * direction))
    if hold.eyes_m is not None:
        from_eye_m = float(np.linalg.norm(target - hold.eyes_m[0]))
    else:
        from_eye_m = float(np.linalg.norm(reach)) + _ARM_M
    hit = plane_hit(tip, direction, float(target[2]))
    return Miss(
        passes_m=passes_m,
        far_m=passes_m * FAR_M / from_eye_m,
        hit_base_m=None if hit is None else _vec3(hit),
    )


def _mean_far_m(misses: Sequence[Miss]) -> float:
    return float(np.mean([m.far_m for m in misses]))


def _check_targets(holds: Holds, user: PointingCalibration) -> None:
    """Refuse a hold that is further from its spot than any habit explains."""
    limits = _WRONG_SIGMAS * np.sqrt(expected_scatter_rad(holds) ** 2 + holds.variances_rad2)
    off = np.linalg.norm(holds.residuals(user), axis=1)
    wrong = [int(i) for i in np.argsort(-off / limits) if off[i] > limits[i]]
    if not wrong:
        return
    worst = wrong[0]
    tips, directions = holds.rays(user)
    nearest = int(np.argmax(unit(holds.targets_m - tips[worst]) @ directions[worst]))
    instead = "" if nearest == worst else f"; spot {holds.spots[nearest].name} is nearer to it"
    more = "" if len(wrong) == 1 else f" ({len(wrong)} of {len(off)} spots are too far off)"
    raise CalibrationError(
        f"spot {holds.spots[worst].name}: the hand pointed {math.degrees(off[worst]):.0f}° away "
        f"from it{instead}{more}",
        hint="point at the spots in their order, and check their coordinates",
    )


def _vec3(array: Array) -> Vec3:
    return float(array[0]), float(array[1]), float(array[2])
