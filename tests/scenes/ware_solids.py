"""Builders of things that hold nothing: boxes, toys, fruit, tools.

``python -c "from tests.scenes.wares import *; print(inventory('dev', 1)[-1].size_m)"`` calls them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .ware_parts import PAPER, Built, drawn, lathe, material, part

if TYPE_CHECKING:
    from .wares import Look


def box(look: Look) -> Built:
    """Closed, printed on its sides."""
    x, y, h = look.between(0.07, 0.14), look.between(0.05, 0.1), look.between(0.05, 0.13)
    if look.rng.random() < 0.4:
        face = material(look.paint, 0.9)
    else:
        face = drawn(look, "print", look.paint, look.other(), look.other())
    return [part("box", face, (0, 0, h / 2), size=(x, y, h))], (x, y, h)


def ball(look: Look) -> Built:
    """Plain, dotted or striped."""
    d = look.between(0.05, 0.085)
    style = str(look.rng.choice(["plain", "dots", "stripes"]))
    coat = material(look.paint, 0.5)
    if style != "plain":
        coat = drawn(look, style, look.paint, look.other(), repeat=(2, 1))
    return [part("ball", coat, (0, 0, d / 2), size=(d, d, d))], (d, d, d)


def block(look: Look) -> Built:
    """A wooden toy block."""
    x, h = look.between(0.035, 0.06), look.between(0.03, 0.06)
    y = x * look.between(0.8, 1.25)
    coat = material(look.paint, 0.75)
    if look.rng.random() < 0.4:
        coat = drawn(look, "wood", look.paint)
    return [part("box", coat, (0, 0, h / 2), size=(x, y, h))], (x, y, h)


def book(look: Look) -> Built:
    """Lying, with a printed cover and pages."""
    x, y, h = look.between(0.11, 0.15), look.between(0.16, 0.21), look.between(0.015, 0.035)
    cover = drawn(look, "print", look.paint, look.other(), look.other())
    plain = material(look.paint, 0.7)
    return [
        part("box", plain, (0, 0, 0.0015), size=(x, y, 0.003)),
        part("box", material("#efeadd", 0.9), (0.002, 0, h / 2),
              size=(x - 0.008, y - 0.006, h - 0.004)),
        part("box", plain, (-x / 2 + 0.0015, 0, h / 2), size=(0.003, y, h)),
        part("box", cover, (0, 0, h - 0.0015), size=(x, y, 0.003)),
    ], (x, y, h)  # fmt: skip


def sponge(look: Look) -> Built:
    """Two layers."""
    x, y, h = look.between(0.08, 0.11), look.between(0.055, 0.07), look.between(0.028, 0.04)
    foam = drawn(look, "dots", look.paint, "#00000022")
    return [
        part("box", material("#2f5a3a", 1.0), (0, 0, h * 0.1), size=(x, y, h * 0.2)),
        part("box", foam, (0, 0, h * 0.6), size=(x, y, h * 0.8)),
    ], (x, y, h)


def candle(look: Look) -> Built:
    """With a wick."""
    r, h = look.between(0.024, 0.036), look.between(0.07, 0.13)
    wax = material(look.paint, 0.55)
    return [
        lathe([(0, 0), (r, 0), (r, h * 0.98), (r * 0.9, h), (r * 0.6, h - 0.004),
                (0, h - 0.004)], wax),
        lathe([(0.0015, h - 0.004), (0.0015, h + 0.008)], material("#222222", 1.0)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def marker(look: Look) -> Built:
    """Lying; the body is white, the cap and the end coloured."""
    r, length = look.between(0.0085, 0.011), look.between(0.12, 0.145)
    turn = (0.0, math.pi / 2, 0.0)
    at, half = (0.0, 0.0, r), length / 2
    ink, body = material(look.paint, 0.4), material(PAPER, 0.4)
    return [
        lathe([(0, -half), (r, -half), (r, -half * 0.4)], ink, at=at, turn=turn),
        lathe([(r * 0.97, -half * 0.4), (r * 0.97, -half * 0.16)], body, at=at, turn=turn),
        lathe([(r, -half * 0.16), (r, half), (0, half)], ink, at=at, turn=turn),
    ], (length, 2 * r, 2 * r)  # fmt: skip


def tape(look: Look) -> Built:
    """A roll, lying."""
    r, h = look.between(0.035, 0.052), look.between(0.02, 0.048)
    hole = r * look.between(0.55, 0.75)
    return [
        lathe([(hole, 0), (r, 0), (r, h), (hole, h)], material(look.paint, 0.35)),
        lathe([(hole, h), (hole, 0)], material("#b08d5e", 0.9)),
    ], (2 * r, 2 * r, h)


def apple(look: Look) -> Built:
    """With a stalk."""
    d = look.between(0.065, 0.085)
    turns = np.linspace(-math.pi / 2, math.pi / 2, 17)
    outline = [
        (
            d / 2 * math.cos(a) ** 0.8,
            d * 0.46 * (1 + math.sin(a)) - 0.12 * d * max(0.0, math.sin(a)) ** 8,
        )
        for a in turns
    ]
    return [
        lathe(outline, drawn(look, "stripes", look.paint, "#f0d06022", repeat=(3, 1))),
        part("tube", material("#4a3420", 0.9), radius=0.0018,
              path=[(0, 0, d * 0.78), (0.002, 0, d * 0.9), (0.006, 0, d * 0.98)]),
    ], (d, d, d * 0.92)  # fmt: skip


def cone(look: Look) -> Built:
    """A small traffic cone."""
    r, h = look.between(0.03, 0.042), look.between(0.09, 0.14)
    coat = material(look.paint, 0.6)

    def width(share: float) -> float:
        return r * 0.82 * (1 - share) + 0.004

    band = [(width(0.45) + 0.0006, h * 0.45), (width(0.62) + 0.0006, h * 0.62)]
    return [
        part("box", coat, (0, 0, 0.003), size=(2 * r, 2 * r, 0.006)),
        lathe([(width(0.04), h * 0.04), (width(1.0), h), (0, h)], coat),
        lathe(band, material("#f0f0ec", 0.5)),
    ], (2 * r, 2 * r, h)


def banana(look: Look) -> Built:
    """Lying on its side."""
    length, r = look.between(0.14, 0.18), look.between(0.015, 0.018)
    angles = np.linspace(-0.95, 0.95, 11)
    curve = length / 1.9
    path = [(curve * math.sin(a), curve * (math.cos(a) - 0.83), r) for a in angles]
    skin, end = material(look.paint, 0.6), material("#4c3b1c", 0.9)
    tips = [(path[0], 0.016), (path[-1], 0.02)]
    return [
        part("tube", skin, path=path, radius=r),
        *(part("ball", end, p, size=(s, s, s)) for p, s in tips),
    ], (2 * curve * math.sin(0.95), 0.45 * curve, 2 * r)


def brush(look: Look) -> Built:
    """A handle and bristles, lying."""
    length, w = look.between(0.17, 0.21), look.between(0.032, 0.045)
    wood, hair = drawn(look, "wood", look.paint), material("#d8cfae", 1.0)
    return [
        part("box", wood, (-length * 0.22, 0, 0.02), size=(length * 0.56, 0.016, 0.012)),
        part("box", wood, (length * 0.28, 0, 0.026), size=(length * 0.44, w, 0.012)),
        part("box", hair, (length * 0.28, 0, 0.01), size=(length * 0.4, w * 0.85, 0.02)),
    ], (length, w, 0.032)  # fmt: skip


def stapler(look: Look) -> Built:
    """Two arms at an angle."""
    length, w = look.between(0.11, 0.14), look.between(0.026, 0.034)
    coat = material(look.paint, 0.4)
    return [
        part("box", coat, (0, 0, 0.006), size=(length, w, 0.012)),
        part("box", material("#9a9da1", 0.3, 0.3), (0, 0, 0.022), (0, -0.12, 0),
              size=(length * 0.9, w * 0.6, 0.012)),
        part("box", coat, (0, 0, 0.037), (0, -0.14, 0), size=(length * 0.96, w, 0.018)),
    ], (length, w, 0.054)  # fmt: skip


def remote(look: Look) -> Built:
    """With buttons."""
    x, y, h = look.between(0.13, 0.17), look.between(0.04, 0.05), look.between(0.016, 0.022)
    button = material(look.other(), 0.6)
    places = [(x * (i - 2.5) / 7, y * (j - 1) / 3.6) for i in range(6) for j in range(3)]
    return [
        part("box", material(look.paint, 0.5), (0, 0, h / 2), size=(x, y, h)),
        *(part("box", button, (u, v, h), size=(0.009, 0.007, 0.003)) for u, v in places),
    ], (x, y, h)


def ring(look: Look) -> Built:
    """A thick ring, lying."""
    r, tube = look.between(0.03, 0.045), look.between(0.009, 0.014)
    angles = np.linspace(0, 2 * math.pi, 25)
    path = [(r * math.cos(a), r * math.sin(a), tube) for a in angles]
    return [part("tube", material(look.paint, 0.5), path=path, radius=tube)], (
        2 * (r + tube), 2 * (r + tube), 2 * tube,
    )  # fmt: skip


def pyramid(look: Look) -> Built:
    """With a square base."""
    x, h = look.between(0.05, 0.075), look.between(0.045, 0.07)
    coat = material(look.paint, 0.7)
    return [part("spire", coat, radius=x / math.sqrt(2), height=h)], (x, x, h)
