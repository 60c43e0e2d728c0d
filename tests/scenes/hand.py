"""How the hand moves: reach, hold and retract with human timing.

A pointing is placed so that the line from the index finger's knuckle (landmark 5) through its tip
(landmark 8) passes through the target. Reaches follow the minimum-jerk profile (Flash and Hogan,
"The coordination of arm movements", 1985); during the hold the hand trembles by about a millimetre.

``python -c "from tests.scenes.hand import minimum_jerk; print(minimum_jerk(0.5))"``
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .geometry import Array, pose, rotation, rotation_vector, unit
from .skeleton import POINT, RELAX, Hand, blend

AZIMUTH_RAD = (math.radians(45), math.radians(62))
ELEVATION_RAD = (math.radians(28), math.radians(38))
"""Where the arm comes from, seen from the target: a person at the far left corner of the table.
From there the finger lies across the camera's view; seen end on, no hand model tells where it
points."""
REST_WRIST_BASE_M = np.array([1.0, 0.75, 0.42])
ROLL_RAD = (math.radians(-18), math.radians(-11))
"""Turn of the back of the hand about the finger, seen from behind."""
ONSET_BEFORE_PHRASE_S = 0.218
END_AFTER_PHRASE_S = 0.374
"""Medians of 37 pairs of phrase and pointing gesture of real people (Pointing gestures multimodal
analysis, CC BY 4.0): the gesture starts before its phrase and ends after it."""
SETTLED_BEFORE_WORD_S = 0.10
"""The hand holds still from at least this long before the deictic word."""


@dataclass(frozen=True)
class Pointing:
    """One pointing gesture on the episode's clock, seconds."""

    target_base_m: Array
    onset_s: float
    hold_from_s: float
    hold_to_s: float
    end_s: float
    tip_distance_m: float
    azimuth_rad: float
    elevation_rad: float
    roll_rad: float

    @classmethod
    def at(
        cls,
        target_base_m: Array,
        phrase_s: tuple[float, float],
        word_s: tuple[float, float],
        rng: np.random.Generator,
    ) -> Pointing:
        """Time a gesture for a spoken phrase and the deictic word in it."""
        reach, retract = rng.uniform(0.55, 0.7), rng.uniform(0.55, 0.7)
        onset = min(
            phrase_s[0] - ONSET_BEFORE_PHRASE_S + rng.uniform(-0.04, 0.04),
            word_s[0] - SETTLED_BEFORE_WORD_S - reach,
        )
        hold_to = max(phrase_s[1], word_s[1]) + END_AFTER_PHRASE_S + rng.uniform(-0.04, 0.04)
        return cls(
            np.asarray(target_base_m, float), onset, onset + reach, hold_to, hold_to + retract,
            rng.uniform(0.10, 0.14), rng.uniform(*AZIMUTH_RAD), rng.uniform(*ELEVATION_RAD),
            rng.uniform(*ROLL_RAD),
        )  # fmt: skip


@dataclass(frozen=True)
class HandFrame:
    """The hand in one video frame; the arrays are in the base frame, metres."""

    phase: str
    target_base_m: Array | None
    bones: Array | None
    landmarks: Array | None


def minimum_jerk(share: float) -> float:
    """Progress (0 to 1) of a minimum-jerk movement after a share of its duration."""
    s = min(max(share, 0.0), 1.0)
    return s**3 * (10 - 15 * s + 6 * s * s)


class Performer:
    """Moves the hand through the pointings of one episode."""

    def __init__(self, hand: Hand, pointings: Sequence[Pointing], seed: int) -> None:
        self.hand = hand
        self.pointings = list(pointings)
        rng = np.random.default_rng(seed)
        # Physiological tremor and drift: a few sines, about a millimetre together.
        self._tremor_hz = rng.uniform([[0.5], [2.0], [6.0]], [[1.0], [4.0], [9.0]], (3, 6))
        self._tremor_phase = rng.uniform(0, 2 * np.pi, (3, 6))

    def at(self, time_s: float) -> HandFrame:
        """The hand at a time."""
        for pointing in self.pointings:
            if pointing.onset_s <= time_s < pointing.end_s:
                return self._point(pointing, time_s)
        return HandFrame("none", None, None, None)

    def _point(self, p: Pointing, t: float) -> HandFrame:
        if t < p.hold_from_s:
            phase, share = "reach", (t - p.onset_s) / (p.hold_from_s - p.onset_s)
        elif t < p.hold_to_s:
            phase, share = "hold", 1.0
        else:
            phase, share = "retract", 1 - (t - p.hold_to_s) / (p.end_s - p.hold_to_s)
        # The finger is out before the hand arrives, and stays out as it leaves.
        bones = self.hand.bones(blend(RELAX, POINT, minimum_jerk(share / 0.7)))
        there, away = self._aim(p), self._away(p)
        done = minimum_jerk(share)
        turn = rotation_vector(there[:3, :3] @ away[:3, :3].T)
        angle = float(np.linalg.norm(turn))
        rot = rotation(turn, angle * done) @ away[:3, :3] if angle > 0 else away[:3, :3]
        where = away[:3, 3] + done * (there[:3, 3] - away[:3, 3])
        where = where + np.array([0, 0, 0.05 * np.sin(np.pi * done)])
        tremor = self._tremble(t, p.target_base_m)
        base = tremor @ pose(rot, where)
        bones = base @ bones
        target = p.target_base_m if phase == "hold" else None
        return HandFrame(phase, target, bones, self.hand.landmarks(bones))

    def _aim(self, p: Pointing) -> Array:
        """Pose of the hand frame in which the finger's ray passes through the target."""
        finger = self.hand.landmarks(self.hand.bones(POINT))
        along = unit(finger[8] - finger[5])
        # Palm down and a little inward: the back of the hand is +x of the hand frame.
        back = np.array([1.0, 0, 0])
        back = unit(back - back.dot(along) * along)
        local = np.stack([along, back, np.cross(along, back)], axis=1)
        azimuth, elevation = p.azimuth_rad, p.elevation_rad
        level = math.cos(elevation)
        ray = -np.array([level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)])
        up = np.array([0, 0, 1.0])
        up = rotation(ray, p.roll_rad) @ unit(up - up.dot(ray) * ray)
        rot = np.stack([ray, up, np.cross(ray, up)], axis=1) @ local.T
        tip = p.target_base_m - p.tip_distance_m * ray
        return pose(rot, tip - rot @ finger[8])

    def _away(self, p: Pointing) -> Array:
        """Pose of the hand frame at rest: in front of the person's chest, out of the picture."""
        aim = self._aim(p)
        # The fingers drop less than when pointing down at the table.
        rot = rotation([0, 1, 0], np.deg2rad(-12)) @ aim[:3, :3]
        wrist = self.hand.rest[self.hand.names.index("wrist")][:3, 3]
        return pose(rot, REST_WRIST_BASE_M - rot @ wrist)

    def _tremble(self, t: float, about: Array) -> Array:
        """A tiny rigid motion: a shift of about 1 mm and a turn of about 0.1 deg about a point."""
        waves = np.sin(2 * np.pi * self._tremor_hz * t + self._tremor_phase)
        size = np.array([[0.7], [0.45], [0.25]])
        move = (size * waves).sum(axis=0)
        turn = np.deg2rad(0.12) * move[3:]
        angle = float(np.linalg.norm(turn))
        rot = rotation(turn, angle) if angle > 0 else np.eye(3)
        return pose(rot, about - rot @ about + 1e-3 * move[:3])


def ray(landmarks: Array) -> tuple[Array, Array]:
    """Origin (the index knuckle) and unit direction (to the index tip) of the pointing ray."""
    return landmarks[5], unit(landmarks[8] - landmarks[5])
