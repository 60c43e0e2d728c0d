"""Opens cameras: one way for the graph and for calibration.

capture = open_camera("/dev/video0", width=640, height=480, fps=30)
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2

from deixis.runtime.errors import DeviceError

_TIMEOUT_S = 1


def open_camera(device: str, *, width: int, height: int, fps: float) -> cv2.VideoCapture:
    """Open a camera through OpenCV (V4L2 on Linux); it has delivered a first picture.

    Args:
        device: ``0`` or ``/dev/video0``.
        width: Wanted width in pixels; a camera may choose another.
        height: Wanted height.
        fps: Wanted rate.

    Raises:
        DeviceError: It is not there or delivers no picture.
    """
    path = f"/dev/video{device}" if device.isdecimal() else device
    if not Path(path).exists():
        there = sorted(str(p) for p in Path("/dev").glob("video*"))
        raise DeviceError(
            f"there is no camera {path}",
            hint=f"cameras here: {', '.join(there)}" if there else "no /dev/video* is here",
        )
    # A camera that hangs must not stop its reader for OpenCV's default of ten seconds.
    os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(_TIMEOUT_S))
    capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
    capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
    capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
    capture.set(cv2.CAP_PROP_FPS, fps)
    # The shortest queue that the driver allows: an old frame is worth nothing here.
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    if not capture.isOpened() or not capture.grab():
        capture.release()
        raise DeviceError(f"camera {path} cannot be opened", hint="is another program using it?")
    return capture
