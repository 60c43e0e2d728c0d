"""What is looked for: a name, a colour, both, or something that looks like given pictures.

A question says which embeddings to look near to and scores what was seen, from 0 to 1.

    question = named("red cup", folder, embedder, NamingParams())
    question.scores(vectors, sightings)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deixis.nodes.objects.colours import WORDS, colour_names
from deixis.nodes.objects.embedding import NEUTRAL, CropEmbedder
from deixis.nodes.objects.find.store import Sighting
from deixis.nodes.objects.gallery import Gallery, NamingParams, embed_views, read_view
from deixis.nodes.objects.gallery_folder import INDEX, Entry, GalleryFolder, read_index
from deixis.nodes.objects.names.options import things_called
from deixis.nodes.objects.source import Image
from deixis.runtime.errors import MediaError, UsageError

Vectors = NDArray[np.float32]

_FILLERS = frozenset({
    "a", "an", "the", "any", "some", "find", "something", "anything", "thing", "things", "object",
    "objects", "one", "ones",
})  # fmt: skip
_SPELLINGS = {"gray": "grey", "violet": "purple"}
_COLOUR_FLOOR = 0.02
"""Below this probability of the wanted colour a sighting is not looked at."""


class Question(Protocol):
    """Something to look for."""

    @property
    def text(self) -> str:
        """What is shown to the user."""
        ...

    @property
    def colour(self) -> str | None:
        """The colour that it must have."""
        ...

    @property
    def min_score(self) -> float:
        """Results below are left out unless the user says otherwise."""
        ...

    @property
    def near(self) -> Vectors | None:
        """Embeddings of which some must be near, ``(q, d)``; None when every one may be it."""
        ...

    def scores(self, vectors: Vectors, sightings: Sequence[Sighting]) -> NDArray[np.float64]:
        """How sure it is that each sighting is what is looked for, ``(n,)``, 0 to 1."""
        ...

    def otherwise(self, vectors: Vectors) -> float:
        """How sure it is that one of some sightings is something else that is known, 0 to 1."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """A taught noun, perhaps with a colour: the probabilities of both multiplied.

    Attributes:
        text: As asked.
        nouns: The nouns that the gallery knows it by.
        colour: Colour word.
        near: Embeddings of the taught views.
        gallery: Gives probabilities.
        min_score: Results below are left out unless the user says otherwise.
    """

    text: str
    nouns: frozenset[str]
    colour: str | None
    near: Vectors
    gallery: Gallery
    min_score: float = 0.4

    def scores(self, vectors: Vectors, sightings: Sequence[Sighting]) -> NDArray[np.float64]:
        """Probability of the noun and the colour."""
        named = [
            sum(p for noun, p in self.gallery.name(v).items() if noun in self.nouns)
            for v in vectors
        ]
        return np.array(named, np.float64) * _colour_scores(self.colour, sightings)

    def otherwise(self, vectors: Vectors) -> float:
        """Probability of the likeliest other noun."""
        names = (self.gallery.name(v).items() for v in vectors)
        return max((p for some in names for n, p in some if n not in self.nouns), default=0.0)


@dataclass(frozen=True, slots=True)
class Coloured:
    """Anything of a colour."""

    text: str
    colour: str
    min_score: float = 0.6
    near: None = None

    def scores(self, vectors: Vectors, sightings: Sequence[Sighting]) -> NDArray[np.float64]:
        """Probability of the colour."""
        return _colour_scores(self.colour, sightings)

    def otherwise(self, vectors: Vectors) -> float:
        """Whatever else it is, it may have the colour."""
        return 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Alike:
    """Something that looks like one of some views, in shape and in colour.

    Attributes:
        text: What is shown to the user.
        near: Embeddings of the views.
        colours: Probability per colour word of the thing in the views.
        common: What all sightings have in common, ``(d,)`` or 0: it says nothing about a thing.
        min_score: Results below are left out unless the user says otherwise.
    """

    text: str
    near: Vectors
    colours: Mapping[str, float]
    common: Vectors
    min_score: float = 0.4
    colour: None = None

    def scores(self, vectors: Vectors, sightings: Sequence[Sighting]) -> NDArray[np.float64]:
        """Cosine with the nearest view, down to half of it where the colours differ."""
        wanted, seen = _unit(self.near - self.common), _unit(vectors - self.common)
        cosine = (seen @ wanted.T).max(axis=1, initial=0.0)
        shared = [shared_colour(self.colours, s.colours) for s in sightings]
        return np.asarray(np.clip(cosine, 0, 1) * (0.5 + 0.5 * np.array(shared)), np.float64)

    def otherwise(self, vectors: Vectors) -> float:
        """Nothing else is known."""
        return 0.0


def named(
    text: str, folder: GalleryFolder, embedder: CropEmbedder, params: NamingParams
) -> Named | Coloured:
    """The question that a text asks: "red cup", "cup", "something red".

    Raises:
        UsageError: It is neither a noun nor a colour.
        ConfigError: Nothing taught is called so, or the gallery cannot be used.
    """
    noun, colour = words_of(text)
    if not noun and colour is not None:
        return Coloured(text, colour)
    index = read_index(folder.path / INDEX)
    things = things_called(index, _singular(noun, index), folder.path)
    return Named(
        text,
        frozenset(index[thing].names[0] for thing in things),
        colour,
        np.concatenate(embed_views(folder.path, things, embedder)),
        Gallery.load(folder.path, embedder, params),
    )


def alike(text: str, pictures: Sequence[Path], embedder: CropEmbedder) -> Alike:
    """The question that pictures ask, each of one thing on plain surroundings or cut out.

    Args:
        text: What is shown to the user.
        pictures: Files.
        embedder: That of the sightings. What they have in common is to be filled in.

    Raises:
        MediaError: One is missing.
        ConfigError: One is no picture.
    """
    crops: list[Image] = []
    colours: dict[str, float] = {}
    for path in pictures:
        if not path.is_file():
            raise MediaError(f"there is no picture {path}")
        crop = read_view(path.read_bytes(), path)
        crops += [crop, np.ascontiguousarray(crop[:, ::-1])]
        # Around the thing a view is neutral; what remains of a whole picture counts in full.
        thing = (crop != NEUTRAL).any(axis=2)
        for word, p in colour_names(crop, thing).items():
            colours[word] = colours.get(word, 0.0) + p / len(pictures)
    return Alike(text, embedder.embed(crops), colours, np.zeros(1, np.float32))


def words_of(text: str) -> tuple[str, str | None]:
    """Noun and colour of what was asked for: "the red cups" is ("cups", "red").

    Raises:
        UsageError: It is neither a noun nor a colour.
    """
    words = [_SPELLINGS.get(word, word) for word in text.lower().replace(",", " ").split()]
    words = [word for word in words if word not in _FILLERS]
    colours = [word for word in words if word in WORDS]
    if len(colours) > 1 or not words:
        raise UsageError(
            f"{text!r} does not say what to look for",
            hint='a taught noun, a colour, or both: deixis find "red cup" recordings/',
        )
    return " ".join(word for word in words if word not in WORDS), next(iter(colours), None)


def shared_colour(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """How much two distributions over colour words have in common, 0 to 1."""
    return sum(min(p, b.get(word, 0.0)) for word, p in a.items())


def may_be(question: Question, sighting: Sighting) -> bool:
    """Whether a sighting is worth a look, by its colour alone."""
    return question.colour is None or sighting.colours.get(question.colour, 0.0) >= _COLOUR_FLOOR


def _singular(noun: str, index: Mapping[str, Entry]) -> str:
    known = {name for entry in index.values() for name in entry.names}
    forms = (noun, noun.removesuffix("s"), noun.removesuffix("es"))
    return next((form for form in forms if form in known), noun)


def _colour_scores(colour: str | None, sightings: Sequence[Sighting]) -> NDArray[np.float64]:
    if colour is None:
        return np.ones(len(sightings))
    return np.array([s.colours.get(colour, 0.0) for s in sightings], np.float64)


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)
