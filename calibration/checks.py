"""What ``deixis doctor`` says of calibrations: fine, missing, stale, or not exact enough.

deixis doctor --calibration camera.json --max-age-days 90
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from deixis.calibration.av_sync import load_av_sync
from deixis.calibration.files import default_folder
from deixis.calibration.pointing import load_pointing
from deixis.calibration.quality import STALE_DAYS, age_days, days_since, is_exact, is_stale
from deixis.calibration.store import CameraCalibration, load_camera
from deixis.runtime.cli.doctor import Finding
from deixis.runtime.errors import CalibrationError

_WHAT = "camera calibration"
_LARGE_REPROJECTION = 1.0 / 640
_LARGE_MM, _LARGE_DEG = 5.0, 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--calibration", type=Path, action="append", metavar="FILE",
        help="a camera's calibration to check; may be repeated (default: all in "
        f"{default_folder('camera')})",
    )  # fmt: skip
    parser.add_argument(
        "--max-age-days", type=float, default=STALE_DAYS, metavar="N",
        help="an older calibration is stale (default: %(default)g)",
    )  # fmt: skip


def findings(args: argparse.Namespace) -> Iterator[Finding]:
    """One finding or more for each calibration."""
    folder = default_folder("camera")
    named = args.calibration is not None
    paths = args.calibration if named else sorted(folder.glob("*.json"))
    if not paths:
        mend = "deixis calibrate camera --camera /dev/video0"
        yield Finding(_WHAT, "optional", f"none in {folder}", f"for live use: {mend}")
    now = datetime.now(UTC)
    for path in paths:
        yield from check(path, now, args.max_age_days, needed=named)
    for path in sorted(default_folder("pointing").glob("*.json")):
        yield _dated("pointing calibration", path, _person, now, args.max_age_days)
    for path in sorted(default_folder("av-sync").glob("*.json")):
        yield _dated("sound and picture", path, _offset, now, args.max_age_days)


def check(path: Path, now: datetime, max_age_days: float, *, needed: bool) -> Iterator[Finding]:
    """What there is to say of one camera's calibration.

    Args:
        path: Its file.
        now: With a time zone.
        max_age_days: An older one is stale.
        needed: Whether the user named it, so that what is missing is an error.
    """
    again, _ = _mending(path)
    if not path.exists():
        yield Finding(_WHAT, "missing", f"there is no {path}", again)
        return
    try:
        camera = load_camera(path)
    except CalibrationError as error:
        yield Finding(_WHAT, "wrong", error.message, again)
        return
    problems = list(_problems(path, camera, now, max_age_days, needed))
    yield from problems
    if not problems:
        yield Finding(_WHAT, "ok", f"{path}: {_summary(camera, now)}")


def _dated(
    what: str,
    path: Path,
    read: Callable[[Path], tuple[str, str, str]],
    now: datetime,
    max_age_days: float,
) -> Finding:
    """What there is to say of a calibration that only has a date.

    Args:
        what: What was calibrated.
        path: The file.
        read: File → what it says in words, its date, the command that makes it again.
        now: With a time zone.
        max_age_days: An older one is stale.
    """
    try:
        says, date, again = read(path)
    except CalibrationError as error:
        return Finding(what, "wrong", error.message, error.hint)
    age = days_since(date, now)
    if age is None or age > max_age_days:
        old = "its date cannot be read" if age is None else f"{age:.0f} days old"
        detail = f"{path}: stale, {old} (the limit is {max_age_days:g})"
        return Finding(what, "optional", detail, again)
    return Finding(what, "ok", f"{path}: {says}, {age:.0f} days old")


def _person(path: Path) -> tuple[str, str, str]:
    user = load_pointing(path)
    miss = "" if user.error_after_m is None else f", {100 * user.error_after_m:.1f} cm off at 2 m"
    again = f"deixis calibrate pointing --user {user.user_id}"
    return f"{user.user_id}, {user.n_points} spots{miss}", user.calibrated_at, again


def _offset(path: Path) -> tuple[str, str, str]:
    sync = load_av_sync(path)
    says = f"{sync.camera_id}, {sync.offset_ms:+.0f} ms ± {sync.spread_ms:.0f} ms"
    return says, sync.calibrated_at, "deixis calibrate av-sync --camera /dev/video0 --mic"


def _problems(
    path: Path, camera: CameraCalibration, now: datetime, max_age_days: float, needed: bool
) -> Iterator[Finding]:
    again, stand = _mending(path)
    if not camera.stands_in_base and camera.T_gripper_cam is None:
        state: Literal["missing", "optional"] = "missing" if needed else "optional"
        yield Finding(_WHAT, state, f"{path}: it is not known where the camera stands", stand)
    if is_stale(camera, now, max_age_days):
        age = age_days(camera, now)
        old = "its date cannot be read" if age is None else f"{age:.0f} days old"
        detail = f"{path}: stale, {old} (the limit is {max_age_days:g})"
        yield Finding(_WHAT, "optional", detail, f"{again} && {stand}")
    if camera.reprojection_error_px > _LARGE_REPROJECTION * camera.width:
        detail = f"{path}: large residual, reprojection {camera.reprojection_error_px:.2f} px"
        yield Finding(_WHAT, "wrong", detail, again)
    residual = camera.extrinsics_residual
    if residual and (residual.translation_mm > _LARGE_MM or residual.rotation_deg > _LARGE_DEG):
        detail = f"{path}: large residual, {_place(camera)}"
        yield Finding(_WHAT, "wrong", detail, stand)


def _mending(path: Path) -> tuple[str, str]:
    """The commands that calibrate again, and that find the camera's place."""
    return (
        f"deixis calibrate camera --camera /dev/video0 --out {path}",
        f"deixis calibrate extrinsics --camera /dev/video0 --calibration {path}",
    )


def _summary(camera: CameraCalibration, now: datetime) -> str:
    if is_exact(camera):
        return f"{camera.device_id}, defined, not measured"
    age = age_days(camera, now)
    return (
        f"{camera.device_id}, {age or 0:.0f} days old, reprojection "
        f"{camera.reprojection_error_px:.2f} px, {_place(camera)}"
    )


def _place(camera: CameraCalibration) -> str:
    residual = camera.extrinsics_residual
    if residual is None:
        return "place of unknown accuracy"
    return f"place to {residual.translation_mm:.1f} mm and {residual.rotation_deg:.2f} degrees"
