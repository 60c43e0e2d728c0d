"""The engines' benchmark as a user runs it, on two small models of the CPU bundle."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from deixis.__main__ import main
from deixis.export import timing
from deixis.export.bench import engines_timing
from deixis.export.bench.engines_inputs import Inputs, read_inputs, real_inputs, write_inputs
from deixis.export.bench.engines_torch import TorchEngine
from deixis.export.compare import gesture_windows
from deixis.runtime.bundle import Bundle, file_entry, write_manifest
from deixis.runtime.engines import open_engine
from deixis.runtime.errors import MediaError

ROLES = ("gestures", "object_adapter")


def part_of(bundle: Bundle, root: Path) -> Path:
    """A bundle with two models of another."""
    models = {role: bundle.model(role) for role in ROLES}
    entries = [model.file for model in models.values()]
    for entry in entries:
        target = root / entry.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle.root / entry.path, target)
    write_manifest(root, msgspec.structs.replace(bundle.manifest, models=models, files={}))
    return root


@pytest.fixture
def small(bundle: Bundle, tmp_path: Path) -> Path:
    return part_of(bundle, tmp_path / "small")


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Windows of hands; an embedding as the crop network gives them: positive, and of length 1."""
    features = np.abs(np.random.default_rng(0).normal(size=(1, 1280))).astype(np.float32)
    write_inputs(
        tmp_path / "inputs.npz",
        {
            "gestures": {"features": gesture_windows()[:1]},
            "object_adapter": {"features": features / np.linalg.norm(features)},
        },
    )
    return tmp_path / "inputs.npz"


def bench(*more: str | Path) -> int:
    return main(["bench", "engines", "--runs", "20", *map(str, more)])


def test_against_a_reference(
    small: Path, bundle: Bundle, inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = part_of(bundle, tmp_path / "reference")
    out = tmp_path / "results" / "engines.json"
    code = bench(
        "--bundle", small, "--reference", reference, "--inputs", inputs, "--out", out, "--json"
    )
    assert code == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {
        "runs", "threads", "bundles", "reference", "interrupted", "models", "not_run", "notes",
    }  # fmt: skip
    ours = [m for m in printed["models"] if m["backend"] == "onnxruntime-cpu"]
    assert [(m["name"], Path(m["bundle"]).name) for m in ours] == [
        (role, name) for role in ROLES for name in ("reference", "small")
    ]
    for first, second in zip(ours[::2], ours[1::2], strict=True):
        assert first["reference"]
        assert first["speedup"] is None
        assert not second["reference"]
        # It is the same file; far apart only where it was not measured in turn.
        assert 0.5 < second["speedup"] < 2.0
        assert second["speedup_low"] <= second["speedup"] <= second["speedup_high"]
    for one in ours:
        assert one["n"] == 20
        assert 0 < one["p50_ms"] <= one["p95_ms"] <= one["p99_ms"]
        assert one["load_ms"] > 0
        assert 0 < one["memory_mb"] < 200
    written = json.loads(out.read_text())
    assert written["models"] == printed["models"]
    assert {"machine", "date", "commit"} <= set(written)


def test_what_cannot_be_run_is_told(
    small: Path, inputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = Bundle.open(small)
    entry = bundle.model("gestures")
    (small / entry.file.path).write_bytes(b"not a model")
    broken = msgspec.structs.replace(entry, file=file_entry(small, entry.file.path))
    models = {**bundle.manifest.models, "gestures": broken}
    write_manifest(small, msgspec.structs.replace(bundle.manifest, models=models))
    assert bench("--bundle", small, "--inputs", inputs, "--torch", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert {m["name"] for m in printed["models"]} == {"object_adapter"}
    reasons = {entry["what"]: entry["reason"] for entry in printed["not_run"]}
    assert "cannot open" in reasons[f"gestures of {small} on onnxruntime-cpu"]
    here = {m["backend"] for m in printed["models"]}
    for backend in ("onnxruntime-cuda", "onnxruntime-tensorrt", "tensorrt", "tensorrt-rtx"):
        assert backend in here or reasons[backend]


def test_the_table(small: Path, inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("--bundle", small, "--inputs", inputs, "--backends", "onnxruntime-cpu") == 0
    shown = capsys.readouterr().out
    assert "gestures" in shown
    assert "small" in shown
    assert "not run" not in shown
    assert "…" not in shown


@pytest.mark.parametrize(
    ("argument", "value", "said"),
    [
        ("--models", "gesturs", "no bundle has a model 'gesturs'"),
        ("--backends", "onnxruntime-cup", "did you mean 'onnxruntime-cpu'?"),
        ("--inputs", "/nowhere.npz", "--save-inputs"),
    ],
)
def test_wrong_words(
    small: Path, capsys: pytest.CaptureFixture[str], argument: str, value: str, said: str
) -> None:
    assert bench("--bundle", small, argument, value) == (1 if argument == "--inputs" else 2)
    assert said in capsys.readouterr().err


def test_an_interrupt_keeps_what_is_done(
    small: Path, inputs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    time_in_turn = engines_timing.time_in_turn
    seen: list[str] = []

    def interrupted(contenders, *rest):
        seen.append(contenders[0].role)
        if len(seen) == 2:
            raise KeyboardInterrupt
        return time_in_turn(contenders, *rest)

    monkeypatch.setattr(engines_timing, "time_in_turn", interrupted)
    assert bench("--bundle", small, "--inputs", inputs, "--json") == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["interrupted"]
    assert {m["name"] for m in printed["models"]} == {seen[0]}


def test_inputs_come_from_the_recipes(
    wheel_folder: Path, sample_folder: Path, tmp_path: Path
) -> None:
    found = real_inputs(["gestures", "palm_detector"], wheel_folder, sample_folder)
    write_inputs(tmp_path / "inputs.npz", found)
    read = read_inputs(tmp_path / "inputs.npz")
    assert set(read) == {"gestures", "palm_detector"}
    assert np.array_equal(read["palm_detector"]["image"], found["palm_detector"]["image"])
    image = read["palm_detector"]["image"]
    assert 0.0 <= image.min() < 0.2 < 0.5 < image.max() <= 1.0  # a picture, as the network sees it


def test_another_file_holds_no_inputs(tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"something else")
    with pytest.raises(MediaError, match="no inputs"):
        read_inputs(tmp_path / "x.npz")


def test_the_ratio_of_what_was_slowed_down_together() -> None:
    slow = 1.0 + 3.0 * (np.arange(60) % 7 == 0)
    value, (low, high) = engines_timing.ratio(2.0 * slow, slow)
    assert value == pytest.approx(2.0)
    assert low == pytest.approx(2.0)
    assert high == pytest.approx(2.0)
    noise = np.random.default_rng(1).lognormal(0, 0.2, (2, 60))
    value, (low, high) = engines_timing.ratio(2.0 * noise[0], noise[1])
    assert low < value < high
    assert low < 2.0 < high


def test_turns_are_taken_in_changing_order() -> None:
    called: list[str] = []
    times_ms = timing.take_turns({name: lambda n=name: called.append(n) for name in "abc"}, 10)
    assert {name: len(own) for name, own in times_ms.items()} == {"a": 10, "b": 10, "c": 10}
    rounds = ["".join(called[i : i + 3]) for i in range(len(called) - 30, len(called), 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 2


def test_pytorch_runs_as_an_engine_does(bundle: Bundle) -> None:
    pytest.importorskip("torch", reason="needs deixis[export]")
    from deixis.export.models.gestures import load_gestures

    inputs: Inputs = {"features": gesture_windows()[:4]}
    engine = TorchEngine(load_gestures(), ("features",), ("probabilities",), device="cpu")
    got = engine.infer(inputs)["probabilities"]
    engine.close()
    want = open_engine(bundle, "gestures").infer(inputs)["probabilities"]
    assert np.allclose(got, want, atol=1e-5)
