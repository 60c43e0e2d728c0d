"""``deixis models`` and ``deixis run --require-signature`` as a user meets them."""

from __future__ import annotations

import getpass
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deixis.__main__ import main
from deixis.runtime.bundle import Bundle, ModelEntry, TaskInfo, file_entry, write_manifest
from deixis.runtime.control import Client
from deixis.runtime.errors import DaemonError
from deixis.runtime.measured import ModelTimes, write_measured
from deixis.runtime.signing import SIGNATURE
from tests.runtime.small_bundle import make_bundle

ROOT = Path(__file__).resolve().parents[3]
GRAPH = 'name: one\n{}nodes:\n  - {{id: it, node: "tests.faults.nodes:Ticker"}}\n'


@pytest.fixture(autouse=True)
def own_run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test meets a daemon that runs on this machine."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    pytest.importorskip("minisign", reason="needs deixis[sign]")
    assert main(["models", "keys", "--out", str(tmp_path / "robot.key"), "--no-password"]) == 0
    return tmp_path / "robot.key"


@pytest.fixture
def signed(folder: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert main(["models", "sign", str(folder), "--key", str(key)]) == 0
    capsys.readouterr()
    return folder


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def replace_hand(folder: Path, **changes: Any) -> ModelEntry:
    manifest = Bundle.open(folder).manifest
    hand = msgspec.structs.replace(manifest.models["hand_landmarks"], **changes)
    write_manifest(folder, msgspec.structs.replace(manifest, models={hand.role: hand}))
    return hand


def write_times(folder: Path, sha256: str, p50_ms: float) -> None:
    times = ModelTimes(
        sha256=sha256, p50_ms=p50_ms, p95_ms=p50_ms, n=9, threads=1, timed_on="one hand",
        backend="onnxruntime-cpu", p50_ms_fp32=8.0, p95_ms_fp32=9.0, speedup=8.0 / p50_ms,
    )  # fmt: skip
    write_measured(folder, {"hand_landmarks": times})


@pytest.mark.parametrize("words", [["models"], ["models", "list"]])
def test_list_with_and_without_its_name(
    words: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand = Bundle.open(folder).model("hand_landmarks")
    write_times(folder, hand.file.sha256, p50_ms=2.5)
    about = shown([*words, "--bundle", str(folder)], capsys)["bundle"]
    (model,) = about["models"]
    assert model["sha256_ok"]
    assert model["times"]["speedup"] == 3.2
    assert model["task"]["value"] == 98.4
    assert model["macs"] == 120_000_000
    assert (about["note"], about["signature"]) == ("", None)
    assert main([*words, "--bundle", str(folder)]) == 0
    text = capsys.readouterr().out
    assert "int8 −30%" in text
    assert "within 2 px 98.4 % (-0.6, ≥ 97.5, n 300)" in " ".join(text.split())
    assert "stem left in float" in text
    assert "not signed" in text


def test_the_verbs_own_options_hold_for_list(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    about = shown(["models", "--bundle", str(folder), "list"], capsys)["bundle"]
    assert about["path"] == str(folder)
    assert about["note"] == "no latencies: there is no measured.json"


def test_list_sees_changed_calibration(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "hand.json").write_bytes(b"its rangeS")
    about = shown(["models", "--bundle", str(folder)], capsys, code=1)["bundle"]
    assert [m["sha256_ok"] for m in about["models"]] == [False]


def test_verify(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(["models", "verify", str(folder)], capsys) == {
        "bundle": str(folder), "preset": "cpu", "files": 3, "signature": None,
        "note": "no latencies: there is no measured.json",
    }  # fmt: skip
    (folder / "hand.json").write_bytes(b"its rangeS")
    error = shown(["models", "verify", str(folder)], capsys, code=1)
    assert error["kind"] == "BundleError"
    assert "hand.json has changed" in error["error"]


def test_verify_with_a_key(signed: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    public = key.with_suffix(".pub")
    arguments = ["models", "verify", str(signed)]
    assert shown(arguments, capsys)["signature"]["verified_with"] is None
    checked = shown([*arguments, "--public-key", str(public)], capsys)["signature"]
    assert checked["verified_with"] == str(public)
    # Who changes a file may also mend the manifest, but cannot sign it.
    (signed / "hand.onnx").write_bytes(b"another model")
    replace_hand(signed, file=file_entry(signed, "hand.onnx"))
    assert shown(arguments, capsys)["files"] == 3
    error = shown([*arguments, "--public-key", str(public)], capsys, code=1)
    assert error["kind"] == "SignatureError"
    assert "does not fit" in error["error"]


def test_sign_refuses_a_changed_bundle(
    folder: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "tokens").write_bytes(b"tokenS")
    error = shown(["models", "sign", str(folder), "--key", str(key)], capsys, code=1)
    assert "tokens has changed" in error["error"]
    assert not (folder / SIGNATURE).exists()


def test_keys_ask_for_a_password_twice(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("minisign", reason="needs deixis[sign]")
    answers: list[str] = []
    monkeypatch.setattr(getpass, "getpass", lambda prompt: answers.pop(0))
    secret = tmp_path / "robot.key"
    for given, message in ([""], "password is empty"), (["a", "b"], "passwords differ"):
        answers = given
        error = shown(["models", "keys", "--out", str(secret)], capsys, code=2)
        assert message in error["error"]
        assert not secret.exists()
    answers = ["a", "a"]
    made = shown(["models", "keys", "--out", str(secret)], capsys)
    assert made["public_key"] == str(tmp_path / "robot.pub")
    answers = ["b"]
    sign = ["models", "sign", str(folder), "--key", str(secret)]
    assert "wrong password" in shown(sign, capsys, code=1)["error"]
    answers = ["a"]
    assert shown(sign, capsys)["key_id"] == made["key_id"]


def test_a_secret_key_is_not_called_pub(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "robot.pub")
    error = shown(["models", "keys", "--out", out, "--no-password"], capsys, code=2)
    assert "public key's ending" in error["error"]


def test_nobody_to_ask_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr(getpass, "getpass", nobody)
    error = shown(["models", "keys", "--out", str(tmp_path / "robot.key")], capsys, code=1)
    assert "there is no terminal" in error["error"]
    assert "--no-password" in error["hint"]


def test_diff_of_the_same(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_bundle(tmp_path / "other")
    sha256 = Bundle.open(folder).model("hand_landmarks").file.sha256
    write_times(other, sha256, p50_ms=1.0)
    seen = shown(["models", "diff", str(folder), str(other)], capsys)
    assert (seen["same"], seen["changes"]) == (True, [])
    assert main(["models", "diff", str(folder), str(other)]) == 0
    assert "the same, byte for byte" in capsys.readouterr().out


def test_diff_names_what_changed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_bundle(tmp_path / "other")
    before = Bundle.open(folder).model("hand_landmarks")
    (other / "hand.onnx").write_bytes(b"less")
    (other / "hand.json").write_bytes(b"other ranges")
    task = TaskInfo(name="within 2 px", value=97.9, reference=99.0, floor=97.5, n=300)
    after = replace_hand(
        other, file=file_entry(other, "hand.onnx"), precision="fp16", macs=60_000_000, task=task,
        calibration=file_entry(other, "hand.json"), notes=(),
    )  # fmt: skip
    write_times(folder, before.file.sha256, p50_ms=2.5)
    write_times(other, after.file.sha256, p50_ms=2.0)
    seen = shown(["models", "diff", str(folder), str(other)], capsys, code=1)
    assert seen["same"] is False
    assert {change["of"] for change in seen["changes"]} == {"hand_landmarks"}
    assert {c["what"]: (c["a"], c["b"]) for c in seen["changes"]} == {
        "file.sha256": (before.file.sha256, after.file.sha256),
        "file.size_bytes": (7, 4),
        "precision": ("int8", "fp16"),
        "macs": (120_000_000, 60_000_000),
        "task.value": (98.4, 97.9),
        "calibration.sha256": (before.calibration.sha256, after.calibration.sha256),
        "calibration.size_bytes": (10, 12),
        "notes": ("stem left in float", None),
        "p50_ms": (2.5, 2.0),
    }
    assert main(["models", "diff", str(folder), str(other)]) == 1
    text = capsys.readouterr().out
    for words in ("× 0.50", "-0.50", "× 0.80", after.file.sha256[:12]):
        assert words in text


def test_diff_of_models_and_of_the_bundle(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_bundle(tmp_path / "other")
    manifest = Bundle.open(other).manifest
    hand = manifest.models["hand_landmarks"]
    palm = msgspec.structs.replace(hand, role="palm_detector")
    changed = msgspec.structs.replace(
        manifest, versions={"torch": "3", "onnx": "1"}, models={"palm_detector": palm}
    )
    write_manifest(other, changed)
    seen = shown(["models", "diff", str(folder), str(other)], capsys, code=1)["changes"]
    assert [(c["of"], c["what"], c["a"], c["b"]) for c in seen] == [
        ("bundle", "versions.torch", "2", "3"),
        ("hand_landmarks", "model", "int8, 0.0 MB", None),
        ("palm_detector", "model", None, "int8, 0.0 MB"),
    ]
    assert main(["models", "diff", str(folder), str(other)]) == 1
    text = capsys.readouterr().out
    assert "removed" in text
    assert "added" in text


def test_diff_of_other_bytes_that_say_the_same(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_bundle(tmp_path / "other")
    path = other / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text())))
    seen = shown(["models", "diff", str(folder), str(other)], capsys, code=1)
    assert (seen["same"], seen["changes"]) == (False, [])
    assert main(["models", "diff", str(folder), str(other)]) == 1
    assert "in other bytes" in capsys.readouterr().out


@pytest.mark.parametrize("by_graph", [True, False])
def test_run_starts_nothing_without_the_required_signature(
    by_graph: bool, folder: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = tmp_path / "graph.yaml"
    # In a graph file a path starts at its folder.
    graph.write_text(GRAPH.format("require_signature: robot.pub\n" if by_graph else ""))
    arguments = ["run", str(graph), "--bundle", str(folder)]
    if not by_graph:
        arguments += ["--require-signature", str(key.with_suffix(".pub"))]
    error = shown(arguments, capsys, code=1)
    assert error["kind"] == "SignatureError"
    assert "is not signed" in error["error"]
    assert not (tmp_path / "run").exists()


def test_the_command_lines_key_goes_before_the_graphs(
    signed: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.key"
    main(["models", "keys", "--out", str(other), "--no-password"])
    graph = tmp_path / "graph.yaml"
    graph.write_text(GRAPH.format("require_signature: robot.pub\n"))
    arguments = ["run", str(graph), "--bundle", str(signed)]
    error = shown([*arguments, "--require-signature", str(other.with_suffix(".pub"))], capsys, 1)
    assert "other.pub) is required" in error["error"]


@contextmanager
def running(graph: Path, bundle: Path, run_dir: Path, *more: str) -> Iterator[Client]:
    command = [sys.executable, "-m", "deixis", "run", str(graph), "--bundle", str(bundle), *more]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE
    )
    client = Client(run_dir / "deixis" / "default")
    try:
        end = time.monotonic() + 30
        while True:
            try:
                if client.status().state == "ready":
                    break
            except DaemonError:
                assert process.poll() is None, process.stderr and process.stderr.read()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=15)


@pytest.mark.slow
@pytest.mark.parametrize("by_graph", [True, False])
def test_status_and_doctor_say_who_signed(
    by_graph: bool, signed: Path, key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    graph = tmp_path / "graph.yaml"
    public = key.with_suffix(".pub")
    graph.write_text(GRAPH.format("require_signature: robot.pub\n" if by_graph else ""))
    with running(graph, signed, tmp_path / "run"):
        signature = shown(["status"], capsys)["signature"]
        assert main(["status"]) == 0
        assert f"signed by key {signature['key_id']}" in capsys.readouterr().out
    assert signature["verified_with"] == (str(public) if by_graph else None)
    main(["doctor", "--bundle", str(signed), "--json"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    finding = next(f for f in findings if f["what"] == "bundle")
    assert finding["state"] == "ok"
    assert f"signed by key {signature['key_id']} (not checked)" in finding["detail"]
