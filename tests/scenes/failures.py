"""A contact sheet of what ``deixis bench objects`` got wrong in scenes.

deixis bench objects --data /tmp/tables --out /tmp/objects.json
python -m tests.scenes.failures /tmp/objects.json /tmp/tables --out /tmp/failures.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .stage import Picture

_TILE_PX = 200
_COLUMNS = 7
_INK = {"missed": (0, 0, 255), "false": (255, 0, 255), "id": (0, 160, 255)}


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenes.failures", description=__doc__)
    parser.add_argument("result", type=Path, help="what --out wrote")
    parser.add_argument("data", type=Path, help="the scenes")
    parser.add_argument("--what", help="only missed, false, name, colour or id")
    parser.add_argument("--most", type=int, default=42, help="tiles (default 42)")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    args = parser.parse_args(argv)
    failures = json.loads(args.result.read_text())["failures"]
    wanted = [f for f in failures if args.what in (None, f["what"]) and f["box_px"]]
    # In a video the same thing goes wrong many times in a row.
    once = list({(f["what"], f["scene"], f["detail"]): f for f in wanted}.values())
    tiles = [tile(failure, args.data) for failure in once[: args.most]]
    if not tiles:
        print("nothing went wrong", file=sys.stderr)
        return 0
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % _COLUMNS)
    rows = [np.hstack(tiles[i : i + _COLUMNS]) for i in range(0, len(tiles), _COLUMNS)]
    cv2.imwrite(str(args.out), np.vstack(rows))
    return 0


def tile(failure: Mapping[str, Any], data: Path) -> Picture:
    """The surroundings of one failure, square, with its box and what it is."""
    folder = data / failure["scene"]
    picture = frame(folder, failure["frame"])
    x, y, w, h = failure["box_px"]
    side = max(1.8 * max(w, h), 90)
    scale = _TILE_PX / side
    shift = _TILE_PX / 2 - scale * np.array([x + w / 2, y + h / 2])
    out = cv2.warpAffine(
        picture, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]), (_TILE_PX, _TILE_PX)
    )
    left, top = (round(scale * v + s) for v, s in zip((x, y), shift, strict=True))
    ink = _INK.get(failure["what"], (0, 255, 255))
    corner = (left + round(scale * w), top + round(scale * h))
    cv2.rectangle(out, (left, top), corner, ink, 1)
    text = f"{failure['scene']}: {failure['what']} {failure['detail']}"
    for row, part in enumerate((text[:32], text[32:64])):
        place = (3, 12 + 13 * row)
        cv2.putText(out, part, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (0, 0, 0), 3, cv2.LINE_AA)
        cv2.putText(out, part, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, ink, 1, cv2.LINE_AA)
    return np.asarray(out, np.uint8)


def frame(folder: Path, number: int) -> Picture:
    """One frame of a scene.

    Raises:
        OSError: It cannot be read.
    """
    video = folder / "video.mp4"
    if video.is_file():
        source = cv2.VideoCapture(str(video))
        source.set(cv2.CAP_PROP_POS_FRAMES, number)
        good, picture = source.read()
        source.release()
    else:
        still = cv2.imread(str(folder / f"{number:04d}.jpg"))
        good, picture = still is not None, np.asarray(still)
    if not good:
        raise OSError(f"{folder}: frame {number} cannot be read")
    return np.asarray(picture, np.uint8)


if __name__ == "__main__":
    sys.exit(main())
