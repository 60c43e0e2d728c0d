"""Where a person is asked to point, and the holds that come of it.

spots = read_spots("0.4,0,0; 0.25,-0.3,0; 0.25,0.3,0; 0.55,-0.3,0; 0.55,0.3,0")
collector = HoldCollector()
while not collector.done:
    collector.add(next_pointing())
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from deixis.calibration.pointing_holds import MIN_FRAMES, Spot
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import CalibrationError, UsageError
from deixis.runtime.messages import Pointing, Vec3

HOLD_NS = NS_PER_S
_SETTLE_NS = 200 * NS_PER_MS
_GAP_NS = 300 * NS_PER_MS
_JUMP_M, _JUMP_RAD = 0.04, math.radians(10.0)
# The hand must have left the last spot's hold by so much before the next one counts.
_LEFT_M, _LEFT_RAD = 0.03, math.radians(3.0)
_POINTING_ABOVE = 0.3


class ListedSpot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A spot of a file.

    Attributes:
        target_base_m: Where it is, base frame.
        name: What to call it; its number by default.
        video: For recordings: the file that shows the hand at it, if not the one of ``--video``.
        from_s: From when on the hand holds.
        to_s: Until when.
    """

    target_base_m: Vec3
    name: str = ""
    video: str | None = None
    from_s: float | None = None
    to_s: float | None = None


class _SpotFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    spots: list[ListedSpot]


def read_spots(text: str) -> list[ListedSpot]:
    """Spots from a JSON file, or from ``x,y,z; x,y,z; …`` in metres.

    Raises:
        UsageError: It is neither.
        CalibrationError: The file cannot be read, or is not ``{"spots": [{"target_base_m": …}]}``.
    """
    if not text.endswith(".json"):
        try:
            points = [tuple(float(v) for v in part.split(",")) for part in text.split(";")]
        except ValueError:
            points = []
        if not points or any(len(p) != 3 or not np.isfinite(p).all() for p in points):
            raise UsageError(
                f"{text!r} is neither a JSON file nor x,y,z;x,y,z;… in metres",
                hint='--targets "0.4,0,0; 0.25,-0.3,0; 0.25,0.3,0; 0.55,-0.3,0; 0.55,0.3,0"',
            )
        listed = [ListedSpot(target_base_m=(p[0], p[1], p[2])) for p in points]
    else:
        try:
            listed = msgspec.json.decode(Path(text).read_bytes(), type=_SpotFile).spots
        except OSError as cause:
            raise CalibrationError(f"cannot read the spots in {text}: {cause}") from cause
        except msgspec.DecodeError as cause:
            raise CalibrationError(
                f"{text}: {cause}", hint='{"spots": [{"target_base_m": [0.4, 0, 0]}, …]}'
            ) from cause
    return [
        msgspec.structs.replace(spot, name=spot.name or str(k + 1)) for k, spot in enumerate(listed)
    ]


def spot_of(listed: ListedSpot) -> Spot:
    """The spot without its times."""
    return Spot(listed.name, listed.target_base_m)


class HoldCollector:
    """Waits for one steady hold of a pointing hand.

    Args:
        last: The hold before this one: the hand must leave it first.
        hold_ns: How long a hold must last.
    """

    def __init__(self, last: Sequence[Pointing] = (), hold_ns: int = HOLD_NS) -> None:
        self._last = last[-1] if last else None
        self._hold_ns = hold_ns
        self._runs: dict[int, list[Pointing]] = {}
        self.frames: list[Pointing] = []
        self.hand_seen = False

    @property
    def done(self) -> bool:
        """Whether a hold was found; it is in ``frames``."""
        return bool(self.frames)

    @property
    def progress(self) -> float:
        """How much of a hold has been seen, from 0 to 1."""
        if self.done:
            return 1.0
        longest = max(
            (r[-1].header.stamp_ns - r[0].header.stamp_ns for r in self._runs.values()), default=0
        )
        return min(max((longest - _SETTLE_NS) / self._hold_ns, 0.0), 1.0)

    def add(self, pointing: Pointing) -> None:
        """Take the next ray of a hand."""
        self.hand_seen = True
        track, stamp_ns = pointing.track_id, pointing.header.stamp_ns
        if pointing.phase != "hold" or pointing.confidence < _POINTING_ABOVE:
            self._runs.pop(track, None)
            return
        if self._last is not None and not _apart(self._last, pointing, _LEFT_M, _LEFT_RAD):
            return
        self._last = None
        run = self._runs.setdefault(track, [])
        if run and (
            stamp_ns - run[-1].header.stamp_ns > _GAP_NS
            or _apart(run[0], pointing, _JUMP_M, _JUMP_RAD)
        ):
            run.clear()
        run.append(pointing)
        settled = [p for p in run if p.header.stamp_ns >= run[0].header.stamp_ns + _SETTLE_NS]
        if len(settled) >= MIN_FRAMES and (stamp_ns - settled[0].header.stamp_ns >= self._hold_ns):
            self.frames = settled


def held_between(pointings: Sequence[Pointing], from_ns: int, to_ns: int) -> list[Pointing]:
    """The holding frames of a time, of the hand that pointed most."""
    held: dict[int, list[Pointing]] = {}
    for p in pointings:
        if from_ns <= p.header.stamp_ns <= to_ns and p.phase == "hold":
            held.setdefault(p.track_id, []).append(p)
    return max(held.values(), key=lambda hand: sum(p.confidence for p in hand), default=[])


def _apart(a: Pointing, b: Pointing, moved_m: float, turned_rad: float) -> bool:
    cosine = float(np.clip(np.dot(a.direction_base, b.direction_base), -1.0, 1.0))
    return math.dist(a.origin_base_m, b.origin_base_m) > moved_m or math.acos(cosine) > turned_rad
