"""Runs the web page in headless Chromium and hands its pictures back, frame by frame.

``picture = next(draw([Scene(things, [None], seed=3)]))``
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from .geometry import CAMERA, Array
from .world import TABLE, Thing

HERE = Path(__file__).parent
Picture = NDArray[np.uint8]


class RenderError(RuntimeError):
    """The browser did not deliver the pictures."""


@dataclass(frozen=True)
class Scene:
    """A set of things and the pictures to take of it.

    ``frames`` holds per picture the hand's joint poses (25, 4, 4) in the base frame, or None for
    no hand; ``seed`` is that of the table's texture.
    """

    things: Sequence[Thing]
    frames: Sequence[Array | None]
    seed: int

    def to_json(self) -> dict[str, object]:
        """As page/stage.js takes it."""
        camera = CAMERA.to_json()
        return {
            "stage": {
                "camera": {k: camera[k] for k in ("width", "height", "K", "T_base_cam")},
                "table": TABLE,
                "things": [
                    {
                        "name": t.kind.name,
                        "paint": t.kind.paint,
                        "size_m": t.kind.size_m,
                        "position_base_m": t.position_base_m,
                        "yaw_rad": t.yaw_rad,
                    }
                    for t in self.things
                ],
                "seed": self.seed,
            },
            "frames": [
                {"bones": None if f is None else np.round(f.reshape(-1, 16), 7).tolist()}
                for f in self.frames
            ],
        }


def draw(scenes: Sequence[Scene]) -> Iterator[Picture]:
    """Render the pictures (480, 640, 3; BGR) of scenes, one after the other.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    return draw_jobs("index.html", [scene.to_json() for scene in scenes])


def draw_jobs(page: str, jobs: Sequence[dict[str, Any]]) -> Iterator[Picture]:
    """Render what a page of page/ makes of jobs, each ``{"stage": …, "frames": […]}``.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    for picture, _ in draw_told(page, jobs):
        yield picture


def draw_told(page: str, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[Picture, Any]]:
    """Like :func:`draw_jobs`, with what the page tells of each picture, or None.

    Raises:
        RenderError: Chromium, Node or the npm packages are missing, or the page failed.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    node = shutil.which("node")
    if chromium is None or node is None:
        raise RenderError("chromium and node are needed: apt-get install chromium nodejs npm")
    if not (HERE / "node_modules").exists():
        raise RenderError(f"node_modules is missing: run `npm ci` in {HERE}")
    total = sum(len(job["frames"]) for job in jobs)
    with tempfile.TemporaryFile("w+") as stdin, tempfile.TemporaryFile("w+") as errors:
        json.dump(list(jobs), stdin)
        stdin.seek(0)
        process = subprocess.Popen(
            [node, str(HERE / "page/render.mjs"), chromium, page],
            stdin=stdin, stdout=subprocess.PIPE, stderr=errors, text=True, cwd=HERE,
            env={**os.environ, "NODE_NO_WARNINGS": "1"},
        )  # fmt: skip
        count = 0
        try:
            for line in process.stdout or ():
                url, _, told = line.partition("\t")
                data = base64.b64decode(url.partition(",")[2])
                picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
                if picture is None:
                    raise RenderError(f"frame {count}: not a picture: {line[:80]!r}")
                count += 1
                yield picture.astype(np.uint8, copy=False), json.loads(told) if told else None
        finally:
            if process.stdout:
                process.stdout.close()
            status = process.wait()
            errors.seek(0)
            said = errors.read().strip()
        if status != 0 or count != total:
            raise RenderError(f"{count} of {total} pictures, then the page stopped:\n{said}")
