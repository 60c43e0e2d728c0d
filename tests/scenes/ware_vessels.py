"""Builders of vessels: a look (paint and random numbers) in, parts and the body's size out.

``python -c "from tests.scenes.wares import *; print(inventory('dev', 1)[0].size_m)"`` calls them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .ware_parts import PAPER, Built, drawn, label, lathe, material, part

if TYPE_CHECKING:
    from .wares import Look


def cup(look: Look) -> Built:
    """With a handle; plain, banded or dotted."""
    r, h = look.between(0.034, 0.046), look.between(0.075, 0.105)
    foot = look.between(0.72, 1.0)
    style = str(look.rng.choice(["plain", "plain", "rings", "dots", "stripes"]))
    coat = material(look.paint, 0.4)
    outside = coat if style == "plain" else drawn(look, style, look.paint, look.other())
    wall = 0.0035
    outer = [(0, 0), (r * foot, 0.0), (r * foot, 0.003), (r, h)]
    inner = [(r, h), (r - wall, h), (r * foot - wall, 0.006), (0, 0.006)]
    size = look.between(0.24, 0.31) * h
    x0 = r * (foot + 1) / 2
    angles = np.linspace(-1.45, 1.45, 9)
    handle = [(x0 - 0.004 + size * math.cos(a), 0, h * 0.52 + size * math.sin(a)) for a in angles]
    return [
        lathe(outer, outside), lathe(inner, coat),
        part("tube", coat, path=handle, radius=0.0055),
    ], (2 * r, 2 * r, h)  # fmt: skip


def bowl(look: Look) -> Built:
    """Round, open."""
    r, h = look.between(0.06, 0.085), look.between(0.045, 0.07)
    foot = look.between(0.35, 0.5)
    turns = [i / 10 * math.pi / 2 for i in range(11)]
    outer = [(0.0, 0.0), (r * foot, 0.0)]
    outer += [(r * (foot + (1 - foot) * math.sin(a)), h * (1 - math.cos(a))) for a in turns[1:]]
    inner = [(max(x - 0.004, 0), z + 0.005) for x, z in reversed(outer[1:-1])]
    outside = material(look.paint, 0.45)
    return [
        lathe(outer, outside), lathe([outer[-1], (r - 0.004, h), *inner, (0, 0.005)], outside),
    ], (2 * r, 2 * r, h)  # fmt: skip


def bottle(look: Look) -> Built:
    """With a neck, a cap and a label."""
    r, h = look.between(0.028, 0.04), look.between(0.17, 0.25)
    shoulder, neck = look.between(0.52, 0.68), look.between(0.32, 0.45)
    body = [(0, 0), (r * 0.95, 0), (r, 0.006), (r, h * shoulder), (r * 0.9, h * (shoulder + 0.07)),
            (r * neck, h * 0.82), (r * neck, h * 0.93), (0, h * 0.93)]  # fmt: skip
    cap = material(look.other(), 0.6)
    lid = [(0, h * 0.92), (r * neck * 1.15, h * 0.92), (r * neck * 1.15, h), (0, h)]
    low = look.between(0.12, 0.2)
    return [
        lathe(body, material(look.paint, 0.3)), lathe(lid, cap),
        label(look, [(r, h * low), (r, h * (low + 0.24))]),
    ], (2 * r, 2 * r, h)  # fmt: skip


def can(look: Look) -> Built:
    """A tin with a printed coat and a grey lid."""
    r, h = look.between(0.03, 0.045), look.between(0.06, 0.125)
    coat = drawn(look, "print", look.paint, look.other(), look.other(), repeat=(3, 1))
    lid = material("#a8acb0", 0.35, 0.3)
    return [
        lathe([(r, 0.004), (r, h - 0.004)], coat),
        lathe([(r, h - 0.004), (r * 0.97, h), (r * 0.93, h), (r * 0.92, h - 0.003),
                (0, h - 0.003)], lid),
    ], (2 * r, 2 * r, h)  # fmt: skip


def plate(look: Look) -> Built:
    """Flat, with a rim."""
    r, h = look.between(0.075, 0.105), look.between(0.014, 0.022)
    glaze = material(look.paint, 0.35)
    rim = glaze if look.rng.random() < 0.5 else material(look.other(), 0.35)
    return [
        lathe([(0, 0), (r * 0.6, 0), (r, h)], glaze),
        lathe([(0, 0.004), (r * 0.6, 0.004), (r * 0.88, h * 0.8)], glaze),
        lathe([(r * 0.88, h * 0.8), (r, h)], rim),
    ], (2 * r, 2 * r, h)


def vial(look: Look) -> Built:
    """Small, of glass, with a liquid and a cap."""
    r, h = look.between(0.0125, 0.016), look.between(0.045, 0.07)
    level = h * look.between(0.45, 0.7)
    return [
        lathe([(0, 0.001), (r * 0.9, 0.001), (r * 0.9, level), (0, level)],
               material(look.paint, 0.3)),
        lathe([(0, 0), (r, 0), (r, h * 0.78)], material("#dfe9ea", 0.15, opacity=0.35)),
        lathe([(0, h * 0.77), (r * 1.02, h * 0.77), (r * 1.02, h), (0, h)],
               material(str(look.rng.choice(["#202224", "#e8e8e4"])), 0.6)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def carton(look: Look) -> Built:
    """For milk: a printed box with a gable."""
    x, h = look.between(0.062, 0.075), look.between(0.14, 0.19)
    side = drawn(look, "print", PAPER, look.paint, look.paint)
    top = material(look.paint, 0.7)
    body = h * 0.72
    gable = [(-x / 2, 0), (x / 2, 0), (0.004, h * 0.2), (-0.004, h * 0.2)]
    band = part("box", top, (0, 0, body * 0.16), size=(x * 1.01, x * 1.01, body * 0.62))
    return [
        part("box", side, (0, 0, body / 2), size=(x, x, body)), band,
        part("slab", top, (0, x / 2, body), (math.pi / 2, 0, 0), outline=gable, height=x),
        part("box", top, (0, 0, body + h * 0.23), size=(0.006, x, h * 0.1)),
    ], (x, x, h)  # fmt: skip


def spray(look: Look) -> Built:
    """A bottle with a trigger."""
    r, h = look.between(0.032, 0.04), look.between(0.19, 0.24)
    head = material(look.other(), 0.5)
    body = [(0, 0), (r, 0), (r, h * 0.5), (r * 0.45, h * 0.72), (r * 0.4, h * 0.78), (0, h * 0.78)]
    return [
        lathe(body, material(look.paint, 0.35)), label(look, [(r, h * 0.1), (r, h * 0.42)]),
        lathe([(0, h * 0.77), (r * 0.5, h * 0.77), (r * 0.5, h * 0.86), (0, h * 0.86)], head),
        part("box", head, (0.012, 0, h * 0.93), size=(0.075, 0.022, h * 0.13)),
        part("box", head, (0.036, 0, h * 0.82), (0, 0.35, 0), size=(0.008, 0.014, h * 0.14)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def jar(look: Look) -> Built:
    """Of glass, filled, with a lid."""
    r, h = look.between(0.034, 0.045), look.between(0.08, 0.12)
    glass = material("#dfe9ea", 0.15, opacity=0.3)
    lid = material(look.other(), 0.4)
    return [
        lathe([(0, 0.002), (r * 0.95, 0.002), (r * 0.95, h * 0.68), (0, h * 0.68)],
               material(look.paint, 0.6)),
        lathe([(0, 0), (r, 0), (r, h * 0.74), (r * 0.85, h * 0.84)], glass),
        lathe([(0, h * 0.84), (r * 0.92, h * 0.84), (r * 0.92, h), (0, h)], lid),
        label(look, [(r, h * 0.2), (r, h * 0.48)]),
    ], (2 * r, 2 * r, h)  # fmt: skip


def beaker(look: Look) -> Built:
    """Of glass, half full of a coloured liquid."""
    r, h = look.between(0.032, 0.045), look.between(0.08, 0.115)
    level = h * look.between(0.45, 0.75)
    return [
        lathe([(0, 0.002), (r * 0.95, 0.002), (r * 0.95, level), (0, level)],
               material(look.paint, 0.25)),
        lathe([(0, 0), (r, 0), (r, h), (r * 1.06, h * 1.01)],
               material("#dfe9ea", 0.12, opacity=0.35)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def flask(look: Look) -> Built:
    """Erlenmeyer's."""
    r, h = look.between(0.038, 0.05), look.between(0.1, 0.14)
    level = look.between(0.3, 0.5)

    def width(share: float) -> float:
        return r + (0.3 * r - r) * min(share / 0.72, 1.0)

    liquid = [(0, 0.002), (r * 0.96, 0.002), (width(level) * 0.96, h * level), (0, h * level)]
    return [
        lathe(liquid, material(look.paint, 0.25)),
        lathe([(0, 0), (r, 0), (width(0.72), h * 0.72), (0.3 * r, h), (0.36 * r, h * 1.005)],
               material("#dfe9ea", 0.12, opacity=0.35)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def tray(look: Look) -> Built:
    """Open, low."""
    x, y, h = look.between(0.14, 0.19), look.between(0.09, 0.13), look.between(0.02, 0.035)
    coat, t = material(look.paint, 0.6), 0.003
    walls = [
        ((x - t) / 2, 0, t, y),
        (-(x - t) / 2, 0, t, y),
        (0, (y - t) / 2, x, t),
        (0, -(y - t) / 2, x, t),
    ]
    return [
        part("box", coat, (0, 0, t / 2), size=(x, y, t)),
        *(part("box", coat, (u, v, h / 2), size=(a, b, h)) for u, v, a, b in walls),
    ], (x, y, h)  # fmt: skip


def teapot(look: Look) -> Built:
    """With lid, spout and handle."""
    r, h = look.between(0.052, 0.065), look.between(0.085, 0.105)
    glaze = material(look.paint, 0.3)
    turns = np.linspace(-0.9, 1.2, 12)
    body = [(0.0, 0.0), *((r * math.cos(a), h * 0.43 * (1 + math.sin(a) / 0.93)) for a in turns)]
    spout = [(r * 0.8, 0, h * 0.3), (r * 1.25, 0, h * 0.5), (r * 1.5, 0, h * 0.85)]
    handle = [
        (-r * 0.85, 0, h * 0.7),
        (-r * 1.4, 0, h * 0.75),
        (-r * 1.45, 0, h * 0.4),
        (-r * 0.9, 0, h * 0.2),
    ]
    return [
        lathe(body, glaze), part("tube", glaze, path=spout, radius=0.009),
        part("tube", glaze, path=handle, radius=0.006),
        lathe([(r * 0.45, h * 0.83), (r * 0.3, h * 0.9), (0, h * 0.91)], glaze),
        part("ball", glaze, (0, 0, h * 0.95), size=(0.018, 0.018, 0.018)),
    ], (2 * r, 2 * r, h)  # fmt: skip


def pan(look: Look) -> Built:
    """A small frying pan."""
    r, h = look.between(0.065, 0.08), look.between(0.028, 0.038)
    coat = material(look.paint, 0.5)
    return [
        lathe([(0, 0), (r * 0.8, 0), (r, h), (r - 0.003, h), (r * 0.8 - 0.003, 0.004),
                (0, 0.004)], coat),
        part("box", material("#1f2022", 0.7), (r + 0.045, 0, h * 0.85), size=(0.1, 0.018, 0.012)),
    ], (2 * r, 2 * r, h)  # fmt: skip
