"""Reads YAML and turns it into typed structs; errors name the file, the key and the nearest match.

python -c "from deixis.runtime.config import load_yaml; print(load_yaml('graph.yaml'))"
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from deixis.runtime.errors import ConfigError

T = TypeVar("T")

_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_PATH = re.compile(r" - at `\$?(?P<path>[^`]*)`")


def read_text(path: Path, error: type[ConfigError] = ConfigError) -> str:
    """Read a text file in UTF-8.

    Raises:
        ConfigError: (or the given subclass) The file is missing or unreadable.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise error(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError) as cause:
        raise error(f"cannot read {path}: {cause}") from cause


def load_yaml(path: Path, error: type[ConfigError] = ConfigError) -> Any:
    """Read a YAML file.

    Raises:
        ConfigError: (or the given subclass) The file is missing or is not YAML.
    """
    text = read_text(path, error)
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as cause:
        raise error(f"{path} is not valid YAML: {cause}") from cause


def nearest(word: str, known: list[str]) -> str:
    """``, did you mean 'x'?`` for the closest known word, or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f", did you mean {close[0]!r}?" if close else ""


def convert(data: Any, kind: type[T], where: str, error: type[ConfigError] = ConfigError) -> T:
    """Turn plain data into a typed struct.

    Args:
        data: Dicts, lists and scalars.
        kind: A msgspec struct (``forbid_unknown_fields`` makes unknown keys an error).
        where: The file and place, for messages.
        error: Which error to raise.

    Raises:
        ConfigError: (or the given subclass) Naming key path, value and what is allowed.
    """
    try:
        return msgspec.convert(data, kind, strict=True)
    except msgspec.ValidationError as cause:
        text = str(cause)
        path_match = _PATH.search(text)
        path = path_match["path"].lstrip(".") if path_match else ""
        unknown = _UNKNOWN.search(text)
        place = f"{where}: {path}" if path else where
        if unknown:
            known = _fields_at(kind, path)
            raise error(
                f"{place}: unknown key {unknown['key']!r}{nearest(unknown['key'], known)}",
                hint=f"known keys: {', '.join(known)}" if known else "",
            ) from None
        raise error(f"{place}: {_PATH.sub('', text)}") from None


def _fields_at(kind: Any, path: str) -> list[str]:
    """Names of the fields of the struct that lies at ``path`` below ``kind``."""
    info = msgspec.inspect.type_info(kind)
    for step in re.findall(r"[^.\[\]]+|\[[^\]]*\]", path):
        if isinstance(info, msgspec.inspect.StructType) and not step.startswith("["):
            info = next((f.type for f in info.fields if f.encode_name == step), info)
        elif isinstance(info, msgspec.inspect.ListType):
            info = info.item_type
        elif isinstance(info, msgspec.inspect.DictType):
            info = info.value_type
        if isinstance(info, msgspec.inspect.UnionType):
            structs = [t for t in info.types if isinstance(t, msgspec.inspect.StructType)]
            info = structs[0] if structs else info
    if isinstance(info, msgspec.inspect.StructType):
        return [f.encode_name for f in info.fields]
    return []
