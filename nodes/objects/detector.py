"""Finds objects with a detector that the user brings: any ONNX file in YOLOX or YOLO layout.

The detector knows boxes and nouns. Where a thing stands follows from its box: it is taken for an
upright cylinder on the work plane.

    params = DetectorParams(model="yolox_nano.onnx", labels="coco_classes.txt")
    source = DetectorSource(params, Workspace(), Path.cwd())
    source.observe(view).detections
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects import yolo
from deixis.nodes.objects.boxes import overlap, share_inside
from deixis.nodes.objects.shapes import fit_box
from deixis.nodes.objects.source import (
    Box,
    Detection,
    Image,
    Observation,
    View,
    free_outside,
)
from deixis.nodes.objects.workspace import Workspace
from deixis.runtime.engines import open_model
from deixis.runtime.errors import ConfigError

_ONE_THING_IOU = 0.8
"""Boxes of two classes that overlap this much are one thing with two names."""
_WEAK = 0.1
"""What has at least this score keeps an object that is known there."""
_MIN_NAME = 0.02
_EDGE_SHARE = 0.04
_EDGE_PX = 2.0


class DetectorParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The user's detector.

    Attributes:
        model: ONNX file.
        labels: Text file with the name of a class per line, in the model's order.
        layout: ``yolox``, ``yolox-decoded``, ``yolov5`` or ``yolov8``; by default told by what it
            puts out.
        size_px: Side of the input, for models that take any.
        only: Classes that count; by default all.
        min_score: Least score of an object.
        nms_iou: Of boxes of one class that overlap more than this, the best counts.
        max_radius_m: Larger things (the table itself) are no objects that one points at.
        threads: Threads of the engine.
    """

    model: str = ""
    labels: str = ""
    layout: yolo.Layout | None = None
    size_px: int = 640
    only: tuple[str, ...] = ()
    min_score: float = 0.35
    nms_iou: float = 0.45
    max_radius_m: float = 0.2
    threads: int = 1


class Detector:
    """Finds boxes with names in pictures.

    Args:
        params: Which model, and its thresholds.
        base: Folder that relative paths start from.

    Raises:
        ConfigError: A file is missing, its output is in no known layout, or the labels do not fit.
        EngineError: The file is no model.
    """

    def __init__(self, params: DetectorParams, base: Path) -> None:
        self._params = params
        path, labels = base / Path(params.model).expanduser(), base / params.labels
        if not params.model or not path.is_file():
            raise ConfigError(
                f"detector: there is no model {params.model!r}"
                + (f" at {path}" if params.model else ""),
                hint="detector: {model: FILE.onnx, labels: FILE.txt}; relative paths start at the "
                "graph file",
            )
        self.labels = read_labels(labels)
        self._engine = open_model(path, threads=params.threads)
        self._input = self._engine.specs.inputs[0]
        self._size = self._input_size(path)
        self.layout = self._recognise(path)
        strange = sorted(set(params.only) - set(self.labels))
        if strange:
            raise ConfigError(
                f"detector: 'only' names {strange[0]!r}, which {labels} does not have",
                hint=f"its labels: {', '.join(self.labels[:12])}, …",
            )

    def find(self, image: Image) -> tuple[list[tuple[Box, dict[str, float]]], list[Box]]:
        """Boxes in a picture.

        Args:
            image: BGR uint8, shape ``(height, width, 3)``.

        Returns:
            Each thing's box with its probability per name, best first; and the boxes of all that
            may be something, too faint things included.
        """
        boxes, scores, fitted = self._infer(image)
        best = scores.max(axis=1)
        likely = np.flatnonzero((best >= _WEAK) & np.isfinite(boxes).all(axis=1))
        boxes, scores, best = fitted.back(boxes[likely]), scores[likely], best[likely]
        kinds = scores.argmax(axis=1)
        if len(boxes) == 0:
            return [], []
        keep = cv2.dnn.NMSBoxesBatched(
            boxes.tolist(), best.tolist(), kinds.tolist(), _WEAK, self._params.nms_iou
        )
        things: list[tuple[Box, dict[str, float]]] = []
        weak: list[Box] = []
        for i in np.ravel(keep).astype(int):
            x, y, w, h = (float(value) for value in boxes[i])
            box = (x, y, w, h)
            weak.append(box)
            names = self._names(scores[i])
            same = next((t for t in things if overlap(t[0], box) > _ONE_THING_IOU), None)
            if same is not None:
                same[1].update({n: p for n, p in names.items() if n not in same[1]})
            elif max(names.values(), default=0.0) >= self._params.min_score:
                things.append((box, names))
        return [(box, _at_most_one(names)) for box, names in things], weak

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()

    def _infer(self, image: Image) -> tuple[yolo.Values, yolo.Values, yolo.Letterbox]:
        tensor, fitted = yolo.fit(image, self._size, self.layout)
        output = self._run(tensor)
        return *yolo.decode(self.layout, output, self._size), fitted

    def _run(self, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = self._engine.infer({self._input.name: tensor.astype(self._input.dtype)})
        return np.asarray(next(iter(outputs.values())), np.float32)

    def _input_size(self, path: Path) -> tuple[int, int]:
        shape = self._input.shape
        if len(shape) != 4 or shape[1] not in (3, None):
            raise ConfigError(
                f"detector: {path} takes input of shape {shape}, not one picture (1, 3, h, w)",
                hint="export it with NCHW input",
            )
        side = self._params.size_px
        return (shape[3] or side, shape[2] or side)

    def _recognise(self, path: Path) -> yolo.Layout:
        """The layout; one run with an empty picture tells shapes that the file leaves open."""
        width, height = self._size
        output = self._run(np.full((1, 3, height, width), 0.5, np.float32))
        shape, told = output.shape, yolo.recognise(output, self._size)
        chosen = self._params.layout or told
        if chosen is None:
            raise ConfigError(
                f"detector: {path} puts out {shape}, which is neither YOLOX nor YOLO layout for "
                f"{width}x{height}",
                hint="layouts: yolox (1, n, 5+classes), yolov5 (1, 3n, 5+classes), yolov8 "
                f"(1, 4+classes, n), with n = {yolo.cells(self._size)} here; export it without NMS",
            )
        if not yolo.fits(chosen, shape, self._size):
            raise ConfigError(
                f"detector: {path} puts out {shape}, which cannot be layout {chosen!r}",
                hint="leave 'layout' out, and it is told by what the model puts out",
            )
        found = yolo.classes(chosen, shape)
        if found != len(self.labels):
            raise ConfigError(
                f"detector: {path} tells {found} classes apart, but its label file has "
                f"{len(self.labels)} names",
                hint="labels: one name per line, in the order that it was trained with",
            )
        return chosen

    def _names(self, scores: NDArray[np.float32]) -> dict[str, float]:
        only = self._params.only
        return {
            self.labels[k]: float(scores[k])
            for k in np.argsort(-scores)[:5]
            if scores[k] >= _MIN_NAME and (not only or self.labels[k] in only)
        }


class DetectorSource:
    """The user's detector as a source of objects.

    Args:
        params: The detector.
        workspace: Where objects count.
        base: Folder that relative paths start from.

    Raises:
        ConfigError: See :class:`Detector`.
        EngineError: The file is no model.
    """

    def __init__(self, params: DetectorParams, workspace: Workspace, base: Path) -> None:
        self._params = params
        self._workspace = workspace
        self._detector = Detector(params, base)

    def reset(self) -> None:
        """Nothing to forget: each picture stands for itself."""

    def close(self) -> None:
        """Release the engine."""
        self._detector.close()

    def observe(self, view: View) -> Observation:
        """Find the objects in one picture; see :class:`deixis.nodes.objects.source.Source`."""
        things, weak = self._detector.find(view.image)
        found = [self._locate(box, names, view) for box, names in things]
        return Observation(
            tuple(detection for detection in found if detection is not None),
            free_outside(weak, view),
        )

    def _locate(self, box: Box, names: dict[str, float], view: View) -> Detection | None:
        # The edges of a box are a few pixels off, more for larger ones.
        fit = fit_box(box, _EDGE_PX + _EDGE_SHARE * max(box[2:]), view.camera)
        if fit is None or fit.radius_m > self._params.max_radius_m:
            return None
        if not self._workspace.contains(fit.position_base_m, fit.radius_m):
            return None
        hands = [hand.landmarks_px for hand in view.hands]
        return Detection(
            box_px=box,
            position_base_m=fit.position_base_m,
            position_cov_m2=fit.covariance_m2,
            radius_m=fit.radius_m,
            height_m=fit.height_m,
            confidence=min(0.99, max(names.values())),
            names=names,
            clipped=any(share_inside(box, _box_of(points)) > 0.3 for points in hands),
        )


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of a label file, one per line.

    Raises:
        ConfigError: It is missing, empty or no text.
    """
    hint = "a text file with the name of a class per line, in the model's order"
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        raise ConfigError(f"detector: cannot read the labels {path}: {cause}", hint=hint) from cause
    names = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not names:
        raise ConfigError(f"detector: the label file {path} is empty", hint=hint)
    return names


def _at_most_one(names: dict[str, float]) -> dict[str, float]:
    total = max(1.0, sum(names.values()))
    return {n: p / total for n, p in sorted(names.items(), key=lambda item: -item[1])}


def _box_of(points: Sequence[tuple[float, float]]) -> Box:
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    return (float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1]))
