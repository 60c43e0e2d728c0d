"""Builds a TensorRT engine at its first load on this machine, and keeps it.

An engine belongs to one GPU and one TensorRT version, so a bundle holds the ONNX file and each
robot builds its own, once. ``$XDG_CACHE_HOME/deixis/engines/GPU/`` then holds, per model, the
engine, a JSON file that says what it was built from, and the timings of its kernels for the next
build. An engine that does not fit any more (another version, driver or profile) or is broken is
built anew, and that is noted.

Run with TensorRT-RTX without a GPU (building, keeping, rebuilding); loading what was built needs
one and has not been run.

    plan = EngineCache(trt, gpu).plan(Path("hand_landmarks.onnx"), note=print, progress=show)
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from deixis.runtime.engines import Note, Progress
from deixis.runtime.engines.gpu import Gpu
from deixis.runtime.engines.profiles import RANGES, default_profile
from deixis.runtime.engines.tensorrt_api import Profile, Shape, TensorRt
from deixis.runtime.errors import EngineError

SCHEMA = 1

Shapes = dict[str, tuple[Shape, Shape, Shape]]


class PlanInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The side file of an engine.

    Attributes:
        schema: version of this format.
        model: name of the model's file.
        model_sha256: of the ONNX file; precision is part of it, for networks are strongly typed.
        tensorrt: name and version.
        gpu: name and compute capability.
        profile: what was asked for: input → shortest, likeliest and longest shape; None: the
            defaults.
        ranges: the defaults: symbolic name of an axis → its range.
        plan_sha256: of the engine.
        size_bytes: of the engine.
        seconds: how long the build took.
        built_at: UTC, ISO 8601.
    """

    schema: int
    model: str
    model_sha256: str
    tensorrt: str
    gpu: str
    profile: Shapes | None
    ranges: dict[str, tuple[int, int, int]]
    plan_sha256: str
    size_bytes: int
    seconds: float
    built_at: str


def cache_folder() -> Path:
    """Where engines are kept: ``$XDG_CACHE_HOME/deixis/engines``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "deixis" / "engines"


class EngineCache:
    """The engines of one TensorRT and one GPU.

    Args:
        trt: what builds.
        gpu: what it builds for.
        folder: where they are kept, default :func:`cache_folder`.
    """

    def __init__(self, trt: TensorRt, gpu: Gpu, folder: Path | None = None) -> None:
        self._trt = trt
        self._gpu = gpu
        major, minor = gpu.compute_capability
        self._folder = (folder or cache_folder()) / f"{_slug(gpu.name)}-sm{major}{minor}"

    def plan_path(self, model: Path) -> Path:
        """Where the engine of a model lies, built or not."""
        return self._paths(model, model.read_bytes())[0]

    def plan(
        self,
        model: Path,
        note: Note,
        progress: Progress | None = None,
        profile: Profile | None = None,
        broken: str = "",
    ) -> bytes:
        """The engine of a model, built now if need be.

        Args:
            model: ONNX file.
            note: hears why a kept engine is built anew.
            progress: hears of a build.
            profile: shapes of the inputs with dynamic axes; default by their symbolic names.
            broken: why the kept engine is of no use, where the caller found that out.

        Raises:
            EngineError: The model cannot be read, parsed or built, or the folder not written.
        """
        data = model.read_bytes()
        if model.suffix == ".ort":
            raise EngineError(
                f"{model.name} is in ONNX Runtime's own format, which TensorRT does not read",
                hint="deixis export all --preset jetson-orin",
            )
        plan, side = self._paths(model, data)
        wanted = dict(profile) if profile else None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # One build at a time: TensorRT chooses kernels by timing them on the GPU.
            with _locked(self._folder / "build.lock"):
                reason = broken or self._unfit(plan, side, wanted)
                if not reason:
                    return plan.read_bytes()
                if plan.is_file():
                    note(f"{model.name}: its engine is built anew, for {reason}")
                return self._build(model, data, plan, side, wanted, progress)
        except OSError as cause:
            raise EngineError(
                f"the engine of {model.name} cannot be kept in {self._folder}: {cause}",
                hint="set XDG_CACHE_HOME to a folder that can be written",
            ) from cause

    def _build(
        self,
        model: Path,
        data: bytes,
        plan: Path,
        side: Path,
        profile: Shapes | None,
        progress: Progress | None,
    ) -> bytes:
        timings = self._folder / f"{_slug(self._trt.version)}.timings"
        kept = timings.read_bytes() if timings.is_file() else b""
        began = time.monotonic()
        try:
            parsed = self._trt.parse(data)
            shapes = {**default_profile(parsed.inputs), **(profile or {})}
            capability = self._gpu.compute_capability
            built = self._trt.build(parsed, shapes, capability, kept, progress)
        except EngineError as cause:
            raise EngineError(f"{model.name}: {cause.message}", hint=cause.hint) from cause
        info = PlanInfo(
            schema=SCHEMA,
            model=model.name,
            model_sha256=hashlib.sha256(data).hexdigest(),
            tensorrt=self._trt.version,
            gpu=str(self._gpu),
            profile=profile,
            ranges=RANGES,
            plan_sha256=hashlib.sha256(built.plan).hexdigest(),
            size_bytes=len(built.plan),
            seconds=round(time.monotonic() - began, 2),
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        replace_file(plan, built.plan)
        replace_file(side, msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")
        if built.timings:
            replace_file(timings, built.timings)
        return built.plan

    def _unfit(self, plan: Path, side: Path, profile: Shapes | None) -> str:
        """Why a kept engine is of no use; empty if it is of use."""
        if not plan.is_file():
            return "there is none"
        try:
            info = msgspec.json.decode(side.read_bytes(), type=PlanInfo)
        except (OSError, msgspec.DecodeError):
            return f"{side.name} is missing or broken"
        if info.schema != SCHEMA:
            return f"{side.name} has schema {info.schema}"
        if info.tensorrt != self._trt.version:
            return f"it is of {info.tensorrt} and this is {self._trt.version}"
        if info.gpu != str(self._gpu):
            return f"it is for {info.gpu} and this is {self._gpu}"
        if info.profile != profile or info.ranges != RANGES:
            return "other shapes are asked for"
        if info.plan_sha256 != hashlib.sha256(plan.read_bytes()).hexdigest():
            return f"{plan.name} has changed (wrong sha256)"
        return ""

    def _paths(self, model: Path, data: bytes) -> tuple[Path, Path]:
        kind = "rtx" if self._trt.is_rtx else "trt"
        name = f"{model.stem}-{hashlib.sha256(data).hexdigest()[:12]}.{kind}"
        return self._folder / f"{name}.engine", self._folder / f"{name}.json"


def replace_file(path: Path, data: bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part.

    Raises:
        OSError: It cannot be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")
