"""Measure the finger's and the eye's ray on portraits, each alone, against the truth.

``deixis bench hands`` measures the ray that the node makes of both. Here each is looked at by
itself, and the eye's also with the size of the person's hand known, as a calibration finds it.

Example:
    python -m tests.scenes.rays /tmp/portraits --bundle bundles/cpu
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from rich.table import Table

from deixis.calibration.pointing import DEFAULT_POINTING
from deixis.calibration.store import CameraCalibration, load_camera
from deixis.nodes.hands.face import FaceDetector, FaceLandmarker
from deixis.nodes.hands.heads import Head, HeadTracker
from deixis.nodes.hands.landmarks import HandLandmarker
from deixis.nodes.hands.node import HandsParams
from deixis.nodes.hands.palm import PalmDetector
from deixis.nodes.hands.pointing import PointingEstimator, PointingRay
from deixis.nodes.hands.slope import SlopeNet
from deixis.nodes.hands.tracker import HandTracker, TrackedHand
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import DeixisError

Array = NDArray[np.float64]

PASSES = 5
"""How often each picture is shown to the trackers, a thirtieth of a second apart."""
HEAD_PASSES = 80
_PERIOD_NS = 33_333_333
_INSIDE_90 = 4.605
"""90 % of a chi-squared of two dimensions."""


class Seen:
    """What the trackers see in a picture that is shown to them for a while."""

    def __init__(self, bundle: Bundle) -> None:
        palm, hand, face, mesh = (
            open_engine(bundle, role)
            for role in ("palm_detector", "hand_landmarks", "face_detector", "face_landmarks")
        )
        least = HandsParams(calibration="").min_palm_score
        self._hands = PalmDetector(palm, least), HandLandmarker(hand)
        self._faces = FaceDetector(face), FaceLandmarker(mesh)

    def hands(self, picture: NDArray[np.uint8]) -> list[TrackedHand]:
        """The hands."""
        tracker = HandTracker(*self._hands)
        for number in range(PASSES):
            hands = tracker.update(picture, 1 + number * _PERIOD_NS)
        return hands

    def heads(self, picture: NDArray[np.uint8], camera: CameraCalibration) -> list[Head]:
        """The heads."""
        tracker = HeadTracker(*self._faces, every=1, max_heads=1)
        for number in range(HEAD_PASSES):
            heads = tracker.update(picture, camera, 1 + number * _PERIOD_NS)
            if heads:
                break
        return heads


class Errors:
    """Errors of one kind of ray."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.missed = 0
        self.deg: list[float] = []
        self.inside: list[bool] = []
        self.sigma_deg: list[float] = []

    def add(self, ray: PointingRay | None, true: Array) -> None:
        """Take a ray and the true direction; None where there is no ray."""
        if ray is None:
            self.missed += 1
            return
        found, covariance = ray.direction_base, ray.direction_cov_rad2
        basis = np.linalg.svd(found[None])[2][1:]
        angle = float(np.arccos(np.clip(found @ true, -1, 1)))
        error = basis @ true
        error *= angle / max(float(np.linalg.norm(error)), 1e-12)
        inside = basis @ covariance @ basis.T
        self.deg.append(float(np.rad2deg(angle)))
        self.inside.append(bool(error @ np.linalg.solve(inside, error) < _INSIDE_90))
        self.sigma_deg.append(float(np.rad2deg(np.sqrt(np.trace(inside) / 2))))

    def summary(self) -> dict[str, Any]:
        """The figures."""
        if not self.deg:
            return {"ray": self.name, "n": 0, "missed": self.missed}
        median, p90 = np.percentile(self.deg, [50, 90])
        return {
            "ray": self.name, "n": len(self.deg), "missed": self.missed,
            "median_deg": round(float(median), 2), "p90_deg": round(float(p90), 2),
            "inside_90": round(float(np.mean(self.inside)), 3),
            "sigma_deg": round(float(np.median(self.sigma_deg)), 2),
        }  # fmt: skip


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.rays",
        description="Errors of the finger's and the eye's ray on folders of portraits.",
        epilog="example: python -m tests.scenes.rays /tmp/portraits",
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/cpu"))
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args(argv)
    try:
        figures = measure(args.folders, Bundle.open(args.bundle), quiet=args.json)
    except (DeixisError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(figures))
        return 0
    table = Table("ray", "n", "missed", "median °", "p90 °", "inside 90 %", "sigma °")
    for row in figures:
        table.add_row(*(str(v) for v in row.values()))
    Console().print(table)
    return 0


def measure(folders: Sequence[Path], bundle: Bundle, quiet: bool = False) -> list[dict[str, Any]]:
    """The figures of all the pictures in some folders."""
    seen, slope = Seen(bundle), SlopeNet()
    finger = Errors("finger")
    eye, known = Errors("eye"), Errors("eye, hand measured")
    jobs = [(folder, e) for folder in folders for e in _entries(folder)]
    for folder, entry in track(jobs, "pictures", disable=quiet):
        camera = load_camera(folder / entry["camera"])
        picture = cv2.imread(str(folder / entry["image"]))
        if picture is None:
            raise OSError(f"cannot read {folder / entry['image']}")
        image = np.asarray(picture, np.uint8)
        points = np.array(entry["landmarks_base_m"])
        hand = _nearest(seen.hands(image), np.array(entry["hands"][0]))
        along = (points[8] - points[5]) / np.linalg.norm(points[8] - points[5])
        finger.add(
            None if hand is None else PointingEstimator(camera, slope=slope).update(hand, 1), along
        )
        if entry["eye_base_m"] is None:
            continue
        true = np.array(entry["rays"][0])
        user = msgspec.structs.replace(DEFAULT_POINTING, hand_scale=entry["hand_scale"])
        heads = seen.heads(image, camera)
        for errors, estimator in (
            (eye, PointingEstimator(camera, slope=slope)),
            (known, PointingEstimator(camera, user=user, slope=slope)),
        ):
            ray = None if hand is None else estimator.update(hand, 1, heads)
            errors.add(None if ray is None or ray.eye_base_m is None else ray, true)
    return [e.summary() for e in (finger, eye, known) if e.deg]


def _entries(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads((folder / "golden.json").read_text()))


def _nearest(hands: Sequence[TrackedHand], true_px: Array) -> TrackedHand | None:
    """The hand that was found where there is one."""
    for hand in hands:
        if np.linalg.norm(hand.landmarks_px - true_px, axis=1).mean() < 0.3 * hand.side_px:
            return hand
    return None


if __name__ == "__main__":
    sys.exit(main())
