"""Joins what several sources saw in one picture: one thing is one detection, whoever saw it.

observation = merge([tags.observe(view), detector.observe(view), tabletop.observe(view)])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from deixis.nodes.objects.boxes import overlap, share_inside
from deixis.nodes.objects.source import Detection, Mask, Observation

_ALIKE_IOU = 0.45
_INSIDE = 0.7
_NEAR = 0.6


def merge(observations: Sequence[Observation]) -> Observation:
    """One observation of several sources of the same picture.

    Of one thing, the most exact place counts, with the outline of who has one, the identity of a
    tag and the names of who knows it. A region in which a detector sees two things or more is those
    things. A place is bare if every source that can tell says so.
    """
    told = [(k, d) for k, o in enumerate(observations) for d in o.detections if d.hint or d.names]
    regions = [d for o in observations for d in o.detections if not d.hint and not d.names]
    joined: list[Detection] = []
    sources: list[set[int]] = []
    for k, detection in sorted(told, key=lambda item: not item[1].hint):
        # One source does not report a thing twice: what it sees apart is apart.
        twin = next(
            (i for i, d in enumerate(joined) if k not in sources[i] and _same_thing(d, detection)),
            None,
        )
        if twin is None:
            joined.append(detection)
            sources.append({k})
        else:
            joined[twin] = _join(joined[twin], detection)
            sources[twin].add(k)
    rest: list[Detection] = []
    for region in regions:
        same = [i for i, d in enumerate(joined) if _same_thing(d, region)]
        if len(same) == 1:
            joined[same[0]] = _join(joined[same[0]], region)
        elif not same:
            rest.append(region)
    free = _all_free([o.free for o in observations])
    return Observation((*joined, *rest), free, all(o.complete for o in observations))


def _same_thing(a: Detection, b: Detection) -> bool:
    if a.hint and b.hint:
        return a.hint == b.hint
    if overlap(a.box_px, b.box_px) > _ALIKE_IOU:
        return True
    small, large = sorted((a, b), key=lambda d: d.box_px[2] * d.box_px[3])
    if share_inside(small.box_px, large.box_px) > _INSIDE and (
        # A tag sits anywhere on its thing; of two outlines, one may be part of a heap.
        small.hint or not large.names
    ):
        return True
    apart = float(np.linalg.norm(a.position_base_m[:2] - b.position_base_m[:2]))
    return apart < _NEAR * min(a.radius_m, b.radius_m)


def _join(first: Detection, other: Detection) -> Detection:
    """One detection of two; the first one's identity and names come first."""
    exact = min(first, other, key=lambda d: float(np.trace(d.position_cov_m2)))
    if first.hint:
        # The tag's offset says where the centre is; a silhouette only guesses.
        exact = first
    outline = other if first.mask is None else first
    return replace(
        first,
        box_px=outline.box_px,
        mask=outline.mask,
        tint=outline.tint,
        position_base_m=exact.position_base_m,
        position_cov_m2=exact.position_cov_m2,
        radius_m=exact.radius_m,
        height_m=exact.height_m,
        confidence=1 - (1 - first.confidence) * (1 - other.confidence),
        names=first.names or other.names,
        colours=first.colours or other.colours,
        clipped=first.clipped and other.clipped,
    )


def _all_free(masks: Sequence[Mask | None]) -> Mask | None:
    """Where all of them are set; masks may have different sizes."""
    told = [mask for mask in masks if mask is not None]
    if not told:
        return None
    free = told[0]
    for mask in told[1:]:
        size = (free.shape[1], free.shape[0])
        same = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
        free = free & same.astype(bool)
    return free
