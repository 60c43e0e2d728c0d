from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deixis.calibration.store import save_camera
from deixis.nodes.objects.node import ObjectsNode
from deixis.nodes.objects.source import View
from deixis.nodes.objects.tabletop import TabletopParams, TabletopSource, Workspace
from deixis.nodes.objects.texture import Texture
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import (
    HEIGHT,
    WIDTH,
    WORKSPACE,
    Drum,
    camera,
    fill,
    frame,
    table,
)

Picture = NDArray[np.uint8]
Pattern = Callable[[Picture, np.random.Generator], Picture]
THINGS = (
    Drum(0.35, 0.22, bgr=(30, 30, 190)),
    Drum(0.5, -0.2, bgr=(170, 70, 30)),
    Drum(0.66, 0.1, 0.035, 0.14, bgr=(60, 130, 20)),
    Drum(0.42, 0.0, 0.03, 0.06, bgr=(150, 40, 130)),
)


def stones(cloth: Picture, rng: np.random.Generator) -> Picture:
    """With dark speckles, smaller than any thing."""
    for x, y in rng.uniform((0.1, -0.48), (0.85, 0.48), (700, 2)):
        cv2.circle(cloth, spot(x, y), int(rng.integers(4, 10)), (88, 92, 96), -1)
    return cloth


def checks(cloth: Picture, rng: np.random.Generator) -> Picture:
    """Gingham: two sets of bands, and darker where they cross."""
    for row in np.arange(0.1, 0.85, 0.1):
        cloth[spot(row + 0.05, 0)[1] : spot(row, 0)[1]] = (170, 172, 214)
    for k, column in enumerate(np.arange(-0.48, 0.43, 0.05)):
        if k % 2:
            band = cloth[:, spot(0, column + 0.05)[0] : spot(0, column)[0]]
            band[:] = (band * np.array([0.76, 0.76, 0.93])).astype(np.uint8)
    return cloth


def planks(cloth: Picture, rng: np.random.Generator) -> Picture:
    """Planks of different shades with grain, and dark gaps between them."""
    edges = np.arange(-0.48, 0.49, 0.12)
    for near in edges[:-1]:
        shade = rng.uniform(0.5, 1.4)
        band = cloth[:, spot(0, near + 0.12)[0] : spot(0, near)[0]]
        grain = cv2.resize(rng.normal(0, 0.2, (4, band.shape[1])), band.shape[1::-1])
        deeper = np.stack(
            [np.maximum(shade + grain, 0.2) ** power for power in (1.5, 1.2, 1.0)], axis=2
        )
        band[:] = np.clip(band * deeper, 0, 255)
    for gap in edges:
        cv2.line(cloth, spot(0.85, gap), spot(0.1, gap), (14, 24, 38), 8)
    return cloth


def spot(x_m: float, y_m: float) -> tuple[int, int]:
    """Pixel of a cloth that a place of the table has: a millimetre a pixel, seen from above."""
    return round((0.48 - y_m) * 1000), round((0.85 - x_m) * 1000)


def laid(
    paint: tuple[int, int, int], pattern: Pattern, things: tuple[Drum, ...], seed: int = 0
) -> Picture:
    """The drawn table with a pattern on it, light and shadow included."""
    rng, cam = np.random.default_rng(seed), camera()
    cloth = np.full((751, 961, 3), paint, np.uint8)
    cloth = pattern(cloth, rng)
    corners = np.array([[0.85, 0.48, 0], [0.85, -0.48, 0], [0.1, -0.48, 0], [0.1, 0.48, 0.0]])
    on_cloth = np.array([spot(x, y) for x, y, _ in corners], np.float32)
    seen_as = cv2.getPerspectiveTransform(on_cloth, cam.project(corners).astype(np.float32))
    cloth_px = cv2.warpPerspective(cloth, seen_as, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    plain = table(things, seed=seed, paint=paint).astype(np.float32)
    on_table = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    fill(on_table, cam.project(corners), (1, 1, 1))
    for thing in things:
        body = np.concatenate([thing.ring(0), thing.ring(thing.height_m)])
        fill(on_table, cam.project(body), (0, 0, 0))
    patterned = np.where(on_table > 0, plain * cloth_px / np.array(paint, np.float32), plain)
    return np.clip(patterned, 0, 255).astype(np.uint8)


TABLES = {
    "planks": ((52, 84, 122), planks),
    "checks": ((222, 228, 230), checks),
    "stones": ((176, 180, 184), stones),
}


def found(picture: Picture) -> list[NDArray[np.float64]]:
    source = TabletopSource(TabletopParams(), Workspace(**WORKSPACE))
    detections = source.observe(View(picture, camera(), 0)).detections
    return [d.position_base_m for d in detections if not d.clipped]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", TABLES)
def test_things_on_a_patterned_table_are_found_and_its_pattern_is_not(kind: str, seed: int) -> None:
    positions = found(laid(*TABLES[kind], THINGS, seed))
    apart = [min(np.linalg.norm(p[:2] - t.centre[:2]) for p in positions) for t in THINGS]
    assert max(apart) < 0.03
    assert len(positions) == len(THINGS)


@pytest.mark.parametrize("kind", TABLES)
def test_a_bare_patterned_table_is_empty(kind: str) -> None:
    assert found(laid(*TABLES[kind], (), 3)) == []


def test_a_dark_grey_thing_is_no_shadow() -> None:
    paint, thing = (176, 180, 184), Drum(0.5, 0.05, bgr=(58, 60, 62))
    (position,) = found(table((thing,), paint=paint))
    assert np.linalg.norm(position[:2] - thing.centre[:2]) < 0.03


def test_a_colour_of_the_table_is_one_that_is_seen_all_over_it() -> None:
    rng = np.random.default_rng(0)
    tiles = np.repeat(np.arange(40), 200)
    residuals = rng.normal(0, 0.02, (3, len(tiles))).astype(np.float32)
    stripes = np.arange(len(tiles)) % 5 == 0
    residuals[1, stripes] += 0.4
    thing = tiles < 6
    residuals[2, thing] += 0.5
    texture = Texture.learn(residuals, tiles, np.zeros(2), -0.7)
    assert texture is not None
    colours = np.array([[0, 0, 0], [0, 0.4, 0], [0, 0, 0.5], [-0.5, 0.4, 0], [-1, 0.4, 0]]).T
    contrast = texture.contrast(colours.astype(np.float32))
    # The cloth, its stripes, the thing, stripes in the shadow, stripes darker than any shadow.
    assert list(contrast > 1) == [False, False, True, False, True]


def test_that_there_is_no_table_is_shown(tmp_path: Path) -> None:
    save_camera(camera(), tmp_path / "camera.json")
    params = {"calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE}
    chaos = np.random.default_rng(0).integers(0, 255, (6, 8, 3)).astype(np.uint8)
    chaos = np.asarray(cv2.resize(chaos, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST))
    with NodeBench(ObjectsNode, params) as bench:
        bench.send("frame", frame(chaos, 1.0))
        assert "no table" in bench.node.context.notes["sources"]
        bench.send("frame", frame(table(), 1.2))
        assert "sources" not in bench.node.context.notes
