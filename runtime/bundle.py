"""A bundle: the models, tokenizer and domain that a robot loads, with their hashes and figures.

A bundle is a folder with ``manifest.json`` (schema 1) and the files it lists. It is written by the
export and verified when the daemon starts.

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

import msgspec

from deixis.runtime.errors import BundleError

SCHEMA = 1
MANIFEST = "manifest.json"


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
    """The check a model passed before it was packed.

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


class LatencyInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latency measured at export: milliseconds, one thread, on the exporting machine."""

    p50_ms: float
    p95_ms: float
    n: int


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model of the bundle.

    Attributes:
        role: What it is used for: ``speech_encoder``, ``speech_decoder``, ``palm_detector``,
            ``hand_landmarks``, ``crop_embedding``.
        file: Its ONNX (or ORT) file.
        precision: ``fp32``, ``int8`` or ``as-shipped``.
        inputs: Its inputs.
        outputs: Its outputs.
        metric: The check it passed.
        latency: How fast it was.
        source: Its weights.
    """

    role: str
    file: FileEntry
    precision: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metric: MetricInfo | None
    latency: LatencyInfo | None
    source: SourceInfo


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contents of ``manifest.json``.

    Attributes:
        schema: Version of this format.
        name: Name of the bundle.
        preset: Export preset that made it.
        created_at: UTC, ISO 8601.
        fingerprint: Hash of everything the export depended on; equal means up to date.
        versions: Versions of the packages that took part.
        models: Models by role.
        files: Other files by use: ``tokenizer``.
    """

    schema: int
    name: str
    preset: str
    created_at: str
    fingerprint: str
    versions: dict[str, str]
    models: dict[str, ModelEntry]
    files: dict[str, FileEntry]


def sha256_of(path: Path) -> str:
    """sha256 of a file as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_entry(root: Path, path: str) -> FileEntry:
    """Describe the file ``root / path``."""
    full = root / path
    return FileEntry(path=path, sha256=sha256_of(full), size_bytes=full.stat().st_size)


class Bundle:
    """An opened bundle; use :meth:`open`."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self.root = root
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path | str) -> Bundle:
        """Read the manifest and check that every file is there (hashes: see :meth:`verify`).

        Raises:
            BundleError: No bundle, an unknown schema, or a missing file.
        """
        root = Path(path).expanduser().resolve()
        remake = f"deixis export all --preset cpu --out {path}"
        manifest_path = root / MANIFEST
        if not root.is_dir():
            raise BundleError(f"there is no bundle at {root}", hint=remake)
        if not manifest_path.is_file():
            raise BundleError(f"{root} is not a bundle: it has no {MANIFEST}", hint=remake)
        raw = manifest_path.read_bytes()
        try:
            schema = msgspec.json.decode(raw).get("schema")
        except (msgspec.DecodeError, AttributeError) as cause:
            raise BundleError(f"{manifest_path} is not valid JSON: {cause}", hint=remake) from cause
        if schema != SCHEMA:
            raise BundleError(
                f"{manifest_path} has schema {schema!r}; this deixis reads schema {SCHEMA}",
                hint=remake,
            )
        try:
            manifest = msgspec.json.decode(raw, type=Manifest)
        except msgspec.ValidationError as cause:
            raise BundleError(f"{manifest_path}: {cause}", hint=remake) from cause
        bundle = cls(root, manifest)
        for entry in bundle._entries():
            if not (root / entry.path).resolve().is_relative_to(root):
                raise BundleError(f"{manifest_path}: {entry.path} lies outside the bundle")
            if not (root / entry.path).is_file():
                raise BundleError(f"{root} is incomplete: {entry.path} is missing", hint=remake)
        return bundle

    def verify(self) -> int:
        """Check the hash of every file.

        Returns:
            Number of files checked.

        Raises:
            BundleError: A file is not the one that the manifest describes.
        """
        entries = list(self._entries())
        for entry in entries:
            path = self.root / entry.path
            if path.stat().st_size != entry.size_bytes or sha256_of(path) != entry.sha256:
                raise BundleError(
                    f"{path} has changed since the bundle was made (wrong sha256)",
                    hint=f"deixis export all --preset {self.manifest.preset} --out {self.root}",
                )
        return len(entries)

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
                hint=f"deixis export all --preset {self.manifest.preset} --out {self.root}",
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

    def _entries(self) -> Iterator[FileEntry]:
        yield from (model.file for model in self.manifest.models.values())
        yield from self.manifest.files.values()


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Write ``manifest.json`` into the bundle folder."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    (root / MANIFEST).write_bytes(data + b"\n")


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
