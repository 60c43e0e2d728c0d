"""Bundles are verified: whatever is wrong with one is one clear error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deixis.runtime.bundle import (
    Bundle,
    FileEntry,
    Manifest,
    ModelEntry,
    SourceInfo,
    file_entry,
    replacing,
    write_manifest,
)
from deixis.runtime.errors import BundleError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "bundle"
    root.mkdir()
    (root / "model.onnx").write_bytes(b"a model")
    (root / "tokens").write_bytes(b"tokens")
    source = SourceInfo(package="p", version="1", sha256="0", member="m", licence="MIT")
    model = ModelEntry(
        role="palm_detector",
        file=file_entry(root, "model.onnx"),
        precision="fp32",
        inputs=(),
        outputs=(),
        metric=None,
        latency=None,
        source=source,
    )
    manifest = Manifest(
        schema=1,
        name="bundle",
        preset="cpu",
        created_at="2026-11-25T00:00:00Z",
        fingerprint="f",
        versions={},
        models={"palm_detector": model},
        files={"tokenizer": file_entry(root, "tokens")},
    )
    write_manifest(root, manifest)
    return root


def test_a_whole_bundle(folder: Path):
    bundle = Bundle.open(folder)
    assert bundle.verify() == 2
    assert bundle.model_path("palm_detector") == folder / "model.onnx"
    assert bundle.file_path("tokenizer").read_bytes() == b"tokens"
    with pytest.raises(BundleError, match="no model 'ears'; it has palm_detector"):
        bundle.model("ears")
    with pytest.raises(BundleError, match="no file for 'ears'"):
        bundle.file_path("ears")


def test_a_missing_bundle_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(BundleError, match="there is no bundle") as caught:
        Bundle.open(tmp_path / "nothing")
    assert "deixis export all" in caught.value.hint
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        Bundle.open(tmp_path)


@pytest.mark.parametrize("content", [b"a modeL", b"shorter"])
def test_a_changed_file_is_found(folder: Path, content: bytes):
    (folder / "model.onnx").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.onnx has changed .*wrong sha256"):
        Bundle.open(folder).verify()


def test_a_missing_file_is_named(folder: Path):
    (folder / "tokens").unlink()
    with pytest.raises(BundleError, match="tokens is missing"):
        Bundle.open(folder)


def test_schema_and_syntax(folder: Path):
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "schema": 7}))
    with pytest.raises(BundleError, match="has schema 7; this deixis reads schema 1"):
        Bundle.open(folder)
    path.write_text(json.dumps({**data, "surprise": 1}))
    with pytest.raises(BundleError, match="surprise"):
        Bundle.open(folder)
    path.write_text("{")
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.open(folder)


def test_a_path_that_leaves_the_bundle_is_refused(folder: Path):
    path = folder / "manifest.json"
    data = json.loads(path.read_text())
    data["files"]["tokenizer"]["path"] = "../elsewhere"
    (folder.parent / "elsewhere").write_bytes(b"x")
    path.write_text(json.dumps(data))
    with pytest.raises(BundleError, match="outside"):
        Bundle.open(folder)


def test_replacing_keeps_the_old_one_when_interrupted(folder: Path):
    def interrupted() -> None:
        with replacing(folder) as fresh:
            (fresh / "half").write_bytes(b"")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert Bundle.open(folder).verify() == 2
    assert [p.name for p in folder.parent.iterdir()] == ["bundle"]


def test_replacing_puts_the_new_one_in_place(folder: Path):
    with replacing(folder) as fresh:
        (fresh / "new").write_bytes(b"1")
    assert [p.name for p in folder.iterdir()] == ["new"]
    assert [p.name for p in folder.parent.iterdir()] == ["bundle"]


def test_entries_hold_hash_and_size(tmp_path: Path):
    (tmp_path / "f").write_bytes(b"abc")
    assert file_entry(tmp_path, "f") == FileEntry(
        path="f",
        sha256="ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        size_bytes=3,
    )
