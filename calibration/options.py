"""Command-line options that calibrations share: the pictures, the board, where the result goes.

add_source(parser); add_board(parser); footage = open_source(args)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from deixis.calibration.boards import CharucoSpec, Target
from deixis.calibration.dictionaries import dictionary_names
from deixis.calibration.footage import Footage, camera_frames, picture_files, video_frames
from deixis.calibration.printing import print_target, what_to_measure
from deixis.runtime.errors import UsageError

_SPEC = CharucoSpec()


def add_source(parser: argparse.ArgumentParser, *, seconds: float) -> None:
    """Options that say where the pictures come from."""
    group = parser.add_argument_group("pictures (one of these)")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--camera", metavar="DEVICE", help="a camera that runs: /dev/video0")
    source.add_argument("--video", type=Path, metavar="FILE", help="a video")
    source.add_argument("--images", metavar="DIR", help="a folder of pictures, or a glob in quotes")
    group.add_argument(
        "--size", type=_size, default=(640, 480), metavar="WxH",
        help="size to ask of --camera; the one it will run with (default: 640x480)",
    )  # fmt: skip
    group.add_argument(
        "--seconds", type=float, default=seconds, metavar="S",
        help=f"stop looking at --camera after this long (default: {seconds:g})",
    )  # fmt: skip


def add_board(parser: argparse.ArgumentParser) -> None:
    """Options that describe the board, and the one that prints it."""
    group = parser.add_argument_group("board")
    group.add_argument(
        "--squares", type=_size, default=(_SPEC.columns, _SPEC.rows), metavar="CxR",
        help=f"its squares across and down (default: {_SPEC.columns}x{_SPEC.rows})",
    )  # fmt: skip
    group.add_argument(
        "--square-mm", type=float, default=_SPEC.square_m * 1000, metavar="MM",
        help="side of a square, as measured on the sheet (default: %(default)g)",
    )  # fmt: skip
    group.add_argument(
        "--marker-mm", type=float, metavar="MM",
        help="side of a marker's black border (default: 3/4 of the square)",
    )  # fmt: skip
    group.add_argument(
        "--dictionary", default=_SPEC.dictionary, metavar="NAME",
        help=f"of the markers (default: %(default)s); one of {', '.join(dictionary_names())}",
    )  # fmt: skip
    group.add_argument(
        "--legacy-pattern", action="store_true",
        help="the board was made with OpenCV before 4.6 and has an even number of rows",
    )  # fmt: skip
    group.add_argument(
        "--print-board", type=Path, metavar="FILE",
        help="write the sheet to print (.pdf or .png), nothing else",
    )  # fmt: skip


def board_spec(args: argparse.Namespace) -> CharucoSpec:
    """The board that the options describe."""
    columns, rows = args.squares
    marker_mm = args.square_mm * 0.75 if args.marker_mm is None else args.marker_mm
    return CharucoSpec(
        columns=columns,
        rows=rows,
        square_m=args.square_mm / 1000,
        marker_m=marker_mm / 1000,
        dictionary=args.dictionary.removeprefix("DICT_"),
        legacy=args.legacy_pattern,
    )


def open_source(args: argparse.Namespace, example: str) -> Footage:
    """The pictures that the options name.

    Args:
        args: Parsed options.
        example: A command that has what is missing.

    Raises:
        UsageError: They name none.
        MediaError: Files are missing or unreadable.
        DeviceError: The camera is not there.
    """
    if args.camera is not None:
        width, height = args.size
        return camera_frames(args.camera, width=width, height=height, seconds=args.seconds)
    if args.video is not None:
        return video_frames(args.video)
    if args.images is not None:
        return picture_files(args.images)
    raise UsageError("there are no pictures: --camera, --video or --images", hint=example)


def print_sheet(target: Target, args: argparse.Namespace) -> dict[str, str]:
    """Write the sheet that ``--print-board`` asks for.

    Returns:
        For the report: the file, what it is, how to print it and what to measure.

    Raises:
        UsageError: The file is neither PDF nor PNG.
        MediaError: It cannot be written.
    """
    how = print_target(target, args.print_board)
    return {
        "file": str(args.print_board),
        "target": str(target.spec),
        "print": how,
        "measure": what_to_measure(target),
    }


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()) or not int(width) * int(height):
        raise argparse.ArgumentTypeError(f"{text!r} is not WIDTHxHEIGHT")
    return int(width), int(height)
