"""What a recipe says about one model: its network, and what the export may do to it.

A recipe is data. The steps (:mod:`deixis.export.prune`, :mod:`deixis.export.quantize`, …) read it;
they know nothing of hands or speech.

    from deixis.export.recipes.catalogue import RECIPES
    print(RECIPES["hand_landmarks"].task)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from deixis.export.samples import Samples
from deixis.export.weights.wheels import Member
from deixis.runtime.bundle import MetricInfo
from deixis.runtime.engines import Engine

if TYPE_CHECKING:
    from torch import Tensor, nn

Inputs = dict[str, NDArray[Any]]
"""One call's arrays by input name."""
Compare = Callable[[Path, Path, Samples], tuple[MetricInfo, ...]]
"""File of the model, folder of the wheels, samples → the differences from the original."""


@dataclass(frozen=True)
class Network:
    """How a model's network comes to be, in torch.

    Attributes:
        build: folder of the wheels → the FP32 network with its pretrained weights, in eval mode.
        example: → tensors of the right shapes, one an input; no dynamic axis has length 0 or 1.
        inputs: the inputs' names in the file, in the order of ``forward``.
        outputs: the outputs' names, in the order that ``forward`` returns them.
        dynamic: input → its axes that may have any length, with their symbolic names.
        convert: network → the bytes of its file, where one call of ``torch.onnx.export`` will not
            do.
    """

    build: Callable[[Path], nn.Module]
    example: Callable[[], tuple[Tensor, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic: Mapping[str, Mapping[int, str]] = field(default_factory=dict)
    convert: Callable[[nn.Module], bytes] | None = None

    def tensors(self, inputs: Inputs) -> tuple[Tensor, ...]:
        """Arrays of one call as ``forward`` takes them."""
        import torch

        return tuple(torch.from_numpy(inputs[name]) for name in self.inputs)

    def emit(self, net: nn.Module) -> bytes:
        """The network as ONNX; equal weights give equal bytes."""
        if self.convert is not None:
            return self.convert(net)
        from deixis.export.onnx_export import to_onnx

        return to_onnx(net, self.example(), self.inputs, self.outputs, self.dynamic)


@dataclass(frozen=True)
class Task:
    """The metric that a model stands or falls by: percent, more is better.

    Attributes:
        name: what is measured, as the table shows it.
        points: how many points a variant may lose against the FP32 model that was not pruned.
        prepare: folder of the wheels, held-out samples → inputs with the truth about them.
        score: an engine, what ``prepare`` made → percent.
        n: what ``prepare`` made → on how many things the percentage is taken.
    """

    name: str
    points: float
    prepare: Callable[[Path, Samples], Any]
    score: Callable[[Engine, Any], float]
    n: Callable[[Any], int]


@dataclass(frozen=True)
class Pruning:
    """What may be removed from a network.

    Attributes:
        round_to: widths are multiples of this (what the hardware's kernels like).
        keep: patterns (:mod:`fnmatch`) of names of modules whose outputs stay whole.
        most: no layer loses more than this share of its channels.
        heads: patterns of attention modules → their number of heads, which are removed whole.
        side_px: the side of the network's picture, of which the asked share is removed instead of
            channels (:mod:`deixis.export.shrink`); None: channels are removed.
    """

    round_to: int = 8
    keep: tuple[str, ...] = ()
    most: float = 0.75
    heads: Mapping[str, int] = field(default_factory=dict)
    side_px: int | None = None


@dataclass(frozen=True)
class Recovery:
    """How a pruned network is taught by the one it came from.

    Attributes:
        batches: folder of the wheels, samples, source of chance → endless batches of inputs.
        loss: what the pupil and the teacher answer → a scalar.
        steps: optimizer steps.
        learning_rate: the greatest (one cycle, AdamW).
    """

    batches: Callable[[Path, Samples, np.random.Generator], Iterator[tuple[Tensor, ...]]]
    loss: Callable[[tuple[Tensor, ...], tuple[Tensor, ...]], Tensor]
    steps: int = 600
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Quantization:
    """How a model is put into INT8.

    Attributes:
        method: ``static`` (ranges from calibration, Q/DQ) or ``dynamic`` (activations are measured
            at run time; weights only, for ONNX Runtime's CPU kernels).
        operators: operator types to quantize.
        keep_float: patterns (:mod:`fnmatch`) of names of ONNX nodes that stay in float.
    """

    method: Literal["static", "dynamic"] = "static"
    operators: tuple[str, ...] = ("Conv", "Gemm", "MatMul", "Add", "Clip", "Relu", "MaxPool")
    keep_float: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """How one model comes into the bundle.

    Attributes:
        role: its name in the bundle.
        source: its weights: in a pinned wheel, or a file of the package that was trained here.
        network: its network; None: ``source`` is an ONNX file that is the model.
        parity: the check that the exported FP32 file computes what the original does; None where it
            is the original.
        inputs: folder of the wheels, samples → real inputs for calibration; the first is timed.
        timed_on: what one input is, in words.
        task: what its variants are gated by.
        shipped: a file that is packed as it is where nothing is asked of the model.
        pruning: what may be removed; None: nothing.
        recovery: how a pruned network recovers.
        quantization: how it goes into INT8; None: it stays in float.
        owner: whose weights they are where ``source`` is a file.
    """

    role: str
    source: Member | Path
    network: Network | None
    parity: Compare | None
    inputs: Callable[[Path, Samples], list[Inputs]]
    timed_on: str
    task: Task
    shipped: Member | None = None
    pruning: Pruning | None = None
    recovery: Recovery | None = None
    quantization: Quantization | None = field(default_factory=Quantization)
    owner: str = "deixis"
