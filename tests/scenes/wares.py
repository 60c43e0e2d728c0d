"""Things of many kinds for rendered tables: what they are called, their looks and sizes.

A thing is drawn from random numbers within its kind, so that no two seeds have the same mug. Some
kinds occur in both splits, with things of their own; the others belong to one split alone.

``python -c "from tests.scenes.wares import inventory; print([w.id for w in inventory('dev', 1)])"``
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from . import ware_solids as solids
from . import ware_vessels as vessels
from .ware_parts import Built, Part, reach

COLOURS: Mapping[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((355, 363), (0.70, 0.85), (0.36, 0.46)),
    "orange": ((21, 28), (0.85, 0.95), (0.48, 0.54)),
    "yellow": ((47, 54), (0.80, 0.95), (0.48, 0.56)),
    "green": ((115, 150), (0.45, 0.75), (0.28, 0.42)),
    "blue": ((210, 228), (0.60, 0.80), (0.36, 0.50)),
    "purple": ((272, 290), (0.40, 0.60), (0.36, 0.48)),
    "pink": ((335, 350), (0.60, 0.80), (0.70, 0.78)),
    "brown": ((22, 32), (0.35, 0.50), (0.24, 0.36)),
    "black": ((0, 360), (0.00, 0.05), (0.06, 0.10)),
    "grey": ((200, 220), (0.00, 0.06), (0.44, 0.54)),
    "white": ((40, 60), (0.00, 0.15), (0.88, 0.95)),
}
"""Hue in degrees, saturation and lightness (HSL) of the paints that a word names."""


@dataclass(frozen=True)
class Look:
    """What a kind's builder may draw from."""

    rng: np.random.Generator
    paint: str

    def between(self, low: float, high: float) -> float:
        """Anywhere between two numbers."""
        return float(self.rng.uniform(low, high))

    def other(self) -> str:
        """Another paint, for a print or a band."""
        return paint_of(str(self.rng.choice(list(COLOURS))), self.rng)


@dataclass(frozen=True)
class Kind:
    """A kind of thing.

    Attributes:
        names: What people call it, the noun first.
        build: Makes its parts and its body's size (metres) from a look.
        colours: The words it may be painted in.
        split: ``dev``, ``report`` or ``both``.
        mixed: Whether a lid, a label or glass may be most of what is seen of it.
    """

    names: tuple[str, ...]
    build: Callable[[Look], Built]
    colours: tuple[str, ...]
    split: str
    mixed: bool = False


@dataclass(frozen=True)
class Ware:
    """One thing. Its parts stand on z = 0 with the body's middle at x = y = 0.

    Attributes:
        id: Its folder in a gallery.
        names: What people call it, the noun first.
        colour: The word for its paint.
        plain: Whether that is most of what is seen of it, from any side.
        paint: The CSS colour of most of it.
        parts: What page/wares.js builds.
        size_m: Of its body, without handles.
        radius_m: Of the circle about its middle that holds it, handles included.
    """

    id: str
    names: tuple[str, ...]
    colour: str
    plain: bool
    paint: str
    parts: list[Part] = field(repr=False)
    size_m: tuple[float, float, float]
    radius_m: float


_ANY = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white", "black", "grey")
_BRIGHT = ("red", "orange", "yellow", "green", "blue", "purple", "pink")

KINDS: tuple[Kind, ...] = (
    Kind(("cup", "mug"), vessels.cup, _ANY, "both"),
    Kind(("bowl", "dish"), vessels.bowl, _ANY, "both"),
    Kind(("bottle",), vessels.bottle, ("red", "green", "blue", "brown", "white", "orange"), "both"),
    Kind(
        ("box", "carton"), solids.box, ("brown", "red", "blue", "white", "green", "yellow"), "both"
    ),
    Kind(("ball",), solids.ball, _BRIGHT, "both"),
    Kind(("block", "cube"), solids.block, (*_BRIGHT, "brown"), "both"),
    Kind(("can", "tin"), vessels.can, _ANY, "dev", mixed=True),
    Kind(("plate",), vessels.plate, _ANY, "dev"),
    Kind(("book",), solids.book, ("red", "blue", "green", "brown", "black", "purple"), "dev"),
    Kind(("vial",), vessels.vial, _BRIGHT, "dev", mixed=True),
    Kind(("milk carton",), vessels.carton, ("blue", "green", "red", "orange"), "dev", mixed=True),
    Kind(("sponge",), solids.sponge, ("yellow", "blue", "pink", "green"), "dev"),
    Kind(("candle",), solids.candle, ("red", "white", "purple", "orange"), "dev"),
    Kind(("marker", "pen"), solids.marker, ("red", "blue", "green", "black"), "dev"),
    Kind(("tape",), solids.tape, ("brown", "grey", "black", "yellow", "blue"), "dev"),
    Kind(("apple",), solids.apple, ("red", "green"), "dev"),
    Kind(("spray bottle",), vessels.spray, ("blue", "green", "pink", "white"), "dev", mixed=True),
    Kind(("cone",), solids.cone, ("orange", "red", "yellow"), "dev"),
    Kind(("jar",), vessels.jar, ("brown", "red", "orange", "green"), "report", mixed=True),
    Kind(
        ("beaker",),
        vessels.beaker,
        ("blue", "green", "purple", "orange", "red"),
        "report",
        mixed=True,
    ),
    Kind(
        ("flask",),
        vessels.flask,
        ("blue", "green", "purple", "yellow", "pink"),
        "report",
        mixed=True,
    ),
    Kind(("tray",), vessels.tray, ("blue", "black", "green", "red", "grey"), "report"),
    Kind(("banana",), solids.banana, ("yellow",), "report"),
    Kind(("brush",), solids.brush, ("brown", "red", "blue"), "report"),
    Kind(("stapler",), solids.stapler, ("black", "red", "blue"), "report"),
    Kind(("teapot",), vessels.teapot, ("white", "blue", "green", "brown", "red"), "report"),
    Kind(("pan",), vessels.pan, ("black", "red", "grey"), "report"),
    Kind(("remote",), solids.remote, ("black", "grey", "white"), "report"),
    Kind(("ring",), solids.ring, _BRIGHT, "report"),
    Kind(("pyramid",), solids.pyramid, _BRIGHT, "report"),
)


def inventory(split: str, seed: int) -> list[Ware]:
    """The things of one seed: one of each of the split's kinds, of some a second one.

    The second one has another colour.
    """
    rng = np.random.default_rng([seed, split == "report", 11])
    wares: list[Ware] = []
    for kind in KINDS:
        if kind.split not in (split, "both"):
            continue
        count = 2 if len(kind.colours) > 4 and rng.random() < 0.4 else 1
        colours = rng.choice(kind.colours, count, replace=False)
        wares += [make(kind, str(colour), rng) for colour in colours]
    return wares


def make(kind: Kind, colour: str, rng: np.random.Generator) -> Ware:
    """A thing of a kind."""
    paint = paint_of(colour, rng)
    parts, size_m = kind.build(Look(rng, paint))
    return Ware(
        id=f"{colour}_{kind.names[0]}".replace(" ", "_"),
        names=kind.names,
        colour=colour,
        plain=not kind.mixed,
        paint=paint,
        parts=parts,
        size_m=(round(size_m[0], 4), round(size_m[1], 4), round(size_m[2], 4)),
        radius_m=reach(parts),
    )


def paint_of(colour: str, rng: np.random.Generator) -> str:
    """A CSS colour that the word names."""
    hue, saturation, lightness = (float(rng.uniform(*limits)) for limits in COLOURS[colour])
    return css(hue, saturation, lightness)


def css(hue_deg: float, saturation: float, lightness: float) -> str:
    """HSL as ``#rrggbb``."""
    rgb = colorsys.hls_to_rgb(hue_deg % 360 / 360, lightness, saturation)
    return "#" + "".join(f"{round(255 * c):02x}" for c in rgb)


def chosen(wares: Sequence[Ware], count: int, rng: np.random.Generator) -> list[Ware]:
    """Some of the things, none twice."""
    return [wares[i] for i in rng.permutation(len(wares))[:count]]
