from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.nodes.objects.embedding import cut_out, object_crop, open_embedder
from deixis.nodes.objects.gallery import Gallery, NamingParams
from deixis.runtime.bundle import Bundle
from deixis.runtime.errors import ConfigError


def directions(n: int, d: int = 64, noise: float = 0.3, seed: int = 0) -> np.ndarray:
    """n views of one thing: unit vectors around a random direction."""
    rng = np.random.default_rng(seed)
    base = rng.normal(size=d)
    views = base + noise * rng.normal(size=(n, d))
    return (views / np.linalg.norm(views, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def gallery() -> Gallery:
    views = [directions(4, seed=s) for s in range(4)]
    return Gallery(["cup", "cup", "bowl", "ball"], views, NamingParams())


@pytest.mark.parametrize(("seed", "noun"), [(0, "cup"), (1, "cup"), (2, "bowl"), (3, "ball")])
def test_both_cups_support_the_noun_cup(gallery: Gallery, seed: int, noun: str) -> None:
    names = gallery.name(directions(5, seed=seed)[4])
    assert next(iter(names)) == noun
    assert names[noun] > 0.8
    assert sum(names.values()) <= 1.0 + 1e-6


def test_what_was_never_shown_stays_mostly_unknown(gallery: Gallery) -> None:
    for seed in range(20, 30):
        assert sum(gallery.name(directions(1, seed=seed)[0]).values()) < 0.5


def test_a_single_thing_can_be_taught() -> None:
    single = Gallery(["cup"], [directions(3)], NamingParams())
    assert single.name(directions(4)[3])["cup"] > 0.8


def thing(colour: tuple[int, int, int], shape: str) -> np.ndarray:
    view = np.full((128, 128, 3), (150, 158, 164), np.uint8)
    if shape == "ball":
        cv2.circle(view, (64, 64), 40, colour, -1, cv2.LINE_AA)
    else:
        cv2.rectangle(view, (30, 40), (98, 92), colour, -1)
        cv2.rectangle(view, (30, 40), (98, 52), tuple(int(c * 0.6) for c in colour), -1)
    noise = np.random.default_rng(0).normal(0, 2, view.shape)
    return np.clip(view + noise, 0, 255).astype(np.uint8)


def test_a_thing_is_cut_out_of_its_view() -> None:
    box, mask = cut_out(thing((20, 100, 235), "ball"))
    np.testing.assert_allclose(box, (24, 24, 81, 81), atol=4)
    assert 0.7 < mask.mean() < 0.85


def test_a_view_without_plain_surroundings_counts_whole() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    box, mask = cut_out(noise)
    assert box == (0.0, 0.0, 64.0, 64.0)
    assert mask.all()


def test_crops_at_the_picture_border_are_whole_squares() -> None:
    picture = np.zeros((100, 120, 3), np.uint8)
    crop = object_crop(picture, (-10.0, 80.0, 40.0, 30.0), None)
    assert crop.shape == (224, 224, 3)


def test_named_by_a_few_views_with_the_real_network(bundle: Bundle, tmp_path: Path) -> None:
    index = {}
    for name, colour, shape in (
        ("orange_ball", (20, 100, 235), "ball"), ("brown_box", (40, 80, 120), "box"),
    ):  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        for i, size in enumerate((96, 128, 160)):
            cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(thing(colour, shape), (size, size)))
        index[name] = {"names": [shape], "colour": name.split("_")[0]}
    (tmp_path / "gallery.json").write_text(json.dumps(index))
    embedder = open_embedder(bundle)
    gallery = Gallery.load(tmp_path, embedder)
    for colour, shape in (((180, 60, 30), "ball"), ((60, 90, 130), "box")):
        view = thing(colour, shape)
        names = gallery.name(embedder.embed([object_crop(view, *cut_out(view))])[0])
        assert next(iter(names)) == shape


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (None, "cannot read"),
        ("{", "gallery.json"),
        ("{}", "names nothing"),
        ('{"cup": {"names": []}}', "at least one name"),
        ('{"../cup": {"names": ["cup"]}}', "plain folder name"),
        ('{"cup": {"names": ["cup"]}}', "holds no picture"),
        ('{"cup": {"name": ["cup"]}}', "name"),
    ],
)
def test_a_broken_gallery_is_a_clear_error(tmp_path: Path, index: str | None, message: str) -> None:
    if index is not None:
        (tmp_path / "gallery.json").write_text(index)
    with pytest.raises(ConfigError, match=message):
        Gallery.load(tmp_path, embedder=None)  # type: ignore[arg-type]
