"""Pictures and videos whose hands are known: golden landmarks in JSON, and rendered episodes.

    goldens = load_goldens(Path("/data/hands"))

A JSON file holds one entry or a list of them. Points are pixels (integer pixels are pixel centres),
21 a hand, wrist first; ``world`` is metric, camera axes, about any origin:

- ``{"image": "a.jpg", "hands": [HAND, …], "world": […], "gesture": […], "tolerance_px": 20}``
- ``{"video": "v.mp4", "frames": [FRAME, …], "world": [FRAME, …], "gesture": […],
  "tolerance_px": 26, "tolerance_m": 0.015}``

FRAME is null or ``[]`` (no hand to be seen), one HAND, or a list of them. ``gesture`` has the shape
of the hands, with a name in place of each, or is one name for all. An entry may name its
``camera`` (a calibration) and hold ``"rays": […]``: a unit vector per hand, base frame. An episode
is ``truth.json`` beside ``video.mp4``, its ``camera.json`` there or one folder up (see
``tests/scenes/README.md``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration, load_camera
from deixis.runtime.config import read_text
from deixis.runtime.errors import ConfigError, MediaError

Array = NDArray[np.float64]

N_POINTS = 21
TOLERANCE_PX = 20.0
"""Where an entry names none."""
_POINTED = "hold"


@dataclass(frozen=True, slots=True)
class GoldenHand:
    """What is known of one hand in one frame.

    Attributes:
        landmarks_px: Image points, shape ``(21, 2)``.
        world_m: Metric points in the camera's axes about any origin, shape ``(21, 3)``.
        gesture: Its name.
        direction_base: Where the index finger points (unit vector), if the person is pointing.
    """

    landmarks_px: Array
    world_m: Array | None = None
    gesture: str | None = None
    direction_base: Array | None = None


@dataclass(frozen=True, slots=True)
class Golden:
    """A picture or a video with the hands in each of its frames.

    Attributes:
        name: What to call it in messages.
        media: The file.
        is_video: Whether its frames follow each other in time.
        frames: The hands of each frame; one frame for a picture.
        tolerance_px: Error of a landmark that is still right.
        tolerance_m: The same of a metric landmark, where it is given.
        camera: The camera, where it is known: pointing rays need it.
    """

    name: str
    media: Path
    is_video: bool
    frames: tuple[tuple[GoldenHand, ...], ...]
    tolerance_px: float = TOLERANCE_PX
    tolerance_m: float | None = None
    camera: Path | None = None


def load_goldens(source: Path, limit: int | None = None) -> list[Golden]:
    """Read what is known, and see that the pictures and videos are there.

    Args:
        source: A folder (searched with all below it) or one JSON file. In a folder, JSON files
            that are about something else are passed over.
        limit: At most so many pictures and videos, spread evenly.

    Raises:
        ConfigError: Something in a file is wrong; names the file and the place.
        CalibrationError: A camera's calibration is damaged.
        MediaError: A picture or video is missing, or the folder holds nothing golden.
    """
    if not source.exists():
        raise ConfigError(f"there is no folder or file {source}")
    # Unlike pathlib's, this search also goes into folders that are linked to.
    names = sorted(glob("**/*.json", root_dir=source, recursive=True))
    files = [source / name for name in names] if source.is_dir() else [source]
    goldens: list[Golden] = []
    for file in files:
        found = list(_entries_of(file))
        if not found and source.is_file():
            raise ConfigError(
                f'{source}: no "image", "video" or episode in it',
                hint="deixis bench hands --help says what it must hold",
            )
        goldens += found
    if not goldens:
        raise MediaError(
            f"nothing golden in {source}: {len(files)} JSON files, none about pictures or videos",
            hint="deixis bench hands --help says what a folder must hold",
        )
    if limit is None or limit >= len(goldens):
        return goldens
    return [goldens[i * len(goldens) // limit] for i in range(limit)]


def _entries_of(file: Path) -> Iterator[Golden]:
    try:
        data = json.loads(read_text(file))
    except json.JSONDecodeError as cause:
        raise ConfigError(f"{file} is not valid JSON: {cause}") from cause
    listed = isinstance(data, list)
    for number, entry in enumerate(data if listed else [data]):
        if not isinstance(entry, dict):
            continue
        where = f"{file}: entry {number}" if listed else str(file)
        if "image" in entry or "video" in entry:
            yield _entry(file.parent, entry, where)
        elif isinstance(entry.get("hand"), list) and (file.parent / "video.mp4").is_file():
            yield _episode(file.parent, entry, where)


def _entry(folder: Path, entry: dict[str, Any], where: str) -> Golden:
    kind = "video" if "video" in entry else "image"
    key = "frames" if kind == "video" else "hands"
    name = entry[kind]
    if not isinstance(name, str):
        raise ConfigError(f"{where}: {kind}: expected a file name, got {name!r}")
    media = folder / name
    if not media.is_file():
        raise MediaError(f"{where} names the {kind} {name!r}, and there is no file {media}")
    if not isinstance(entry.get(key), list):
        raise ConfigError(f"{where}: {key}: expected a list beside {kind!r}")

    def parts(key: str) -> list[Any]:
        return entry[key] if kind == "video" else [entry[key]]

    hands = [_points(f, 2, f"{where}: {key}[{i}]") for i, f in enumerate(parts(key))]
    counts = [len(h) for h in hands]
    world = _beside(entry, "world", parts, counts, where, lambda x, at: _points(x, 3, at))
    rays = _beside(entry, "rays", parts, counts, where, _directions)
    if isinstance(entry.get("gesture"), str):
        gestures: list[list[Any]] = [[entry["gesture"]] * n for n in counts]
    else:
        gestures = _beside(entry, "gesture", parts, counts, where, _names)
    return Golden(
        name=name,
        media=media,
        is_video=kind == "video",
        frames=tuple(
            tuple(GoldenHand(*hand) for hand in zip(*frame, strict=True))
            for frame in zip(hands, world, gestures, rays, strict=True)
        ),
        tolerance_px=_number(entry, "tolerance_px", where) or TOLERANCE_PX,
        tolerance_m=_number(entry, "tolerance_m", where),
        camera=_camera(folder, entry.get("camera"), where),
    )


def _beside(
    entry: dict[str, Any],
    key: str,
    parts: Callable[[str], list[Any]],
    counts: Sequence[int],
    where: str,
    read: Callable[[Any, str], list[Any]],
) -> list[list[Any]]:
    """What a key says of each hand of each frame; None each where the key is absent."""
    if entry.get(key) is None:
        return [[None] * n for n in counts]
    if not isinstance(entry[key], list):
        raise ConfigError(f"{where}: {key}: expected a list")
    rows = parts(key)
    if len(rows) != len(counts):
        raise ConfigError(f"{where}: {key}: {len(rows)} frames, and {len(counts)} of landmarks")
    out = []
    for i, (row, n) in enumerate(zip(rows, counts, strict=True)):
        at = f"{where}: {key}[{i}]"
        values = [None] * n if row is None else read(row, at)
        if len(values) != n:
            raise ConfigError(f"{at}: {len(values)} hands, and {n} of landmarks")
        out.append(values)
    return out


def _points(value: Any, size: int, at: str) -> list[Array]:
    """The hands of one frame, shape ``(21, size)`` each."""
    if value is None or (isinstance(value, list) and not value):
        return []
    points = _array(value, at)
    if points.ndim == 2:
        points = points[None]
    if points.ndim != 3 or points.shape[1:] != (N_POINTS, size):
        raise ConfigError(
            f"{at}: expected hands of {N_POINTS} points with {size} coordinates, got an array of "
            f"shape {points.shape}"
        )
    return list(points)


def _directions(value: Any, at: str) -> list[Array]:
    vectors = np.atleast_2d(_array(value, at))
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if vectors.ndim != 2 or vectors.shape[1] != 3 or not np.all(lengths > 0):
        raise ConfigError(f"{at}: expected vectors of 3 numbers that are not all 0")
    return list(vectors / lengths)


def _names(value: Any, at: str) -> list[str | None]:
    names = value if isinstance(value, list) else [value]
    if not all(n is None or isinstance(n, str) for n in names):
        raise ConfigError(f"{at}: expected names of gestures, got {value!r}")
    return list(names)


def _array(value: Any, at: str) -> Array:
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ConfigError(f"{at}: expected points, equally many numbers each") from None
    if not np.isfinite(points).all():
        raise ConfigError(f"{at}: it holds numbers that are not finite")
    return points


def _number(entry: dict[str, Any], key: str, where: str) -> float | None:
    value = entry.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigError(f"{where}: {key}: expected a number above 0, got {value!r}")
    return float(value)


def _camera(folder: Path, name: Any, where: str) -> Path | None:
    if name is None:
        return None
    if not isinstance(name, str):
        raise ConfigError(f"{where}: camera: expected a file name, got {name!r}")
    load_camera(folder / name)
    return folder / name


def _episode(folder: Path, truth: dict[str, Any], where: str) -> Golden:
    paths = (
        folder / "camera.json",
        folder.parent / "camera.json",
        folder.parent.parent / "camera.json",
    )
    camera = next((path for path in paths if path.is_file()), None)
    if camera is None:
        raise MediaError(f"{where}: an episode needs its camera; there is no {paths[0]}")
    calibration = load_camera(camera)
    frames = tuple(
        _true_hands(row, calibration, f"{where}: hand[{i}]") for i, row in enumerate(truth["hand"])
    )
    return Golden(folder.name, folder / "video.mp4", True, frames, camera=camera)


def _true_hands(row: Any, camera: CameraCalibration, at: str) -> tuple[GoldenHand, ...]:
    if not isinstance(row, dict) or not isinstance(row.get("visible"), bool):
        raise ConfigError(f"{at}: expected an object with visible, landmarks_px, …")
    if not row["visible"]:
        return ()
    hands = _points(row.get("landmarks_px"), 2, f"{at}: landmarks_px")
    base = _points(row.get("landmarks_base_m"), 3, f"{at}: landmarks_base_m")
    if len(hands) != 1 or len(base) != 1:
        raise ConfigError(f"{at}: a visible hand needs landmarks_px and landmarks_base_m")
    direction = None
    if row.get("phase") == _POINTED:
        (direction,) = _directions(row.get("ray_direction_base"), f"{at}: ray_direction_base")
    gesture = row.get("gesture")
    return (GoldenHand(hands[0], camera.to_cam(base[0]), gesture, direction),)
