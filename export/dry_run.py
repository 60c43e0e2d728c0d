"""``deixis export --dry-run``: the plan, and what pruning is predicted to leave, nothing written.

from deixis.export.dry_run import predict_all
print(predict_all(Request(preset="cpu", out=Path("bundles/small"), prune=0.3)))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deixis.export.pipeline import Request
from deixis.export.plan import ModelPlan
from deixis.export.rows import macs_text

if TYPE_CHECKING:
    from rich.table import Table

_BYTES = {"fp32": 4.0, "fp16": 2.0, "int8": 1.0}


@dataclass(frozen=True)
class Prediction:
    """What is going to be done to one model, and what it is predicted to leave.

    Attributes:
        name: the role.
        precisions: what is tried, best first.
        pruned: mean share of channels to remove.
        calibration: what the ranges come from.
        metric_name: what the model is judged by.
        points: how many points it may lose.
        macs_fp32: multiply-accumulates of the whole network on its example.
        macs: of the pruned one, predicted with the same share off every layer; the real choice
            takes more from the layers that cost most.
        mb_fp32: weights of the whole network in FP32, 10⁶ bytes.
        mb: of the pruned one in the first precision.
        notes: why it differs from what was asked.
    """

    name: str
    precisions: tuple[str, ...]
    pruned: float
    calibration: str
    metric_name: str
    points: float
    macs_fp32: int
    macs: int
    mb_fp32: float
    mb: float
    notes: tuple[str, ...]


def predict_all(request: Request) -> list[Prediction]:
    """The plan of every model that is asked for."""
    return [_predict(request, plan) for plan in request.plan().values()]


def _predict(request: Request, plan: ModelPlan) -> Prediction:
    from deixis.export.onnx_macs import count_macs as count_onnx_macs
    from deixis.export.prune import count_macs, prune

    recipe = plan.recipe
    inputs = recipe.inputs(request.wheels, request.sources().train().samples)
    if recipe.network is None:
        model = Path(str(recipe.source)).read_bytes()
        macs_fp32 = macs = count_onnx_macs(model, inputs[0])
        weights = whole = len(model) // 4
    else:
        net = recipe.network.build(request.wheels)
        one = recipe.network.tensors(inputs[0])
        macs_fp32 = macs = count_macs(net, one)
        weights = whole = sum(p.numel() for p in net.parameters())
        if plan.ratio and recipe.pruning is not None:
            small = prune(net, recipe.network.example(), plan.ratio, recipe.pruning)
            macs = count_macs(small.net, one)
            weights = sum(p.numel() for p in small.net.parameters())
    first = plan.precisions[0]
    as_shipped = plan.untouched and recipe.shipped is not None
    static = recipe.quantization is not None and recipe.quantization.method == "static"
    return Prediction(
        name=recipe.role,
        precisions=("as-shipped",) if as_shipped else plan.precisions,
        pruned=plan.ratio,
        calibration=str(request.calib or request.samples) if first == "int8" and static else "none",
        metric_name=recipe.task.name,
        points=recipe.task.points,
        macs_fp32=macs_fp32,
        macs=macs,
        mb_fp32=4 * whole / 1e6,
        mb=_BYTES.get(first, 4.0) * weights / 1e6,
        notes=plan.reasons,
    )


def table(predictions: Sequence[Prediction]) -> Table:
    """The plan for a terminal."""
    from rich import box
    from rich.table import Table

    shown = Table(box=box.SIMPLE, padding=0, show_edge=False, caption_justify="left")
    for name in ("Model", "Precision", "Pruned", "Calibrated on", "Judged by"):
        shown.add_column(name)
    for name in ("may lose", "MACs", "predicted", "MB", "predicted"):
        shown.add_column(name, justify="right", no_wrap=True)
    for p in predictions:
        shown.add_row(
            p.name,
            " → ".join(p.precisions),
            f"{100 * p.pruned:.0f} %" if p.pruned else "–",
            p.calibration,
            p.metric_name,
            f"{p.points:g}",
            macs_text(p.macs_fp32),
            macs_text(p.macs),
            f"{p.mb_fp32:.1f}",
            f"{p.mb:.1f}",
        )
    notes = [f"{p.name}: {note}" for p in predictions for note in p.notes]
    shown.caption = "\n".join(["Nothing was written.", *notes])
    return shown
