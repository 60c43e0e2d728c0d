from __future__ import annotations

import numpy as np
import pytest

from deixis.nodes.objects.colours import WORDS, colour_names, white_gains

PAINTS = {
    "red": ["#b3161c", "#ff0000", "#8b0000", "#dc143c"],
    "orange": ["#ef6b0c", "#ff8c00", "#ff7f0e"],
    "yellow": ["#e3b50f", "#ffff00", "#c9a80a"],
    "green": ["#12813c", "#00ff00", "#228b22", "#0a4a20"],
    "blue": ["#1c4fb0", "#0000ff", "#000080", "#87ceeb"],
    "purple": ["#800080", "#8e44ad", "#4b0082"],
    "pink": ["#ffc0cb", "#ff69b4", "#f4a6b8"],
    "brown": ["#7d5230", "#8b4513", "#5a3a1e", "#3a2410"],
    "black": ["#000000", "#1a1c20"],
    "grey": ["#808080", "#a8a6a0"],
    "white": ["#ffffff", "#e9e4d6"],
}


def patch(code: str, light: float = 1.0) -> np.ndarray:
    rgb = [int(code[i : i + 2], 16) * light for i in (1, 3, 5)]
    return np.full((20, 20, 3), rgb[::-1]).astype(np.uint8)


@pytest.mark.parametrize(("word", "code"), [(w, c) for w, codes in PAINTS.items() for c in codes])
def test_paints_get_the_word_that_people_use(word: str, code: str) -> None:
    names = colour_names(patch(code), np.ones((20, 20), bool))
    assert next(iter(names)) == word
    assert names[word] > 0.5


@pytest.mark.parametrize("word", ["red", "blue", "green"])
def test_the_shaded_side_does_not_change_the_word(word: str) -> None:
    code = PAINTS[word][0]
    shaded = np.concatenate([patch(code, 0.5), patch(code, 0.75), patch(code, 1.1)])
    assert next(iter(colour_names(shaded, np.ones(shaded.shape[:2], bool)))) == word


def test_a_label_does_not_outvote_the_bottle() -> None:
    bottle = np.concatenate([patch("#12813c"), patch("#12813c"), patch("#e9e4d6")])
    names = colour_names(bottle, np.ones(bottle.shape[:2], bool))
    assert next(iter(names)) == "green"


def test_only_the_mask_counts() -> None:
    both = np.concatenate([patch("#b3161c"), patch("#1c4fb0")])
    mask = np.zeros(both.shape[:2], bool)
    mask[:20] = True
    assert next(iter(colour_names(both, mask))) == "red"


def test_probabilities_are_probabilities() -> None:
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (20, 20, 3)).astype(np.uint8)
    names = colour_names(noise, np.ones((20, 20), bool))
    assert set(names) <= set(WORDS)
    assert 0.9 < sum(names.values()) <= 1.0 + 1e-9


def test_no_pixels_no_colour() -> None:
    assert colour_names(patch("#ff0000"), np.zeros((20, 20), bool)) == {}


LIGHTS = {
    "bright": (1.0, 1.0, 1.0), "dim": (0.4, 0.4, 0.4), "warm": (0.42, 0.55, 0.7),
    "cold": (0.8, 0.66, 0.55),
}  # fmt: skip


def lit_scene(code: str, light: tuple[float, float, float]) -> np.ndarray:
    """A patch on a light table, in some light (B G R)."""
    scene = np.repeat(np.repeat(patch("#dedad2"), 12, axis=0), 16, axis=1)
    scene[100:140, 140:180] = patch(code)[0, 0]
    linear = (scene / 255) ** 2.2 * light
    return np.rint(255 * linear ** (1 / 2.2)).astype(np.uint8)


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("word", PAINTS)
def test_the_light_does_not_change_the_word(word: str, light: str) -> None:
    scene = lit_scene(PAINTS[word][0], LIGHTS[light])
    thing = scene[100:140, 140:180]
    names = colour_names(thing, np.ones(thing.shape[:2], bool), white_gains(scene))
    assert next(iter(names)) == word


def test_without_a_reference_dim_white_is_grey() -> None:
    scene = lit_scene("#ffffff", LIGHTS["dim"])
    thing = scene[100:140, 140:180]
    assert next(iter(colour_names(thing, np.ones(thing.shape[:2], bool)))) == "grey"


def test_a_picture_without_anything_grey_is_taken_as_it_is() -> None:
    red = np.tile(patch("#b3161c"), (12, 16, 1))
    np.testing.assert_array_equal(white_gains(red), np.ones(3))
