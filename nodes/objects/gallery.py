"""Names things by showing: a few taught views per thing, compared by their embeddings.

A gallery is a folder with ``gallery.json`` (``{"red_cup": {"names": ["cup", "mug"], "colour":
"red"}}``) and the pictures of each thing in a folder of its id. The first name is the noun that the
domain knows. A thing is as similar as its prototype, the mean of its views and their mirror images
(Snell et al., "Prototypical networks for few-shot learning", 2017), and its nearest view are on
average; what all things share is subtracted, so that cosine similarity tells them apart. Several
things may share a noun, which is as similar as the nearest of them. A softmax over the nouns and a
fixed similarity for *unknown* gives probabilities.

    gallery = Gallery.load(Path("gallery"), embedder)
    gallery.name(embedder.embed([crop])[0])  # {"cup": 0.93, "bowl": 0.01}; the rest is unknown
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.embedding import CropEmbedder, cut_out, object_crop
from deixis.nodes.objects.source import Image
from deixis.runtime.errors import ConfigError

INDEX = "gallery.json"
_PICTURES = (".png", ".jpg", ".jpeg")


class NamingParams(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How similarities become probabilities.

    Attributes:
        temperature: Difference of cosine similarity that changes odds by a factor of e.
        unknown_similarity: A thing this similar to the nearest noun is as likely to be unknown.
        min_probability: Names below this are not listed.
    """

    temperature: float = 0.08
    unknown_similarity: float = 0.4
    min_probability: float = 0.005


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One taught thing in ``gallery.json``: what it is called (noun first) and its colour."""

    names: tuple[str, ...]
    colour: str | None = None


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
        means = np.stack([v.mean(axis=0) for v in views])
        # With few things their mean is mostly what tells them from everything else.
        self._centre = means.mean(axis=0) * (len(means) - 1) / len(means)
        self._prototypes = _unit(means - self._centre)
        self._views = [_unit(v - self._centre) for v in views]
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
        index = _read_index(folder / INDEX)
        crops: list[Image] = []
        ends = []
        for thing in index:
            for path in _pictures(folder / thing):
                view = cv2.imread(str(path), cv2.IMREAD_COLOR)
                if view is None:
                    raise ConfigError(f"gallery: {path} is not a picture that can be read")
                picture = np.asarray(view, np.uint8)
                crop = object_crop(picture, *cut_out(picture))
                crops += [crop, np.ascontiguousarray(crop[:, ::-1])]
            ends.append(len(crops))
        views = np.split(embedder.embed(crops), ends[:-1])
        return cls([e.names[0] for e in index.values()], views, params or NamingParams())

    def name(self, vector: NDArray[np.float32]) -> dict[str, float]:
        """Probability per noun, most probable first; what is missing to 1 is *unknown*.

        Args:
            vector: Embedding of a crop, shape ``(d,)``, of length 1.
        """
        own = _unit(vector - self._centre)
        nearest = np.array([(views @ own).max() for views in self._views])
        similarity = (self._prototypes @ own + nearest) / 2
        best = np.array([similarity[things].max() for things in self._of])
        logits = np.append(best, self._params.unknown_similarity) / self._params.temperature
        odds = np.exp(logits - logits.max())
        share = (odds / odds.sum())[:-1]
        return {
            self.nouns[i]: float(share[i])
            for i in np.argsort(-share)
            if share[i] >= self._params.min_probability
        }


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


def _pictures(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in _PICTURES)
    if not found:
        raise ConfigError(
            f"gallery: {folder} holds no picture",
            hint=f"add a few square .png views of it, or take {folder.name!r} out of {INDEX}",
        )
    return found


def _read_index(path: Path) -> Mapping[str, Entry]:
    try:
        raw = path.read_bytes()
    except OSError as cause:
        raise ConfigError(
            f"gallery: cannot read {path}: {cause.strerror}",
            hint="a gallery is a folder with gallery.json and a folder of pictures per thing",
        ) from cause
    try:
        index = msgspec.json.decode(raw, type=dict[str, Entry])
    except msgspec.DecodeError as cause:
        raise ConfigError(f"gallery: {path}: {cause}") from cause
    if not index:
        raise ConfigError(f"gallery: {path} names nothing")
    for thing, entry in index.items():
        if not entry.names or Path(thing).name != thing:
            raise ConfigError(
                f"gallery: {path}: {thing!r} needs at least one name and a plain folder name as id"
            )
    return index
