"""The rigged hand: its joints, its postures, and the 21 landmarks that follow from them.

The hand is ``generic-hand/right.glb`` of the npm package ``@webxr-input-profiles/assets`` (MIT).
Its 25 joints are WebXR's; fingers point along the hand frame's -y, the thumb to -z, the back of
the hand to +x, origin near the palm.

``python -c "from tests.scenes.skeleton import Hand; print(Hand.load().rest.shape)"``
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .geometry import Array, pose, rotation

GLB = (
    Path(__file__).parent
    / "node_modules/@webxr-input-profiles/assets/dist/profiles/generic-hand/right.glb"
)
FINGERS = ("thumb", "index-finger", "middle-finger", "ring-finger", "pinky-finger")
TIP_BEYOND_JOINT_M = 0.004
"""WebXR's tip joints lie a little inside the flesh; MediaPipe's tip landmark is further out."""

Posture = Mapping[str, tuple[float, float, float, float]]
"""Per finger, degrees: flexion of the three joints from the knuckle on, and spread."""

POINT: Posture = {
    "thumb": (0, 5, 10, 0),
    "index-finger": (4, 5, 3, 0),
    "middle-finger": (66, 92, 52, 0),
    "ring-finger": (72, 95, 55, -2),
    "pinky-finger": (72, 92, 55, -6),
}
RELAX: Posture = {
    "thumb": (2, 10, 15, 4),
    "index-finger": (18, 22, 12, 0),
    "middle-finger": (24, 28, 16, 0),
    "ring-finger": (28, 32, 18, 0),
    "pinky-finger": (30, 32, 18, 0),
}


def blend(a: Posture, b: Posture, share: float) -> Posture:
    """The posture a given share of the way from a to b."""
    return {
        f: tuple((1 - share) * x + share * y for x, y in zip(a[f], b[f], strict=True))  # type: ignore[misc]
        for f in FINGERS
    }


@dataclass(frozen=True)
class Shape:
    """How one person's hand differs from the model's.

    Attributes:
        size: Of the whole hand.
        along, across, thick: Stretch of the whole hand along the fingers, across them, and from
            palm to back.
        fingers: Stretch of each finger along itself.
    """

    size: float = 1.0
    along: float = 1.0
    across: float = 1.0
    thick: float = 1.0
    fingers: Mapping[str, float] = field(default_factory=dict)

    @property
    def stretch(self) -> Array:
        """The stretch of the whole hand as a 4x4 matrix of the hand frame."""
        # The back of the hand is +x, the fingers run along -y, the thumb is at -z.
        return np.diag([*(self.size * np.array([self.thick, self.along, self.across])), 1.0])


@dataclass(frozen=True)
class Hand:
    """Joint names and their 4x4 rest poses in the hand frame, in the model's own bone order."""

    names: tuple[str, ...]
    rest: Array

    @classmethod
    def load(cls, path: Path = GLB) -> Hand:
        """Read names and inverse bind matrices from a binary glTF file.

        Raises:
            FileNotFoundError: ``npm ci`` was not run in tests/scenes.
        """
        if not path.exists():
            raise FileNotFoundError(f"{path} is missing: run `npm ci` in {Path(__file__).parent}")
        data = path.read_bytes()
        (length,) = struct.unpack("<I", data[12:16])
        tree = json.loads(data[20 : 20 + length])
        skin = tree["skins"][0]
        accessor = tree["accessors"][skin["inverseBindMatrices"]]
        view = tree["bufferViews"][accessor["bufferView"]]
        start = 20 + length + 8 + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        inverse = np.frombuffer(data, np.float32, 16 * accessor["count"], start)
        # glTF matrices are column-major.
        rest = np.linalg.inv(inverse.reshape(-1, 4, 4).transpose(0, 2, 1).astype(float))
        return cls(tuple(tree["nodes"][j]["name"] for j in skin["joints"]), rest)

    def bones(self, posture: Posture, shape: Shape | None = None) -> Array:
        """Poses (25, 4, 4) of the joints in the hand frame for a posture.

        With a shape they are no rigid motions any more: they stretch what hangs on them.
        """
        shape = shape or Shape()
        out = self.rest.copy()
        stretch = np.tile(np.eye(4), (len(out), 1, 1))
        for finger in FINGERS:
            chain = [i for i, name in enumerate(self.names) if name.startswith(finger + "-")]
            *flexion, spread = np.deg2rad(posture[finger])
            # The thumb bends at its metacarpal too; a finger's metacarpal is fixed in the palm.
            bends = flexion if finger == "thumb" else [0.0, *flexion]
            parent = self.names.index("wrist")
            for joint, bend in zip(chain, [*bends, 0.0, 0.0], strict=False):
                local = np.linalg.inv(self.rest[parent]) @ self.rest[joint]
                # WebXR joints: -z to the next joint, y out of the back, so -x flexes.
                turn = rotation([1, 0, 0], -bend)
                if joint == chain[0 if finger == "thumb" else 1]:
                    turn = rotation([0, 1, 0], spread) @ turn
                if "metacarpal" not in self.names[parent] and parent != 0:
                    local[:3, 3] *= shape.fingers.get(finger, 1.0)
                if "metacarpal" not in self.names[joint]:
                    stretch[joint, 2, 2] = shape.fingers.get(finger, 1.0)
                out[joint] = out[parent] @ local @ pose(turn, [0, 0, 0])
                parent = joint
        if shape == Shape():
            return out
        stretched: Array = shape.stretch @ out @ stretch
        return stretched

    def landmarks(self, bones: Array) -> Array:
        """The 21 landmarks (MediaPipe's order) for joint poses (25, 4, 4), in their frame."""
        points = [bones[self.names.index("wrist")][:3, 3]]
        for finger in FINGERS:
            chain = [i for i, name in enumerate(self.names) if name.startswith(finger + "-")]
            *inner, tip = chain if finger == "thumb" else chain[1:]
            points += [bones[i][:3, 3] for i in inner]
            points.append(bones[tip][:3, 3] - TIP_BEYOND_JOINT_M * bones[tip][:3, 2])
        return np.array(points)
