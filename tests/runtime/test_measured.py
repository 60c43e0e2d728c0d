"""Latencies belong to the files they were measured with, and to nothing else of a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.runtime.bundle import Bundle, file_entry, write_manifest
from deixis.runtime.measured import MEASURED, ModelTimes, read_measured, write_measured
from tests.runtime.small_bundle import make_bundle


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(make_bundle(tmp_path / "bundle"))


def times_of(bundle: Bundle) -> dict[str, ModelTimes]:
    sha256 = bundle.model("hand_landmarks").file.sha256
    return {
        "hand_landmarks": ModelTimes(
            sha256=sha256, p50_ms=2.5, p95_ms=3.0, n=30, threads=1, timed_on="one hand",
            backend="onnxruntime-cpu", p50_ms_fp32=8.0, p95_ms_fp32=8.4, speedup=3.2,
        )
    }  # fmt: skip


def test_what_was_written_is_read(bundle: Bundle):
    write_measured(bundle.root, times_of(bundle))
    reading = read_measured(bundle)
    assert reading.models == times_of(bundle)
    assert reading.note == ""
    assert reading.measured is not None
    assert reading.measured.created_at.endswith("+00:00")
    assert reading.measured.machine["cores"]


def test_without_times_a_bundle_is_whole(bundle: Bundle):
    reading = read_measured(bundle)
    assert reading.models == {}
    assert reading.note == "no latencies: there is no measured.json"
    assert bundle.verify() == 3


def test_times_are_no_part_of_what_is_hashed(bundle: Bundle):
    before = bundle.manifest_bytes
    write_measured(bundle.root, times_of(bundle))
    again = Bundle.open(bundle.root)
    assert again.manifest_bytes == before
    assert again.verify() == 3
    assert MEASURED not in {entry.path for entry in again.manifest.entries()}


def test_times_of_another_file_are_stale(bundle: Bundle):
    write_measured(bundle.root, times_of(bundle))
    (bundle.root / "hand.onnx").write_bytes(b"another model")
    hand = bundle.model("hand_landmarks")
    hand = type(hand)(
        **{name: getattr(hand, name) for name in hand.__struct_fields__}
        | {"file": file_entry(bundle.root, "hand.onnx")}
    )
    manifest = bundle.manifest
    manifest.models["hand_landmarks"] = hand
    write_manifest(bundle.root, manifest)
    reading = read_measured(Bundle.open(bundle.root))
    assert reading.models == {}
    assert reading.note == "no latencies for hand_landmarks: measured with other files"


@pytest.mark.parametrize(
    "content", [b"{", b"[]", json.dumps({"created_at": "", "machine": {}, "more": 1}).encode()]
)
def test_unreadable_times_are_said(bundle: Bundle, content: bytes):
    (bundle.root / MEASURED).write_bytes(content)
    reading = read_measured(bundle)
    assert reading.models == {}
    assert "cannot read" in reading.note
