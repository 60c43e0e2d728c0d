from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.onnx_export import to_onnx  # noqa: E402
from deixis.export.own import OwnSources, own_recipe, read_inputs  # noqa: E402
from deixis.runtime.engines import open_model  # noqa: E402
from deixis.runtime.errors import ExportError, UsageError  # noqa: E402

METRIC = '''
def metric(run, files):
    """Files with anything in them (%)."""
    return 100.0 * sum(f.stat().st_size > 0 for f in files) / len(files)

def wrong(run, files):
    return 140.0

a_number = 3
'''


@pytest.fixture
def model(tmp_path: Path) -> Path:
    net = torch.nn.Conv2d(3, 4, 3).eval()
    path = tmp_path / "mine.onnx"
    path.write_bytes(to_onnx(net, torch.zeros(1, 3, 16, 24), "image", ("y",)))
    return path


@pytest.fixture
def task(tmp_path: Path) -> Path:
    path = tmp_path / "task.py"
    path.write_text(METRIC)
    return path


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(7):
        cv2.imwrite(str(folder / f"{i}.png"), np.full((20, 20, 3), 30 * i, np.uint8))
    return folder


def test_one_file_in_three_is_held_out(pictures: Path) -> None:
    sources = OwnSources.of(pictures)
    train = sources.train().samples.episodes
    held_out = sources.held_out().samples.episodes
    assert len(train), len(held_out) == (5, 2)
    assert not set(train) & set(held_out)
    assert len(sources.everything().samples.episodes) == 7


def test_a_changed_file_changes_the_hash(pictures: Path) -> None:
    before = OwnSources.of(pictures).hash
    (pictures / "3.png").write_bytes(b"other")
    assert OwnSources.of(pictures).hash != before


def test_too_few_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="has 0 files"):
        OwnSources.of(tmp_path / "nowhere")


def test_pictures_become_the_models_input(model: Path, task: Path, pictures: Path) -> None:
    recipe = own_recipe(model, f"{task}:metric", 2.0)
    inputs = recipe.inputs(Path(), OwnSources.of(pictures).train().samples)
    assert [i["image"].shape for i in inputs] == [(1, 3, 16, 24)] * 5
    assert inputs[-1]["image"].dtype == np.float32
    assert inputs[1]["image"].max() == pytest.approx(30 / 255)
    assert recipe.task.name == "Files with anything in them (%)"
    assert recipe.task.points == 2.0


def test_arrays_are_read_by_name(model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", image=np.ones((1, 3, 16, 24), np.float32))
    engine = open_model(model)
    (found,) = read_inputs(engine.specs.inputs, [tmp_path / "a.npz", tmp_path / "labels.json"])
    assert list(found) == ["image"]


def test_the_files_own_inputs_go_first(model: Path, task: Path, pictures: Path) -> None:
    task.write_text(METRIC + "\ndef inputs(files):\n    return [{'image': len(list(files))}]\n")
    recipe = own_recipe(model, f"{task}:metric", 1.0)
    samples = OwnSources.of(pictures).train().samples
    assert recipe.inputs(Path(), samples) == [{"image": 5}]


def test_the_metric_is_run_on_what_was_held_out(model: Path, task: Path, pictures: Path) -> None:
    recipe = own_recipe(model, str(task), 1.0)
    truth = recipe.task.prepare(Path(), OwnSources.of(pictures).held_out().samples)
    engine = open_model(model)
    assert recipe.task.score(engine, truth) == 100.0
    assert recipe.task.n(truth) == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [(":missing", "no function 'missing'"), (":a_number", "no function 'a_number'")],
)
def test_what_is_no_metric_is_refused(model: Path, task: Path, name: str, error: str) -> None:
    with pytest.raises(UsageError, match=error):
        own_recipe(model, f"{task}{name}", 1.0)


def test_what_is_not_there_is_named(model: Path, task: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no model at"):
        own_recipe(tmp_path / "no.onnx", str(task), 1.0)
    with pytest.raises(UsageError, match="no Python file"):
        own_recipe(model, str(tmp_path / "no.py"), 1.0)


def test_a_metric_that_is_no_percentage_is_refused(model: Path, task: Path, pictures: Path) -> None:
    recipe = own_recipe(model, f"{task}:wrong", 1.0)
    engine = open_model(model)
    with pytest.raises(ExportError, match="gives 140; a metric is percent"):
        recipe.task.score(engine, (pictures / "0.png",))


def test_nothing_to_calibrate_on_is_refused(model: Path, task: Path, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.txt").write_text("x")
    recipe = own_recipe(model, str(task), 1.0)
    with pytest.raises(ExportError, match=r"no recorded inputs for mine\.onnx in 3 files"):
        recipe.inputs(Path(), OwnSources.of(folder).train().samples)
