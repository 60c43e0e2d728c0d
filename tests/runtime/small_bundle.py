"""A bundle of three small files, for tests that need one to change."""

from __future__ import annotations

from pathlib import Path

from deixis.runtime.bundle import (
    SCHEMA,
    Manifest,
    MetricInfo,
    ModelEntry,
    ReferenceInfo,
    SourceInfo,
    TaskInfo,
    TensorInfo,
    file_entry,
    write_manifest,
)

FILES = ("hand.onnx", "hand.json", "tokens")


def make_bundle(root: Path) -> Path:
    root.mkdir(parents=True)
    (root / "hand.onnx").write_bytes(b"a model")
    (root / "hand.json").write_bytes(b"its ranges")
    (root / "tokens").write_bytes(b"tokens")
    hand = ModelEntry(
        role="hand_landmarks",
        file=file_entry(root, "hand.onnx"),
        format="onnx",
        precision="int8",
        backend="onnxruntime-cpu",
        pruned=0.3,
        macs=120_000_000,
        inputs=(TensorInfo(name="image", dtype="float32", shape=(-1, 3, 224, 224)),),
        outputs=(TensorInfo(name="landmarks", dtype="float32", shape=(-1, 21, 3)),),
        checks=(MetricInfo(name="Δpx", value=1e-4, floor=0.5, better="lower", n=30),),
        task=TaskInfo(name="within 2 px", value=98.4, reference=99.0, floor=97.5, n=300),
        reference=ReferenceInfo(size_bytes=20, macs=300_000_000),
        calibration=file_entry(root, "hand.json"),
        notes=("stem left in float",),
        source=SourceInfo(package="p", version="1", sha256="0", member="m", licence="MIT"),
    )
    manifest = Manifest(
        schema=SCHEMA,
        preset="cpu",
        fingerprint="f",
        versions={"torch": "2", "onnx": "1"},
        models={"hand_landmarks": hand},
        files={"tokenizer": file_entry(root, "tokens")},
    )
    write_manifest(root, manifest)
    return root
