"""What the gate takes, on made-up scores and times; the real models' are in test_pipeline.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export import gate
from deixis.export.explain import LayerCost
from deixis.export.gate import Decision, decide
from deixis.export.making import Base, Score
from deixis.export.plan import PRESETS, plan_model
from deixis.export.weights import wheels
from deixis.runtime.errors import ExportError
from deixis.runtime.measured import LatencyInfo
from tests.export.test_plan import recipe

LAYERS = ("conv_a", "conv_b", "conv_c", "conv_d", "conv_e")


class Maker:
    """Makes models whose bytes say what they are: ``int8 pruned -conv_a``."""

    def __init__(self, scores: Mapping[str, float], preset: str = "cpu", **changes: Any) -> None:
        self.recipe = recipe(**changes)  # may lose one point
        self.refused: dict[str, str] = {}
        self.preset = PRESETS[preset]
        self.scores = scores
        self.made: list[str] = []
        self.inputs = [{}]
        self.reference = Base(b"fp32", 1000)

    def pruned(self, ratio: float) -> Base:
        return Base(b"fp32 pruned", 500)

    def emit(self, base: Base, precision: str, keep_float: Collection[str] = ()) -> bytes:
        text = base.model.decode().replace("fp32", precision)
        return " ".join((text, *(f"-{name}" for name in keep_float))).encode()

    def shipped(self) -> bytes:
        return b"shipped"

    def score(self, model: bytes, suffix: str = ".onnx") -> Score:
        name = model.decode()
        self.made.append(name)
        return Score(self.scores.get(name, 0.0), 100)

    def layer_costs(self, base: Base) -> tuple[LayerCost, ...]:
        return tuple(layer_cost(name, 10.0 + i) for i, name in enumerate(LAYERS))

    def refusal(self, model: bytes) -> str:
        return self.refused.get(model.decode(), "")

    def for_cpu(self) -> Maker:
        return Maker(self.scores)

    def say(self, step: str) -> None:
        pass


def layer_cost(name: str, snr_db: float) -> LayerCost:
    return LayerCost(name=name, op="Conv", snr_db=snr_db)


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Milliseconds by what the model is; the others take 10."""
    by_name: dict[str, float] = {}

    def race(models: Mapping[str, Path], inputs: Any) -> dict[str, LatencyInfo]:
        return {
            key: LatencyInfo(p50_ms=by_name.get(path.read_text(), 10.0), p95_ms=11.0, n=60)
            for key, path in models.items()
        }

    monkeypatch.setattr(gate, "race", race)
    return by_name


def run(maker: Maker, precision: Any = "int8", ratio: float = 0.0, **options: Any) -> Decision:
    plan = plan_model(maker.recipe, maker.preset, precision, ratio)
    return decide(maker, plan, **options)  # type: ignore[arg-type]


def test_takes_what_was_asked_where_it_holds(times: dict[str, float]) -> None:
    times["int8 pruned"] = 3.0
    decision = run(Maker({"fp32": 95.0, "int8 pruned": 94.2}), ratio=0.3)
    assert decision.chosen.model == b"int8 pruned"
    assert decision.chosen.label == "INT8, pruned 30 %"
    assert decision.chosen.macs == 500
    assert decision.reference is not None
    assert decision.reference.model == b"fp32"
    assert decision.floor == 94.0
    assert (decision.notes, decision.fell_back) == ((), "")


def test_leaves_the_worst_layers_in_float_and_names_them(times: dict[str, float]) -> None:
    times["int8 -conv_a -conv_b"] = 5.0
    maker = Maker({"fp32": 95.0, "int8": 60.0, "int8 -conv_a": 93.0, "int8 -conv_a -conv_b": 94.5})
    decision = run(maker)
    assert decision.chosen.kept_float == ("conv_a", "conv_b")
    assert decision.fell_back == ""
    (note,) = decision.notes
    assert "60.0 %" in note
    assert "left in float conv_a, conv_b" in note
    assert [layer.name for layer in decision.layers] == list(LAYERS)


def test_falls_back_to_fp32_and_says_which_layers_cost_most(times: dict[str, float]) -> None:
    decision = run(Maker({"fp32": 95.0, "int8": 60.0}))
    assert decision.chosen.model == b"fp32"
    assert decision.fell_back == "FP32"
    assert "conv_a, conv_b, conv_c" in decision.notes[0]


def test_falls_back_to_less_pruning_if_that_is_faster(times: dict[str, float]) -> None:
    scores = {"fp32": 95.0, "fp32 pruned": 94.5, "int8 pruned": 80.0, "int8": 95.0}
    times |= {"fp32 pruned": 6.0, "int8": 5.0}
    decision = run(Maker(scores), ratio=0.3)
    assert decision.chosen.model == b"int8"
    assert decision.fell_back == "INT8"
    times["fp32 pruned"] = 4.0
    assert run(Maker(scores), ratio=0.3).chosen.model == b"fp32 pruned"


def test_falling_back_may_be_forbidden(times: dict[str, float]) -> None:
    with pytest.raises(ExportError, match=r"some_model misses its floor.*60\.0 %.*conv_a"):
        run(Maker({"fp32": 95.0, "int8": 60.0}), fall_back=False)


def test_auto_takes_the_faster_of_those_that_hold(times: dict[str, float]) -> None:
    maker = Maker({"fp32": 95.0, "int8": 95.0})
    times["int8"] = 12.0
    assert run(maker, "auto").chosen.model == b"fp32"
    assert run(maker, "auto").fell_back == ""
    times["int8"] = 4.0
    assert run(maker, "auto").chosen.model == b"int8"


def test_a_named_precision_is_kept_even_if_it_is_slower(times: dict[str, float]) -> None:
    times["int8"] = 12.0
    assert run(Maker({"fp32": 95.0, "int8": 95.0}), "int8").chosen.model == b"int8"


def test_of_equally_fast_ones_the_smallest_is_taken(times: dict[str, float]) -> None:
    times |= {"fp32": 10.0, "fp16": 10.1}
    maker = Maker({"fp32": 95.0, "fp16": 95.0, "int8": 50.0})
    maker.reference = Base(b"fp32", 1000)
    assert run(maker).chosen.model == b"fp32"  # as small, and first
    times["fp16"] = 9.0
    assert run(maker).chosen.model == b"fp16"


def test_a_shipped_file_is_judged_like_the_others(times: dict[str, float]) -> None:
    scores = {"fp32": 95.0, "int8": 94.9, "shipped": 94.8}
    times |= {"int8": 5.0, "shipped": 4.0}
    maker = Maker(scores, shipped=wheels.SPEECH_ENCODER)
    assert run(maker).chosen.precision == "int8"
    assert run(maker, "auto").chosen.precision == "as-shipped"


def test_nothing_asked_packs_the_shipped_file_unjudged(times: dict[str, float]) -> None:
    maker = Maker({}, shipped=wheels.SPEECH_ENCODER)
    decision = run(maker, None)
    assert decision.chosen.model == b"shipped"
    assert decision.reference is None
    assert maker.made == []


@pytest.mark.parametrize("score", [0.0, float("nan")])
def test_a_reference_that_cannot_be_judged_is_an_error(
    times: dict[str, float], score: float
) -> None:
    with pytest.raises(ExportError, match="the FP32 model itself"):
        run(Maker({"fp32": score, "int8": 90.0}))


def test_a_score_that_is_no_number_does_not_hold(times: dict[str, float]) -> None:
    assert run(Maker({"fp32": 95.0, "int8": float("nan")})).chosen.model == b"fp32"


def test_looks_at_every_layer_when_asked(times: dict[str, float]) -> None:
    maker = Maker({"fp32": 95.0, "int8": 95.0})
    assert run(maker).layers == ()
    assert len(run(maker, explain=True).layers) == len(LAYERS)


def test_without_times_the_first_that_holds_is_taken() -> None:
    scores = {"fp32": 95.0, "fp16": 95.0, "int8": 50.0}
    decision = run(Maker(scores, preset="jetson-orin"), None)
    assert decision.chosen.model == b"fp16"
    assert decision.chosen.latency is None


def test_what_the_engine_refuses_is_passed_over_with_its_reason() -> None:
    maker = Maker({"fp32": 95.0, "fp16": 95.0, "int8": 95.0}, preset="jetson-orin")
    maker.refused["int8"] = "node conv_a: no kernel"
    decision = run(maker, None)
    assert decision.chosen.model == b"fp16"
    assert decision.notes == ("INT8 is refused: node conv_a: no kernel",)


def test_what_the_engine_refuses_even_in_fp32_goes_to_the_cpu(times: dict[str, float]) -> None:
    maker = Maker({"fp32": 95.0, "int8": 95.0}, preset="jetson-orin")
    maker.refused["fp32"] = "If is not supported"
    decision = run(maker, None)
    assert decision.backend == "onnxruntime-cpu"
    assert decision.chosen.model == b"int8"
    assert decision.fell_back == "INT8 on onnxruntime-cpu"
    assert "If is not supported" in decision.notes[0]
    with pytest.raises(ExportError, match="If is not supported"):
        run(maker, None, fall_back=False)
