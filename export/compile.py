"""Compiles ONNX models with TensorRT-RTX, which needs no GPU: the proof that an emission builds.

TensorRT takes fewer models than ONNX Runtime, and says so only on the robot. TensorRT-RTX shares
its parser and its rules (strongly typed, int8 Q/DQ with zero point 0), and builds for GPUs that are
not there. What it refuses is listed with its reason and the node. The proof is of what the format
allows: Orin's 8.7 is not among RTX's architectures, 8.6 is the nearest.

    python -m deixis.export.compile bundles/cpu/models/*.onnx
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Bar
from rich.table import Table

from deixis.runtime.engines.profiles import default_profile
from deixis.runtime.engines.tensorrt_api import Parsed, Profile, TensorRt, load_tensorrt
from deixis.runtime.errors import DeixisError, EngineError

BACKEND = "tensorrt-rtx"
COMPUTE_CAPABILITIES = ((8, 0), (8, 6), (8, 9), (12, 0), (12, 1))
"""A100, RTX 30, RTX 40, RTX 50, GB10."""


@dataclass(frozen=True)
class Build:
    """One model compiled for one architecture.

    Attributes:
        compute_capability: the architecture, ``8.6``.
        compiler: name and version of what compiled it.
        built: whether it did.
        seconds: how long it took.
        size_bytes: of the engine; 0 if it was refused. INT8 engines may be larger than FP32 ones.
        reason: why it was refused, with the node's name where the parser gives one.
    """

    compute_capability: str
    compiler: str
    built: bool
    seconds: float
    size_bytes: int
    reason: str = ""


def compile_rtx(
    model: bytes,
    compute_capabilities: Sequence[tuple[int, int]] = COMPUTE_CAPABILITIES,
    profile: Profile | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Build, ...]:
    """Compile a model for each architecture.

    Args:
        model: the ONNX file.
        compute_capabilities: architectures.
        profile: shortest, likeliest and longest shape of inputs with dynamic axes; those that are
            not in it have their defaults.
        progress: called with how many architectures are done, and how many there are.

    Returns:
        One build an architecture, refused or not.

    Raises:
        EngineError: TensorRT-RTX is not installed.
    """
    with _warnings_to_stderr():
        return _compile(model, compute_capabilities, profile, progress)


def _compile(
    model: bytes,
    compute_capabilities: Sequence[tuple[int, int]],
    profile: Profile | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[Build, ...]:
    trt = load_tensorrt(BACKEND)
    total = len(compute_capabilities)
    began = time.monotonic()
    try:
        parsed = trt.parse(model)
    except EngineError as error:
        seconds = time.monotonic() - began
        return tuple(
            Build(_text(one), trt.version, False, seconds, 0, error.message)
            for one in compute_capabilities
        )
    shapes = {**default_profile(parsed.inputs), **(profile or {})}
    builds = []
    for done, capability in enumerate(compute_capabilities):
        if progress is not None:
            progress(done, total)
        builds.append(_build(trt, parsed, shapes, capability))
    if progress is not None:
        progress(total, total)
    return tuple(builds)


def _build(trt: TensorRt, parsed: Parsed, profile: Profile, capability: tuple[int, int]) -> Build:
    began = time.monotonic()
    try:
        plan = trt.build(parsed, profile, capability).plan
    except EngineError as error:
        seconds = time.monotonic() - began
        return Build(_text(capability), trt.version, False, seconds, 0, error.message)
    return Build(_text(capability), trt.version, True, time.monotonic() - began, len(plan))


@contextmanager
def _warnings_to_stderr() -> Iterator[None]:
    """The parser writes warnings to standard output past its logger, where ``--json`` goes."""
    sys.stdout.flush()
    saved = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def _text(capability: tuple[int, int]) -> str:
    return f"{capability[0]}.{capability[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m deixis.export.compile``: 0 if every model builds for every architecture."""
    parser = argparse.ArgumentParser(prog="python -m deixis.export.compile", description=__doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL.onnx")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(arguments)
    try:
        results = _compile_all(args.models, quiet=args.json)
    except DeixisError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 1
    if args.json:
        rows = {str(path): [asdict(b) for b in builds] for path, builds in results.items()}
        print(json.dumps(rows))
    else:
        _show(results)
    return 0 if all(b.built for builds in results.values() for b in builds) else 1


def _compile_all(models: Sequence[Path], quiet: bool) -> dict[Path, tuple[Build, ...]]:
    results = {}
    with Bar(console=Console(stderr=True), disable=quiet, transient=True) as bar:
        task = bar.add_task("", total=len(models))
        for path in models:
            bar.update(task, description=path.name)
            if not path.is_file():
                raise EngineError(f"there is no model at {path}")
            results[path] = compile_rtx(path.read_bytes())
            bar.advance(task)
    return results


def _show(results: dict[Path, tuple[Build, ...]]) -> None:
    first = next(iter(results.values()))
    table = Table(title=f"{first[0].compiler}: seconds to build for each architecture")
    table.add_column("model", no_wrap=True)
    for column in ("MB", *(build.compute_capability for build in first)):
        table.add_column(column, justify="right")
    for path, builds in results.items():
        size = max(build.size_bytes for build in builds)
        cells = [f"{build.seconds:.1f}" if build.built else "refused" for build in builds]
        table.add_row(path.name, f"{size / 1e6:.1f}" if size else "–", *cells)
    console = Console()
    console.print(table)
    for path, builds in results.items():
        for reason in dict.fromkeys(b.reason for b in builds if not b.built):
            console.print(f"{path.name}: {escape(reason)}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
