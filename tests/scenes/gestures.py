"""Pictures of the rigged hand in gestures: a palm raised to stop, and what must not pass for one.

They are written as ``NAME.jpg`` with ``gestures.json``, which says what each shows. Every seed
gives other views: those of seeds 0, 2 and 3 were looked at during development, the pictures in
``gestures/``, of seed 1, were not.

``python -m tests.scenes.gestures tests/scenes/gestures --seed 1``
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from .geometry import Array, pose, rotation
from .hand import minimum_jerk
from .skeleton import POINT, RELAX, Hand, Posture, blend
from .stage import Scene, draw

SENSOR_NOISE = 2.0
TURN_DEG, SHIFT_M, BEND_DEG = 9.0, 0.05, 5.0
"""How far the views of other seeds are from those of seed 0, standard deviations."""
UP, AWAY, TOWARDS, LEFT, RIGHT = np.array(
    [[0.0, 0, 1], [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0]]
)
"""Directions in the base frame; the camera looks along x, *left* is left in its picture."""

OPEN: Posture = {
    "thumb": (0, 0, 0, 0),
    "index-finger": (0, 4, 2, 5),
    "middle-finger": (0, 4, 2, 0),
    "ring-finger": (0, 4, 2, -5),
    "pinky-finger": (0, 4, 2, -10),
}
FIST: Posture = {
    "thumb": (20, 35, 40, 0),
    "index-finger": (75, 95, 55, 0),
    "middle-finger": (75, 95, 55, 0),
    "ring-finger": (75, 95, 55, -2),
    "pinky-finger": (75, 95, 55, -5),
}
THUMB: Posture = {**FIST, "thumb": (-10, -5, -10, 0)}
CUP: Posture = {
    "thumb": (15, 10, 15, 0),
    "index-finger": (35, 45, 25, 0),
    "middle-finger": (35, 45, 25, 0),
    "ring-finger": (35, 45, 25, 0),
    "pinky-finger": (35, 45, 25, 0),
}


@dataclass(frozen=True)
class Shot:
    """One picture: how the hand is held, where fingers and back point, and where it is.

    Attributes:
        name: Of the file.
        gesture: What the recogniser should say; None where that is a matter of taste.
        raised: Whether this is a palm raised to stop.
    """

    name: str
    gesture: str | None
    raised: bool
    posture: Posture
    fingers: Array
    back: Array
    place_base_m: tuple[float, float, float]
    turn_deg: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def bones(self, hand: Hand) -> Array:
        """Joint poses in the base frame."""
        thumb = np.cross(self.back, self.fingers)
        # The rig's axes: back of the hand, against the fingers, against the thumb.
        axes = np.stack([self.back, -self.fingers, -thumb], axis=1)
        angles = np.deg2rad(self.turn_deg)
        turn = rotation(UP, angles[2]) @ rotation(LEFT, angles[1]) @ rotation(AWAY, angles[0])
        posed: Array = pose(turn @ axes, self.place_base_m) @ hand.bones(self.posture)
        return posed


SHOTS = (
    Shot("palm", "palm", True, OPEN, UP, AWAY, (0.62, 0.02, 0.2)),
    Shot("palm_near", "palm", True, OPEN, UP, AWAY, (0.5, 0.1, 0.3), (8, 10, -12)),
    Shot("palm_far", "palm", True, OPEN, UP, AWAY, (0.85, -0.15, 0.15), (-10, 12, 10)),
    Shot("back", "palm", False, OPEN, UP, TOWARDS, (0.62, 0.0, 0.2), (0, 10, 0)),
    Shot("reaching", None, False, OPEN, TOWARDS, UP, (0.62, 0.05, 0.12)),
    Shot("reaching_side", None, False, OPEN, TOWARDS, LEFT, (0.62, 0.05, 0.1), (0, 0, -40)),
    Shot("fist", "fist", False, FIST, UP, AWAY, (0.6, 0.0, 0.2)),
    Shot("thumb_up", "thumb_up", False, THUMB, RIGHT, TOWARDS, (0.6, 0.0, 0.15)),
    Shot("thumb_down", "thumb_down", False, THUMB, LEFT, TOWARDS, (0.6, 0.0, 0.2)),
    Shot("point", "point", False, POINT, LEFT, UP, (0.6, -0.05, 0.15)),
    Shot("cup", "none", False, CUP, LEFT, TOWARDS, (0.6, 0.0, 0.15)),
    Shot("relaxed", "none", False, RELAX, TOWARDS, UP, (0.6, 0.0, 0.15), (0, 0, 40)),
)


def other_view(shot: Shot, rng: np.random.Generator) -> Shot:
    """The same gesture of another hand, elsewhere and turned a little."""
    turns, shifts = rng.normal(0, TURN_DEG, 3), rng.normal(0, SHIFT_M, 3)
    bends = {f: rng.normal(0, BEND_DEG, 4) * [1, 1, 1, 0.5] for f in shot.posture}
    return replace(
        shot,
        posture={f: tuple(np.add(a, bends[f])) for f, a in shot.posture.items()},
        place_base_m=tuple(np.add(shot.place_base_m, shifts)),
        turn_deg=tuple(np.add(shot.turn_deg, np.clip(turns, -15, 15))),
    )


def raising(hand: Hand, palm: Shot, frames: int) -> list[Array]:
    """A relaxed hand comes up from the table and shows its palm, at 30 frames a second."""
    high = np.array(palm.place_base_m)
    out = []
    for k in range(frames):
        # It stays for a few frames where it has come to.
        done = min(1.0, k / (0.7 * frames))
        share = minimum_jerk(done)
        turned = np.subtract(palm.turn_deg, (0, 75 * (1 - share), 0))
        shot = replace(
            palm,
            posture=blend(RELAX, palm.posture, minimum_jerk(1.4 * done)),
            place_base_m=tuple(high - (1 - share) * np.array([0.02, -0.03, 0.14])),
            turn_deg=tuple(turned),
        )
        out.append(shot.bones(hand))
    return out


def main() -> int:
    """Render all shots and one movement."""
    parser = argparse.ArgumentParser(description="Render gestures.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0, help="of the views (default: %(default)s)")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    hand, rng = Hand.load(), np.random.default_rng(args.seed)
    shots = [other_view(s, rng) for s in SHOTS] if args.seed else list(SHOTS)
    movement = raising(hand, shots[0], frames=18)
    drawn = draw([Scene([], [*(s.bones(hand) for s in shots), *movement], args.seed)])
    names = [s.name for s in shots] + [f"raising_{k:02d}" for k in range(len(movement))]
    for name, picture in zip(names, drawn, strict=True):
        noisy = picture + SENSOR_NOISE * rng.standard_normal(picture.shape)
        cv2.imwrite(
            str(args.folder / f"{name}.jpg"), np.clip(np.round(noisy), 0, 255).astype(np.uint8),
            [cv2.IMWRITE_JPEG_QUALITY, 85],
        )  # fmt: skip
    truth = {s.name: {"gesture": s.gesture, "raised": s.raised} for s in shots}
    (args.folder / "gestures.json").write_text(json.dumps(truth, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
