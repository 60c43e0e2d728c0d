"""Names things by showing: a few taught views per thing, compared by their embeddings.

What was taught lies in a folder (:mod:`.gallery_folder`). A thing is as similar as its prototype,
the mean of its views and their mirror images (Snell et al., "Prototypical networks for few-shot
learning", 2017), and its nearest view are on average. Several things may share a noun, which is as
similar as the nearest of them. A softmax over the nouns and a fixed similarity for *unknown* gives
probabilities.

    gallery = Gallery.load(Path("gallery"), embedder)
    gallery.name(embedder.embed([crop])[0])  # {"cup": 0.93, "bowl": 0.01}; the rest is unknown
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.embedding import CropEmbedder, cut_out, object_crop
from deixis.nodes.objects.gallery_folder import (
    INDEX,
    GalleryFolder,
    Picture,
    decode_picture,
    read_index,
)
from deixis.nodes.objects.source import Image
from deixis.nodes.objects.view_cache import ViewCache
from deixis.runtime.errors import ConfigError


class NamingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How similarities become probabilities.

    ``deixis train objects`` finds 0.06 and 0.5 where known and unknown things are equally frequent;
    to leave a thing unnamed costs less than to call it by a wrong name.

    Attributes:
        temperature: Difference of cosine similarity that changes odds by a factor of e.
        unknown_similarity: A thing this similar to the nearest noun is as likely to be unknown.
        min_probability: Names below this are not listed.
    """

    temperature: float = 0.05
    unknown_similarity: float = 0.55
    min_probability: float = 0.005


class Gallery:
    """Prototypes of taught things.

    Args:
        nouns: Noun per thing; several may have the same.
        views: Embeddings of each thing's views, float32 ``(n_views, d)``, each of length 1.
        params: How similarities become probabilities.
    """

    def __init__(
        self, nouns: Sequence[str], views: Sequence[NDArray[np.float32]], params: NamingParams
    ) -> None:
        self._prototypes = _unit(np.stack([v.mean(axis=0) for v in views]))
        self._views = list(views)
        self.nouns = tuple(dict.fromkeys(nouns))
        self._of = [np.flatnonzero([n == noun for n in nouns]) for noun in self.nouns]
        self._params = params

    @classmethod
    def load(
        cls, folder: Path, embedder: CropEmbedder, params: NamingParams | None = None
    ) -> Gallery:
        """Read a gallery and embed its views.

        Raises:
            ConfigError: The index is missing or wrong, or a thing has no readable picture.
        """
        index = read_index(folder / INDEX)
        if not index:
            raise ConfigError(f"gallery: {folder / INDEX} names nothing")
        views = embed_views(folder, list(index), embedder)
        return cls([e.names[0] for e in index.values()], views, params or NamingParams())

    def name(self, vector: NDArray[np.float32]) -> dict[str, float]:
        """Probability per noun, most probable first; what is missing to 1 is *unknown*.

        Args:
            vector: Embedding of a crop, shape ``(d,)``, of length 1.
        """
        share = probabilities(self.similarity(vector)[None], self._params)[0]
        return {
            self.nouns[i]: float(share[i])
            for i in np.argsort(-share)
            if share[i] >= self._params.min_probability
        }

    def similarity(self, vector: NDArray[np.float32]) -> NDArray[np.float64]:
        """How much something is like the nearest thing of each noun, in their order."""
        nearest = np.array([(views @ vector).max() for views in self._views])
        similarity = (self._prototypes @ vector + nearest) / 2
        return np.array([similarity[things].max() for things in self._of], np.float64)


def probabilities(similarity: NDArray[np.float64], params: NamingParams) -> NDArray[np.float64]:
    """Probability of each noun for each row of similarities ``(n, nouns)``; the rest is unknown."""
    unknown = np.full((len(similarity), 1), params.unknown_similarity)
    logits = np.concatenate([similarity, unknown], axis=1) / params.temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray((odds / odds.sum(axis=1, keepdims=True))[:, :-1], np.float64)


def embed_views(
    folder: Path, things: Sequence[str], embedder: CropEmbedder
) -> list[NDArray[np.float32]]:
    """Embeddings of the things' views, each view followed by its mirror image.

    Args:
        folder: Of the gallery.
        things: Ids of things.
        embedder: Embeds what the folder's cache does not know.

    Returns:
        One array ``(2 n_views, d)`` a thing.

    Raises:
        ConfigError: A thing has no picture, or one that cannot be read.
    """
    files = [GalleryFolder(folder).pictures(thing) for thing in things]
    cache = ViewCache(folder, embedder.key)
    data = [(path, path.read_bytes()) for paths in files for path in paths]
    new = [(path, picture) for path, picture in data if cache.get(picture) is None]
    crops = [crop for path, picture in new for crop in _both_ways(read_view(picture, path))]
    vectors = embedder.embed(crops)
    for i, (_, picture) in enumerate(new):
        cache.put(picture, vectors[2 * i : 2 * i + 2])
    cache.save()
    known = [cache.get(picture) for _, picture in data]
    ends = np.cumsum([len(paths) for paths in files])
    return [
        np.concatenate([pair for pair in known[end - len(paths) : end] if pair is not None])
        for end, paths in zip(ends.tolist(), files, strict=True)
    ]


def read_view(data: bytes, path: Path) -> Image:
    """A taught view as the network sees it, ``(224, 224, 3)``.

    Args:
        data: The picture file.
        path: What it is called in messages.

    Raises:
        ConfigError: It is no picture.
    """
    picture = decode_picture(data)
    if picture is None:
        raise ConfigError(f"gallery: {path} is not a picture that can be read")
    if picture.shape[2] == 4:
        return view_of(picture)
    return object_crop(picture, *cut_out(picture))


def view_of(picture: Picture) -> Image:
    """What is opaque in a picture, as the network sees it, ``(224, 224, 3)``."""
    opaque = picture[..., 3] > 127
    x, y, w, h = cv2.boundingRect(opaque.astype(np.uint8))
    colours = np.ascontiguousarray(picture[..., :3])
    return object_crop(colours, (x, y, w, h), opaque[y : y + h, x : x + w])


def _both_ways(crop: Image) -> tuple[Image, Image]:
    return crop, np.ascontiguousarray(crop[:, ::-1])


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)
