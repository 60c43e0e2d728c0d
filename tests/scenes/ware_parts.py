"""The parts that things are built of: lathes, boxes, balls, tubes and slabs, with their materials.

``python -c "from tests.scenes.ware_parts import *; print(part('box', material('red')))"``

page/wares.js draws them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .wares import Look

Part = Mapping[str, Any]
Built = tuple[list[Part], tuple[float, float, float]]
"""Parts standing on z = 0, and the size of the body in metres."""
Profile = Sequence[tuple[float, float]]

PAPER = "#e9e4d6"


def material(
    paint: str,
    roughness: float = 0.6,
    metal: float = 0.0,
    opacity: float = 1.0,
    pattern: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """How a part's surface looks; paints are CSS colours."""
    return {
        "paint": paint, "roughness": roughness, "metal": metal, "opacity": opacity,
        "pattern": pattern,
    }  # fmt: skip


def drawn(look: Look, kind: str, *colours: str, repeat: tuple[float, float] = (1, 1)) -> Any:
    """A material with a pattern."""
    seed = int(look.rng.integers(1 << 30))
    pattern = {"kind": kind, "colours": list(colours), "seed": seed, "repeat": list(repeat)}
    return material(colours[0], 0.6, pattern=pattern)


def part(shape: str, material: Any, at: Sequence[float] = (0, 0, 0),
          turn: Sequence[float] = (0, 0, 0), **more: Any) -> Part:  # fmt: skip
    return {
        "shape": shape, "material": material, "at": _rounded(at), "turn": _rounded(turn),
        **{key: _rounded(value) for key, value in more.items()},
    }  # fmt: skip


def _rounded(value: Any) -> Any:
    return np.round(np.asarray(value, float), 5).tolist()


def lathe(profile: Profile, material: Any, **more: Any) -> Part:
    return part("lathe", material, profile=profile, **more)


def label(look: Look, profile: Profile) -> Part:
    """Printed paper around a body."""
    print_ = drawn(look, "print", PAPER, look.other(), look.other(), repeat=(3, 1))
    return lathe([(r * 1.012, z) for r, z in profile], print_)


def reach(parts: Sequence[Part]) -> float:
    """Radius in metres of the circle about the origin that holds all parts."""
    far = 0.0
    for one in parts:
        x, y, _ = one["at"]
        if one["shape"] == "lathe":
            own = max(r for r, _ in one["profile"])
            if one["turn"] != [0, 0, 0]:
                own = max(own, max(abs(z) for _, z in one["profile"]))
        elif one["shape"] == "tube":
            own = max(math.hypot(p[0], p[1]) for p in one["path"]) + one["radius"]
        elif one["shape"] == "spire":
            own = one["radius"]
        elif one["shape"] == "slab":
            own = max(math.hypot(*p) for p in one["outline"])
        else:
            own = math.hypot(*one["size"][:2]) / 2
            if one["shape"] == "ball":
                own = max(one["size"][:2]) / 2
        far = max(far, math.hypot(x, y) + own)
    return far
