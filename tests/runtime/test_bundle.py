"""Bundles are verified: whatever is wrong with one is one clear error."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deixis.runtime.bundle import (
    Bundle,
    FileEntry,
    Manifest,
    MetricInfo,
    ModelEntry,
    ReferenceInfo,
    SourceInfo,
    TaskInfo,
    TensorInfo,
    encode,
    file_entry,
    replacing,
    write_manifest,
)
from deixis.runtime.errors import BundleError
from tests.runtime.small_bundle import FILES, make_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle")


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_whole_bundle(folder: Path):
    bundle = Bundle.open(folder)
    assert bundle.verify() == len(FILES)
    assert bundle.model_path("hand_landmarks") == folder / "hand.onnx"
    assert bundle.file_path("tokenizer").read_bytes() == b"tokens"
    with pytest.raises(BundleError, match="no model 'ears'; it has hand_landmarks"):
        bundle.model("ears")
    with pytest.raises(BundleError, match="no file for 'ears'"):
        bundle.file_path("ears")


def test_a_missing_bundle_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(BundleError, match="there is no bundle") as caught:
        Bundle.open(tmp_path / "nothing")
    assert "deixis export all" in caught.value.hint
    with pytest.raises(BundleError, match=r"is not a bundle: it has no manifest\.json"):
        Bundle.open(tmp_path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES), data=st.data())
def test_any_other_byte_is_found(folder: Path, name: str, data: st.DataObject):
    good = (folder / name).read_bytes()
    place = data.draw(st.integers(0, len(good)))
    kind = data.draw(st.sampled_from(("flip", "insert", "cut")))
    if kind == "insert":
        bad = good[:place] + data.draw(st.binary(min_size=1, max_size=3)) + good[place:]
    elif place == len(good):
        bad = good[:-1]
    elif kind == "flip":
        bad = good[:place] + bytes([good[place] ^ data.draw(st.integers(1, 255))])
        bad += good[place + 1 :]
    else:
        bad = good[:place]
    (folder / name).write_bytes(bad)
    try:
        with pytest.raises(BundleError, match=r"has changed .*wrong sha256"):
            Bundle.open(folder).verify()
    finally:
        (folder / name).write_bytes(good)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    with pytest.raises(BundleError, match=f"{name} is missing"):
        Bundle.open(folder)


def test_another_schema_names_the_command_that_remakes_it(folder: Path):
    edit(folder, schema=1, preset="jetson-orin")
    with pytest.raises(BundleError, match="has schema 1; this deixis reads schema 2") as caught:
        Bundle.open(folder)
    assert caught.value.hint == f"deixis export all --preset jetson-orin --out {folder}"
    edit(folder, schema=7)
    with pytest.raises(BundleError, match="has schema 7"):
        Bundle.open(folder)


@pytest.mark.parametrize("content", [b"{", b"[]", b"", b'"manifest"', b"\0", b'{"\xf3": 1}'])
def test_what_is_no_manifest_is_said_so(folder: Path, content: bytes):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(BundleError, match="not valid JSON"):
        Bundle.open(folder)


def test_unknown_keys_and_values_are_refused(folder: Path):
    whole = json.loads((folder / "manifest.json").read_text())
    edit(folder, surprise=1)
    with pytest.raises(BundleError, match="surprise"):
        Bundle.open(folder)
    for key, value in (("precision", "int4"), ("format", "tflite"), ("latency", 3)):
        hand = {**whole["models"]["hand_landmarks"], key: value}
        (folder / "manifest.json").write_text(
            json.dumps({**whole, "models": {"hand_landmarks": hand}})
        )
        with pytest.raises(BundleError, match=f"{value if key != 'latency' else key}"):
            Bundle.open(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(path=st.text() | st.sampled_from(("/", ".", "..", "loop", "x" * 5000, "hand.onnx\0")))
def test_no_path_is_more_than_an_error(folder: Path, path: str):
    if not (folder / "loop").is_symlink():
        (folder / "loop").symlink_to("loop")
    data = json.loads((folder / "manifest.json").read_text())
    data["files"]["tokenizer"]["path"] = path
    good = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").write_text(json.dumps(data))
    try:
        with pytest.raises(BundleError):
            Bundle.open(folder)
    finally:
        (folder / "manifest.json").write_bytes(good)


@pytest.mark.parametrize("place", ["tokenizer", "model", "calibration"])
@pytest.mark.parametrize("path", ["../elsewhere", "{absolute}", "a/../../elsewhere", "link"])
def test_a_path_that_leaves_the_bundle_is_refused(folder: Path, place: str, path: str):
    outside = folder.parent / "elsewhere"
    outside.write_bytes(b"x")
    (folder / "link").symlink_to(outside)
    (folder / "a").mkdir()
    data = json.loads((folder / "manifest.json").read_text())
    hand = data["models"]["hand_landmarks"]
    entry = {
        "tokenizer": data["files"]["tokenizer"],
        "model": hand["file"],
        "calibration": hand["calibration"],
    }[place]
    entry["path"] = path.format(absolute=outside)
    (folder / "manifest.json").write_text(json.dumps(data))
    with pytest.raises(BundleError, match="outside"):
        Bundle.open(folder)


def test_two_folders_hold_the_same_bytes(tmp_path: Path):
    one, other = make_bundle(tmp_path / "one"), make_bundle(tmp_path / "deep" / "other")
    data = (one / "manifest.json").read_bytes()
    assert data == (other / "manifest.json").read_bytes()
    assert str(tmp_path).encode() not in data


words = st.text(max_size=8)
counts = st.integers(0, 2**53)
numbers = st.floats(allow_nan=False, allow_infinity=False)
files = st.builds(FileEntry, path=words, sha256=words, size_bytes=counts)
tensors = st.lists(
    st.builds(TensorInfo, name=words, dtype=words, shape=st.tuples(st.integers(-1, 999))),
    max_size=2,
).map(tuple)
figures = {"name": words, "value": numbers, "floor": numbers, "n": counts}
models = st.builds(
    ModelEntry,
    role=words,
    file=files,
    format=st.sampled_from(("onnx", "ort")),
    precision=st.sampled_from(("fp32", "fp16", "int8", "as-shipped")),
    backend=words,
    pruned=numbers,
    macs=st.none() | counts,
    inputs=tensors,
    outputs=tensors,
    checks=st.tuples(st.builds(MetricInfo, better=words, **figures)),
    task=st.none() | st.builds(TaskInfo, reference=numbers, **figures),
    reference=st.none() | st.builds(ReferenceInfo, size_bytes=counts, macs=st.none() | counts),
    calibration=st.none() | files,
    notes=st.lists(words, max_size=3).map(tuple),
    source=st.builds(
        SourceInfo, package=words, version=words, sha256=words, member=words, licence=words
    ),
)
manifests = st.builds(
    Manifest,
    schema=st.just(2),
    preset=words,
    fingerprint=words,
    versions=st.dictionaries(words, words, max_size=4),
    models=st.dictionaries(words, models, max_size=3),
    files=st.dictionaries(words, files, max_size=3),
)


def shuffled(source: random.Random, content: dict[str, Any]) -> dict[str, Any]:
    return dict(source.sample(list(content.items()), len(content)))


@settings(deadline=None)
@given(manifest=manifests, source=st.randoms(use_true_random=False))
def test_the_order_of_making_leaves_no_trace(manifest: Manifest, source: random.Random):
    other = msgspec.structs.replace(
        manifest,
        versions=shuffled(source, manifest.versions),
        models=shuffled(source, manifest.models),
        files=shuffled(source, manifest.files),
    )
    data = encode(manifest)
    assert encode(other) == data
    read = msgspec.json.decode(data, type=Manifest)
    assert read == manifest
    assert encode(read) == data


def test_writing_what_was_read_changes_nothing(folder: Path):
    before = (folder / "manifest.json").read_bytes()
    bundle = Bundle.open(folder)
    assert bundle.manifest_bytes == before
    write_manifest(folder, bundle.manifest)
    assert (folder / "manifest.json").read_bytes() == before


def test_replacing_keeps_the_old_one_when_interrupted(folder: Path):
    def interrupted() -> None:
        with replacing(folder) as fresh:
            (fresh / "half").write_bytes(b"")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert Bundle.open(folder).verify() == len(FILES)
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
