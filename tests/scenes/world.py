"""What stands on the table: the kinds of object, their true sizes, and random layouts of them.

``python -c "from tests.scenes.world import layout; print(layout(3, ['red_cup', 'orange_ball']))"``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .geometry import CAMERA, Array

TABLE = {"x_m": (0.15, 0.85), "y_m": (-0.45, 0.45)}
CLEARANCE_M = 0.14
"""Least distance between the centres of two objects, and of an empty spot from every object."""


@dataclass(frozen=True)
class Kind:
    """One kind of object: how it looks and what people call it."""

    name: str
    names: tuple[str, ...]
    colour: str
    paint: str
    size_m: tuple[float, float, float]


KINDS: Mapping[str, Kind] = {
    "red_cup": Kind("cup", ("cup", "mug"), "red", "#b3161c", (0.08, 0.08, 0.085)),
    "blue_cup": Kind("cup", ("cup", "mug"), "blue", "#1c4fb0", (0.08, 0.08, 0.085)),
    "green_bottle": Kind("bottle", ("bottle",), "green", "#12813c", (0.07, 0.07, 0.22)),
    "yellow_bowl": Kind("bowl", ("bowl", "dish"), "yellow", "#e3b50f", (0.15, 0.15, 0.06)),
    "brown_box": Kind("box", ("box", "carton"), "brown", "#7d5230", (0.18, 0.14, 0.09)),
    "orange_ball": Kind("ball", ("ball",), "orange", "#ef6b0c", (0.07, 0.07, 0.07)),
    "blue_block": Kind("block", ("block", "cube"), "blue", "#2257c9", (0.05, 0.05, 0.05)),
}


@dataclass(frozen=True)
class Thing:
    """An object in its place. ``id`` is its kind's id, with a number if there are several."""

    id: str
    kind_id: str
    position_base_m: tuple[float, float, float]
    yaw_rad: float

    @property
    def kind(self) -> Kind:
        """What it is."""
        return KINDS[self.kind_id]

    @property
    def centroid(self) -> Array:
        """Centre of its body in the base frame, metres."""
        return np.array(self.position_base_m)

    def box_px(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of its bounding box in the picture."""
        half = np.array(self.kind.size_m) / 2
        # A handle sticks out to one side of a cup; any yaw is allowed, so take the circle.
        radius = 0.065 if self.kind.name == "cup" else float(np.hypot(*half[:2]))
        if self.kind.name in ("bottle", "bowl", "ball"):
            radius = half[0]
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
        corners = [np.column_stack([ring, np.full(16, z)]) for z in (-half[2], half[2])]
        px = CAMERA.project(np.concatenate(corners) + self.centroid)
        return (*px.min(axis=0), *px.max(axis=0))


def place(kind_id: str, x_m: float, y_m: float, yaw_rad: float, suffix: str = "") -> Thing:
    """Stand an object on the table."""
    z = KINDS[kind_id].size_m[2] / 2
    return Thing(kind_id + suffix, kind_id, (round(x_m, 4), round(y_m, 4), z), round(yaw_rad, 4))


def apart(thing: Thing, others: Sequence[Thing], gap_px: float = 6.0) -> bool:
    """Whether a thing is clear of the others on the table and in the picture."""
    left, top, right, bottom = thing.box_px()
    if left < 8 or top < 8 or right > CAMERA.width - 8 or bottom > CAMERA.height - 8:
        return False
    for other in others:
        if np.linalg.norm(thing.centroid[:2] - other.centroid[:2]) < CLEARANCE_M:
            return False
        a, b, c, d = other.box_px()
        if left < c + gap_px and a < right + gap_px and top < d + gap_px and b < bottom + gap_px:
            return False
    return True


def layout(
    seed: int,
    kind_ids: Sequence[str],
    fixed: Mapping[str, tuple[float, float]] | None = None,
    empty: Sequence[tuple[float, float]] = (),
) -> list[Thing]:
    """Objects at random places, clear of each other on the table and in the picture.

    Args:
        seed: Of the random numbers.
        kind_ids: Keys of ``KINDS``; a key that comes again gets the id ``<key>_2``.
        fixed: Where (x, y in metres) the things with these ids stand, not at random.
        empty: Spots (x, y) to keep clear.

    Raises:
        ValueError: No such layout was found.
    """
    rng = np.random.default_rng(seed)
    fixed = fixed or {}
    for _ in range(400):
        things: list[Thing] = []
        waiting = sorted(_ids(kind_ids), key=lambda pair: pair[0] not in fixed)
        for thing_id, kind_id in waiting:
            suffix = thing_id[len(kind_id) :]
            for _ in range(60):
                x, y = rng.uniform(0.34, 0.74), rng.uniform(-0.38, 0.38)
                x, y = fixed.get(thing_id, (x, y))
                # A cup's handle stays in view: it is what tells a cup from a can.
                turn = rng.uniform(1.9, 4.4) if KINDS[kind_id].name == "cup" else rng.uniform(0, 6)
                thing = place(kind_id, x, y, turn, suffix)
                far = all(np.hypot(x - a, y - b) >= CLEARANCE_M for a, b in empty)
                if thing_id in fixed or (far and apart(thing, things)):
                    things.append(thing)
                    break
            else:
                break
        if len(things) == len(kind_ids):
            order = [thing_id for thing_id, _ in _ids(kind_ids)]
            return sorted(things, key=lambda t: order.index(t.id))
    raise ValueError(f"seed {seed}: no layout of {len(kind_ids)} objects found; use fewer objects")


def _ids(kind_ids: Sequence[str]) -> list[tuple[str, str]]:
    seen: dict[str, int] = {}
    out = []
    for kind_id in kind_ids:
        seen[kind_id] = seen.get(kind_id, 0) + 1
        out.append((kind_id if seen[kind_id] == 1 else f"{kind_id}_{seen[kind_id]}", kind_id))
    return out
