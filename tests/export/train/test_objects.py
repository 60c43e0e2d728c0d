"""Training the object adapter: its views, that it learns, how it is judged, its verb and file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.compare_objects import compare_adapter  # noqa: E402
from deixis.export.models.object_adapter import (  # noqa: E402
    HeldOut,
    ObjectAdapter,
    load_adapter,
    load_held_out,
    save_adapter,
)
from deixis.export.recipes.catalogue import RECIPES  # noqa: E402
from deixis.export.samples import Samples  # noqa: E402
from deixis.export.train import OBJECT_WEIGHTS, verb  # noqa: E402
from deixis.export.train.adapting import Views, fit  # noqa: E402
from deixis.export.train.fewshot import Asked, ask, auroc, calibrated, report  # noqa: E402
from deixis.export.train.object_training import better, centred  # noqa: E402
from deixis.export.train.object_views import load_things, varied  # noqa: E402
from deixis.nodes.objects.gallery import NamingParams  # noqa: E402
from deixis.runtime.bundle import Bundle  # noqa: E402
from deixis.runtime.errors import MediaError, WeightsError  # noqa: E402


def drawn(k: int, turn: float = 0.0) -> np.ndarray:
    """A thing of its own for each k, with transparency."""
    rng = np.random.default_rng(k)
    view = np.zeros((96, 96, 4), np.uint8)
    for _ in range(3):
        at, axes = rng.integers(30, 66, 2), rng.integers(8, 26, 2)
        colour = (*rng.integers(0, 255, 3).tolist(), 255)
        cv2.ellipse(view, at.tolist(), axes.tolist(), rng.uniform(0, 180), 0, 360, colour, -1)
    matrix = cv2.getRotationMatrix2D((48, 48), turn, 1)
    return cv2.warpAffine(view, matrix, (96, 96), flags=cv2.INTER_NEAREST)


def hidden_views(things: int, looks: int, seed: int) -> Views:
    """Views of which only a few directions say what the thing is; the louder ones are chance."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(np.random.default_rng(99).normal(size=(1280, 60)))[0].T
    labels = np.repeat(np.arange(things), looks)
    own = rng.normal(size=(things, 20))[labels] @ basis[:20]
    chance = 1.5 * rng.normal(size=(len(labels), 40)) @ basis[20:]
    features = own + chance
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    return Views(unit.astype(np.float32), labels)


# --- views --------------------------------------------------------------------------------------


def test_variations_differ_and_a_seed_repeats_them() -> None:
    view = drawn(0)
    one = varied(view, np.random.default_rng(1))
    assert one.shape == (224, 224, 3)
    np.testing.assert_array_equal(one, varied(view, np.random.default_rng(1)))
    assert np.abs(one.astype(int) - varied(view, np.random.default_rng(2))).mean() > 3


def test_thin_and_small_things_survive_variation() -> None:
    thin = np.zeros((4, 200, 4), np.uint8)
    thin[1:3, 2:-2] = (0, 0, 200, 255)
    for seed in range(30):
        assert varied(thin, np.random.default_rng(seed)).shape == (224, 224, 3)


def test_things_are_read_by_class_with_and_without_transparency(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
    cv2.imwrite(str(tmp_path / "a" / "0.png"), drawn(0))
    plain = np.full((100, 100, 3), 150, np.uint8)
    cv2.circle(plain, (50, 50), 25, (20, 20, 200), -1)
    cv2.imwrite(str(tmp_path / "b" / "0.jpg"), plain)
    a, b = load_things([tmp_path])
    assert a.name.endswith("/a")
    assert (b.views[0][..., 3] > 0).sum() == pytest.approx(np.pi * 25**2, rel=0.1)


@pytest.mark.parametrize("what", ["missing", "empty", "broken"])
def test_folders_without_pictures_are_clear_errors(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "data"
    if what != "missing":
        folder.mkdir()
    if what == "broken":
        (folder / "a").mkdir()
        (folder / "a" / "0.png").write_bytes(b"no picture")
    with pytest.raises(MediaError):
        load_things([folder])


# --- learning and judging -----------------------------------------------------------------------


def test_it_learns_what_tells_things_apart_and_keeps_it_for_others() -> None:
    adapter = fit(hidden_views(300, 6, seed=0), epochs=40, seed=0, progress=lambda: None)
    others = hidden_views(40, 8, seed=1)
    before = ask(centred(others, adapter), 12, 3, episodes=6).naming()
    after = ask(others.mapped(adapter), 12, 3, episodes=6).naming()
    assert after > before + 0.2
    assert after > 0.9


def test_a_seed_gives_the_same_adapter() -> None:
    views = hidden_views(40, 4, seed=0)
    one, two = (fit(views, 2, 3, lambda: None).map.weight for _ in (0, 1))
    other = fit(views, 2, 4, lambda: None).map.weight
    torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert not torch.equal(one, other)


def test_judging_counts_what_it_says() -> None:
    asked = Asked(
        similarity=np.array([[0.9, 0.1], [0.8, 0.3], [0.1, 0.2]]), true=np.array([0, 1, -1])
    )
    params = NamingParams(temperature=0.1, unknown_similarity=0.5)
    assert asked.figures(params) == {
        "n": 2, "naming": 0.5, "named_surely": 0.5, "named_wrongly": 0.5, "unknown_auroc": 1.0,
        "unknown_named": 0.0,
    }  # fmt: skip
    e = np.exp
    right = [e(9) / (e(9) + e(1) + e(5)), e(3) / (e(8) + e(3) + e(5))]
    unknown = e(5) / (e(1) + e(2) + e(5))
    want = -np.log(right).mean() / 2 - np.log(unknown) / 2
    assert asked.log_loss(params) == pytest.approx(want)


def test_auroc_counts_pairs() -> None:
    assert auroc(np.array([2.0, 3.0]), np.array([1.0])) == 1.0
    assert auroc(np.array([1.0]), np.array([1.0, 0.0, 2.0, 2.0])) == pytest.approx(0.375)


def test_things_far_apart_are_named_and_strangers_are_not() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 64))
    labels = np.repeat(np.arange(20), 8)
    vectors = centres[labels] + 0.3 * rng.normal(size=(160, 64))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    views = Views(unit.astype(np.float32), labels)
    row = report(views, calibrated(views))["10 things"]["5 views"]
    assert row["naming"] == 1.0
    assert row["named_surely"] > 0.99
    assert row["unknown_named"] < 0.01


def test_an_adapter_that_is_worse_anywhere_is_not_better() -> None:
    good = {"naming": 0.9, "unknown_auroc": 0.9}
    part = {"unadapted": {"6": {"1": good}}, "adapted": {"6": {"1": dict(good)}}}
    assert better({"judged": {"a": part}})
    worse = {**part, "adapted": {"6": {"1": {**good, "unknown_auroc": 0.89}}}}
    assert not better({"judged": {"a": part, "b": worse}})


# --- the file -----------------------------------------------------------------------------------


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    adapter = fit(hidden_views(40, 4, seed=0), 1, 0, lambda: None).half().float()
    held_out = HeldOut(np.ones((2, 1280), np.float32), np.array([0, 7]))
    for name in ("a", "b"):
        save_adapter(adapter, held_out, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    again = load_adapter(tmp_path / "a")
    torch.testing.assert_close(again.map.weight, adapter.map.weight, rtol=0, atol=0)
    assert load_held_out(tmp_path / "a").things.tolist() == [0, 7]


@pytest.mark.parametrize("data", [None, b"no", "gestures"])
def test_other_weights_are_refused(tmp_path: Path, data) -> None:
    path = tmp_path / "w.npz"
    if data == "gestures":
        np.savez(path, temperature=np.float32(1))
    elif data is not None:
        path.write_bytes(data)
    with pytest.raises(WeightsError):
        load_adapter(path)
    with pytest.raises(WeightsError):
        load_held_out(path)


def emitted(wheel_folder: Path) -> bytes:
    network = RECIPES["object_adapter"].network
    assert network is not None
    return network.emit(network.build(wheel_folder))


def test_the_exported_adapter_passes_its_check(tmp_path: Path) -> None:
    model = tmp_path / "adapter.onnx"
    model.write_bytes(emitted(tmp_path))
    naming, cosine = compare_adapter(model, tmp_path, Samples([], [], np.zeros(0, np.float32)))
    assert naming.value >= naming.floor
    assert cosine.value >= cosine.floor
    assert OBJECT_WEIGHTS.stat().st_size < 2_000_000


def test_an_untrained_map_does_not_pass(tmp_path: Path, monkeypatch) -> None:
    torch.manual_seed(0)
    for module in ("models.object_adapter", "recipes.objects"):
        monkeypatch.setattr(f"deixis.export.{module}.load_adapter", lambda: ObjectAdapter().eval())
    model = tmp_path / "adapter.onnx"
    model.write_bytes(emitted(tmp_path))
    naming, _ = compare_adapter(model, tmp_path, Samples([], [], np.zeros(0, np.float32)))
    assert naming.value < naming.floor


# --- the verb -----------------------------------------------------------------------------------


def run_verb(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    verb.add_arguments(parser)
    args = parser.parse_args([*arguments, "--json"])
    return verb.run(args)


def test_too_few_things_are_a_clear_error(tmp_path: Path, bundle: Bundle) -> None:
    (tmp_path / "d" / "a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "d" / "a" / "0.png"), drawn(0))
    with pytest.raises(MediaError, match="it takes"):
        run_verb(["objects", "--data", str(tmp_path / "d"), "--bundle", str(bundle.root)])


@pytest.mark.slow
def test_training_from_pictures_to_figures(tmp_path: Path, bundle: Bundle, capsys) -> None:
    for k in range(50):
        folder = tmp_path / "d" / f"{k:02d}"
        folder.mkdir(parents=True)
        for i in range(6):
            cv2.imwrite(str(folder / f"{i}.png"), drawn(k, 12 * i))
    out, written = tmp_path / "w.npz", tmp_path / "r.json"
    arguments = ["objects", "--data", str(tmp_path / "d"), "--bundle", str(bundle.root)]
    arguments += ["--epochs", "1", "--out", str(out), "--report", str(written)]
    code = run_verb(arguments)
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(written.read_text()) == figures
    assert figures["things"] == 40
    assert (code == 0) == out.is_file() == (figures["weights"] is not None)
    assert set(figures["judged"]["held out"]) == {"things", "unadapted", "adapted"}
