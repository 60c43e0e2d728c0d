"""How much later the picture's stamps are than the sound's, from claps that are seen and heard.

    found = match(onsets(samples, 16_000), impacts(times_s, motion))
    save_av_sync(AvSync(camera_id="front", offset_ms=1000 * found.offset_s, …), "front.json")

The camera node takes the offset off its stamps. Both clocks then run as one, to within the travel
of sound (3 ms a metre) and the rolling shutter; a stamp means the middle of the exposure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.files import default_folder, read_json, write_json
from deixis.runtime.errors import CalibrationError

Array = NDArray[np.float64]
Kind = Literal["clap", "flash"]

SCHEMA = 1
MIN_EVENTS = 3
LARGEST_S = 0.4
"""A larger offset is no delay of a device; claps must be twice as far apart to be told apart."""
_TOGETHER_S = 0.04
_LARGEST_SPREAD_S = 0.025
_HINT = "deixis calibrate av-sync --camera /dev/video0"
_CLAP_HINT = (
    "clap five times in view, more than a second apart, and keep the hands together after each"
)


class AvSync(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The offset between a camera and a microphone.

    Attributes:
        schema: Version of the file format.
        camera_id: Which camera.
        microphone: Which microphone, or the file with the sound.
        offset_ms: How much later the camera stamps a moment than the microphone.
        spread_ms: Standard deviation of single events about it.
        n_events: How many were both seen and heard.
        kind: What they were.
        calibrated_at: When, ISO 8601.
        picture: The picture that shows it, beside the file.
    """

    schema: int = SCHEMA
    camera_id: str
    microphone: str
    offset_ms: float
    spread_ms: float
    n_events: int
    kind: Kind = "clap"
    calibrated_at: str
    picture: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Match:
    """Events that were both heard and seen.

    Attributes:
        offset_s: How much later they are seen than heard.
        spread_s: Standard deviation of single events.
        heard_s: When they were heard, shape ``(n,)``.
        seen_s: When they were seen, shape ``(n,)``.
    """

    offset_s: float
    spread_s: float
    heard_s: Array
    seen_s: Array


def match(heard_s: Array, seen_s: Array, kind: Kind = "clap") -> Match:
    """Find the one offset at which most that is heard is also seen.

    The differences of all pairs are voted on; what is only heard or only seen has no say. The
    offset is the mean of the differences that agree.

    Args:
        heard_s: Onsets of sound, ascending, ``(n,)``.
        seen_s: Events in the picture, ascending, ``(m,)``.
        kind: What they are, for messages.

    Raises:
        CalibrationError: There are too few, they fit several offsets, or they do not agree.
    """
    if not len(heard_s):
        raise CalibrationError(f"no {kind} is heard", hint=_CLAP_HINT)
    if not len(seen_s):
        what = "stops abruptly" if kind == "clap" else "changes abruptly"
        raise CalibrationError(f"nothing in the picture {what}", hint=_CLAP_HINT)
    differences = (seen_s[None, :] - heard_s[:, None]).ravel()
    tried = np.unique(differences[np.abs(differences) <= LARGEST_S])
    groups = [_agreeing(heard_s, seen_s, d) for d in tried]
    sizes = np.array([len(g) for g in groups], int)
    if not len(sizes) or sizes.max() < MIN_EVENTS:
        together = int(sizes.max()) if len(sizes) else 0
        raise CalibrationError(
            f"only {together} event{'' if together == 1 else 's'} both heard and seen within "
            f"{1000 * LARGEST_S:.0f} ms ({len(heard_s)} heard, {len(seen_s)} seen); {MIN_EVENTS} "
            "are needed",
            hint=_CLAP_HINT,
        )
    spreads = np.array(
        [
            g.std() if len(g) >= MIN_EVENTS else math.inf
            for g in (seen_s[j] - heard_s[i] for i, j in (_split(g) for g in groups))
        ]
    )
    best = int(np.lexsort((spreads, -sizes))[0])
    i, j = _split(groups[best])
    offset = seen_s[j] - heard_s[i]
    middle = float(np.median(offset))
    rivals = sizes[np.abs(tried - middle) > 2 * _TOGETHER_S]
    if len(rivals) and rivals.max() >= max(MIN_EVENTS, sizes[best] - 1):
        raise CalibrationError(
            "the events fit several offsets: they come too fast or too evenly", hint=_CLAP_HINT
        )
    # Beyond three robust deviations lies a slip of the hand, or something else that moved.
    limit = max(3 * 1.4826 * float(np.median(np.abs(offset - middle))), 0.005)
    good = np.abs(offset - middle) <= limit
    i, j, offset = i[good], j[good], offset[good]
    spread = float(offset.std(ddof=1)) if len(offset) > 1 else math.inf
    if len(offset) < MIN_EVENTS or spread > _LARGEST_SPREAD_S:
        raise CalibrationError(
            f"the events do not agree: ±{1000 * spread:.0f} ms over {len(offset)} of them",
            hint=_CLAP_HINT,
        )
    return Match(float(offset.mean()), spread, heard_s[i], seen_s[j])


def _agreeing(heard_s: Array, seen_s: Array, offset_s: float) -> list[tuple[int, int]]:
    """Pairs of heard and seen events at about an offset, each event once."""
    pairs, used = [], set()
    for i, moment in enumerate(heard_s):
        j = int(np.argmin(np.abs(seen_s - moment - offset_s)))
        if abs(seen_s[j] - moment - offset_s) <= _TOGETHER_S and j not in used:
            pairs.append((i, j))
            used.add(j)
    return pairs


def _split(pairs: list[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def av_sync_path(camera_id: str) -> Path:
    """Where the offset of a camera is kept unless a path is given."""
    return default_folder("av-sync") / f"{camera_id}.json"


def load_av_sync(path: str | Path) -> AvSync:
    """Read an offset.

    Raises:
        CalibrationError: The file is missing or damaged, has another schema, or is not possible.
    """
    sync = read_json(path, AvSync, what="sound and picture offset", schema=SCHEMA, hint=_HINT)
    _check(sync, str(path))
    return sync


def save_av_sync(sync: AvSync, path: str | Path) -> None:
    """Write an offset; an existing file is replaced whole or not at all.

    Raises:
        CalibrationError: It is not possible, or the file cannot be written.
    """
    _check(sync, f"camera {sync.camera_id!r}")
    write_json(sync, path)


def _check(sync: AvSync, where: str) -> None:
    if not abs(sync.offset_ms) <= 1000 * LARGEST_S:
        raise CalibrationError(
            f"{where}: an offset of {sync.offset_ms} ms is more than {1000 * LARGEST_S:.0f}",
            hint=_HINT,
        )
