"""Draws simple pictures of a table with known objects, for tests that need no rendered episode."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.messages import Frame, Hand, Header

WIDTH, HEIGHT = 640, 480
WORKSPACE = {"x_min_m": 0.2, "x_max_m": 0.82, "y_min_m": -0.43, "y_max_m": 0.43}


def camera(distortion: tuple[float, ...] = (0, 0, 0, 0, 0)) -> CameraCalibration:
    """A camera 0.65 m above the robot, looking at the table."""
    position, target = np.array([0, 0, 0.65]), np.array([0.58, 0, 0.06])
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.array([0.0, -1.0, 0.0])
    pose = np.eye(4)
    pose[:3, :3] = np.stack([right, np.cross(forward, right), forward], axis=1)
    pose[:3, 3] = position
    return CameraCalibration(
        device_id="drawn", width=WIDTH, height=HEIGHT,
        K=np.array([[490.0, 0, 319.5], [0, 490.0, 239.5], [0, 0, 1]]),
        distortion=np.array(distortion, np.float64), T_base_cam=pose,
        calibrated_at="2026-01-01T00:00:00Z", reprojection_error_px=0.0,
    )  # fmt: skip


@dataclass(frozen=True)
class Drum:
    """An upright cylinder."""

    x_m: float
    y_m: float
    radius_m: float = 0.04
    height_m: float = 0.09
    bgr: tuple[int, int, int] = (30, 30, 190)

    @property
    def centre(self) -> NDArray[np.float64]:
        return np.array([self.x_m, self.y_m, self.height_m / 2])

    def ring(self, z_m: float, scale: float = 1.0) -> NDArray[np.float64]:
        t = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        r = self.radius_m * scale
        return np.stack(
            [self.x_m + r * np.cos(t), self.y_m + r * np.sin(t), np.full(60, z_m)], axis=1
        )


def fill(picture: NDArray[np.uint8], points_px: NDArray[np.float64], bgr: tuple[int, ...]) -> None:
    hull = cv2.convexHull(np.round(points_px * 8).astype(np.int32))
    cv2.fillConvexPoly(picture, hull, bgr, lineType=cv2.LINE_AA, shift=3)


def silhouette(points_px: NDArray[np.float64]) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull(np.round(points_px * 8).astype(np.int32)), 1, shift=3)
    return mask.astype(bool)


def table(
    things: tuple[Drum, ...] = (),
    *,
    seed: int = 0,
    shadows: bool = True,
    paint: tuple[int, int, int] = (150, 158, 164),
    grain: float = 0.0,
    cam: CameraCalibration | None = None,
) -> NDArray[np.uint8]:
    """A grey table under uneven light on a dark floor, with shadowed drums."""
    cam = cam or camera()
    rng = np.random.default_rng(seed)
    picture = np.full((HEIGHT, WIDTH, 3), (48, 46, 52), np.uint8)
    corners = np.array([[0.1, -0.48, 0], [0.1, 0.48, 0], [0.85, 0.48, 0], [0.85, -0.48, 0.0]])
    fill(picture, cam.project(corners), paint)
    for thing in things:
        if shadows:
            moved = thing.ring(0.0) + np.array([0.25, -0.45, 0]) * thing.height_m
            outline = np.concatenate([thing.ring(0.0), moved])
            shade = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            fill(shade, cam.project(outline), (1, 1, 1))
            soft = cv2.GaussianBlur(shade.astype(np.float32), (0, 0), 2)
            picture = (picture * (1 - 0.42 * soft)).astype(np.uint8)
    for thing in sorted(things, key=lambda t: -t.x_m):
        body = np.concatenate([thing.ring(0.0), thing.ring(thing.height_m)])
        fill(picture, cam.project(body), thing.bgr)
        lid = tuple(int(min(255, c * 1.25)) for c in thing.bgr)
        fill(picture, cam.project(thing.ring(thing.height_m, 0.9)), lid)
    light = np.outer(np.linspace(0.9, 1.05, HEIGHT), np.linspace(0.85, 1.1, WIDTH))[..., None]
    streaks = rng.normal(0, 1, (HEIGHT, WIDTH))
    noisy = picture * light + rng.normal(0, 2.0, picture.shape)
    if grain:
        streaks = cv2.GaussianBlur(streaks, (0, 0), sigmaX=25, sigmaY=1.2)
        noisy += (grain * streaks / streaks.std())[..., None]
    return np.clip(noisy, 0, 255).astype(np.uint8)


def add_arm(
    picture: NDArray[np.uint8], tip_px: tuple[float, float], *, sleeve: bool = True
) -> tuple[NDArray[np.uint8], Hand]:
    """An arm that comes in from the top of the picture, and its hand's landmarks."""
    out = picture.copy()
    tip = np.array(tip_px)
    wrist = tip + np.array([40, -110])
    if sleeve:
        cv2.line(out, wrist.astype(int).tolist(), [int(wrist[0]) + 60, -60], (85, 58, 44), 60)
    cv2.line(out, tip.astype(int).tolist(), wrist.astype(int).tolist(), (132, 161, 216), 26)
    cv2.circle(out, (wrist * 0.6 + tip * 0.4).astype(int).tolist(), 34, (132, 161, 216), -1)
    along = np.linspace(0, 1, 21)[:, None]
    spread = np.stack([18 * np.sin(np.arange(21)), np.zeros(21)], axis=1)
    landmarks = wrist * (1 - along) + tip * along + spread * along * (1 - along) * 4
    hand = Hand(
        track_id=1, handedness="right", confidence=0.99,
        landmarks_px=tuple((float(x), float(y)) for x, y in landmarks),
        landmarks_world_m=((0.0, 0.0, 0.0),) * 21,
    )  # fmt: skip
    return out, hand


def frame(picture: NDArray[np.uint8], at_s: float, stream: str = "drawn") -> Frame:
    return Frame(Header(stamp_ns=int(at_s * NS_PER_S)), picture, stream)
