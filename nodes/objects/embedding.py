"""Turns crops of pictures into embeddings: vectors that are close for things that look alike.

The network (EfficientNet-Lite0 without its classifier) sees a square around the object in which
everything that is not the object is painted in one neutral colour, so that the table and the
neighbours do not count. An adapter, trained on views of other things, maps its features to where
one thing seen from two sides is near and two things are apart.

    embedder = open_embedder(bundle)
    vectors = embedder.embed([object_crop(image, box_px, mask)])  # (1, 256), length 1
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.background import SurfaceModel, edge_contrast, log_picture
from deixis.nodes.objects.source import Box, Image, Mask, integer_box
from deixis.runtime.bundle import Bundle
from deixis.runtime.engines import Engine, Note, open_engine

ROLE, ADAPTER = "crop_embedding", "object_adapter"
SIZE_PX = 224
_PAD = 0.12
NEUTRAL = (128, 128, 128)
_BATCH = 8


class CropEmbedder:
    """Embeds crops with an engine.

    Args:
        engine: Input ``image``, float32 ``(n, 3, 224, 224)``, RGB 0 to 255; output ``embedding``,
            float32 ``(n, d)``.
        adapter: Input ``features``, float32 ``(n, d)``; output ``embedding``, float32 ``(n, e)``.
            Without one the features are the embeddings.
        key: Which model it is: embeddings of another key are not comparable.
    """

    def __init__(self, engine: Engine, adapter: Engine | None = None, key: str = "") -> None:
        self._engine = engine
        self._adapter = adapter
        self.key = key

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
        if not parts:
            return np.zeros((0, 1), np.float32)
        vectors = _unit(np.concatenate(parts))
        if self._adapter is not None:
            vectors = _unit(self._adapter.infer({"features": vectors})["embedding"])
        return vectors

    def close(self) -> None:
        """Release the engines."""
        self._engine.close()
        if self._adapter is not None:
            self._adapter.close()


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def open_embedder(bundle: Bundle, note: Note | None = None) -> CropEmbedder:
    """The crop embedding of a bundle, with its adapter.

    Args:
        bundle: The bundle.
        note: Hears what is not as it could be of their engines.

    Raises:
        BundleError: The bundle lacks one of them.
        EngineError: They cannot be opened.
    """
    key = bundle.model(ROLE).file.sha256 + bundle.model(ADAPTER).file.sha256
    encoder, adapter = (open_engine(bundle, role, note=note) for role in (ROLE, ADAPTER))
    return CropEmbedder(encoder, adapter, key)


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
        part = np.where(grown[: bottom - top, : right - left, None], part, np.uint8(NEUTRAL[0]))
    side = max(1, int(np.ceil(max(part.shape[:2]) * (1 + 2 * _PAD))))
    square = np.full((side, side, 3), NEUTRAL, np.uint8)
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
    middle = np.zeros((height, width), np.uint8)
    contrast = surface_contrast(view)
    if contrast is not None:
        differs = (edge_contrast(contrast) > 1).astype(np.uint8)
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


def surface_contrast(view: Image) -> NDArray[np.float32] | None:
    """How much each pixel differs from the plain surface that a view shows along its border.

    Returns:
        As :meth:`~deixis.nodes.objects.background.SurfaceModel.contrast`; None where the border
        shows no plain surface.
    """
    height, width = view.shape[:2]
    rim = max(3, min(height, width) // 10)
    border = np.ones((height, width), bool)
    border[rim:-rim, rim:-rim] = False
    surface = SurfaceModel((height, width), border)
    planes = log_picture(view)
    if not surface.fit(planes):
        return None
    # The border shows the surface; shadows lie around the thing, and tell the lamp's colour.
    lit = SurfaceModel((height, width), np.ones((height, width), bool))
    lit.coefficients = surface.coefficients
    return (lit if lit.fit(planes) else surface).contrast(planes)
