"""Looks closely at what is new or has changed: names, colours and embedding of single objects.

A look costs more than all the rest of an update, so that only a few are taken of one picture; the
others have theirs in the next ones.

    looks = Looks(embedder, gallery)
    waiting = looks.take(view, tracker.update(observation, size, stamp_ns))
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from deixis.nodes.objects.colours import colour_names, white_gains
from deixis.nodes.objects.embedding import CropEmbedder, object_crop
from deixis.nodes.objects.gallery import Gallery
from deixis.nodes.objects.source import Detection, View, integer_box
from deixis.nodes.objects.track import Track

_AT_ONCE = 1


class Looks:
    """Gives tracks their names, colours and embeddings.

    Args:
        embedder: The network; without one there are colours only.
        gallery: Taught things; without one there are no names.
    """

    def __init__(self, embedder: CropEmbedder | None, gallery: Gallery | None) -> None:
        self.embedder = embedder
        self.gallery = gallery
        # OpenCV computes its colour tables at the first use, which takes a while.
        colour_names(np.zeros((2, 2, 3), np.uint8), np.ones((2, 2), bool))

    def take(self, view: View, pairs: Sequence[tuple[Track, Detection]]) -> bool:
        """Take some looks: first at what was never looked at, then at what waits longest.

        Returns:
            Whether something has yet to have its first look.
        """
        wanted = [(t, d) for t, d in pairs if t.wants_look(d, view.stamp_ns)]
        wanted.sort(key=lambda pair: (pair[0].looked_box_px is not None, pair[0].looked_ns))
        for track, _ in wanted:
            track.awaits_look = track.looked_box_px is None
        for track, detection in wanted[:_AT_ONCE]:
            self._look(view, track, detection)
        return any(track.awaits_look for track, _ in wanted)

    def name_again(self, gallery: Gallery | None, tracks: Sequence[Track]) -> None:
        """Use another gallery, and look up in it the names of what was looked at already."""
        self.gallery = gallery
        for track in tracks:
            if track.embedding is not None:
                track.names = {} if gallery is None else gallery.name(track.embedding)

    def close(self) -> None:
        """Release the engine."""
        if self.embedder is not None:
            self.embedder.close()

    def _look(self, view: View, track: Track, detection: Detection) -> None:
        left, top, right, bottom = integer_box(
            detection.box_px, (view.image.shape[1], view.image.shape[0])
        )
        part = view.image[top:bottom, left:right]
        mask = detection.mask
        if mask is None:
            mask = np.ones(part.shape[:2], bool)
        gains = white_gains(view.image)
        colours = colour_names(part, mask[: bottom - top, : right - left], gains)
        names: dict[str, float] = {}
        vector = None
        if self.embedder is not None:
            crop = object_crop(view.image, detection.box_px, detection.mask)
            vector = self.embedder.embed([crop])[0]
            if self.gallery is not None:
                names = self.gallery.name(vector)
        track.see(names, colours, vector, detection.box_px, view.stamp_ns)
