"""Real photographs, as PyPI packages bring them: nothing like a table, and nothing may break."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from deixis.calibration.store import save_camera
from deixis.nodes.objects.node import ObjectsNode
from deixis.runtime.testing import NodeBench
from tests.nodes.objects.pictures import WORKSPACE, camera, frame

FOLDERS = {"skimage": "data", "sklearn": "datasets/images", "matplotlib": "mpl-data/sample_data"}
SCENES = Path(__file__).resolve().parents[2] / "scenes"


def photographs() -> list[Path]:
    """All pictures in the packages that are installed, and the people of the scenes."""
    found = sorted((SCENES / "people").glob("*.jpg"))
    for package, folder in FOLDERS.items():
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or ()) if spec else ():
            found += sorted(
                p for p in (Path(root) / folder).glob("*") if p.suffix in (".png", ".jpg")
            )
    return found


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest):
    save_camera(camera(), tmp_path / "camera.json")
    params = {
        "calibration": str(tmp_path / "camera.json"), "workspace": WORKSPACE,
        "fiducials": {"tags": [{"id": 1, "size_m": 0.05, "name": "box"}]},
        "sources": ["fiducials", "tabletop", "detector"],
    }  # fmt: skip
    data = Path(__file__).resolve().parents[4] / "shared" / "data" / "detector"
    if data.is_dir():
        params["detector"] = {
            "model": str(data / "yolox_nano.onnx"), "labels": str(data / "coco_classes.txt"),
        }  # fmt: skip
    else:
        params["sources"] = ["fiducials", "tabletop"]
    with NodeBench(ObjectsNode, params) as bench:
        yield bench


@pytest.mark.parametrize("path", photographs(), ids=lambda p: p.name)
def test_a_photograph_breaks_nothing(bench: NodeBench, path: Path) -> None:
    photo = cv2.imread(str(path))
    assert photo is not None
    # Padded to the camera's shape, not squeezed: what was round stays round.
    scale = min(640 / photo.shape[1], 480 / photo.shape[0])
    inner = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    picture = np.zeros((480, 640, 3), np.uint8)
    picture[: inner.shape[0], : inner.shape[1]] = inner[:480, :640]
    for k in range(8):
        bench.send("frame", frame(picture, 1 + k / 10))
    for thing in bench.outputs["scene"][-1].objects:
        assert np.isfinite(thing.position_base_m).all()
        assert WORKSPACE["x_min_m"] - 0.25 < thing.position_base_m[0] < 0.25 + WORKSPACE["x_max_m"]
        assert (np.linalg.eigvalsh(np.reshape(thing.position_cov_m2, (3, 3))) > 0).all()
        assert 0 < thing.confidence <= 1
        assert sum(thing.names.values()) <= 1 + 1e-6
