"""A bundle: the models, tokenizer and calibration that a robot loads, with hashes and figures.

A bundle is a folder with ``manifest.json`` (schema 2) and the files it lists. It is written by the
export and verified when the daemon starts. The manifest is the same, byte for byte, whenever the
same things are exported: times and latencies lie beside it (:mod:`deixis.runtime.measured`). It
holds the hash of every file, so a signature of it alone covers the whole bundle
(:mod:`deixis.runtime.signing`).

    python -c "from deixis.runtime.bundle import Bundle; print(Bundle.open('bundles/cpu').verify())"
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from deixis.runtime.errors import BundleError

SCHEMA = 2
MANIFEST = "manifest.json"

Format = Literal["onnx", "ort"]
Precision = Literal["fp32", "fp16", "int8", "as-shipped"]


class FileEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One file of the bundle: path below its folder, sha256 and size."""

    path: str
    sha256: str
    size_bytes: int


class TensorInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Name, element type and shape of an input or output (-1 for a dynamic dimension)."""

    name: str
    dtype: str
    shape: tuple[int, ...]


class SourceInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the weights came from."""

    package: str
    version: str
    sha256: str
    member: str
    licence: str


class MetricInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A check that a model passed before it was packed: does it compute what its original does?

    Attributes:
        name: What was measured, with its unit.
        value: The measured value.
        floor: The bound it had to keep.
        better: Whether ``higher`` or ``lower`` is better.
        n: On how many samples.
    """

    name: str
    value: float
    floor: float
    better: str
    n: int


class TaskInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How well a model does what it is there for; in percent, more is better.

    Attributes:
        name: What was measured.
        value: Of the model as packed.
        reference: Of the FP32 model that was not pruned, on the same things.
        floor: What ``value`` had to reach.
        n: On how many things.
    """

    name: str
    value: float
    reference: float
    floor: float
    n: int


class ReferenceInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The FP32 model that was not pruned, which a model is compared with.

    Attributes:
        size_bytes: Of its file.
        macs: Multiply-accumulates of one inference; None: not counted.
    """

    size_bytes: int
    macs: int | None


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of the bundle.

    Attributes:
        role: What it is used for: ``speech_encoder``, ``hand_landmarks``, ``crop_embedding``, …
        file: Its file.
        format: ``onnx``, or ``ort`` (ONNX Runtime's own).
        precision: Of its weights and arithmetic; ``as-shipped``: whatever its maker chose.
        backend: What it was emitted for: ``onnxruntime-cpu``, ``tensorrt``, …
        pruned: Share of the channels that was asked to be removed; 0: none.
        macs: Multiply-accumulates of one inference; None: not counted.
        inputs: Its inputs.
        outputs: Its outputs.
        checks: Where its FP32 form was compared with the original.
        task: How well it does its work; None: not measured.
        reference: What it is compared with; None: it is that itself.
        calibration: The ranges that its INT8 form was made with.
        notes: What the export had to do differently than asked, and layers left in float, in words.
        fingerprint: Hash of everything its export depended on; equal means up to date.
        source: Its weights.
    """

    role: str
    file: FileEntry
    format: Format
    precision: Precision
    backend: str
    pruned: float = 0.0
    macs: int | None = None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    checks: tuple[MetricInfo, ...]
    task: TaskInfo | None = None
    reference: ReferenceInfo | None = None
    calibration: FileEntry | None = None
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    source: SourceInfo


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contents of ``manifest.json``.

    Attributes:
        schema: Version of this format.
        preset: Export preset that made it.
        fingerprint: Hash of the models' fingerprints.
        versions: Versions of the packages that took part.
        models: Models by role.
        files: Other files by use: ``tokenizer``.
    """

    schema: int
    preset: str
    fingerprint: str
    versions: dict[str, str]
    models: dict[str, ModelEntry]
    files: dict[str, FileEntry]

    def entries(self) -> Iterator[FileEntry]:
        """Every file of the bundle."""
        for model in self.models.values():
            yield model.file
            if model.calibration is not None:
                yield model.calibration
        yield from self.files.values()


def sha256_of(path: Path) -> str:
    """sha256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(root: Path, path: str) -> FileEntry:
    """Describe the file ``root / path``."""
    full = root / path
    return FileEntry(path=path, sha256=sha256_of(full), size_bytes=full.stat().st_size)


class Bundle:
    """An opened bundle; use :meth:`open`.

    Attributes:
        root: Its folder.
        manifest: What it says of itself.
        manifest_bytes: The same as it was read: what a signature is made of.
    """

    def __init__(self, root: Path, manifest: Manifest, manifest_bytes: bytes) -> None:
        self.root = root
        self.manifest = manifest
        self.manifest_bytes = manifest_bytes

    @classmethod
    def open(cls, path: Path | str) -> Bundle:
        """Read the manifest and check that every file is there (hashes: see :meth:`verify`).

        Raises:
            BundleError: No bundle, an unknown schema, or a missing file.
        """
        root = Path(path).expanduser().resolve()
        remake = _remake("cpu", path)
        manifest_path = root / MANIFEST
        if not root.is_dir():
            raise BundleError(f"there is no bundle at {root}", hint=remake)
        if not manifest_path.is_file():
            raise BundleError(f"{root} is not a bundle: it has no {MANIFEST}", hint=remake)
        try:
            raw = manifest_path.read_bytes()
            plain = msgspec.json.decode(raw, type=dict)
        except OSError as cause:
            raise BundleError(f"cannot read {manifest_path}: {cause.strerror}") from cause
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            raise BundleError(f"{manifest_path} is not valid JSON: {cause}", hint=remake) from cause
        if plain.get("schema") != SCHEMA:
            raise BundleError(
                f"{manifest_path} has schema {plain.get('schema')!r}; "
                f"this deixis reads schema {SCHEMA}",
                hint=_remake(str(plain.get("preset", "cpu")), path),
            )
        try:
            manifest = msgspec.json.decode(raw, type=Manifest)
        except msgspec.ValidationError as cause:
            raise BundleError(f"{manifest_path}: {cause}", hint=remake) from cause
        for entry in manifest.entries():
            # Unlike Path.is_file, it has an answer for every string.
            if not os.path.isfile(root / entry.path):
                raise BundleError(f"{root} is incomplete: {entry.path} is missing", hint=remake)
            if not (root / entry.path).resolve().is_relative_to(root):
                raise BundleError(f"{manifest_path}: {entry.path} lies outside the bundle")
        return cls(root, manifest, raw)

    def verify(self) -> int:
        """Check the hash of every file.

        Returns:
            Number of files checked.

        Raises:
            BundleError: A file is not the one that the manifest describes.
        """
        entries = list(self.manifest.entries())
        for entry in entries:
            if not self.unchanged(entry):
                raise BundleError(
                    f"{self.root / entry.path} has changed since the bundle was made "
                    "(wrong sha256)",
                    hint=self.remake,
                )
        return len(entries)

    def unchanged(self, entry: FileEntry) -> bool:
        """Whether a file is the one that the manifest describes.

        Raises:
            BundleError: It cannot be read.
        """
        path = self.root / entry.path
        try:
            return path.stat().st_size == entry.size_bytes and sha256_of(path) == entry.sha256
        except OSError as cause:
            raise BundleError(f"cannot read {path}: {cause.strerror}") from cause

    @property
    def remake(self) -> str:
        """The command that makes the bundle anew."""
        return _remake(self.manifest.preset, self.root)

    def model(self, role: str) -> ModelEntry:
        """The model with this role.

        Raises:
            BundleError: The bundle has none.
        """
        entry = self.manifest.models.get(role)
        if entry is None:
            raise BundleError(
                f"bundle {self.root} has no model {role!r}; it has "
                f"{', '.join(sorted(self.manifest.models))}",
                hint=self.remake,
            )
        return entry

    def model_path(self, role: str) -> Path:
        """Where the model with this role lies."""
        return self.root / self.model(role).file.path

    def file_path(self, use: str) -> Path:
        """Where the other file with this use (``tokenizer``) lies.

        Raises:
            BundleError: The bundle has none.
        """
        entry = self.manifest.files.get(use)
        if entry is None:
            raise BundleError(f"bundle {self.root} has no file for {use!r}")
        return self.root / entry.path


def _remake(preset: str, path: Path | str) -> str:
    return f"deixis export all --preset {preset} --out {path}"


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the bundle folder; equal manifests give equal bytes."""
    (root / MANIFEST).write_bytes(encode(manifest))


def encode(content: msgspec.Struct) -> bytes:
    """JSON for people and hashes: indented, dicts sorted by key, a line's end at the end."""
    data = msgspec.json.encode(content, order="deterministic")
    return msgspec.json.format(data, indent=2) + b"\n"


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A fresh folder that takes the place of ``target`` when the block succeeds.

    Whatever interrupts the block (an error, Ctrl-C), the old ``target`` stays as it was and the
    half-made folder is removed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        old = fresh.with_name(fresh.name + "-old")
        if target.exists():
            os.replace(target, old)
        os.replace(fresh, target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
