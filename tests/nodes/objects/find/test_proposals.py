from __future__ import annotations

import numpy as np
import pytest

from deixis.nodes.objects.boxes import overlap
from deixis.nodes.objects.find.proposals import propose
from deixis.nodes.objects.find.segments import SegmentTree
from tests.nodes.objects.find.drawing import BLUE, GREEN, RED, table, with_block

BOXES = [(100.0, 120.0, 70.0, 90.0), (300.0, 200.0, 60.0, 60.0), (480.0, 320.0, 90.0, 60.0)]


def test_things_on_a_table_are_proposed_first() -> None:
    image = table()
    for box_px, colour in zip(BOXES, (RED, GREEN, BLUE), strict=True):
        image = with_block(image, box_px, colour)
    first = propose(image)[:6]
    for box_px in BOXES:
        best = max(first, key=lambda p: overlap(p.box_px, box_px))
        assert overlap(best.box_px, box_px) > 0.8
        assert best.mask.shape == (best.box_px[3], best.box_px[2])
        assert best.mask.mean() > 0.8


def test_a_bottle_is_proposed_whole_with_its_cap_and_its_label() -> None:
    image = with_block(table(), (300, 130, 60, 160), GREEN)
    image = with_block(image, (300, 200, 60, 40), (235, 240, 240))
    image = with_block(image, (315, 100, 30, 30), BLUE)
    whole = (300.0, 100.0, 60.0, 190.0)
    assert max(overlap(p.box_px, whole) for p in propose(image)) > 0.85


def test_a_label_of_the_tables_colour_does_not_cut_a_bottle_in_two() -> None:
    image = with_block(table(), (300, 100, 60, 90), GREEN)
    image = with_block(image, (300, 220, 60, 70), GREEN)
    whole = (300.0, 100.0, 60.0, 190.0)
    assert max(overlap(p.box_px, whole) for p in propose(image)) > 0.85


def test_an_empty_table_has_nothing_on_it() -> None:
    assert propose(table()) == []


@pytest.mark.parametrize("shape", [(1, 1), (5, 300), (24, 24), (481, 333), (2000, 3000)])
def test_no_picture_is_too_odd(shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    for proposal in propose(noise):
        assert proposal.mask.shape == (proposal.box_px[3], proposal.box_px[2])
        assert proposal.mask.any()


def test_a_segment_is_the_sum_of_its_children() -> None:
    tree = SegmentTree.of(with_block(table(160, 120), (40, 40, 30, 30), RED))
    n = len(tree.births) - len(tree.children)
    k = n + len(tree.children) // 2
    first, second = tree.children[k - n]
    assert (tree.mask(k) == (tree.mask(first) | tree.mask(second))).all()
    assert tree.areas[k] == tree.mask(k).sum()
    rows, columns = np.nonzero(tree.mask(k))
    box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    assert tuple(tree.boxes[k]) == box
    assert tree.mask(len(tree.births) - 1).all()


def test_at_a_level_the_picture_is_one_where_no_edge_is_stronger() -> None:
    tree = SegmentTree.of(with_block(table(160, 120), (40, 40, 30, 30), RED))
    assert len(np.unique(tree.level(np.inf))) == 1
    assert (tree.level(-1.0) == tree.patches).all()
    numbers = tree.level(20.0)
    assert len(np.unique(numbers[45:65, 60:66])) == 1
    assert numbers[50, 62] != numbers[10, 10]
