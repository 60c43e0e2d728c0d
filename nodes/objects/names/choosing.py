"""Chooses the few views that teach a thing: each good, no two alike.

views = choose_views(footage.shots, cutter, wanted=5)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deixis.calibration.footage import Shot
from deixis.nodes.objects.gallery_folder import Picture
from deixis.nodes.objects.names.cutting import Cutter
from deixis.nodes.objects.views import alike, thumbnail
from deixis.runtime.errors import MediaError


@dataclass
class Chosen:
    """What came of looking at pictures.

    Attributes:
        views: The views to store.
        seen: How many pictures were looked at.
        alike: How many good ones showed nothing new.
        refused: How many were refused, by reason.
    """

    views: list[Picture] = field(default_factory=list)
    seen: int = 0
    alike: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def reason(self) -> str:
        """Why most of the refused pictures were refused."""
        return self.refused.most_common(1)[0][0] if self.refused else "there was no picture"


def choose_views(
    shots: Iterable[Shot], cutter: Cutter, wanted: int, progress: Callable[[Chosen], None]
) -> Chosen:
    """Go through pictures until there are enough views that differ.

    Args:
        shots: Of a video, or of a camera that is running.
        cutter: Cuts the thing out of a picture, or raises a MediaError that says why not.
        wanted: How many views.
        progress: Called after each picture.
    """
    chosen = Chosen()
    thumbs: list[NDArray[np.float32]] = []
    for shot in shots:
        chosen.seen += 1
        try:
            view = cutter(shot.image)
        except MediaError as error:
            chosen.refused[error.message] += 1
        else:
            thumb = thumbnail(view)
            if any(alike(thumb, old) for old in thumbs):
                chosen.alike += 1
            else:
                thumbs.append(thumb)
                chosen.views.append(view)
        progress(chosen)
        if len(chosen.views) == wanted:
            break
    return chosen
