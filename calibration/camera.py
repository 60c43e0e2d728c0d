"""``deixis calibrate camera``: focal length and distortion of a camera, from a ChArUco board.

Print the board once (--print-board), measure it, and glue it on something flat. Then hold it
before the camera: in all parts of the picture, at several distances, tilted by 20 to 40 degrees
towards each side. Sharp views that show something new are taken; a grid shows where the board has
been.

deixis calibrate camera --print-board board.pdf
deixis calibrate camera --camera /dev/video0
deixis calibrate camera --images 'shots/*.png' --device-id wrist --out wrist.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.live import Live
from rich.table import Table

from deixis.calibration.boards import CharucoTarget
from deixis.calibration.dictionaries import Image, what_is_seen
from deixis.calibration.drawing import intrinsics_picture, write_picture
from deixis.calibration.files import now_text
from deixis.calibration.footage import Footage, one_size, safe_name
from deixis.calibration.intrinsics import Intrinsics, solve
from deixis.calibration.options import add_board, add_source, board_spec, open_source, print_sheet
from deixis.calibration.progress import coverage_panel
from deixis.calibration.store import CameraCalibration, camera_path, load_camera, save_camera
from deixis.calibration.views import MAX_EDGE_PX, Verdict, ViewPicker
from deixis.runtime.errors import CalibrationError, MediaError

HELP = "focal length and distortion of a camera, from a printed board"
EXAMPLE = "deixis calibrate camera --camera /dev/video0"
_MOST_VIEWS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_source(parser, seconds=180)
    add_board(parser)
    parser.add_argument(
        "--device-id", metavar="ID",
        help="what the camera is called (default: by udev, or the file's or folder's name)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help=f"where the calibration goes (default: {camera_path('ID')}); what an existing file "
        "says about where the camera stands is kept",
    )  # fmt: skip
    parser.add_argument(
        "--max-edge-px", type=float, default=MAX_EDGE_PX, metavar="PX",
        help="a view whose black-white edges are wider is blurred (default: %(default)g)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    console = Console(quiet=args.json)
    board = CharucoTarget(board_spec(args))
    if args.print_board is not None:
        report = print_sheet(board, args)
        print(json.dumps(report)) if args.json else console.print(
            f"{report['file']}: {report['target']}\n{report['print']}\n{report['measure']}",
            markup=False, highlight=False,
        )  # fmt: skip
        return 0
    footage = open_source(args, EXAMPLE)
    device_id = safe_name(args.device_id) if args.device_id else footage.device_id
    path = args.out or camera_path(device_id)
    # A file that is no calibration must be found out before the work, not after it.
    existing = load_camera(path) if path.exists() else None
    picker = gather(board, footage, args.max_edge_px, console)
    found = solve(picker.views, picker.size)
    picture = path.with_suffix(".png")
    calibration = merged(existing, found, device_id, picker.size, picture.name)
    save_camera(calibration, path)
    write_picture(picture, intrinsics_picture(picker, found))
    if args.json:
        print(json.dumps(_report(calibration, path, picker, found)))
        return 0
    console.print(coverage_panel(picker))
    _show(console, calibration, path, picture, found)
    return 0


def gather(
    board: CharucoTarget, footage: Footage, max_edge_px: float, console: Console
) -> ViewPicker:
    """Look through pictures and take the views that are worth it, showing how far it is.

    A camera that runs is left as soon as there is enough; files are looked through.

    Raises:
        CalibrationError: The pictures have different sizes, or there is nothing to calibrate from.
        MediaError: There is no picture.
    """
    picker: ViewPicker | None = None
    first: tuple[str, Image] | None = None
    last: Image | None = None
    with Live(console=console, transient=True, refresh_per_second=4) as live:
        for number, shot in enumerate(footage.shots, start=1):
            one_size(shot.name, shot.image, first)
            first, last = first or (shot.name, shot.image), shot.image
            if picker is None:
                size = (shot.image.shape[1], shot.image.shape[0])
                picker = ViewPicker(board, size, max_edge_px)
            verdict = picker.offer(shot)
            of = f" of {footage.total}" if footage.total else ""
            live.update(coverage_panel(picker, f"picture {number}{of}: {verdict}"))
            if len(picker.views) >= _MOST_VIEWS or (footage.total is None and picker.enough()):
                break
    if picker is None or last is None:
        raise MediaError("there is not a single picture to calibrate from")
    check_gathered(picker, board, last)
    return picker


def check_gathered(picker: ViewPicker, board: CharucoTarget, last: Image) -> None:
    """Say why there are no views, if there are none.

    Raises:
        CalibrationError: The board was in no picture, or always blurred.
    """
    counts, n = picker.counts, picker.counts.total()
    if counts[Verdict.NO_BOARD] == n:
        other = what_is_seen(last)
        raise CalibrationError(
            f"no board in any of {n} pictures; looked for a {board.spec}",
            hint=f"the last picture shows markers of {other}: check --dictionary and --squares"
            if other
            else "is the whole sheet in view, evenly lit, and in focus? --print-board prints one",
        )
    if not picker.views:
        raise CalibrationError(
            f"all {counts[Verdict.BLURRED]} views of the board are blurred: the sharpest has edges "
            f"{picker.sharpest_px:.1f} px wide, {picker.max_edge_px:g} is the limit",
            hint="hold the board still, give more light, focus the lens; or raise --max-edge-px",
        )


def merged(
    existing: CameraCalibration | None,
    found: Intrinsics,
    device_id: str,
    size: tuple[int, int],
    picture: str,
) -> CameraCalibration:
    """The new calibration; where the camera stands is taken over from the old one."""
    intrinsics: dict[str, Any] = {
        "device_id": device_id,
        "width": size[0],
        "height": size[1],
        "K": found.K,
        "distortion": found.distortion,
        "calibrated_at": now_text(),
        "reprojection_error_px": found.reprojection_px,
        "focal_std_px": float(np.mean(found.focal_std_px)),
        "n_views": len(found.views),
        "picture": picture,
    }
    if existing is None:
        return CameraCalibration(T_base_cam=np.eye(4), **intrinsics)
    changed: CameraCalibration = msgspec.structs.replace(existing, **intrinsics)
    return changed


def _report(
    calibration: CameraCalibration, path: Path, picker: ViewPicker, found: Intrinsics
) -> dict[str, Any]:
    return {
        "file": str(path),
        "picture": str(path.with_name(calibration.picture or "")),
        "device_id": calibration.device_id,
        "width": calibration.width,
        "height": calibration.height,
        "K": calibration.K.tolist(),
        "distortion": calibration.distortion.tolist(),
        "focal_std_px": list(found.focal_std_px),
        "reprojection_error_px": found.reprojection_px,
        "coverage": picker.coverage(),
        "stands_in_base": calibration.stands_in_base,
        "advice": picker.advice(),
        "passed_over": {str(v): n for v, n in picker.counts.items() if v is not Verdict.TAKEN},
        "left_out": found.left_out,
        "views": [
            {
                "name": v.view.name,
                "error_px": round(v.error_px, 4),
                "edge_px": round(v.view.edge_px, 2),
                "tilt_deg": round(v.tilt_deg, 1),
                "corners": len(v.view.sighting.ids),
            }
            for v in found.views
        ],
    }


def _show(
    console: Console, calibration: CameraCalibration, path: Path, picture: Path, found: Intrinsics
) -> None:
    table = Table(title="views", title_justify="left")
    table.add_column("view")
    for column in ("corners", "tilt °", "edge px", "error px"):
        table.add_column(column, justify="right")
    for v in found.views:
        table.add_row(
            v.view.name, str(len(v.view.sighting.ids)), f"{v.tilt_deg:.0f}",
            f"{v.view.edge_px:.1f}", f"{v.error_px:.3f}",
        )  # fmt: skip
    for name, error_px in found.left_out.items():
        table.add_row(name, "", "", "", f"{error_px:.3f} left out", style="yellow")
    console.print(table)
    K, std = calibration.K, found.focal_std_px
    console.print(
        f"reprojection {found.reprojection_px:.3f} px over {len(found.views)} views; focal length "
        f"{K[0, 0]:.2f} ± {std[0]:.2f} px and {K[1, 1]:.2f} ± {std[1]:.2f} px; centre "
        f"{K[0, 2]:.1f}, {K[1, 2]:.1f}",
        highlight=False,
    )  # fmt: skip
    console.print(f"written to {path}, shown in {picture}", markup=False, highlight=False)
    if not calibration.stands_in_base:
        console.print(
            f"next: deixis calibrate extrinsics --calibration {path}", markup=False, highlight=False
        )
