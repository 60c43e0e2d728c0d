"""Learning by being told: "this is a cup" makes the object's latest clear views a taught thing.

The hand that points often covers the object at that moment, so that views are kept beforehand.

    lessons = Lessons(GalleryFolder(path))
    lessons.watch(view, pairs)
    lessons.teach(Teach(header, name="cup", object_id="object-3"))  # "red_cup"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from deixis.nodes.objects.gallery_folder import GalleryFolder, Picture, noun_and_colour
from deixis.nodes.objects.source import Detection, View
from deixis.nodes.objects.track import Track
from deixis.nodes.objects.views import alike, measured_colour, stored_view, thumbnail
from deixis.runtime.clock import NS_PER_S
from deixis.runtime.errors import ConfigError
from deixis.runtime.messages import Teach

_AGAIN_NS = NS_PER_S
_VIEWS = 4
_OBJECTS = 64


@dataclass
class _Seen:
    """The latest views of one object that differ, oldest first."""

    views: list[Picture] = field(default_factory=list)
    looked_ns: int = 0


class Lessons:
    """Keeps views of what is in the scene, and stores those of an object that is named.

    Args:
        folder: The gallery.
    """

    def __init__(self, folder: GalleryFolder) -> None:
        self._folder = folder
        self._seen: dict[str, _Seen] = {}

    def reset(self) -> None:
        """Forget what was seen: ids start again."""
        self._seen = {}

    def watch(self, view: View, pairs: Sequence[tuple[Track, Detection]]) -> None:
        """Keep a view of each object that is seen clearly, about once a second."""
        for track, detection in pairs:
            if not track.object_id or detection.clipped or detection.mask is None:
                continue
            seen = self._seen.pop(track.object_id, _Seen())
            # The one that was seen last comes last.
            self._seen[track.object_id] = seen
            if seen.views and view.stamp_ns - seen.looked_ns < _AGAIN_NS:
                continue
            seen.looked_ns = view.stamp_ns
            new = stored_view(view.image, detection.box_px, detection.mask)
            thumb = thumbnail(new)
            seen.views = [old for old in seen.views if not alike(thumbnail(old), thumb)]
            seen.views = [*seen.views, new][-_VIEWS:]
        while len(self._seen) > _OBJECTS:
            del self._seen[next(iter(self._seen))]

    def teach(self, lesson: Teach) -> str:
        """Store what the object looks like under the name.

        Returns:
            Id of the taught thing.

        Raises:
            ConfigError: There is no clear view of it, the name cannot be said, or the gallery
                cannot be written.
        """
        noun, colour = noun_and_colour(lesson.name, lesson.colour)
        seen = self._seen.get(lesson.object_id)
        if seen is None:
            raise ConfigError(f"{lesson.object_id} has not been seen clearly, so {noun!r} is not")
        return self._folder.teach(noun, colour or measured_colour(seen.views), seen.views)
