"""How fast a bundle's models were, and where: ``measured.json`` beside the manifest.

Times differ from run to run and from machine to machine, so they lie outside the manifest: they are
neither in its fingerprint nor signed, and a bundle without them is whole.

    from deixis.runtime.measured import read_measured
    reading = read_measured(Bundle.open("bundles/cpu"))
    print(reading.models["hand_landmarks"].p50_ms, reading.note)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from deixis.runtime.bundle import Bundle, encode
from deixis.runtime.machine import describe_machine

MEASURED = "measured.json"


class LatencyInfo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Latency of one model: median and 95th percentile of ``n`` inferences."""

    p50_ms: float
    p95_ms: float
    n: int


class ModelTimes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast one model was.

    Attributes:
        sha256: Of the file that was timed; the figures are for no other.
        p50_ms: Median of one inference.
        p95_ms: 95th percentile.
        n: Inferences timed.
        threads: Threads within one operator.
        timed_on: What one input was, in words.
        backend: What ran it.
        p50_ms_fp32: Median of the FP32 model that was not pruned, same backend and run; None: this
            is that model, or there is none to compare with.
        p95_ms_fp32: Its 95th percentile.
        speedup: How many times faster this model is than that one.
    """

    sha256: str
    p50_ms: float
    p95_ms: float
    n: int
    threads: int
    timed_on: str
    backend: str
    p50_ms_fp32: float | None = None
    p95_ms_fp32: float | None = None
    speedup: float | None = None


class Measured(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Contents of ``measured.json``.

    Attributes:
        created_at: UTC, ISO 8601.
        machine: What it was measured on (:func:`~deixis.runtime.machine.describe_machine`).
        models: By role.
    """

    created_at: str
    machine: dict[str, str | int | None]
    models: dict[str, ModelTimes]


@dataclass(frozen=True)
class Reading:
    """What is known of the speed of a bundle's models.

    Attributes:
        models: By role, only those that were timed with the file that the bundle holds.
        note: What is missing and why, in words; empty: nothing.
        measured: The whole file, if there is a readable one.
    """

    models: Mapping[str, ModelTimes] = field(default_factory=dict)
    note: str = ""
    measured: Measured | None = None


def write_measured(root: Path, models: Mapping[str, ModelTimes]) -> None:
    """Write ``measured.json`` into the bundle folder: now, on this machine."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    measured = Measured(created_at=now, machine=describe_machine(), models=dict(models))
    (root / MEASURED).write_bytes(encode(measured))


def read_measured(bundle: Bundle) -> Reading:
    """Read the times that belong to a bundle; what is missing or stale is said, not raised."""
    path = bundle.root / MEASURED
    try:
        measured = msgspec.json.decode(path.read_bytes(), type=Measured)
    except FileNotFoundError:
        return Reading(note=f"no latencies: there is no {MEASURED}")
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as cause:
        return Reading(note=f"no latencies: cannot read {path}: {cause}")
    current: dict[str, ModelTimes] = {}
    without: list[str] = []
    for role, entry in bundle.manifest.models.items():
        times = measured.models.get(role)
        if times is not None and times.sha256 == entry.file.sha256:
            current[role] = times
        else:
            without.append(role)
    note = f"no latencies for {', '.join(without)}: measured with other files" if without else ""
    return Reading(current, note, measured)
