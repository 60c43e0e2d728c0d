"""Calibration files: one JSON object each, with a schema number; written whole or not at all.

user = read_json(path, PointingCalibration, what="pointing calibration", schema=1)
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from deixis.runtime.errors import CalibrationError

T = TypeVar("T", bound=msgspec.Struct)


def default_folder(kind: str) -> Path:
    """Where calibrations of a kind (``camera``) are kept unless a path is given.

    It is ``deixis/calibration/<kind>`` below ``$XDG_CONFIG_HOME``, or below ``~/.config``.
    """
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "deixis" / "calibration" / kind


def now_text() -> str:
    """Now, as calibrations store it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_json(
    path: str | Path,
    kind: type[T],
    *,
    what: str,
    schema: int,
    hint: str = "",
    dec_hook: Callable[[Any, Any], Any] | None = None,
) -> T:
    """Read a calibration.

    Args:
        path: The file.
        kind: What it holds; it has a field ``schema``.
        what: What it is called in messages.
        schema: Version of the format that can be read.
        hint: What to do about a missing file, or one of another version.
        dec_hook: For types that msgspec does not know.

    Raises:
        CalibrationError: The file is missing or damaged, or has another schema.
    """
    path = Path(path)
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise CalibrationError(f"there is no {what} {path}", hint=hint) from None
    except OSError as cause:
        raise CalibrationError(f"cannot read {path}: {cause}", hint=hint) from cause
    try:
        data = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise CalibrationError(f"{path} is not valid JSON: {cause}") from cause
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise CalibrationError(
            f"{path} has schema {found!r}; this deixis reads schema {schema}", hint=hint
        )
    try:
        return msgspec.convert(data, kind, dec_hook=dec_hook)
    except msgspec.ValidationError as cause:
        raise CalibrationError(f"{path}: {cause}") from cause


def write_json(
    value: msgspec.Struct, path: str | Path, *, enc_hook: Callable[[Any], Any] | None = None
) -> None:
    """Write a calibration; an existing file is replaced whole or not at all.

    Raises:
        CalibrationError: The file cannot be written.
    """
    write_whole(msgspec.json.format(msgspec.json.encode(value, enc_hook=enc_hook), indent=2), path)


def write_whole(text: bytes, path: str | Path) -> None:
    """Write a calibration's text; an existing file is replaced whole or not at all.

    Raises:
        CalibrationError: The file cannot be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(text + b"\n")
        os.chmod(file.name, 0o644)
        os.replace(file.name, path)
    except OSError as cause:
        raise CalibrationError(f"cannot write {path}: {cause}") from cause
