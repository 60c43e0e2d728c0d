"""The packages that an export needs, beyond what a robot has.

python -c "from deixis.export.extras import require_extra; require_extra()"
"""

from __future__ import annotations

import importlib.metadata
import importlib.util

from deixis.runtime.errors import MissingExtraError

CONVERTERS = ("onnx", "onnxscript", "onnxruntime", "tflite", "torch", "torch-pruning")
"""Packages whose release can change what is written."""
_MODULES = {"ai-edge-litert": "ai_edge_litert", "torch-pruning": "torch_pruning"}


def require_extra() -> None:
    """Check that all are installed, before anything is begun.

    Raises:
        MissingExtraError: one is not.
    """
    for package in (*CONVERTERS, *_MODULES):
        if importlib.util.find_spec(_MODULES.get(package, package)) is None:
            raise MissingExtraError(package, "export")


def versions() -> dict[str, str]:
    """Package → installed version."""
    return {package: version_of(package) for package in sorted({"deixis", *CONVERTERS, *_MODULES})}


def version_of(package: str) -> str:
    """The installed version, or ``absent``."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
