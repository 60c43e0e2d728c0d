"""How a model of your own is judged when it is exported: any ONNX file, here an image encoder.

The metric gets something to run the model with and the files that were held out (one in three of
those below ``--calib``); it gives percent, more is better. ``inputs`` says how files become the
model's inputs; without it they are ``.npz`` files with an array an input, or pictures scaled to
0..1.

    deixis export bundles/cpu/models/crop_embedding.onnx --task examples/own_model.py:named_right \
        --calib tests/scenes/gallery --precision int8 --out bundles/mine
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[np.float32]]


def inputs(files: Iterable[Path]) -> Iterator[Arrays]:
    """Pictures as this encoder takes them: RGB, 0..255, 224 × 224."""
    for file in files:
        if file.suffix == ".png":
            picture = cv2.imread(str(file))
            yield {"image": cv2.dnn.blobFromImage(picture, size=(224, 224), swapRB=True)}


def named_right(run: Callable[[Arrays], Arrays], files: list[Path]) -> float:
    """Views whose nearest other view shows the same thing (%)."""
    views = sorted(path for path in files[0].parents[1].glob("*/*.png"))
    embedded = np.stack([run(image)["embedding"][0].copy() for image in inputs(views)])
    likeness = embedded @ embedded.T - 2 * np.eye(len(views))
    asked = [views.index(file) for file in files if file.suffix == ".png"]
    right = [views[likeness[i].argmax()].parent == views[i].parent for i in asked]
    return 100 * float(np.mean(right))
