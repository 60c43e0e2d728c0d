"""Turns crops of pictures into embeddings: vectors that are close for things that look alike.

The network (EfficientNet-Lite0 without its classifier) sees a square around the object in which
everything that is not the object is painted in one neutral colour, so that the table and the
neighbours do not count.

    embedder = CropEmbedder(open_engine(bundle, "crop_embedding"))
    vectors = embedder.embed([object_crop(image, box_px, mask)])  # (1, 1280), length 1
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.background import SurfaceModel, edge_contrast, log_picture
from deixis.nodes.objects.source import Box, Image, Mask, integer_box
from deixis.runtime.engines import Engine

SIZE_PX = 224
_PAD = 0.12
_NEUTRAL = (128, 128, 128)
_BATCH = 8


class CropEmbedder:
    """Embeds crops with an engine.

    Args:
        engine: Input ``image``, float32 ``(n, 3, 224, 224)``, RGB 0 to 255; output ``embedding``,
            float32 ``(n, d)``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def embed(self, crops: Sequence[Image]) -> NDArray[np.float32]:
        """Embeddings of BGR crops ``(224, 224, 3)``: float32 ``(n, d)``, each of length 1.

        Raises:
            EngineError: The engine failed.
        """
        parts = []
        for i in range(0, len(crops), _BATCH):
            batch = np.stack(crops[i : i + _BATCH])[..., ::-1].transpose(0, 3, 1, 2)
            image = np.ascontiguousarray(batch, dtype=np.float32)
            parts.append(self._engine.infer({"image": image})["embedding"].copy())
        vectors = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
        return np.asarray(
            vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32
        )

    def close(self) -> None:
        """Release the engine."""
        self._engine.close()


def object_crop(image: Image, box_px: Box, mask: Mask | None) -> Image:
    """The square around an object at the network's size, BGR ``(224, 224, 3)``.

    Args:
        image: The whole picture.
        box_px: The object's box.
        mask: Its pixels within the box rounded outwards; without one the surroundings stay.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = integer_box(box_px, (width, height))
    part = image[top:bottom, left:right]
    if mask is not None:
        # A pixel more than the mask: the outline itself is part of the look.
        grown = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        part = np.where(grown[: bottom - top, : right - left, None], part, np.uint8(_NEUTRAL[0]))
    side = max(1, int(np.ceil(max(part.shape[:2]) * (1 + 2 * _PAD))))
    square = np.full((side, side, 3), _NEUTRAL, np.uint8)
    y, x = (side - part.shape[0]) // 2, (side - part.shape[1]) // 2
    square[y : y + part.shape[0], x : x + part.shape[1]] = part
    shrinks = side > SIZE_PX
    resized = cv2.resize(
        square, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    )
    return np.asarray(resized, np.uint8)


def cut_out(view: Image) -> tuple[Box, Mask]:
    """The box and mask of the one thing in the middle of a taught view.

    What differs from the surface along the view's border and lies in the middle is the thing; when
    nothing does (the surface is not plain), the whole view counts.
    """
    height, width = view.shape[:2]
    rim = max(3, min(height, width) // 10)
    border = np.ones((height, width), bool)
    border[rim:-rim, rim:-rim] = False
    surface = SurfaceModel((height, width), border)
    planes = log_picture(view)
    middle = np.zeros((height, width), np.uint8)
    if surface.fit(planes):
        differs = (edge_contrast(surface.contrast(planes)) > 1).astype(np.uint8)
        differs = np.asarray(cv2.morphologyEx(differs, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)))
        contours, _ = cv2.findContours(differs, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        reach = 0.3 * min(height, width)
        for contour in contours:
            depth = cv2.pointPolygonTest(contour, (width / 2, height / 2), measureDist=True)
            if depth > -reach and cv2.contourArea(contour) > 0.01 * height * width:
                cv2.drawContours(middle, [contour], -1, 1, cv2.FILLED)
    if middle.mean() < 0.08:
        return (0.0, 0.0, float(width), float(height)), np.ones((height, width), bool)
    x, y, w, h = cv2.boundingRect(middle)
    return (float(x), float(y), float(w), float(h)), middle[y : y + h, x : x + w].astype(bool)
