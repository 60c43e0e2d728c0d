"""Watches a file once: what may be a thing is embedded when it comes, and followed while it stays.

watcher = Watcher(embedder, finder)
sightings, vectors, thumbnails = watcher.watch(samples(file, 0.5), lambda at_s: None)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.store import CameraCalibration
from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.colours import colour_names
from deixis.nodes.objects.embedding import CropEmbedder, object_crop
from deixis.nodes.objects.find.media import Sample
from deixis.nodes.objects.find.proposals import Proposal, propose
from deixis.nodes.objects.find.store import Sighting
from deixis.nodes.objects.source import Box, Image, View, integer_box
from deixis.nodes.objects.tabletop import TabletopSource
from deixis.runtime.clock import NS_PER_S

_GLANCE_PX = (80, 60)
_SAME_PICTURE = 6.0
"""Grey levels by which no part of a picture may differ for it to be the same."""
_SAME_PLACE_IOU = 0.85
_SAME_LOOK = 8.0
"""Mean difference in grey levels up to which a crop shows the same."""
_LOOK_PX = 16
_THUMBNAIL_PX = 224
_AROUND = 2.2
"""Side of a thumbnail in units of the thing's larger side."""

Finder = Callable[[Sample], list[Proposal]]


class TabletopFinder:
    """Proposals by the table-top source, for pictures of a camera whose place is known.

    Args:
        camera: Its calibration, standing in the base frame.
        source: The table-top source.
    """

    def __init__(self, camera: CameraCalibration, source: TabletopSource) -> None:
        self._camera, self._source = camera, source

    def __call__(self, sample: Sample) -> list[Proposal]:
        """What stands on the work plane.

        Raises:
            CalibrationError: The picture's shape is not the camera's.
        """
        height, width = sample.image.shape[:2]
        camera = self._camera.for_frame(width, height)
        if sample.at_s == 0:
            self._source.reset()
        observation = self._source.observe(View(sample.image, camera, int(sample.at_s * NS_PER_S)))
        return [
            Proposal(d.box_px, d.mask)
            for d in observation.detections
            if d.mask is not None and not d.clipped
        ]


def propose_anywhere(sample: Sample) -> list[Proposal]:
    """Proposals for pictures of which nothing is known."""
    return propose(sample.image)


@dataclass(frozen=True, slots=True, eq=False)
class _Followed:
    """A thing that was there in the newest picture, and how it looked when it came."""

    sighting: Sighting
    look: NDArray[np.float32]


class Watcher:
    """Turns pictures into sightings.

    Args:
        embedder: Embeds crops.
        finder: Says where something may be.
    """

    def __init__(self, embedder: CropEmbedder, finder: Finder) -> None:
        self._embedder, self._finder = embedder, finder

    def watch(
        self, pictures: Iterable[Sample], progress: Callable[[float], None]
    ) -> tuple[list[Sighting], NDArray[np.float32], bytes]:
        """Watch one file.

        Args:
            pictures: Its samples in the order of time.
            progress: Called with the time in the file that was reached, seconds.

        Returns:
            Sightings, their embeddings ``(n, d)`` and the bytes of all thumbnails.

        Raises:
            MediaError: The file cannot be read.
            CalibrationError: A picture does not fit the camera.
            EngineError: The embedding failed.
        """
        sightings: list[Sighting] = []
        vectors: list[NDArray[np.float32]] = []
        thumbnails = bytearray()
        followed: list[_Followed] = []
        glance: NDArray[np.float32] | None = None
        for sample in pictures:
            now = _glance(sample.image)
            new: list[tuple[Proposal, NDArray[np.float32]]] = []
            if glance is None or np.abs(now - glance).max() >= _SAME_PICTURE:
                glance = now
                followed, new = self._sort_out(sample, followed)
            for one in followed:
                one.sighting.end_s = sample.at_s
            crops = [object_crop(sample.image, p.box_px, p.mask) for p, _ in new]
            if crops:
                vectors.append(self._embedder.embed(crops))
            for proposal, look in new:
                jpeg = thumbnail(sample.image, proposal.box_px)
                place = (len(thumbnails), len(thumbnails) + len(jpeg))
                thumbnails += jpeg
                colours = _colours(sample.image, proposal)
                at_s = sample.at_s
                sightings.append(Sighting(at_s, at_s, proposal.box_px, colours, place))
                followed.append(_Followed(sightings[-1], look))
            progress(sample.at_s)
        nothing = np.zeros((0, 1), np.float32)
        return sightings, np.concatenate(vectors) if vectors else nothing, bytes(thumbnails)

    def _sort_out(
        self, sample: Sample, followed: Sequence[_Followed]
    ) -> tuple[list[_Followed], list[tuple[Proposal, NDArray[np.float32]]]]:
        """Which followed things are still there as they were, and which proposals are new."""
        still: list[_Followed] = []
        new = []
        for proposal in self._finder(sample):
            look = _look(sample.image, proposal.box_px)
            same = (
                one
                for one in followed
                if overlap(one.sighting.box_px, proposal.box_px) >= _SAME_PLACE_IOU
                and np.abs(_look(sample.image, one.sighting.box_px) - one.look).mean() < _SAME_LOOK
            )
            known = next(same, None)
            if known is None:
                new.append((proposal, look))
            elif known not in still:
                still.append(known)
        return still, new


def thumbnail(image: Image, box_px: Box) -> bytes:
    """A square JPEG of a thing and what is around it, the thing outlined."""
    height, width = image.shape[:2]
    x, y, w, h = box_px
    side = int(min(max(_AROUND * max(w, h), 48), height, width))
    left = int(np.clip(x + w / 2 - side / 2, 0, width - side))
    top = int(np.clip(y + h / 2 - side / 2, 0, height - side))
    part = image[top : top + side, left : left + side]
    scale = _THUMBNAIL_PX / side
    resized = cv2.resize(
        part, (_THUMBNAIL_PX, _THUMBNAIL_PX),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )  # fmt: skip
    corners = np.array([x - left, y - top, x + w - left, y + h - top]) * scale
    p, q, r, s = (int(v) for v in np.round(corners))
    for colour, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.rectangle(resized, (p, q), (r, s), colour, thickness, cv2.LINE_AA)
    _, data = cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return data.tobytes()


def _colours(image: Image, proposal: Proposal) -> dict[str, float]:
    left, top, right, bottom = integer_box(proposal.box_px, (image.shape[1], image.shape[0]))
    mask = proposal.mask[: bottom - top, : right - left]
    return colour_names(image[top:bottom, left:right], mask)


def _glance(image: Image) -> NDArray[np.float32]:
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, _GLANCE_PX, interpolation=cv2.INTER_AREA), np.float32)


def _look(image: Image, box_px: Box) -> NDArray[np.float32]:
    left, top, right, bottom = integer_box(box_px, (image.shape[1], image.shape[0]))
    part = image[top:bottom, left:right]
    small = cv2.resize(part, (_LOOK_PX, _LOOK_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32)
