"""Teaches a pruned network what the network it came from answers and sees; no labels are needed.

Knowledge distillation (Hinton et al., 2015) on the outputs, and hints (Romero et al., *FitNets*,
2015) on the channels that are left of each layer, which are the teacher's own.

    net = distil(pruned.net, teacher, batches, recipe.recovery, kept=pruned.kept)
"""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from deixis.export.fake_quant import FakeQuant
from deixis.export.sparsity import settle
from deixis.export.widths import Example, flat
from deixis.runtime.errors import ExportError

if TYPE_CHECKING:
    from deixis.export.recipes.recipe import Recovery

Progress = Callable[[int, int, float], None]
"""Called with the steps done, how many there are, and the loss."""

SAVE_EVERY = 50
HINTS = 1.0
"""What the hints' loss counts beside that of the outputs."""
QUANTIZED = 0.4
"""The last share of the steps, which run through INT8 where that is asked for."""
_CLIP = 1.0


def distil(
    pupil: nn.Module,
    teacher: nn.Module,
    batches: Iterator[Example],
    recovery: Recovery,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
    *,
    kept: Mapping[str, Sequence[int]] | None = None,
    quantization_aware: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Train ``pupil`` to answer as ``teacher`` does.

    The same arguments give the same weights on one machine, also when the training was cut off and
    goes on from its checkpoint (``batches`` must then begin anew: what was seen is skipped).

    Args:
        pupil: is changed and returned.
        teacher: in eval mode; answers each batch as it comes.
        batches: inputs, one tensor an input; endless.
        recovery: loss, steps and learning rate. The loss should be about 1 for a pupil that knows
            nothing, so that the hints weigh the same.
        checkpoint: written every 50 steps and when the training is interrupted.
        progress: called after each step.
        kept: layer of the pupil → which of the teacher's channels it still makes; they are taught,
            too. From :attr:`deixis.export.prune.Pruned.kept`.
        quantization_aware: the last steps round weights and activations as INT8 will.
        seed: of whatever chance the networks themselves use.

    Returns:
        The pupil in eval mode, sparse weights settled.

    Raises:
        ExportError: the checkpoint is of another training, the batches end, or the loss is not a
            number.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    origin = _fingerprint(pupil, recovery, quantization_aware, seed)
    # Convolutions on the CPU are a fifth faster so; bfloat16 gains nothing more in training.
    pupil.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher = teacher.to(device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(pupil.parameters(), lr=recovery.learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recovery.learning_rate, total_steps=recovery.steps + 1, pct_start=0.1
    )
    training = _Training(pupil, optimizer, schedule, origin, checkpoint)
    first = training.resume()
    if first < recovery.steps:
        batches = itertools.islice(batches, first, None)
    pupil.train()
    done = first
    with ExitStack() as stack:
        hints = stack.enter_context(_Hints(pupil, teacher, kept or {}))
        try:
            for step in range(first, recovery.steps):
                if quantization_aware and step >= (1 - QUANTIZED) * recovery.steps:
                    training.round()
                torch.manual_seed(seed + step)
                batch = _next(batches, device)
                loss = _loss(pupil, teacher, batch, recovery, hints)
                value = float(loss.detach())
                if value != value:
                    raise ExportError(
                        f"distillation went astray at step {step}: the loss is not a number",
                        hint="lower 'learning_rate' in the recipe's recovery",
                    )
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                nn.utils.clip_grad_norm_(pupil.parameters(), _CLIP)
                optimizer.step()
                schedule.step()
                done = step + 1
                if done % SAVE_EVERY == 0 or done == recovery.steps:
                    training.save(done)
                if progress is not None:
                    progress(done, recovery.steps, value)
        except KeyboardInterrupt:
            training.save(done)
            raise
    if training.rounding is not None:
        training.rounding.remove()
    return settle(pupil).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload,no-any-return]


def _loss(
    pupil: nn.Module, teacher: nn.Module, batch: Example, recovery: Recovery, hints: _Hints
) -> Tensor:
    # bfloat16 where a GPU is; its eight bits would round a landmark to a pixel, so losses are not.
    with torch.autocast("cuda", torch.bfloat16, enabled=batch[0].is_cuda):
        got = pupil(*batch)
    with torch.no_grad():
        want = teacher(*batch)
    loss = recovery.loss(_floats(got), _floats(want))
    return loss + HINTS * hints.loss() if hints else loss


def _floats(outputs: Any) -> tuple[Tensor, ...]:
    return tuple(tensor.float() for tensor in flat(outputs))


def _next(batches: Iterator[Example], device: torch.device) -> Example:
    batch = next(batches, None)
    if batch is None:
        raise ExportError("the batches for distillation came to an end; they must be endless")
    return tuple(
        tensor.to(device, memory_format=torch.channels_last)
        if tensor.ndim == 4
        else tensor.to(device)
        for tensor in batch
    )


class _Hints:
    """Compares what layers of the pupil make with the same channels of the teacher's."""

    def __init__(
        self, pupil: nn.Module, teacher: nn.Module, kept: Mapping[str, Sequence[int]]
    ) -> None:
        self._kept = {name: torch.tensor(channels) for name, channels in kept.items()}
        # Channels are last in a linear layer's output, second in a convolution's.
        linear = {name: isinstance(teacher.get_submodule(name), nn.Linear) for name in kept}
        self._axis = {name: -1 if linear[name] else 1 for name in kept}
        self._made: dict[tuple[str, bool], Tensor] = {}
        self._hooks = [
            net.get_submodule(name).register_forward_hook(self._watch(name, net is teacher))
            for net in (pupil, teacher)
            for name in kept
        ]

    def __enter__(self) -> _Hints:
        return self

    def __exit__(self, *error: object) -> None:
        for hook in self._hooks:
            hook.remove()

    def __bool__(self) -> bool:
        return bool(self._kept)

    def loss(self) -> Tensor:
        """Mean over the layers of the squared error as a share of what the teacher makes."""
        errors = []
        for name, channels in self._kept.items():
            got, want = self._made[name, False].float(), self._made[name, True]
            want = want.index_select(self._axis[name], channels.to(want.device)).float()
            errors.append((got - want).square().mean() / want.square().mean().clamp(min=1e-6))
        self._made.clear()
        return torch.stack(errors).mean()

    def _watch(self, name: str, teacher: bool) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(layer: nn.Module, inputs: Any, output: Tensor) -> None:
            self._made[name, teacher] = output

        return hook


class _Training:
    """What changes in the course of a training, and the checkpoint that holds it."""

    def __init__(
        self,
        pupil: nn.Module,
        optimizer: torch.optim.Optimizer,
        schedule: torch.optim.lr_scheduler.LRScheduler,
        origin: str,
        path: Path | None,
    ) -> None:
        self.rounding: FakeQuant | None = None
        self._pupil = pupil
        self._parts: dict[str, Any] = {
            "pupil": pupil, "optimizer": optimizer, "schedule": schedule,
        }  # fmt: skip
        self._origin, self._path = origin, path

    def round(self) -> None:
        """Round as INT8 does from now on."""
        if self.rounding is None:
            self.rounding = FakeQuant(self._pupil)

    def save(self, step: int) -> None:
        """Write the checkpoint; an old one stays until the new one is whole."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        ranges = None if self.rounding is None else self.rounding.ranges
        state = {name: part.state_dict() for name, part in self._parts.items()}
        part = self._path.with_suffix(".part")
        torch.save({"origin": self._origin, "step": step, "ranges": ranges, **state}, part)
        os.replace(part, self._path)

    def resume(self) -> int:
        """Take up what the checkpoint holds; 0 where there is none."""
        if self._path is None or not self._path.is_file():
            return 0
        state = torch.load(self._path, weights_only=True)
        if state["origin"] != self._origin:
            raise ExportError(
                f"{self._path} is the checkpoint of another training", hint=f"rm {self._path}"
            )
        if state["ranges"] is not None:
            self.round()
            assert self.rounding is not None
            self.rounding.ranges = state["ranges"]
        for name, part in self._parts.items():
            part.load_state_dict(state[name])
        return int(state["step"])


def _fingerprint(pupil: nn.Module, recovery: Recovery, quantized: bool, seed: int) -> str:
    digest = hashlib.sha256(
        f"{recovery.steps} {recovery.learning_rate} {quantized} {seed}".encode()
    )
    for name, tensor in pupil.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
