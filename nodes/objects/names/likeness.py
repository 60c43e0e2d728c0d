"""How well a gallery tells its own things apart: each view named by all the others.

judged = leave_one_out(folder, embedder, NamingParams()); pairs = too_alike(judged)
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from deixis.nodes.objects.embedding import CropEmbedder
from deixis.nodes.objects.gallery import Gallery, NamingParams, embed_views
from deixis.nodes.objects.gallery_folder import GalleryFolder

UNKNOWN = "object"
"""What a thing is called whose name is not known."""
ALIKE = 0.2
"""Probability from which on a thing that is called by another's name is a matter to mention."""
SURE = 0.5
"""Below it a name is not what a thing is called."""


@dataclass(frozen=True)
class Judged:
    """A picture and what it is called.

    Attributes:
        picture: Its name.
        thing: Id of the thing it shows, if that is known.
        noun: What it should be called, if that is known.
        names: Probability per noun.
        alone: It is the thing's only view: it was named by itself.
    """

    picture: str
    thing: str | None
    noun: str | None
    names: dict[str, float]
    alone: bool = False

    @property
    def called(self) -> str:
        """The noun that it surely has, or ``object``."""
        best = max(self.names, key=self.names.__getitem__, default=UNKNOWN)
        return best if self.names.get(best, 0.0) >= SURE else UNKNOWN


def leave_one_out(
    folder: GalleryFolder, embedder: CropEmbedder, params: NamingParams
) -> list[Judged]:
    """Each taught view, named by a gallery in which it (and its mirror image) is missing.

    Raises:
        ConfigError: The gallery is wrong.
    """
    index = folder.things()
    if not index:
        return []
    nouns = [entry.names[0] for entry in index.values()]
    views = embed_views(folder.path, list(index), embedder)
    judged = []
    for k, thing in enumerate(index):
        pictures = folder.pictures(thing)
        alone = len(pictures) == 1
        for i, path in enumerate(pictures):
            pair = [2 * i, 2 * i + 1]
            rest = views[k] if alone else np.delete(views[k], pair, axis=0)
            gallery = Gallery(nouns, [*views[:k], rest, *views[k + 1 :]], params)
            names = gallery.name(views[k][pair[0]])
            judged.append(Judged(f"{thing}/{path.name}", thing, nouns[k], names, alone))
    return judged


def too_alike(judged: list[Judged]) -> list[tuple[str, str, float]]:
    """Things that are taken for something else: id, the other noun, mean probability of it."""
    rows: dict[str, list[Judged]] = defaultdict(list)
    for one in judged:
        if one.thing is not None:
            rows[one.thing].append(one)
    pairs = []
    for thing, views in rows.items():
        others = {noun for v in views for noun in v.names if noun != v.noun}
        for noun in sorted(others):
            mean = float(np.mean([v.names.get(noun, 0.0) for v in views]))
            if mean >= ALIKE:
                pairs.append((thing, noun, mean))
    return pairs
