"""How exact calibration is on rendered boards: cameras, views, light and noise drawn by chance.

    python -m tests.calibration.accuracy --cameras 12 --first 1000

Cameras from 1000 on are for reporting; nothing was set while looking at them. Each one is
calibrated from 20 rendered views, and with what came out of that (not with the truth) it is located
from a board and from a marker, and on an arm whose poses are off by 0.5 mm and 0.05 degrees per
axis.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict

import numpy as np

from deixis.calibration.boards import CharucoSpec, CharucoTarget, MarkerSpec, MarkerTarget, Target
from deixis.calibration.footage import Shot
from deixis.calibration.hand_eye import solve_hand_eye
from deixis.calibration.intrinsics import Intrinsics, solve
from deixis.calibration.locating import locate, steady
from deixis.calibration.poses import apart, inverse, pose, pose_from_xyz_rpy
from deixis.calibration.store import CameraCalibration
from deixis.calibration.views import ViewPicker
from deixis.runtime.errors import CalibrationError
from tests.calibration.conftest import view_from
from tests.calibration.rendering import (
    Array,
    Renderer,
    Sheet,
    board_sheet,
    looking_at,
    marker_sheet,
)

SIZE = (640, 480)
BOARD, MARKER = CharucoSpec(), MarkerSpec(id=7, size_m=0.15, dictionary="APRILTAG_36h11")
ARM_M, ARM_RAD = 0.0005, math.radians(0.05)
T_BASE_SHEET = pose_from_xyz_rpy([0.45, 0.1, 0.02, 2, -3, -80])
Errors = defaultdict[str, list[float]]


class Trial:
    """One camera, drawn by its number.

    Args:
        number: Seeds everything.
    """

    def __init__(self, number: int) -> None:
        self.rng = np.random.default_rng(number)
        focal = self.rng.uniform(400, 900)
        self.K = np.array(
            [[focal, 0, 319.5 + self.rng.normal(0, 8)],
             [0, focal * self.rng.uniform(0.99, 1.01), 239.5 + self.rng.normal(0, 8)], [0, 0, 1]]
        )  # fmt: skip
        k1 = self.rng.uniform(-0.25, 0.05) * (focal / 500) ** 2
        p1, p2 = self.rng.normal(0, 0.0006, 2)
        distortion = np.array([k1, -0.4 * k1 * self.rng.uniform(0, 1), p1, p2, 0.0])
        self._renderer = Renderer(self.K, distortion, SIZE)
        self._blur_px, self._noise = self.rng.uniform(0.4, 1.0), self.rng.uniform(1, 4)
        self._near_m = focal / 520

    def seen(self, sheet: Sheet, T_cam_sheet: Array) -> Array:
        """A picture."""
        seed = int(self.rng.integers(1 << 30))
        return self._renderer.picture(
            sheet, T_cam_sheet, blur_px=self._blur_px, noise=self._noise, seed=seed
        )

    def view(self) -> Array:
        """Pose of the board in the camera's frame, as a hand holds it."""
        aside = self.rng.uniform([-0.11, -0.08], [0.11, 0.08])
        distance_m = self._near_m * self.rng.uniform(0.3, 0.5)
        return view_from(self.rng.uniform(0, 360), self.rng.uniform(5, 40), distance_m, aside)

    def standing(self, middle_m: Array) -> Array:
        """Pose of a camera that looks at a sheet lying before it."""
        distance_m = self._near_m * self.rng.uniform(0.5, 0.8)
        angle, tilt = self.rng.uniform(0, 2 * np.pi), np.radians(self.rng.uniform(25, 50))
        eye = distance_m * np.array(
            [np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)]
        )
        at = middle_m + self.rng.uniform(-0.03, 0.03, 3) * [1, 1, 0]
        return looking_at(at, middle_m + eye, self.rng.normal(0, 0.3))


def run_trial(number: int, errors: Errors) -> None:
    """Calibrate one camera in all ways and note the errors."""
    trial = Trial(number)
    board = CharucoTarget(BOARD)
    picker = ViewPicker(board, SIZE)
    for index in range(20):
        picker.offer(Shot(str(index), trial.seen(board_sheet(BOARD), trial.view())))
    found = solve(picker.views, SIZE)
    errors["reprojection_px"].append(found.reprojection_px)
    for axis in (0, 1):
        off = abs(found.K[axis, axis] - trial.K[axis, axis])
        errors["focal_percent"].append(100 * off / trial.K[axis, axis])
        errors["focal_sigmas"].append(off / found.focal_std_px[axis])
    camera = _camera(found)
    for name, target, sheet in (
        ("board", board, board_sheet(BOARD)),
        ("marker", MarkerTarget(MARKER), marker_sheet(MARKER)),
    ):
        _standing(trial, name, target, sheet, camera, errors)
    _on_the_arm(trial, board, camera, errors)


def _camera(found: Intrinsics) -> CameraCalibration:
    return CameraCalibration(
        device_id="trial", width=SIZE[0], height=SIZE[1], K=found.K, distortion=found.distortion,
        T_base_cam=np.eye(4), calibrated_at="", reprojection_error_px=found.reprojection_px,
    )  # fmt: skip


def _standing(
    trial: Trial, name: str, target: Target, sheet: Sheet, camera: CameraCalibration, errors: Errors
) -> None:
    middle_m = np.array(
        [sheet.left_m + sheet.width_m / 2, sheet.bottom_m + sheet.height_m / 2, 0.0]
    )
    truth = trial.standing(middle_m)
    pictures = [trial.seen(sheet, inverse(truth)) for _ in range(5)]
    sightings = [s for s in map(target.find, pictures) if s is not None]
    try:
        found = locate(steady(sightings), camera)
    except CalibrationError as error:
        print(f"camera, {name}: {error.message}")
        errors[f"{name}_refused"].append(1.0)
        return
    _note(
        errors, name, apart(found.T_sheet_cam, truth), found.position_std_m, found.rotation_std_rad
    )


def _on_the_arm(
    trial: Trial, board: CharucoTarget, camera: CameraCalibration, errors: Errors
) -> None:
    T_gripper_cam = pose_from_xyz_rpy([0.05, -0.03, 0.06, *trial.rng.uniform(-30, 30, 3)])
    hands, sightings = [], []
    while len(hands) < 12:
        view = trial.view()
        sighting = board.find(trial.seen(board_sheet(BOARD), view))
        if sighting is not None:
            off = pose(trial.rng.normal(0, ARM_RAD, 3), trial.rng.normal(0, ARM_M, 3))
            hands.append(T_BASE_SHEET @ inverse(view) @ inverse(T_gripper_cam) @ off)
            sightings.append(sighting)
    found = solve_hand_eye(hands, sightings, camera)
    far = apart(found.T_gripper_cam, T_gripper_cam)
    _note(errors, "hand_eye", far, found.position_std_m, found.rotation_std_rad)


def _note(
    errors: Errors, name: str, far: tuple[float, float], std_m: float, std_rad: float
) -> None:
    shift_m, turn_rad = far
    errors[f"{name}_mm"].append(1000 * shift_m)
    errors[f"{name}_deg"].append(math.degrees(turn_rad))
    # A length of three axes: sqrt(3) times the deviation of one.
    errors[f"{name}_position_sigmas"].append(shift_m / math.sqrt(3) / std_m)
    errors[f"{name}_rotation_sigmas"].append(turn_rad / math.sqrt(3) / std_rad)


def main() -> None:
    """Run the trials and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=12)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    errors: Errors = defaultdict(list)
    for number in range(args.first, args.first + args.cameras):
        run_trial(number, errors)
    table = {
        name: {
            "n": len(values),
            "median": round(float(np.median(values)), 4),
            "p90": round(float(np.percentile(values, 90)), 4),
            "worst": round(max(values), 4),
        }
        for name, values in errors.items()
    }
    if args.json:
        print(json.dumps(table))
        return
    for name, row in table.items():
        print(f"{name:26} " + "  ".join(f"{k} {v:g}" for k, v in row.items()))


if __name__ == "__main__":
    main()
