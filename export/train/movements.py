"""Simulated people in front of simulated cameras: palms raised to stop, hands that reach for a cup.

Both go through the robot's own code, frame by frame at 30 a second, with the errors of the landmark
network. They are simulations, and figures on them say so.

    moves = raise_palms(np.random.default_rng(0), 100)
    frames = first_raised(moves, engine)   # beside moves.shown_frame
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.export.train.hand import people
from deixis.export.train.postures import NAMES, draw
from deixis.export.train.sequences import Seen, blended, minimum_jerk, seen
from deixis.nodes.hands.hand_model import rotations
from deixis.nodes.hands.signs import SignReader
from deixis.nodes.hands.tracker import TrackedHand
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.engines import Engine

Array = NDArray[np.float64]

RATE_HZ = 30
FRAMES = 66
_FACES = np.cos(np.deg2rad(45))
"""A palm that faces the camera better than this must be seen as one."""
_UPRIGHT = np.cos(np.deg2rad(35))
_OPENED = 0.9
_FOCAL, _WIDTH, _HEIGHT = 500.0, 640, 480

_CAMERAS = (
    # Height over the table and downward tilt: on a table's edge, on a robot's head, at eye height.
    (0.65, 45.0),
    (0.55, 25.0),
    (0.45, 8.0),
)


@dataclass(frozen=True)
class Moves:
    """n hands in ``FRAMES`` frames each.

    Attributes:
        view: What the network makes of them.
        cameras: The camera of each.
        in_view: Whether the whole hand is in the picture, ``(n, FRAMES)``.
        shown_frame: First frame in which a palm is raised beyond doubt, -1 for none.
    """

    view: Seen
    cameras: tuple[CameraCalibration, ...]
    in_view: NDArray[np.bool_]
    shown_frame: NDArray[np.int64]


_PALMS = ("palm", "palm_closed")
_OTHERS = ("relaxed", "holding", "pinch", "ok", "two", "three", "fist", "point")


def raise_palms(rng: np.random.Generator, n: int, others: bool = False) -> Moves:
    """A hand comes up from the table, opens and shows its palm to the robot.

    Args:
        rng: Source of chance.
        n: How many.
        others: Raise hands that are no open palms, turned in the same way.
    """
    starts = draw(rng, _kinds(rng, n, ("relaxed", "holding", "point_loosely", "reaching")))
    ends = draw(rng, _kinds(rng, n, _OTHERS if others else _PALMS))
    take_s, opens_s = rng.uniform(0.25, 0.7, n), rng.uniform(0.15, 0.45, n)
    begin_s = rng.uniform(0.2, 0.6, n)
    move = _progress(begin_s, take_s)
    opened = _progress(begin_s + rng.uniform(0, 0.5, n) * take_s, opens_s)
    chosen = _choose_cameras(rng, n)
    x = rng.uniform(0.5, 1.0, n)
    height_m, down = np.array(_CAMERAS)[chosen].T
    # Somewhere near the middle of the picture, above the table.
    z = height_m - x * np.tan(np.deg2rad(down + rng.uniform(-6, 6, n)))
    high = np.stack([x, rng.uniform(-0.25, 0.25, n) * x, np.maximum(z, 0.05)], axis=1)
    low = high - np.stack(
        [rng.uniform(-0.05, 0.15, n), rng.uniform(-0.1, 0.1, n), rng.uniform(0.1, 0.3, n)], 1
    )
    # Palm to the robot, fingers up, both as exactly as people do.
    shown = _jittered(rng, _oriented([0, 0, 1.0], [1.0, 0, 0], n), 14)
    turns = _between([_reaching_turns(rng, n), shown], move)
    angles = _between_angles([starts[0][:, 0], ends[0][:, 0]], opened)
    places = low[:, None] + move[..., None] * (high - low)[:, None]
    return _filmed(rng, chosen, angles, turns, places, opened)


def reach_for_cups(rng: np.random.Generator, n: int) -> Moves:
    """A hand reaches for a cup on the table, preshaped or wide open, takes and lifts it."""
    starts = draw(rng, _kinds(rng, n, ("relaxed", "reaching", "point_loosely")))
    shapes = draw(rng, _kinds(rng, n, ("reaching", "reaching", "palm", "palm_closed")))
    holds = draw(rng, _kinds(rng, n, ("holding",)))
    begin_s, take_s = rng.uniform(0.0, 0.4, n), rng.uniform(0.5, 1.0, n)
    move, shaped = _progress(begin_s, take_s), _progress(begin_s, 0.5 * take_s)
    closed = _progress(begin_s + 0.85 * take_s, np.full(n, 0.3))
    lift = _progress(begin_s + 1.1 * take_s, rng.uniform(0.4, 0.7, n))
    cup = np.stack([rng.uniform(0.4, 0.7, n), rng.uniform(-0.25, 0.25, n), np.full(n, 0.05)], 1)
    opposite = rng.uniform(size=n) < 0.7
    # From the other side of the table, or beside the robot, from where it looks.
    body = np.where(opposite, 1.0, 0.15)[:, None] * [1.0, 0, 0]
    body = body + np.stack(
        [rng.uniform(-0.1, 0.1, n), rng.uniform(-0.35, 0.35, n), rng.uniform(0.05, 0.3, n)], 1
    )
    turns = _reaching_turns(rng, n)
    about = rotations(np.where(opposite, 0.0, np.pi)[:, None] * np.array([0, 0, 1.0]))
    turns = _between([_jittered(rng, about @ turns, 8), about @ turns], move)
    angles = _between_angles([starts[0][:, 0], shapes[0][:, 0]], shaped)
    angles = angles + closed[..., None, None] * (holds[0][:, :1] - angles)
    places = body[:, None] + move[..., None] * (cup - body)[:, None]
    places[..., 2] += 0.06 * np.sin(np.pi * move) + rng.uniform(0.1, 0.25, (n, 1)) * lift
    return _filmed(rng, _choose_cameras(rng, n), angles, turns, places, np.zeros((n, FRAMES)))


def first_raised(moves: Moves, engine: Engine) -> NDArray[np.int64]:
    """The frame in which the robot knows of a raised palm, -1 for none, ``(n,)``."""
    out = np.full(len(moves.cameras), -1)
    for k, camera in enumerate(moves.cameras):
        signs = SignReader(engine)
        for frame in range(FRAMES):
            hands = [_tracked(moves.view, k, frame)] if moves.in_view[k, frame] else []
            found = signs.update(hands, camera, (frame + 1) * NS_PER_S // RATE_HZ)
            if any(sign.palm_raised_ns is not None for sign in found.values()):
                out[k] = frame
                break
    return out


def _tracked(view: Seen, k: int, frame: int) -> TrackedHand:
    px = _pixels(view.image[k, frame])
    side_px = 1.3 * float(np.ptp(px, axis=0).max())
    metric_m = view.metric_m[k, frame]
    return TrackedHand(0, "right" if view.right[k] else "left", 0.99, px, metric_m, side_px)


def _pixels(image: Array) -> Array:
    px: Array = _FOCAL * image + [(_WIDTH - 1) / 2, (_HEIGHT - 1) / 2]
    return px


def _choose_cameras(rng: np.random.Generator, n: int) -> NDArray[np.intp]:
    return rng.integers(0, len(_CAMERAS), n)


def _filmed(
    rng: np.random.Generator,
    chosen: NDArray[np.intp],
    angles: Array,
    turns: Array,
    places: Array,
    opened: Array,
) -> Moves:
    """Look at movements in the base frame with one of the cameras each."""
    cameras = [_camera(*_CAMERAS[k]) for k in range(len(_CAMERAS))]
    poses = np.stack([cameras[k].T_base_cam for k in chosen])
    to_cam = poses[:, :3, :3].transpose(0, 2, 1)
    tremor = 0.002 * np.cumsum(rng.normal(size=places.shape), axis=1) / np.sqrt(FRAMES)
    in_cam = np.einsum("nij,ntj->nti", to_cam, places + tremor - poses[:, None, :3, 3])
    view = seen(rng, people(rng, len(chosen)), angles, to_cam[:, None] @ turns, in_cam)
    line = -in_cam / np.linalg.norm(in_cam, axis=-1, keepdims=True)
    facing = np.einsum("nti,nti->nt", -(to_cam[:, None] @ turns)[..., 2], line)
    px = _pixels(view.image)
    inside = (px >= 0) & (px <= [_WIDTH - 1, _HEIGHT - 1])
    in_view = np.asarray(inside.all(axis=(2, 3)))
    shown = in_view & (opened >= _OPENED) & (facing >= _FACES) & (turns[..., 2, 0] >= _UPRIGHT)
    first = np.where(shown.any(axis=1), shown.argmax(axis=1), -1)
    return Moves(view, tuple(cameras[k] for k in chosen), in_view, first)


def _camera(height_m: float, down_deg: float) -> CameraCalibration:
    sin, cos = np.sin(np.deg2rad(down_deg)), np.cos(np.deg2rad(down_deg))
    pose = np.eye(4)
    # Columns: the camera's right, down and forward in the base frame.
    pose[:3, :3] = np.array([[0, -1.0, 0], [-sin, 0, -cos], [cos, 0, -sin]]).T
    pose[2, 3] = height_m
    matrix = [[_FOCAL, 0, (_WIDTH - 1) / 2], [0, _FOCAL, (_HEIGHT - 1) / 2], [0, 0, 1.0]]
    return CameraCalibration(
        device_id="simulated", width=_WIDTH, height=_HEIGHT, K=np.array(matrix),
        distortion=np.zeros(5), T_base_cam=pose, calibrated_at="", reprojection_error_px=0.0,
    )  # fmt: skip


def _kinds(rng: np.random.Generator, n: int, names: tuple[str, ...]) -> NDArray[np.intp]:
    return rng.choice([NAMES.index(name) for name in names], n)


def _progress(begin_s: Array, take_s: Array) -> Array:
    """Progress ``(n, FRAMES)`` of movements."""
    time = np.arange(FRAMES) / RATE_HZ
    return minimum_jerk((time - begin_s[:, None]) / take_s[:, None])


def _between(turns: list[Array], progress: Array) -> Array:
    return blended(np.stack(turns, axis=1), np.stack([1 - progress, progress], axis=2))


def _between_angles(angles: list[Array], progress: Array) -> Array:
    share = progress[..., None, None]
    between: Array = (1 - share) * angles[0][:, None] + share * angles[1][:, None]
    return between


def _oriented(fingers: list[float], back: list[float], n: int) -> Array:
    """Hands in the base frame by where their fingers and their backs point."""
    x, z = np.array(fingers), np.array(back)
    return np.repeat(np.stack([x, np.cross(z, x), z], axis=1)[None], n, axis=0)


def _jittered(rng: np.random.Generator, turns: Array, sigma_deg: float) -> Array:
    jittered: Array = rotations(np.deg2rad(rng.normal(0, sigma_deg, (len(turns), 3)))) @ turns
    return jittered


def _reaching_turns(rng: np.random.Generator, n: int) -> Array:
    """Hands that reach across the table, thumb up or palm down and anything between."""
    thumb_up = _oriented([-1.0, 0, 0], [0, 1.0, 0], n)
    roll = rotations(np.deg2rad(rng.uniform(-10, 100, n))[:, None] * np.array([1.0, 0, 0]))
    return _jittered(rng, roll @ thumb_up, 14)
