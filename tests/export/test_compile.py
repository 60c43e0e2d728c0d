"""Models compile with TensorRT-RTX, without a GPU; what is refused is listed with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.export import compile as compiling
from deixis.export.compile import compile_rtx
from deixis.export.half import to_fp16
from deixis.runtime.bundle import Bundle
from tests.runtime.engines.models import relu, unsupported


@pytest.fixture(autouse=True)
def _rtx() -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")


@pytest.mark.parametrize("precision", ["as it is", "fp16"])
def test_every_onnx_model_of_the_bundle_builds(bundle: Bundle, precision: str) -> None:
    paths = [bundle.root / entry.file.path for entry in bundle.manifest.models.values()]
    models = {path.name: path.read_bytes() for path in paths if path.suffix == ".onnx"}
    # The CPU's INT8 (uint8, with zero points) is not for TensorRT.
    models = {name: model for name, model in models.items() if b"QuantizeLinear" not in model}
    if not models:
        pytest.skip(f"{bundle.root} has no model in float")
    for name, model in models.items():
        (build,) = compile_rtx(model if precision != "fp16" else to_fp16(model), [(8, 6)])
        assert build.built, f"{name}: {build.reason}"
        assert build.size_bytes > 10_000


def test_each_architecture_is_one_build() -> None:
    heard: list[tuple[int, int]] = []
    builds = compile_rtx(relu(), [(8, 9), (8, 7)], progress=lambda *told: heard.append(told))
    assert [(b.compute_capability, b.built) for b in builds] == [("8.9", True), ("8.7", False)]
    assert "no kernels for compute capability 8.7" in builds[1].reason
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_a_given_profile_is_used() -> None:
    (build,) = compile_rtx(relu(), [(8, 6)], {"x": ((4, 4), (2, 4), (1, 4))})
    assert not build.built
    (build,) = compile_rtx(relu(), [(8, 6)], {"x": ((1, 4), (2, 4), (4, 4))})
    assert build.built


def test_a_refusal_names_the_node() -> None:
    builds = compile_rtx(unsupported())
    assert len(builds) == len(compiling.COMPUTE_CAPABILITIES)
    assert all("node 'odd_one' (FastGelu)" in b.reason and not b.built for b in builds)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.onnx", tmp_path / "bad.onnx"
    good.write_bytes(relu())
    bad.write_bytes(unsupported())
    assert compiling.main([str(good), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["built"] for row in rows[str(good)]] == [True] * 5
    assert compiling.main([str(good), str(bad)]) == 1
    shown = capsys.readouterr().out
    assert "bad.onnx: TensorRT-RTX" in shown
    assert "odd_one" in shown
    assert compiling.main([str(tmp_path / "none.onnx")]) == 1
    assert "there is no model at" in capsys.readouterr().err


def test_the_parsers_warnings_do_not_reach_standard_output(
    bundle: Bundle, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs deixis[rtx]")
    model = to_fp16(bundle.model_path("crop_embedding").read_bytes())
    print("{", end="")
    compile_rtx(model, ((8, 6),))
    print("}")
    assert capfd.readouterr().out == "{}\n"
