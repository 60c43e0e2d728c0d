"""Draws tables from random numbers: the camera, the cloth, the lamp, what lies around, what stands.

``python -c "from tests.scenes.table_stage import *; print(setting(Chance('dev', 1)).camera)"``

The two splits share no camera elevation, azimuth or distance, no direction or strength of light,
and no colour of a table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from .chance import Chance
from .geometry import Array, Camera
from .wares import Ware, css

WORKSPACE = {"x_min_m": 0.2, "x_max_m": 0.8, "y_min_m": -0.4, "y_max_m": 0.4}
DISTANCE_M = (0.6, 1.2)
_MARGIN_PX = 10.0
_GAP_M = 0.025
"""Least distance between what two things cover of the table."""
_GAP_PX = 8.0
_LEAST_CONTRAST = 22.0
"""CIE76 distance of a thing's paint from the table's: nobody looks for white on white."""
_COVERS: Mapping[str, Mapping[str, Sequence[tuple[str, str]]]] = {
    # surface -> split -> (colour, second colour)
    "plain": {
        "dev": (("#a8a6a0", ""), ("#d9d5cb", ""), ("#6f7f6c", ""), ("#3c3f46", "")),
        "report": (("#bdbab4", ""), ("#8c7a64", ""), ("#56697d", ""), ("#e4e2de", "")),
    },
    "planks": {
        "dev": (("#b88f5e", "#6b4c2a"), ("#7a5636", "#3a2716")),
        "report": (("#cda873", "#80603a"), ("#93683f", "#4f3620")),
    },
    "speckle": {
        "dev": (("#c9c7c2", "#8f8c86"), ("#55585c", "#777b80")),
        "report": (("#b4b0aa", "#d6d2cb"), ("#41464c", "#666c73")),
    },
    "checks": {
        "dev": (("#d8d4ca", "#b3423a2e"), ("#c8ccd0", "#4a688f30")),
        "report": (("#dedad2", "#3f7a5530"), ("#cbc3b4", "#8a5c2f30")),
    },
    "stripes": {
        "dev": (("#cfcabf", "#8a93a040"), ("#8d9a8f", "#d8dcd440")),
        "report": (("#d6d1c8", "#a8806040"), ("#7f8b99", "#cfd6dd40")),
    },
}
_SHARES = {"plain": 0.4, "planks": 0.25, "speckle": 0.15, "checks": 0.1, "stripes": 0.1}
_SKIN = {"dev": ("#8d5a3b", "#e0ac8b", "#c68863"), "report": ("#a5694a", "#d8a184", "#ecbfa0")}


@dataclass(frozen=True)
class Setting:
    """Everything but the things.

    Attributes:
        camera: The camera.
        surface: Kind of the table's top.
        paint: Its colour.
        stage: What page/tables.js takes, without things.
        blur_px: Standard deviation of the lens' blur.
        noise: Standard deviation of the sensor's noise, grey levels.
        quality: Of the JPEG that the camera sends.
    """

    camera: Camera
    surface: str
    paint: str
    stage: dict[str, Any]
    blur_px: float
    noise: float
    quality: int


@dataclass(frozen=True)
class Placed:
    """A thing in its place; ``id`` tells two equal things apart."""

    id: str
    ware: Ware
    x_m: float
    y_m: float
    yaw_rad: float

    @property
    def pose(self) -> list[float]:
        """x, y, z of its foot (metres, base frame) and yaw (radians)."""
        return [self.x_m, self.y_m, 0.0, self.yaw_rad]

    @property
    def centroid(self) -> Array:
        """Centre of its body in the base frame, metres."""
        return np.array([self.x_m, self.y_m, self.ware.size_m[2] / 2])


def setting(chance: Chance, distance_m: tuple[float, float] = DISTANCE_M) -> Setting:
    """A camera that looks at a table from 0.6 to 1.2 m, and the light on it."""
    surface = str(chance.rng.choice(list(_SHARES), p=list(_SHARES.values())))
    options = _COVERS[surface][chance.split]
    paint, ink = options[int(chance.rng.integers(len(options)))]
    camera = _camera(chance, distance_m)
    wide = chance.between(0, 1) < 0.4
    table = {
        "x_m": [0.05, 1.6] if wide else [chance.between(0.0, 0.12), chance.between(0.86, 1.0)],
        "y_m": [-1.2, 1.2] if wide else [-chance.between(0.45, 0.6), chance.between(0.45, 0.6)],
        "cover": _cover(surface, paint, ink, chance),
    }
    azimuth, elevation = chance.banded(-math.pi, math.pi), math.radians(chance.banded(32, 80))
    level = math.cos(elevation)
    warm = chance.between(0, 1)
    strength = chance.banded(0.9, 2.6)
    stage = {
        "camera": {
            key: value
            for key, value in camera.to_json().items()
            if key in ("width", "height", "K", "T_base_cam")
        },
        "table": table,
        "floor": _cover("plain", chance.colour(70, 130), "", chance),
        "backdrop": chance.colour(50, 150),
        "sun": {
            "from": [level * math.cos(azimuth), level * math.sin(azimuth), math.sin(elevation)],
            "colour": css(38, warm * 0.9, 1 - 0.12 * warm),
            "intensity": strength,
            "blur": chance.between(2, 7),
        },
        # A bright lamp beside a dim sky throws hard shadows, the reverse none.
        "sky": {"colour": css(215, 1 - warm, 0.97), "intensity": 3.5 - 0.6 * strength},
        "clutter": [] if wide else [_clutter(table, chance) for _ in range(chance.rng.integers(6))],
        "skin": chance.one(_SKIN[chance.split]),
        "sleeve": chance.colour(),
    }
    return Setting(
        camera, surface, paint, stage, chance.between(0, 0.7), chance.between(0.7, 2.2),
        int(chance.between(86, 96)),
    )  # fmt: skip


def arrange(
    wares: Sequence[Ware],
    scene: Setting,
    chance: Chance,
    crowded: bool,
    already: Sequence[Placed] = (),
    gap_m: float = _GAP_M,
) -> list[Placed]:
    """Stand things where there is room; those for which there is none are left out.

    Args:
        wares: What to stand, in this order.
        scene: The table and the camera.
        chance: Random numbers.
        crowded: Whether things may hide parts of each other.
        already: What stands already.
        gap_m: Least distance between what two things cover.

    Returns:
        What stands now, ``already`` included.
    """
    placed = list(already)
    for ware in wares:
        if alike(ware, scene):
            continue
        for _ in range(60):
            r = ware.radius_m
            x = chance.between(WORKSPACE["x_min_m"] + r, WORKSPACE["x_max_m"] - r)
            y = chance.between(WORKSPACE["y_min_m"] + r, WORKSPACE["y_max_m"] - r)
            yaw = chance.between(-math.pi, math.pi)
            one = Placed(ware.id, ware, round(x, 4), round(y, 4), round(yaw, 4))
            if fits(one, placed, scene.camera, crowded, gap_m):
                placed.append(one)
                break
    return placed


def alike(ware: Ware, scene: Setting) -> bool:
    """Whether a thing's paint is about the table's."""
    return _contrast(ware.paint, scene.paint) < _LEAST_CONTRAST


def fits(
    one: Placed, others: Sequence[Placed], camera: Camera, crowded: bool, gap_m: float = _GAP_M
) -> bool:
    """Whether a thing is in the picture and clear of the others."""
    left, top, right, bottom = box_px(one, camera)
    if min(left, top) < _MARGIN_PX or right > camera.width - _MARGIN_PX:
        return False
    if bottom > camera.height - _MARGIN_PX:
        return False
    for other in others:
        apart = math.hypot(one.x_m - other.x_m, one.y_m - other.y_m)
        if apart < one.ware.radius_m + other.ware.radius_m + gap_m:
            return False
        a, b, c, d = box_px(other, camera)
        apart_px = max(left - c, a - right, top - d, b - bottom)
        if not crowded and apart_px < _GAP_PX:
            return False
    return True


def box_px(one: Placed, camera: Camera) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the cylinder that holds a thing, in the picture."""
    turns = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    x = one.x_m + one.ware.radius_m * np.cos(turns)
    y = one.y_m + one.ware.radius_m * np.sin(turns)
    points = [np.column_stack([x, y, np.full(20, z)]) for z in (0, one.ware.size_m[2])]
    px = camera.project(np.concatenate(points))
    left, top = px.min(axis=0)
    right, bottom = px.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _camera(chance: Chance, distance_m: tuple[float, float]) -> Camera:
    look_at = np.array([chance.between(0.44, 0.56), chance.between(-0.06, 0.06), 0.03])
    distance = chance.banded(*distance_m)
    elevation, azimuth = np.deg2rad(chance.banded(33, 68)), np.deg2rad(chance.banded(-45, 45))
    level = np.cos(elevation)
    away = [-level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)]
    x, y, z = np.round(look_at + distance * np.array(away), 4).tolist()
    u, v, w = look_at.round(4).tolist()
    return Camera((x, y, z), (u, v, w), focal_px=round(chance.between(440, 560), 1))


def _cover(kind: str, paint: str, ink: str, chance: Chance) -> dict[str, Any]:
    return {
        "kind": kind,
        "rgb": list(_rgb(paint)),
        "ink": ink,
        "seed": int(chance.rng.integers(1 << 30)),
        "repeat": round(chance.between(1.0, 2.0), 2),
    }


def _clutter(table: Mapping[str, Any], chance: Chance) -> dict[str, Any]:
    """Something that stands on the floor beyond the table, as high as it or higher."""
    size = [chance.between(0.08, 0.4), chance.between(0.08, 0.4), chance.between(0.4, 1.1)]
    side = int(chance.rng.integers(3))
    x = table["x_m"][1] + 0.1 + size[0] / 2 + chance.between(0, 0.5)
    y = chance.between(-0.8, 0.8)
    if side:
        x = chance.between(0.3, 1.2)
        beyond = 0.1 + size[1] / 2 + chance.between(0, 0.4)
        y = table["y_m"][1] + beyond if side == 1 else table["y_m"][0] - beyond
    return {
        "place": [round(x, 3), round(y, 3), round(size[2] / 2 - 0.75, 3)],
        "size": [round(s, 3) for s in size],
        "paint": chance.colour(),
    }


def _rgb(paint: str) -> tuple[int, int, int]:
    if paint.startswith("rgb"):
        r, g, b = (int(part) for part in paint[4:-1].split(","))
        return r, g, b
    return int(paint[1:3], 16), int(paint[3:5], 16), int(paint[5:7], 16)


def _contrast(a: str, b: str) -> float:
    pixels = np.array([[_rgb(a), _rgb(b)]], np.float32) / 255
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab)[0]
    return float(np.linalg.norm(lab[0] - lab[1]))
