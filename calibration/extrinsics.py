"""``deixis calibrate extrinsics``: where a camera stands in the robot's base, or sits on its arm.

*A camera that stands still* looks at a ChArUco board, or at one ArUco or AprilTag marker, whose
place in the robot's base frame (x forward, y left, z up) is known. --board-in-base is the pose of
the sheet's own frame as x,y,z in metres and roll,pitch,yaw in degrees: x right, y up, z out of the
paper; a board's origin is the left bottom corner of its pattern, a marker's its centre. Several
pictures are averaged.

*A camera on the arm* looks at a board anywhere, from at least three poses of the gripper (--poses).
They are in a JSON file:

    {"schema": 1, "views": [{"picture": "1.png", "T_base_gripper": [[…4x4…]]},
      {"picture": "2.png", "xyz_m": [0.4, 0, 0.3], "quaternion_xyzw": [0, 1, 0, 0]}]}

deixis calibrate extrinsics --camera /dev/video0 --board-in-base=0.30,-0.13,0,0,0,90
deixis calibrate extrinsics --images shots --calibration cam.json --marker 7 --marker-mm 120
deixis calibrate extrinsics --poses poses.json --calibration wrist.json
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track

from deixis.calibration.boards import Array, MarkerSpec, Sighting, Target, make_target
from deixis.calibration.dictionaries import Image, what_is_seen
from deixis.calibration.drawing import pose_picture, write_picture
from deixis.calibration.files import default_folder, now_text
from deixis.calibration.footage import Footage, device_name, one_size, read_picture
from deixis.calibration.hand_eye import HandEye, solve_hand_eye
from deixis.calibration.locating import locate, project, refine, steady
from deixis.calibration.options import add_board, add_source, board_spec, open_source, print_sheet
from deixis.calibration.poses import inverse, pose_from_xyz_rpy, spread
from deixis.calibration.robot_poses import read_robot_poses
from deixis.calibration.store import (
    CameraCalibration,
    PoseResidual,
    camera_path,
    load_camera,
    save_camera,
)
from deixis.runtime.errors import CalibrationError, UsageError

HELP = "where a camera stands in the robot's base, or sits on its arm"
EXAMPLE = "deixis calibrate extrinsics --camera /dev/video0 --board-in-base=0.30,-0.13,0,0,0,90"
_MOST_PICTURES = 30


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--calibration", type=Path, metavar="FILE",
        help="the camera's calibration, which is completed (default: that of --camera, or the only "
        f"one in {default_folder('camera')})",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write here instead of into --calibration"
    )
    parser.add_argument(
        "--board-in-base", type=_six, default=(0.0,) * 6, metavar="X,Y,Z,R,P,Y",
        help="pose of the sheet in the base, metres and degrees; with = if it begins with a minus "
        "(default: the sheet's frame is the base's)",
    )  # fmt: skip
    parser.add_argument(
        "--poses", type=Path, metavar="FILE", help="hand-eye: pictures with the gripper's poses"
    )
    add_source(parser, seconds=20)
    add_board(parser)
    parser.add_argument(
        "--marker", type=int, metavar="ID",
        help="a single marker in place of the board; --marker-mm and --dictionary describe it",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    console = Console(quiet=args.json)
    target = _target(args)
    if args.print_board is not None:
        report = print_sheet(target, args)
        _tell(args, console, report, (report["print"], report["measure"]))
        return 0
    path = _calibration_path(args)
    camera = load_camera(path)
    out = args.out or path
    done = _hand_eye if args.poses is not None else _standing
    calibration, picture, report, lines = done(args, target, camera, console)
    picture_path = out.with_name(f"{out.stem}.extrinsics.png")
    residual = calibration.extrinsics_residual
    if residual is not None:
        residual = msgspec.structs.replace(residual, picture=picture_path.name)
    save_camera(
        msgspec.structs.replace(
            calibration, extrinsics_at=now_text(), extrinsics_residual=residual
        ),
        out,
    )
    write_picture(picture_path, picture)
    report |= {"file": str(out), "picture": str(picture_path)}
    _tell(args, console, report, (*lines, f"written to {out}, shown in {picture_path}"))
    return 0


Outcome = tuple[CameraCalibration, Image, dict[str, Any], list[str]]


def _standing(
    args: argparse.Namespace, target: Target, camera: CameraCalibration, console: Console
) -> Outcome:
    footage = open_source(args, EXAMPLE)
    image, sightings = _look(footage, target, console)
    sized = camera.for_frame(image.shape[1], image.shape[0])
    still = steady(sightings)
    found = locate(still, sized)
    T_base_sheet = pose_from_xyz_rpy(args.board_in_base)
    T_base_cam = T_base_sheet @ found.T_sheet_cam
    singly = [refine(s, sized, found.T_sheet_cam).poses[0] for s in sightings]
    single_m, single_rad = spread(singly)
    residual = PoseResidual(
        method="marker" if isinstance(target.spec, MarkerSpec) else "board",
        translation_mm=1000 * found.position_std_m,
        rotation_deg=math.degrees(found.rotation_std_rad),
        reprojection_px=found.reprojection_px,
        n_views=len(sightings),
    )
    calibration = msgspec.structs.replace(
        camera, T_base_cam=T_base_cam, extrinsics_residual=residual
    )
    lines = [
        f"the camera is at {_xyz(T_base_cam)} m in the base and looks along "
        f"{_numbers(T_base_cam[:3, 2])}",
        f"from {len(sightings)} pictures, reprojection {found.reprojection_px:.3f} px: +- "
        f"{residual.translation_mm:.1f} mm and {residual.rotation_deg:.2f} deg per axis (single "
        f"pictures scatter by {1000 * single_m:.1f} mm and {math.degrees(single_rad):.2f} deg)",
        f"that takes --board-in-base as exact: {_numbers(args.board_in_base)}",
    ]
    report = {
        "T_base_cam": T_base_cam.tolist(),
        "residual": msgspec.to_builtins(residual),
        "spread_mm": 1000 * single_m,
        "spread_deg": math.degrees(single_rad),
    }
    picture = pose_picture(
        image, still.image_px, found.expected_px,
        project(_axes(target), inverse(found.T_sheet_cam), sized), lines,
    )  # fmt: skip
    return calibration, picture, report, lines


def _hand_eye(
    args: argparse.Namespace, target: Target, camera: CameraCalibration, console: Console
) -> Outcome:
    hands, sightings, blind = [], [], []
    images: list[Image] = []
    first: tuple[str, Image] | None = None
    views = list(read_robot_poses(args.poses))
    for path, hand in track(views, "looking for the board", console=console, transient=True):
        image = read_picture(path)
        one_size(path.name, image, first)
        first = first or (path.name, image)
        sighting = target.find(image)
        if sighting is None:
            blind.append(path.name)
            continue
        hands.append(hand)
        images.append(image)
        sightings.append(sighting)
    if first is None:
        raise CalibrationError(f"{args.poses} lists no views")
    if not images:
        raise _nothing_seen(target, len(views), first[1])
    sized = camera.for_frame(first[1].shape[1], first[1].shape[0])
    found = solve_hand_eye(hands, sightings, sized)
    residual = PoseResidual(
        method="hand-eye",
        translation_mm=1000 * found.position_std_m,
        rotation_deg=math.degrees(found.rotation_std_rad),
        reprojection_px=found.reprojection_px,
        n_views=len(sightings),
    )
    calibration = msgspec.structs.replace(
        camera, T_gripper_cam=found.T_gripper_cam, extrinsics_residual=residual
    )
    lines = _hand_eye_lines(found, residual, blind)
    report = {
        "T_gripper_cam": found.T_gripper_cam.tolist(),
        "T_base_board": found.T_base_sheet.tolist(),
        "residual": msgspec.to_builtins(residual),
        "spread_mm": 1000 * found.spread_m,
        "spread_deg": math.degrees(found.spread_rad),
        "disagreement_mm": 1000 * found.disagreement_m,
        "disagreement_deg": math.degrees(found.disagreement_rad),
        "without_board": blind,
    }
    most = max(range(len(sightings)), key=lambda i: len(sightings[i].ids))
    T_cam_sheet = inverse(hands[most] @ found.T_gripper_cam) @ found.T_base_sheet
    picture = pose_picture(
        images[most], sightings[most].image_px, found.expected_px[most],
        project(_axes(target), T_cam_sheet, sized), lines,
    )  # fmt: skip
    return calibration, picture, report, lines


def _hand_eye_lines(found: HandEye, residual: PoseResidual, blind: list[str]) -> list[str]:
    lines = [
        f"the camera is at {_xyz(found.T_gripper_cam)} m in the gripper's frame and looks along "
        f"{_numbers(found.T_gripper_cam[:3, 2])}",
        f"from {residual.n_views} poses, reprojection {found.reprojection_px:.3f} px: +- "
        f"{residual.translation_mm:.1f} mm and {residual.rotation_deg:.2f} deg per axis",
        f"the board is at {_xyz(found.T_base_sheet)} m in the base; from pose to pose it scatters "
        f"by {1000 * found.spread_m:.1f} mm and {math.degrees(found.spread_rad):.2f} deg",
        f"Park's closed form differs by {1000 * found.disagreement_m:.1f} mm and "
        f"{math.degrees(found.disagreement_rad):.2f} deg",
    ]
    if blind:
        lines.append(f"no board in {', '.join(blind)}")
    return lines


def _look(footage: Footage, target: Target, console: Console) -> tuple[Image, list[Sighting]]:
    """The target's corners in the first 30 pictures that show it, and the first of these."""
    sightings = list[Sighting]()
    n, first, seen = 0, None, None
    title = f"looking for a {target.spec}"
    with console.status(title):
        for shot in footage.shots:
            n += 1
            first = first or shot
            sighting = target.find(shot.image)
            if sighting is not None:
                seen = seen or shot
                sightings.append(sighting)
            if len(sightings) >= _MOST_PICTURES:
                break
    if first is None:
        raise CalibrationError("there is not a single picture")
    if seen is None:
        raise _nothing_seen(target, n, first.image)
    return seen.image, sightings


def _nothing_seen(target: Target, n: int, image: Image) -> CalibrationError:
    other = what_is_seen(image)
    return CalibrationError(
        f"none of {n} pictures shows the target; looked for a {target.spec}",
        hint=f"markers of {other} are seen: check --dictionary, --squares and --marker"
        if other
        else "is the whole sheet in view, evenly lit, and in focus?",
    )


def _target(args: argparse.Namespace) -> Target:
    if args.marker is None:
        return make_target(board_spec(args))
    if args.marker_mm is None:
        raise UsageError("how large is the marker? --marker-mm", hint=f"{EXAMPLE} --marker-mm 100")
    name = args.dictionary.removeprefix("DICT_")
    return make_target(MarkerSpec(id=args.marker, size_m=args.marker_mm / 1000, dictionary=name))


def _calibration_path(args: argparse.Namespace) -> Path:
    if args.calibration is not None:
        return Path(args.calibration)
    if args.camera is not None:
        return camera_path(device_name(args.camera))
    there = sorted(default_folder("camera").glob("*.json"))
    if len(there) == 1:
        return there[0]
    names = ", ".join(map(str, there)) or "there is none yet: deixis calibrate camera"
    raise UsageError("which camera? --calibration FILE", hint=names)


def _tell(args: argparse.Namespace, console: Console, report: dict[str, Any], lines: Any) -> None:
    if args.json:
        print(json.dumps(report))
    for line in lines:
        console.print(line, markup=False, highlight=False)


def _axes(target: Target) -> Array:
    """Origin and ends of the axes of a sheet's frame, shape ``(4, 3)``."""
    return np.concatenate([np.zeros((1, 3)), 0.5 * min(target.size_m) * np.eye(3)])


def _six(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(v) for v in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 6 or not all(map(math.isfinite, values)):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not x,y,z,roll,pitch,yaw (metres and degrees)"
        )
    return values


def _xyz(matrix: Array) -> str:
    return ", ".join(f"{v:.4f}" for v in matrix[:3, 3])


def _numbers(values: Any) -> str:
    return ", ".join(f"{v:.3g}" for v in values)
