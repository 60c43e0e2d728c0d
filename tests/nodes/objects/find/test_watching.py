from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.embedding import CropEmbedder
from deixis.nodes.objects.find.media import Sample
from deixis.nodes.objects.find.watching import Watcher, propose_anywhere, thumbnail
from deixis.nodes.objects.source import Box, Image
from tests.nodes.objects.find.drawing import BLUE, RED, table, with_block

HERE, THERE = (100.0, 120.0, 70.0, 90.0), (420.0, 260.0, 80.0, 60.0)


class CountingEngine:
    """Gives every crop its mean colour as embedding, and counts them."""

    def __init__(self) -> None:
        self.crops = 0

    def infer(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.crops += len(inputs["image"])
        return {"embedding": inputs["image"].mean(axis=(2, 3)) + 1}

    def close(self) -> None:
        pass


def watch(pictures: Sequence[Image]) -> tuple[list[tuple[float, float, Box]], int]:
    """From when to when something was seen where, and how many crops were embedded."""
    engine = CountingEngine()
    watcher = Watcher(CropEmbedder(engine), propose_anywhere)
    samples = [Sample(picture, 0.5 * k) for k, picture in enumerate(pictures)]
    reached: list[float] = []
    sightings, vectors, thumbnails = watcher.watch(samples, reached.append)
    assert reached == [s.at_s for s in samples]
    assert len(vectors) == len(sightings) == engine.crops
    assert sum(b - a for a, b in (s.thumbnail for s in sightings)) == len(thumbnails)
    return [(s.start_s, s.end_s, s.box_px) for s in sightings], engine.crops


def at(seen: list[tuple[float, float, Box]], box_px: Box) -> list[tuple[float, float]]:
    return [(a, b) for a, b, box in seen if overlap(box, box_px) > 0.8]


def test_what_stays_is_embedded_once() -> None:
    still = with_block(table(), HERE, RED)
    noisy = [cv2.add(still, np.full_like(still, k % 2)) for k in range(8)]
    once, crops = watch(noisy[:1])
    seen, again = watch(noisy)
    assert again == crops
    assert at(seen, HERE) == [(0.0, 3.5)]
    assert len(seen) == len(once)


def test_what_comes_later_begins_then_and_what_goes_ends() -> None:
    first = with_block(table(), HERE, RED)
    both = with_block(first, THERE, BLUE)
    last = with_block(table(), THERE, BLUE)
    seen, _ = watch([first, first, both, both, last, last])
    assert at(seen, HERE) == [(0.0, 1.5)]
    assert at(seen, THERE) == [(1.0, 2.5)]


def test_another_thing_in_the_same_place_is_another_sighting() -> None:
    seen, _ = watch([with_block(table(), HERE, RED), with_block(table(), HERE, BLUE)])
    assert at(seen, HERE) == [(0.0, 0.0), (0.5, 0.5)]


def test_nothing_is_seen_on_an_empty_table() -> None:
    assert watch([table(), table(seed=1)]) == ([], 0)


@pytest.mark.parametrize("box_px", [HERE, (0.0, 0.0, 30.0, 30.0), (600.0, 400.0, 40.0, 80.0)])
def test_a_thumbnail_shows_the_thing(box_px: Box) -> None:
    jpeg = thumbnail(with_block(table(), box_px, RED), box_px)
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (224, 224, 3)
    red = (picture[..., 2] > 90) & (picture[..., 0] < 80)
    assert 0.08 < red.mean() < 0.6
