"""The table of an INT8 calibration: which values each tensor of a model takes, and on what inputs.

A table is JSON that people can read: the model's hash, the hash of every input, and a line for each
tensor with its range, how that was chosen and what error it leaves. Every backend's file is written
from the same table.

    python -c "from deixis.calibration.ranges import read_table; print(read_table('t.json').n)"
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from deixis.calibration.files import read_json, write_whole
from deixis.runtime.errors import CalibrationError

SCHEMA = 1
Method = Literal["minmax", "percentile", "entropy", "mse"]


class TensorRange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The values of one tensor that INT8 shall represent.

    Attributes:
        low: The least.
        high: The greatest.
        method: How they were chosen.
        error: RMS of what rounding and clipping to 8 bits change, measured on inputs that the range
            was not chosen on, as a share of the tensor's own RMS.
        means: Mean of each channel, of a tensor that weights multiply: with it, the mean of what
            the weights' rounding changes is known.
        drift_uint8: What rounding to uint8 adds to each channel on average. Where a picture is flat
            its values are all rounded the same way, so that their errors do not cancel.
        drift_int8: The same for int8 with zero point 0.
    """

    low: float
    high: float
    method: Method
    error: float
    means: tuple[float, ...] | None = None
    drift_uint8: tuple[float, ...] | None = None
    drift_int8: tuple[float, ...] | None = None


class CalibrationTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ranges of a model's tensors.

    Attributes:
        schema: Version of the file format.
        model_sha256: Of the ONNX file whose tensors these are.
        n: How many inputs the ranges were measured on.
        inputs_sha256: Of every input, in their order; see :func:`hash_input`.
        tensors: Name → range, in alphabetic order.
    """

    schema: int = SCHEMA
    model_sha256: str
    n: int
    inputs_sha256: tuple[str, ...]
    tensors: dict[str, TensorRange]


def hash_input(arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of one call's arrays: names, types, shapes and values, whatever the names' order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def read_table(path: str | Path) -> CalibrationTable:
    """Read a calibration table.

    Raises:
        CalibrationError: The file is missing or damaged, has another schema, or a range in it is
            none.
    """
    table = read_json(path, CalibrationTable, what="calibration table", schema=SCHEMA)
    for name, tensor in table.tensors.items():
        if not (np.isfinite([tensor.low, tensor.high]).all() and tensor.low <= tensor.high):
            raise CalibrationError(
                f"{path}: the range of {name!r} is {tensor.low:g} to {tensor.high:g}",
                hint="calibrate anew, or mend that line",
            )
    return table


def write_table(table: CalibrationTable, path: str | Path) -> None:
    """Write a calibration table; equal tables give equal bytes.

    Raises:
        CalibrationError: The file cannot be written.
    """
    head = msgspec.json.encode(msgspec.structs.replace(table, tensors={}))
    lines = [
        msgspec.json.encode(name) + b":" + msgspec.json.encode(tensor)
        for name, tensor in sorted(table.tensors.items())
    ]
    # The head ends with the tensors' empty object.
    write_whole(head[: -len(b"}}")] + b"\n" + b",\n".join(lines) + b"\n}}", path)
