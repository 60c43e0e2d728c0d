"""What an export did, a row a model: for the table, for ``--json`` and for the report.

rows = export_all(...)
Console().print(table(rows))
print(msgspec.json.encode(as_json(rows)).decode())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

    from deixis.export.explain import LayerCost

FELL_BACK = "fell back"
_NOTHING = "–"


@dataclass(frozen=True)
class Variant:
    """One emitted form of a model that was tried.

    Attributes:
        label: as it is shown; see :func:`label`.
        precision: ``fp32``, ``fp16``, ``int8`` or ``as-shipped``.
        pruned: average share of channels that was removed, 0 to 1.
        backend: what ran it.
        mb: size of its file, 10⁶ bytes.
        macs: multiplications with additions of one inference; None where they were not counted.
        metric: percent; None where it was not judged.
        p50_ms: median latency of one inference, timed in turn with the others; None where this
            machine cannot run it.
        p95_ms: 95th percentile of it.
        held: whether the metric is at its floor or above.
        chosen: whether this one is in the bundle.
        why: why it was taken or left.
    """

    label: str
    precision: str
    pruned: float
    backend: str
    mb: float
    macs: int | None
    metric: float | None
    p50_ms: float | None
    p95_ms: float | None
    held: bool
    chosen: bool = False
    why: str = ""

    @property
    def is_reference(self) -> bool:
        """Whether this is what the others are compared with: the FP32 model, not pruned."""
        return self.precision == "fp32" and not self.pruned


@dataclass(frozen=True)
class ExportRow:
    """One model of the bundle, beside the FP32 model that was not pruned (``…_fp32``).

    Both were timed in turn, in the same run, on the same backend. Figures are None where there is
    no such model to compare with, or where this machine could not take them.

    Attributes:
        name: the role.
        status: ``converted``, ``as shipped``, ``up to date`` or ``fell back: `` and why.
        precision: ``fp32``, ``fp16``, ``int8`` or ``as-shipped``.
        format: ``ONNX`` or ``ORT``.
        pruned: average share of channels that was removed, 0 to 1.
        backend: what ran it.
        timed_on: what one inference is for.
        mb: size of the file, 10⁶ bytes.
        macs: multiplications with additions of one inference.
        metric: percent, more is better.
        metric_name: what the percentage is of.
        floor: the least percentage with which a variant is packed.
        p50_ms: median latency.
        p95_ms: 95th percentile of it.
        notes: what the user should know, in whole sentences.
        variants: all that were tried, the FP32 model that was not pruned among them.
        layers: what each layer costs and gains in INT8, where that was looked at.
    """

    name: str
    status: str
    precision: str
    format: str
    pruned: float
    backend: str
    timed_on: str
    mb: float
    mb_fp32: float | None
    macs: int | None
    macs_fp32: int | None
    metric: float | None
    metric_name: str
    metric_fp32: float | None
    floor: float | None
    p50_ms: float | None
    p50_ms_fp32: float | None
    p95_ms: float | None
    p95_ms_fp32: float | None
    notes: list[str] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    layers: list[LayerCost] = field(default_factory=list)

    @property
    def speedup(self) -> float | None:
        """How many times faster than the FP32 model that was not pruned (medians)."""
        return times(self.p50_ms_fp32, self.p50_ms)

    @property
    def smaller(self) -> float | None:
        """How many times smaller than the FP32 model that was not pruned."""
        return times(self.mb_fp32, self.mb)

    @property
    def delta(self) -> float | None:
        """Points of the metric against the FP32 model; negative is a loss."""
        return self.delta_of(self.metric)

    def delta_of(self, metric: float | None) -> float | None:
        """Points of a metric against the FP32 model."""
        return None if metric is None or self.metric_fp32 is None else metric - self.metric_fp32

    @property
    def held(self) -> bool:
        """Whether the metric is at its floor or above, as far as there is one."""
        return self.metric is None or self.floor is None or self.metric >= self.floor

    @property
    def fell_back(self) -> bool:
        """Whether it is something else than what was asked for."""
        return self.status.startswith(FELL_BACK)


def times(reference: float | None, own: float | None) -> float | None:
    """How many times less it is than the reference."""
    return reference / own if reference and own else None


def label(precision: str, pruned: float = 0.0) -> str:
    """A variant's name: ``INT8``, ``INT8, pruned 30 %``, ``as shipped``."""
    name = precision.upper() if precision[:1] in ("f", "i") else precision.replace("-", " ")
    return f"{name}, pruned {100 * pruned:.0f} %" if pruned else name


def as_json(rows: Sequence[ExportRow]) -> list[dict[str, Any]]:
    """The rows as they go into ``--json``: all fields, ``speedup`` and ``delta``."""
    return [{**asdict(row), "speedup": row.speedup, "delta": row.delta} for row in rows]


def total_mb(rows: Sequence[ExportRow]) -> tuple[float, float | None]:
    """Size of all models, and of all in FP32 without pruning, 10⁶ bytes; None: not known of all."""
    known = [row.mb_fp32 for row in rows if row.mb_fp32 is not None]
    return sum(row.mb for row in rows), sum(known) if len(known) == len(rows) else None


def table(rows: Sequence[ExportRow]) -> Table:
    """The rows for a terminal of 100 columns; what fell back is told below."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=box.SIMPLE, padding=0, show_edge=False, caption_justify="left")
    for name in ("Model", "Format", "Status"):
        shown.add_column(name, no_wrap=True)
    for name in ("MB", "", "MACs", "Metric", "Δ", "p50", "p95", "×"):
        shown.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        shown.add_row(
            row.name,
            format_text(row),
            Text(FELL_BACK if row.fell_back else row.status, style="yellow" * row.fell_back),
            mb_text(row.mb),
            times_text(row.smaller),
            macs_text(row.macs),
            percent_text(row.metric),
            Text(delta_text(row.delta), style="" if row.held else "red bold"),
            ms_text(row.p50_ms),
            ms_text(row.p95_ms),
            times_text(row.speedup),
        )
    mb, mb_fp32 = total_mb(rows)
    if len(rows) > 1:
        shown.add_section()
        shown.add_row("together", "", "", f"{mb:.1f}", times_text(times(mb_fp32, mb)), *[""] * 6)
    shown.caption = _caption(rows)
    return shown


def format_text(row: ExportRow) -> str:
    """``ONNX INT8 −30 %``: the file's format, its precision, the share that was pruned."""
    precision = "" if row.precision == "as-shipped" else f" {row.precision.upper()}"
    pruned = f" −{100 * row.pruned:.0f} %" if row.pruned else ""
    return f"{row.format}{precision}{pruned}"


def mb_text(mb: float) -> str:
    """Megabytes, with a second digit where the first would be all."""
    return f"{mb:.1f}" if mb >= 0.995 else f"{mb:.2f}"


def macs_text(macs: int | None) -> str:
    """``1.3 G``, ``132 M``, ``0.4 M``."""
    if macs is None:
        return _NOTHING
    millions = macs / 1e6
    if millions >= 1000:
        return f"{millions / 1000:.1f} G"
    return f"{millions:.0f} M" if millions >= 10 else f"{millions:.1f} M"


def ms_text(ms: float | None) -> str:
    """Milliseconds with as many digits as tell something."""
    if ms is None:
        return _NOTHING
    return f"{ms:.1f}" if ms >= 1 else f"{ms:.2f}" if ms >= 0.1 else f"{ms:.3f}"


def percent_text(value: float | None) -> str:
    """``98.4 %``."""
    return _NOTHING if value is None else f"{value:.1f} %"


def delta_text(points: float | None) -> str:
    """``−0.4``, ``+0.1``, ``0.0``."""
    if points is None:
        return _NOTHING
    rounded = round(points, 1)
    return f"{rounded:+.1f}".replace("-", "−") if rounded else "0.0"


def times_text(ratio: float | None) -> str:
    """``2.8×``."""
    return _NOTHING if ratio is None else f"{ratio:.1f}×"


def _caption(rows: Sequence[ExportRow]) -> str:
    """What the columns mean, and the metrics, whose names are too long for a column."""
    lines = ["Against the FP32 model that was not pruned: MB and p50 (×), the metric (Δ, points)."]
    timed = [row for row in rows if row.timed_on]
    if timed:
        lines.append("p50, p95: ms, timed in turn: " + _together(timed, "timed_on"))
    lines.append("Metric: " + _together(rows, "metric_name"))
    lines += [f"{row.name} {row.status}" for row in rows if row.fell_back]
    return "\n".join(lines)


def _together(rows: Sequence[ExportRow], attribute: str) -> str:
    """``one hand (hand_landmarks), one crop (crop_embedding, object_adapter)``."""
    groups: dict[str, list[str]] = {}
    for row in rows:
        if text := getattr(row, attribute):
            groups.setdefault(text, []).append(row.name)
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in groups.items())
