"""Draw the README's picture: a frame of an episode with the true ray and the objects' names.

Example:
    python -m tests.scenes.picture --episode put_it_there --out docs/images/episode.png
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import CAMERA

HERE = Path(__file__).parent
INK, RAY, PAPER = (40, 40, 40), (60, 220, 80), (255, 255, 255)
SCALE = 2
FONT = cv2.FONT_HERSHEY_SIMPLEX


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.scenes.picture",
        description="Draw the last deictic word's frame of an episode with its true ray.",
        epilog="example: python -m tests.scenes.picture --episode put_it_there",
    )
    parser.add_argument("--episode", default="put_it_there", help="default: put_it_there")
    parser.add_argument("--out", type=Path, default=HERE.parents[1] / "docs/images/episode.png")
    args = parser.parse_args(argv)
    folder = HERE / "episodes" / args.episode
    if not folder.exists():
        print(f"{folder} is missing: run python -m tests.scenes.render", file=sys.stderr)
        return 1
    truth = json.loads((folder / "truth.json").read_text())
    utterance = truth["utterances"][-1]
    word = next((w for w in utterance["words"] if w["word"] in ("that", "there")), None)
    if word is None:
        print(f"{args.episode}: nothing deictic in {utterance['text']!r}", file=sys.stderr)
        return 1
    index = round((word["start_s"] + word["end_s"]) / 2 * truth["fps"])
    video = cv2.VideoCapture(str(folder / "video.mp4"))
    video.set(cv2.CAP_PROP_POS_FRAMES, index)
    found, frame = video.read()
    if not found:
        print(f"{folder / 'video.mp4'} has no frame {index}", file=sys.stderr)
        return 1
    picture = cv2.resize(frame, None, fx=SCALE, fy=SCALE, interpolation=cv2.INTER_CUBIC)
    for item in truth["objects"]:
        x, y, z = item["position_base_m"]
        top = (x, y, z + item["size_m"][2] / 2)
        x, y = SCALE * CAMERA.project([top])[0]
        label(picture, f"{item['colour']} {item['name']}", (x, y - 16))
    row = truth["hand"][index]
    if row["visible"]:
        ray = CAMERA.project([row["landmarks_base_m"][5], row["target_base_m"]]) * SCALE
        start, end = (tuple(round(float(v)) for v in p) for p in ray)
        cv2.line(picture, start, end, RAY, 3, cv2.LINE_AA)
        cv2.drawMarker(picture, end, RAY, cv2.MARKER_TILTED_CROSS, 26, 4, cv2.LINE_AA)
    bar = np.full((64, picture.shape[1], 3), INK, np.uint8)
    x = 24
    for spoken in utterance["words"]:
        ink = RAY if spoken is word else PAPER
        cv2.putText(bar, spoken["word"], (x, 42), FONT, 1.1, ink, 2, cv2.LINE_AA)
        x += cv2.getTextSize(spoken["word"], FONT, 1.1, 2)[0][0] + 18
    args.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(args.out), np.vstack([picture, bar]))
    print(args.out)
    return 0


def label(picture: NDArray[Any], text: str, centre: tuple[float, float]) -> None:
    """Write a small label centred above a point (pixels), in place."""
    (width, height), _ = cv2.getTextSize(text, FONT, 0.55, 1)
    x, y = int(centre[0] - width / 2), int(centre[1])
    cv2.rectangle(picture, (x - 5, y - height - 6), (x + width + 5, y + 6), PAPER, -1, cv2.LINE_AA)
    cv2.putText(picture, text, (x, y), FONT, 0.55, INK, 1, cv2.LINE_AA)


if __name__ == "__main__":
    sys.exit(main())
