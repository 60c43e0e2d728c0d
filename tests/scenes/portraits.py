"""Pictures of people who point, with the truth, to measure pointing rays on.

Two sets: ``hands`` (a hand with its forearm, seen from many sides) and ``people`` (a head, and a
hand held so that the eye looks over the fingertip at a target 1 to 2.5 m away). Bones, postures,
skin, light, wall and distance are drawn at random. What the ``report`` split draws from, the
``dev`` split leaves out: sectors of view, bands of distance, light's directions and strengths, skin
tones and people. Whatever is chosen by looking at pictures is chosen on ``dev``.

Needs chromium and node, ``npm ci`` in this folder, and for people the wheel that head.py names.

Example:
    python -m tests.scenes.portraits --set people --split dev --count 100 --out /tmp/portraits
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.progress import track

from .chance import Chance
from .geometry import CAMERA, Array, Camera, apply, pose, rotation, unit
from .head import Head, Person, build
from .skeleton import FINGERS, POINT, Hand, Posture, Shape
from .stage import Picture, RenderError, draw_jobs

SENSOR_NOISE = (0.8, 3.0)
EXPOSURE = (0.14, 0.24)
"""What the camera's automatic exposure brings the picture's mean to, linear light 0..1, and how far
it can go."""
MAX_GAIN = 6.0
DISTANCE_M = (0.4, 1.5)
_MARGIN_PX = 6.0
_FINGER_RAD = np.deg2rad([30.0, 130.0])
"""Angle between the finger and the direction to the camera: a finger that points into the camera,
or away from it behind the hand, shows nobody where it points."""
_ROLL_RAD = np.deg2rad(45.0)
_MODEL_SCALE = 1.044
"""Size of the rendered hand (19.0 cm) in units of ``hand_scale``."""
_REACH_M, _TARGET_M = (0.45, 0.75), (1.0, 2.5)
_AIM_RAD = np.deg2rad(6.0)
"""Spread of the finger about the line of sight, per axis."""
_LEVEL = Camera(position_base_m=(0.0, 0.0, 1.1), look_at_base_m=(1.0, 0.0, 1.1))
"""The camera that sees people: level, as high as their hands. The hands are seen by ``CAMERA``."""
_SHOULDER_M = np.array([-0.17, -0.27, -0.05])
"""From between the eyes to the right shoulder, in the head frame."""
_TONES = {
    "dev": ("#8d5a3b", "#e0ac8b", "#c68863", "#f1c9b1", "#5c3a26"),
    "report": ("#a5694a", "#d8a184", "#3f2618", "#ecbfa0", "#75472d"),
}
_MACROS = [
    f"{race}-{sex}-{age}"
    for race in ("african", "asian", "caucasian")
    for sex in ("female", "male")
    for age in ("young", "old")
]
_N_PEOPLE = 8


@dataclass(frozen=True)
class Portrait:
    """One picture: what page/portraits.js draws, and the truth (base frame, metres)."""

    camera: Camera
    frame: dict[str, Any]
    landmarks: Array
    ray: Array
    eye: Array | None
    hand_scale: float
    eye_distance_m: float | None
    mirrored: bool
    noise: float
    exposure: float


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.portraits",
        description="Render people who point: pictures, golden.json and camera.json.",
        epilog="example: python -m tests.scenes.portraits --set hands --split dev --out /tmp/dev",
    )
    parser.add_argument("--set", choices=("hands", "people"), required=True, dest="kind")
    parser.add_argument("--split", choices=("dev", "report"), required=True)
    parser.add_argument("--count", type=int, default=200, help="how many pictures (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (default 1)")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    args = parser.parse_args(argv)
    try:
        render(args.kind, args.split, args.count, args.seed, args.out)
    except (RenderError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def render(kind: str, split: str, count: int, seed: int, out: Path) -> None:
    """Write the pictures and their truth.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
        FileNotFoundError: npm ci was not run, or the heads' wheel is missing.
    """
    chance, hand = Chance(split, seed), Hand.load()
    heads: list[Head] = []
    if kind == "people":
        heads = [build(person(chance)) for _ in range(_N_PEOPLE)]
    portraits = [_until(lambda: portrait(hand, heads, chance)) for _ in range(count)]
    camera = portraits[0].camera.to_json()
    stage = {
        "camera": {k: camera[k] for k in ("width", "height", "K", "T_base_cam")},
        "heads": [head.to_json() for head in heads],
        "seed": seed,
    }
    drawn = draw_jobs("portraits.html", [{"stage": stage, "frames": [p.frame for p in portraits]}])
    out.mkdir(parents=True, exist_ok=True)
    (out / "camera.json").write_text(json.dumps(camera, indent=1) + "\n")
    entries = []
    for number, (one, picture) in enumerate(zip(portraits, track(drawn, kind, count), strict=True)):
        name = f"{number:04d}.jpg"
        noisy = exposed(picture, one.exposure) + one.noise * chance.rng.standard_normal(
            picture.shape
        )
        pixels = np.clip(np.round(noisy), 0, 255).astype(np.uint8)
        if one.mirrored:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        cv2.imwrite(str(out / name), pixels, [cv2.IMWRITE_JPEG_QUALITY, 92])
        entries.append(entry(name, one))
    rows = ",\n".join(json.dumps(e, separators=(",", ":")) for e in entries)
    (out / "golden.json").write_text(f"[\n{rows}\n]\n")


def exposed(picture: Picture, mean: float) -> Array:
    """A picture as bright as a camera makes it: mean in linear light, 0..1."""
    light = (picture / 255.0) ** 2.2
    gain = min(mean / max(float(light.mean()), 1e-6), MAX_GAIN)
    return np.asarray(255 * np.minimum(gain * light, 1.0) ** (1 / 2.2))


def entry(name: str, one: Portrait) -> dict[str, Any]:
    """What ``deixis bench hands`` reads of a picture, and the eye and the finger besides."""
    # The cameras look along the base's x-z plane, so a mirrored picture mirrors y.
    flip = np.array([1.0, -1.0 if one.mirrored else 1.0, 1.0])
    points = one.landmarks * flip
    return {
        "image": name,
        "camera": "camera.json",
        "hands": [np.round(one.camera.project(points), 2).tolist()],
        "rays": [np.round(one.ray * flip, 5).tolist()],
        "gesture": "point",
        "landmarks_base_m": np.round(points, 5).tolist(),
        "eye_base_m": None if one.eye is None else np.round(one.eye * flip, 5).tolist(),
        "hand_scale": round(one.hand_scale, 4),
        "eye_distance_m": one.eye_distance_m,
        "handedness": "left" if one.mirrored else "right",
    }


def person(chance: Chance) -> Person:
    """Somebody."""
    names = {chance.one(_MACROS): chance.between(0.3, 1.0) for _ in range(2)}
    tone = chance.one(_TONES[chance.split]).lstrip("#")
    # CSS colours are sRGB, those of a mesh's corners are linear.
    skin = [(int(tone[i : i + 2], 16) / 255) ** 2.2 for i in (0, 2, 4)]
    r, g, b = skin
    return Person(
        mix=names,
        size=chance.between(0.94, 1.06),
        skin=(r, g, b),
        lips=(0.85 * r, 0.5 * g, 0.6 * b),
        iris=tuple(chance.rng.uniform(0.02, 0.12, 3)),
        hair=tuple(chance.between(0.01, 0.25) * np.array([1.0, 0.7, 0.5])),
        shirt=tuple(chance.rng.uniform(0.01, 0.5, 3)),
    )


def portrait(hand: Hand, heads: Sequence[Head], chance: Chance) -> Portrait | None:
    """A random portrait; None if this one cannot be: out of the picture, or hidden."""
    shape, posture = somebodys_hand(chance), pointing(chance)
    local = hand.bones(posture, shape)
    points = hand.landmarks(local)
    index = int(chance.rng.integers(len(heads))) if heads else None
    placed = (_lone_hand if index is None else _hand_before_eye)(points, chance)
    if placed is None:
        return None
    to_cam, eye_cam, ray_cam = placed
    landmarks_cam = apply(to_cam, points)
    if not _seen(landmarks_cam, eye_cam):
        return None
    camera = CAMERA if eye_cam is None else _LEVEL
    turn, shift = camera.T_base_cam[:3, :3], camera.T_base_cam[:3, 3]
    wrist_cam = (to_cam @ local)[hand.names.index("wrist")]
    azimuth, height = chance.banded(-np.pi, np.pi), chance.between(0.1, 0.9)
    level = np.sqrt(1 - height**2)
    frame = {
        "bones": np.round(camera.T_base_cam @ to_cam @ local, 7).reshape(-1, 16).tolist(),
        "arm": np.round(camera.T_base_cam @ wrist_cam, 7).ravel().tolist(),
        "tone": chance.one(_TONES[chance.split]),
        "sleeve": chance.colour(),
        "wall": chance.colour(),
        "head": None,
        "sun": {
            "from": [level * np.cos(azimuth), level * np.sin(azimuth), height],
            "colour": f"rgb(255,{int(chance.between(215, 255))},{int(chance.between(180, 255))})",
            "intensity": chance.banded(0.5, 3.5),
        },
        "sky": chance.banded(0.8, 2.4),
        "clutter": [_box(camera, chance) for _ in range(int(chance.rng.integers(0, 6)))],
    }
    if eye_cam is not None:
        looking = _facing(eye_cam, ray_cam, chance)
        if looking is None:
            return None
        head = camera.T_base_cam @ pose(looking, eye_cam)
        frame["head"] = {"index": index, "pose": np.round(head, 7).ravel().tolist()}
        shoulder_cam = eye_cam + looking @ _SHOULDER_M
        if _hides(wrist_cam[:3, 3], shoulder_cam, eye_cam):
            return None
        arm = camera.T_base_cam @ _arm(wrist_cam, shoulder_cam)
        frame["arm"] = np.round(arm, 7).ravel().tolist()
    return Portrait(
        camera,
        frame,
        landmarks_cam @ turn.T + shift,
        turn @ ray_cam,
        None if eye_cam is None else turn @ eye_cam + shift,
        hand_scale=_MODEL_SCALE * _palm_m(points) / _palm_m(hand.landmarks(hand.rest)),
        eye_distance_m=None if index is None else heads[index].eye_distance_m,
        mirrored=bool(chance.rng.integers(2)),
        noise=chance.between(*SENSOR_NOISE),
        exposure=chance.between(*EXPOSURE),
    )


def _palm_m(points: Array) -> float:
    """Length of the palm, of which hands differ as of the whole."""
    return float(np.linalg.norm(points[9] - points[0]))


def somebodys_hand(chance: Chance) -> Shape:
    """A hand with bones of its own: the spreads are about those of adults."""
    normal = chance.rng.standard_normal
    common = 1 + 0.03 * normal()
    return Shape(
        size=1 + 0.06 * normal(),
        along=1 + 0.02 * normal(),
        across=1 + 0.05 * normal(),
        thick=1 + 0.07 * normal(),
        fingers={f: common * (1 + 0.03 * normal()) for f in FINGERS},
    )


def pointing(chance: Chance) -> Posture:
    """A pointing hand, each joint bent a little differently."""

    def bent(finger: str) -> tuple[float, float, float, float]:
        spread_deg = np.array([5, 5, 5, 5] if finger == "index-finger" else [8, 8, 8, 5])
        first, second, third, spread = POINT[finger] + spread_deg * chance.rng.standard_normal(4)
        return float(first), float(second), float(third), float(spread)

    return {finger: bent(finger) for finger in FINGERS}


Placed = tuple[Array, Array | None, Array]
"""Pose of the hand frame, eye, and pointing direction; all in the camera frame."""


def _lone_hand(points: Array, chance: Chance) -> Placed | None:
    """A hand anywhere in view that points anywhere it can be seen to; the ray is the finger's."""
    z = chance.banded(*DISTANCE_M)
    half = np.array([CAMERA.width, CAMERA.height]) / 2 / CAMERA.focal_px
    sight = np.append(chance.rng.uniform(-0.8, 0.8, 2) * half, 1.0)
    middle = z * unit(sight)
    back = -unit(sight)
    # The finger's angle to the direction to the camera, evenly over the sphere, and its azimuth.
    cosine = chance.banded(*np.cos(_FINGER_RAD[::-1]))
    azimuth = chance.banded(-np.pi, np.pi)
    right = unit(np.cross([0.0, 1.0, 0.0], back))
    across = np.cos(azimuth) * right + np.sin(azimuth) * np.cross(back, right)
    ray = cosine * back + np.sqrt(1 - cosine**2) * across
    rot = _aim(points, ray, _up(CAMERA), chance)
    return pose(rot, middle - rot @ points.mean(axis=0)), None, ray


def _hand_before_eye(points: Array, chance: Chance) -> Placed | None:
    """An eye anywhere in view, and a hand whose fingertip is on its line to a target."""
    half = np.array([CAMERA.width, CAMERA.height]) / 2 / CAMERA.focal_px
    z = chance.banded(0.8, 2.0)
    eye = z * np.append(chance.rng.uniform(-0.85, 0.85, 2) * half, 1.0)
    ray = unit(chance.rng.standard_normal(3))
    tip = eye + chance.between(*_REACH_M) * ray
    target = eye + chance.between(*_TARGET_M) * ray
    distance = float(np.linalg.norm(tip))
    # Nobody points at the ceiling or through themselves, nor holds the hand beside the camera.
    if abs(ray[1]) > 0.75 or target[2] < 0.1 or not DISTANCE_M[0] < distance < DISTANCE_M[1]:
        return None
    finger = unit(ray + np.tan(_AIM_RAD) * chance.rng.standard_normal(3))
    angle = np.arccos(np.clip(finger @ -unit(tip), -1, 1))
    if not _FINGER_RAD[0] < angle < _FINGER_RAD[1]:
        return None
    rot = _aim(points, finger, _up(_LEVEL), chance)
    return pose(rot, tip - rot @ points[8]), eye, ray


def _aim(points: Array, ray: Array, up: Array, chance: Chance) -> Array:
    """Rotation of a hand (landmarks in its own frame) whose finger runs along a ray.

    The back of the hand is up, give or take.
    """
    along = unit(points[8] - points[5])
    back = np.array([1.0, 0, 0])
    back = unit(back - back.dot(along) * along)
    local = np.stack([along, back, np.cross(along, back)], axis=1)
    up = unit(up - up.dot(ray) * ray)
    up = rotation(ray, chance.between(-1, 1) * _ROLL_RAD) @ up
    return np.asarray(np.stack([ray, up, np.cross(ray, up)], axis=1) @ local.T)


def _up(camera: Camera) -> Array:
    """Upwards, in the camera frame."""
    return np.asarray(camera.T_base_cam[2, :3])


def _arm(wrist: Array, shoulder: Array) -> Array:
    """Pose of a forearm that comes from about the shoulder."""
    along = unit(shoulder - wrist[:3, 3])
    up = unit(wrist[:3, 1] - wrist[:3, 1].dot(along) * along)
    return pose(np.stack([np.cross(up, along), up, along], axis=1), wrist[:3, 3])


def _facing(eye: Array, ray: Array, chance: Chance) -> Array | None:
    """Rotation of a head that looks about where it points; None if its face is not seen."""
    wander = np.tan(np.deg2rad(10)) * chance.rng.standard_normal(3)
    # The eyes do a part of the turn.
    ahead = unit(0.7 * ray + 0.3 * -unit(eye) + wander)
    if ahead @ -unit(eye) < np.cos(np.deg2rad(50)):
        return None
    left = unit(np.cross(_up(_LEVEL), ahead))
    return np.stack([left, np.cross(ahead, left), ahead], axis=1)


def _seen(landmarks_cam: Array, eye_cam: Array | None) -> bool:
    """Whether the hand is in the picture and not before the face."""
    if landmarks_cam[:, 2].min() < 0.2:
        return False
    px = landmarks_cam[:, :2] / landmarks_cam[:, 2:] * CAMERA.focal_px + CAMERA.K[:2, 2]
    if not CAMERA.in_view(px, _MARGIN_PX).all():
        return False
    if eye_cam is None:
        return True
    face = eye_cam[:2] / eye_cam[2] * CAMERA.focal_px + CAMERA.K[:2, 2]
    face_px = 0.13 * CAMERA.focal_px / eye_cam[2]
    inside = CAMERA.in_view(face[None], face_px)[0]
    return bool(inside and np.linalg.norm(px - face, axis=1).min() > face_px)


def _hides(wrist: Array, shoulder: Array, eye: Array) -> bool:
    """Whether the forearm is before the eyes."""
    along = np.linspace(0, 1, 20)[:, None]
    points = wrist + along * (shoulder - wrist)
    away = points[:, :2] / points[:, 2:] - eye[:2] / eye[2]
    return bool(np.linalg.norm(away, axis=1).min() < 0.12 / eye[2])


def _box(camera: Camera, chance: Chance) -> dict[str, Any]:
    """Something in the background, 2 to 3 m away."""
    cam = np.append(chance.rng.uniform(-0.8, 0.8, 2), 1.0) * chance.between(2.0, 3.0)
    place = apply(camera.T_base_cam, cam)
    return {
        "place": place.tolist(), "size": chance.rng.uniform(0.1, 0.6, 3).tolist(),
        "paint": chance.colour(),
    }  # fmt: skip


def _until(attempt: Callable[[], Portrait | None]) -> Portrait:
    """The first attempt that succeeds."""
    for _ in range(100_000):
        one = attempt()
        if one is not None:
            return one
    raise RuntimeError("no portrait that can be seen was found")


if __name__ == "__main__":
    sys.exit(main())
