"""Draw random things from all sides, for ``deixis train objects``: FOLDER/THING/*.png, cut out.

Turned bodies (cups, bottles, bowls, …) with handles and lids, stacks of solids, and the thousand
random bodies that come with PyBullet, whose software renderer draws them; paints and prints are
made here. Needs ``pip install pybullet`` (zlib licence) in an environment of its own with OpenCV.
``--emoji`` adds the things among Microsoft's Fluent emoji (``npm pack @lobehub/fluent-emoji-3d``,
MIT), one picture each. None of the kinds of wares.py is copied; nothing in a test is trained on.

Example:
    python -m tests.scenes.turntable --out things --emoji package/assets
"""

from __future__ import annotations

import argparse
import colorsys
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Mesh = tuple[Points, list[tuple[int, int, int]], Points]
"""Vertices (n, 3), triangles, texture coordinates (n, 2)."""

SIZE_PX = 144
VIEWS = 8
TURNED, STACKED, BODIES = 240, 100, 160
PAINTS = (
    (179, 22, 28), (28, 79, 176), (18, 129, 60), (227, 181, 15), (125, 82, 48), (239, 107, 12),
    (230, 228, 220), (40, 40, 44), (128, 128, 130), (120, 40, 140), (235, 130, 170),
)  # fmt: skip
"""Half of all things have one of these, so that paint alone does not tell them apart."""
EMOJI = (
    (0x1F32D, 0x1F37F), (0x1F380, 0x1F3D3), (0x1F3F8, 0x1F3FA), (0x1F400, 0x1F43F),
    (0x1F451, 0x1F463), (0x1F484, 0x1F48A), (0x1F48D, 0x1F48E), (0x1F4B0, 0x1F4FD),
    (0x1F507, 0x1F52E), (0x1F5A5, 0x1F5DE), (0x1F680, 0x1F6FC), (0x1F940, 0x1F96F),
    (0x1F980, 0x1F9CB), (0x1F9E2, 0x1F9FF), (0x1FA70, 0x1FAF0),
)  # fmt: skip
"""Ranges of characters that show things, food and animals."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description="Draw random things from all sides.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--seed", type=int, default=0, help="of everything (default 0)")
    parser.add_argument("--emoji", type=Path, help="the package's folder assets")
    args = parser.parse_args(argv)
    try:
        import pybullet  # noqa: F401
    except ImportError:
        print("pybullet is needed: pip install pybullet", file=sys.stderr)
        return 1
    if args.emoji is not None:
        print(f"{write_emoji(args.emoji, args.out)} emoji")
    for name, number in (("turned", TURNED), ("stacked", STACKED), ("body", BODIES)):
        for k in range(number):
            rng = np.random.default_rng([args.seed, ("turned", "stacked", "body").index(name), k])
            write(args.out / f"{name}_{k:03d}", name, k, rng)
        print(f"{number} {name}", flush=True)
    return 0


def write(folder: Path, name: str, number: int, rng: np.random.Generator) -> None:
    """Draw one thing and write its pictures, cut out."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, Stage(Path(scratch), rng) as stage:
        if name == "body":
            stage.body(number)
        else:
            {"turned": turned, "stacked": stacked}[name](stage, rng)
        for k in range(VIEWS):
            picture = stage.view()
            x, y, w, h = cv2.boundingRect((picture[..., 3] > 0).astype(np.uint8))
            if w * h > 0.02 * SIZE_PX**2:
                cv2.imwrite(str(folder / f"{k}.png"), picture[y : y + h, x : x + w])


class Stage:
    """PyBullet with the parts of one thing.

    Args:
        scratch: Folder for meshes and prints.
        rng: Chance.
    """

    def __init__(self, scratch: Path, rng: np.random.Generator) -> None:
        import pybullet

        self._bullet: Any = pybullet
        self._scratch, self._rng = scratch, rng
        self._corners: list[Points] = []
        self._files = 0

    def __enter__(self) -> Stage:
        """Start the renderer."""
        self._client = self._bullet.connect(self._bullet.DIRECT)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._bullet.disconnect(self._client)

    def add(self, mesh: Mesh, colour: tuple[float, ...], *, printed: bool = False) -> None:
        """Add a part, painted or printed."""
        vertices, triangles, uv = mesh
        self._files += 1
        path = self._scratch / f"{self._files}.obj"
        lines = [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in vertices]
        lines += [f"vt {u:.5f} {v:.5f}" for u, v in uv]
        lines += ["f " + " ".join(f"{i + 1}/{i + 1}" for i in t) for t in triangles]
        path.write_text("\n".join(lines) + "\n")
        shape = self._bullet.createVisualShape(
            self._bullet.GEOM_MESH, fileName=str(path), specularColor=[0.3] * 3,
            rgbaColor=[1.0] * 4 if printed else [*colour, 1.0],
        )  # fmt: skip
        part = self._bullet.createMultiBody(baseVisualShapeIndex=shape)
        if printed:
            cv2.imwrite(str(path.with_suffix(".png")), print_(self._rng))
            texture = self._bullet.loadTexture(str(path.with_suffix(".png")))
            self._bullet.changeVisualShape(part, -1, textureUniqueId=texture)
        self._corners.append(vertices)

    def body(self, number: int) -> None:
        """Add one of PyBullet's random bodies."""
        import pybullet_data

        folder = Path(pybullet_data.getDataPath()) / "random_urdfs" / f"{number:03d}"
        part = self._bullet.loadURDF(str(folder / f"{number:03d}.urdf"))
        self._bullet.changeVisualShape(part, -1, rgbaColor=[*paint(self._rng), 1.0])
        rows = (folder / f"{number:03d}.obj").read_text().splitlines()
        points = [[float(v) for v in row.split()[1:4]] for row in rows if row.startswith("v ")]
        self._corners.append(0.015 * np.array(points))

    def view(self) -> NDArray[np.uint8]:
        """The thing from a random side in random light, BGR and transparency."""
        rng, bullet = self._rng, self._bullet
        corners = np.concatenate(self._corners)
        low, high = corners.min(axis=0), corners.max(axis=0)
        centre, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
        field_deg = 25.0
        away = 1.02 * radius / np.sin(np.deg2rad(field_deg / 2))
        eye = centre + away * direction(rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(22, 62)))
        lamp = centre + 5 * radius * direction(rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.4))
        _, _, colours, _, parts = bullet.getCameraImage(
            SIZE_PX, SIZE_PX,
            bullet.computeViewMatrix(eye.tolist(), centre.tolist(), [0, 0, 1]),
            bullet.computeProjectionMatrixFOV(field_deg, 1, 0.2 * away, 3 * away),
            renderer=bullet.ER_TINY_RENDERER, lightDirection=lamp.tolist(), shadow=1,
            lightAmbientCoeff=rng.uniform(0.45, 0.7), lightDiffuseCoeff=rng.uniform(0.3, 0.55),
            lightSpecularCoeff=rng.uniform(0, 0.3),
        )  # fmt: skip
        shape = (SIZE_PX, SIZE_PX)
        picture = np.reshape(colours, (*shape, 4))[..., 2::-1]
        opaque = np.where(np.reshape(parts, shape) >= 0, 255, 0)
        return np.dstack([picture, opaque]).astype(np.uint8)


def direction(azimuth_rad: float, elevation_rad: float) -> Points:
    """A unit vector."""
    flat = np.cos(elevation_rad)
    return np.array([np.cos(azimuth_rad) * flat, np.sin(azimuth_rad) * flat, np.sin(elevation_rad)])


def turned(stage: Stage, rng: np.random.Generator) -> None:
    """A body of revolution, round or squarish, with a handle or a lid."""
    kind, profile = profile_of(rng)
    squash = 1.0 if rng.random() < 0.6 else float(rng.uniform(0.5, 1))
    edge = 2.0 if rng.random() < 0.6 else float(rng.choice([4.0, 8.0, 12.0]))
    colour, top = paint(rng), max(z for _, z in profile)
    stage.add(lathe(profile, squash, edge), colour, printed=rng.random() < 0.5)
    if kind in ("cup", "vessel") and rng.random() < 0.6:
        vertices, triangles, uv = hoop(top * rng.uniform(0.2, 0.35), rng.uniform(0.03, 0.07))
        handle = (np.add(vertices, [0.52, 0, 0.5 * top]), triangles, uv)
        stage.add(handle, colour if rng.random() < 0.7 else paint(rng))
    if kind in ("bottle", "prism", "vessel", "blob") and rng.random() < 0.6:
        r, end = rng.uniform(0.1, 0.35), top + rng.uniform(0.05, 0.35)
        stage.add(lathe([(0, top - 0.01), (r, top - 0.01), (r, end), (0, end)]), paint(rng))


def profile_of(rng: np.random.Generator) -> tuple[str, list[tuple[float, float]]]:
    """A kind of vessel and its outline: radius and height, from the foot up."""
    kind, h = str(rng.choice(["vessel", "cup", "bottle", "blob", "plate", "prism"])), rng.uniform
    bend = np.linspace(0, np.pi / 2, 8)
    if kind == "cup":
        high, foot = h(0.8, 1.6), h(0.6, 1) / 2
        rows = [(0, 0), (foot, 0), (0.5, high), (0.46, high), (foot - 0.05, 0.06), (0, 0.06)]
    elif kind == "bottle":
        high, neck, shoulder = h(1.6, 3), h(0.1, 0.3), h(0.5, 0.75)
        rows = [(0, 0), (0.48, 0), (0.5, 0.03), (0.5, high * shoulder),
                (neck + 0.05, high * (shoulder + 0.15)), (neck, high * (shoulder + 0.18)),
                (neck, high), (0, high)]  # fmt: skip
    elif kind == "plate":
        high = h(0.08, 0.5)
        outer = [(0.3 + 0.2 * np.sin(t), high * (1 - np.cos(t))) for t in bend]
        inner = [(0.26 + 0.2 * np.sin(t), 0.03 + (high - 0.03) * (1 - np.cos(t))) for t in bend]
        rows = [(0, 0), *outer, *inner[::-1], (0, 0.03)]
    elif kind == "prism":
        high = h(0.5, 2.4)
        rows = [(0, 0), (0.5, 0), (0.5, high), (0, high)]
    elif kind == "blob":
        high, wave, start = h(0.35, 1.7), h(2, 9), h(0, 6)
        rows = [
            (max(0, np.sqrt(max(0, 4 * z * (1 - z))) * 0.5 * (1 + 0.3 * np.sin(wave * z + start))),
             z * high)
            for z in np.linspace(0, 1, 16)
        ]  # fmt: skip
    else:
        heights = np.sort(rng.random(int(rng.integers(6, 11)))) * h(0.5, 2.4)
        heights -= heights[0]
        rows = [(0, 0), *((h(0.15, 0.5), z) for z in heights), (0, heights[-1])]
    return kind, [(float(r), float(z)) for r, z in rows]


def stacked(stage: Stage, rng: np.random.Generator) -> None:
    """A few boxes, cylinders and balls, one on, in or beside another."""
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.7:
            solid = lathe([(0, 0), (0.5, 0), (0.5, 1), (0, 1)], 1, float(rng.choice([2.0, 14.0])))
        else:
            steps = np.linspace(0, np.pi, 12)
            solid = lathe([(0.5 * np.sin(t), 0.5 - 0.5 * np.cos(t)) for t in steps])
        yaw = rng.uniform(0, np.pi) if rng.random() < 0.5 else 0.0
        tilt = float(rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)]))
        turn, _ = cv2.Rodrigues(np.array([0, 0, yaw]))
        lean, _ = cv2.Rodrigues(np.array([tilt, 0, 0]))
        vertices, triangles, uv = solid
        placed = vertices * rng.uniform(0.15, 1, 3) @ (turn @ lean).T
        placed = np.add(placed, [*rng.uniform(-0.4, 0.4, 2), rng.uniform(0, 0.8)])
        stage.add((placed, triangles, uv), paint(rng), printed=rng.random() < 0.3)


def lathe(profile: Sequence[tuple[float, float]], squash: float = 1.0, edge: float = 2.0) -> Mesh:
    """An outline turned about z; with a higher ``edge`` its section is a rounded square."""
    rows = np.array(profile)
    angle = np.linspace(0, 2 * np.pi, 41)
    c, s = np.cos(angle), np.sin(angle)
    reach = (np.abs(c) ** edge + np.abs(s) ** edge) ** (-1 / edge)
    x, y = rows[:, :1] * c * reach, rows[:, :1] * s * reach * squash
    along = np.r_[0, np.cumsum(np.linalg.norm(np.diff(rows, axis=0), axis=1))]
    return grid(np.stack([x, y, np.broadcast_to(rows[:, 1:], x.shape)], axis=-1), along / along[-1])


def hoop(radius: float, thickness: float) -> Mesh:
    """A ring that stands upright."""
    t, u = np.meshgrid(np.linspace(0, 2 * np.pi, 25), np.linspace(0, 2 * np.pi, 13), indexing="ij")
    r = radius + thickness * np.cos(u)
    points = np.stack([r * np.cos(t), thickness * np.sin(u), r * np.sin(t)], axis=-1)
    return grid(points, np.linspace(0, 1, 25))


def grid(points: Points, along: Points) -> Mesh:
    """Triangles between the rows of a grid of points (rows, columns, 3)."""
    rows, columns = points.shape[:2]
    u, v = np.broadcast_arrays(np.linspace(0, 1, columns)[None], along[:, None])
    triangles = []
    for i in range(rows - 1):
        for a in range(i * columns, (i + 1) * columns - 1):
            triangles += [(a, a + 1, a + columns + 1), (a, a + columns + 1, a + columns)]
    return points.reshape(-1, 3), triangles, np.stack([u, v], axis=-1).reshape(-1, 2)


def paint(rng: np.random.Generator) -> tuple[float, float, float]:
    """A colour, R G B, 0 to 1."""
    if rng.random() < 0.5:
        r, g, b = PAINTS[rng.integers(len(PAINTS))]
        return r / 255, g / 255, b / 255
    grey = rng.random() < 0.2
    saturation = rng.uniform(0, 0.12) if grey else rng.uniform(0.35, 1)
    return colorsys.hsv_to_rgb(rng.random(), saturation, rng.uniform(0.1 if grey else 0.3, 1))


def print_(rng: np.random.Generator) -> NDArray[np.uint8]:
    """What is printed on a thing: bands, stripes, a label, spots, a marbling."""
    n = 256
    one, two, three = (np.array(paint(rng))[::-1] * 255 for _ in range(3))
    v, u = np.mgrid[:n, :n] / n
    kinds: list[Callable[[], NDArray[np.bool_]]] = [
        lambda: np.zeros((n, n), bool),
        lambda: np.floor(v * rng.integers(2, 9)) % 2 == 0,
        lambda: np.floor(u * 2 * rng.integers(2, 9)) % 2 == 0,
        lambda: (v > 0.3) & (v < rng.uniform(0.45, 0.8)),
        lambda: cv2.GaussianBlur(rng.normal(0, 1, (n, n)), (0, 0), rng.uniform(3, 20)) > 0,
    ]
    kind = int(rng.integers(len(kinds)))
    picture = np.where(kinds[kind]()[..., None], two, one).astype(np.uint8)
    if kind == 3:
        font = cv2.FONT_HERSHEY_SIMPLEX
        for x in range(4, n, 64):
            word = "".join(rng.choice(list("ABCDEFKLMNOPRST"), 4))
            cv2.putText(picture, word, (x, n // 2), font, 0.8, three.tolist(), 3)
    if kind == 0:
        for _ in range(int(rng.integers(10, 60))):
            centre, radius = rng.integers(0, n, 2).tolist(), int(rng.integers(4, 20))
            cv2.circle(picture, centre, radius, (two if rng.random() < 0.6 else three).tolist(), -1)
    return picture


def write_emoji(assets: Path, out: Path) -> int:
    """Copy the emoji that show things, cut out; returns how many."""
    count = 0
    for path in emoji_files(assets):
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if picture is None or picture.shape[2] != 4:
            continue
        x, y, w, h = cv2.boundingRect((picture[..., 3] > 127).astype(np.uint8))
        folder = out / f"emoji_{path.stem}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / "0.png"), picture[y : y + h, x : x + w])
        count += 1
    return count


def emoji_files(assets: Path) -> Iterator[Path]:
    """Those of one character in the ranges of things."""
    for path in sorted(assets.glob("*.webp")):
        code = path.stem.removesuffix("-fe0f")
        if "-" not in code and any(low <= int(code, 16) <= high for low, high in EMOJI):
            yield path


if __name__ == "__main__":
    sys.exit(main())
