"""Keeps embeddings of taught views beside them, so that starting costs no inference.

They are kept by the picture's bytes and by the model, in ``embeddings.npz`` of the gallery folder;
what is not there is computed, and a folder that cannot be written is only slower to start from.

    cache = ViewCache(folder, embedder.key)
    cache.get(data)  # (2, d): the view and its mirror image, or None
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.gallery_folder import write_whole

FILE = "embeddings.npz"
_CUTTING = b"1"
"""Changes when views are cut out or scaled in another way."""


class ViewCache:
    """Embeddings by the bytes of the pictures.

    Args:
        folder: Of the gallery.
        key: Of the model; what another one made is not used. Without a key nothing is kept on disk.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / FILE
        self._salt = key.encode() + _CUTTING
        self._keeps = bool(key)
        self._known: dict[str, NDArray[np.float32]] = {}
        self._used: dict[str, NDArray[np.float32]] = {}
        if not self._keeps:
            return
        try:
            with np.load(self._path, allow_pickle=False) as file:
                self._known = dict(zip(file["names"].tolist(), file["pairs"], strict=True))
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            # Missing or damaged: it is made anew from the pictures.
            self._known = {}

    def get(self, data: bytes) -> NDArray[np.float32] | None:
        """Embeddings of a picture file's bytes, float32 ``(2, d)``, if they are known."""
        name = self._name(data)
        if name in self._known:
            self._used[name] = self._known[name]
        return self._used.get(name)

    def put(self, data: bytes, vectors: NDArray[np.float32]) -> None:
        """Remember the embeddings ``(2, d)`` of a picture file's bytes."""
        self._used[self._name(data)] = vectors

    def save(self) -> None:
        """Write what was used since it was opened, if that is not what is there already."""
        if not self._keeps or self._used.keys() == self._known.keys():
            return
        # A gallery that must not be written works without.
        with suppress(OSError):
            data = io.BytesIO()
            np.savez(data, names=list(self._used), pairs=np.stack([*self._used.values()]))
            write_whole(self._path, data.getvalue())

    def _name(self, data: bytes) -> str:
        return hashlib.sha256(self._salt + data).hexdigest()
