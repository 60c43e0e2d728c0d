"""Reads what YOLOX and YOLO detectors put out: which layout it is, and the boxes in it.

The layouts (``n`` cells of the grids with strides 8, 16 and 32):

- ``yolox``: ``(1, n, 5 + classes)``, offsets within the grids' cells (Ge et al., "YOLOX: exceeding
  YOLO series in 2021"); pictures as BGR 0 to 255, padded on the right and below;
- ``yolox-decoded``: the same with boxes in pixels (exported with ``--decode_in_inference``);
- ``yolov5``: ``(1, 3 n, 5 + classes)``, boxes in pixels (v5 to v7); RGB 0 to 1, padded around;
- ``yolov8``: ``(1, 4 + classes, n)``, boxes in pixels, no objectness (v8 and later); likewise.

    layout = recognise(engine.infer(…)["output"], (416, 416))
    boxes, scores = decode(layout, output, (416, 416))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.source import Image

Layout = Literal["yolox", "yolox-decoded", "yolov5", "yolov8"]
Values = NDArray[np.float32]

_STRIDES = (8, 16, 32)
_PAINT = 114


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a picture was fitted into the network's input: ``input = scale * picture + shift``."""

    scale: float
    left: int
    top: int

    def back(self, boxes: Values) -> Values:
        """Boxes ``(n, 4)`` of centre, width, height in the input → x, y, w, h in the picture."""
        out = boxes.copy()
        out[:, 0] -= boxes[:, 2] / 2 + self.left
        out[:, 1] -= boxes[:, 3] / 2 + self.top
        return np.asarray(out / np.float32(self.scale), np.float32)


def cells(size: tuple[int, int]) -> int:
    """Number of cells of the grids for an input of this width and height."""
    return sum((size[0] // s) * (size[1] // s) for s in _STRIDES)


def recognise(output: Values, size: tuple[int, int]) -> Layout | None:
    """The layout of an output for an input of this width and height, if it is one of them."""
    for layout in get_args(Layout):
        if fits(layout, output.shape, size):
            # Offsets are a few cells at most, whatever the picture; pixels reach across the input.
            pixels = float(output[0, :, :2].max()) > max(size) / 2
            return "yolox-decoded" if layout == "yolox" and pixels else layout
    return None


def fits(layout: Layout, shape: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether an output of this shape can have a layout."""
    n = cells(size)
    if len(shape) != 3 or shape[0] != 1:
        return False
    if layout == "yolov8":
        return shape[2] == n and shape[1] > 4
    return shape[1] == (3 * n if layout == "yolov5" else n) and shape[2] > 5


def classes(layout: Layout, shape: tuple[int, ...]) -> int:
    """Number of classes that an output of this shape tells apart."""
    return shape[1] - 4 if layout == "yolov8" else shape[2] - 5


def fit(image: Image, size: tuple[int, int], layout: Layout) -> tuple[Values, Letterbox]:
    """A picture as the network's input, shape ``(1, 3, height, width)``, and how it was fitted.

    Args:
        image: BGR uint8, shape ``(height, width, 3)``.
        size: Width and height of the input.
        layout: What kind of network it is.
    """
    height, width = image.shape[:2]
    scale = min(size[0] / width, size[1] / height)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    # YOLOX pads on one side, YOLO on both.
    plain = layout in ("yolox", "yolox-decoded")
    share = 0.0 if plain else 0.5
    left, top = round((size[0] - inner[0]) * share), round((size[1] - inner[1]) * share)
    canvas = np.full((size[1], size[0], 3), _PAINT, np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = small
    blob = cv2.dnn.blobFromImage(canvas, 1.0 if plain else 1 / 255, swapRB=not plain)
    return np.asarray(blob, np.float32), Letterbox(scale, left, top)


def decode(layout: Layout, output: Values, size: tuple[int, int]) -> tuple[Values, Values]:
    """Boxes and scores of an output.

    Args:
        layout: Its layout.
        output: Shape as in the module's description.
        size: Width and height of the input.

    Returns:
        Boxes ``(m, 4)``: centre x, y, width, height in the input's pixels; scores ``(m, classes)``.
    """
    values = np.asarray(output[0], np.float32)
    if layout == "yolov8":
        values = values.T
        return values[:, :4], values[:, 4:]
    boxes, scores = values[:, :4], values[:, 5:] * values[:, 4:5]
    if layout == "yolox":
        grid, stride = _grid(size)
        with np.errstate(over="ignore"):
            extent = np.exp(boxes[:, 2:]) * stride
        boxes = np.concatenate([(boxes[:, :2] + grid) * stride, extent], axis=1)
    return boxes, scores


def _grid(size: tuple[int, int]) -> tuple[Values, Values]:
    """Column and row ``(n, 2)`` and stride ``(n, 1)`` of each cell."""
    places, strides = [], []
    for stride in _STRIDES:
        columns, rows = np.meshgrid(np.arange(size[0] // stride), np.arange(size[1] // stride))
        places.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        strides.append(np.full((rows.size, 1), stride))
    return np.concatenate(places).astype(np.float32), np.concatenate(strides).astype(np.float32)
