from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch_pruning", reason="needs deixis[export]")
import torch
from torch import Tensor, nn

from deixis.export import distil as module
from deixis.export.distil import distil
from deixis.export.fake_quant import FakeQuant
from deixis.export.prune import Pruned, prune
from deixis.export.recipes.recipe import Pruning, Recovery
from deixis.export.sensitivity import likeness, relative_error
from deixis.export.sparsity import is_2_4, sparsify_2_4
from deixis.runtime.errors import ExportError
from tests.export.nets import Residual, images, made


def batches() -> Iterator[tuple[Tensor, ...]]:
    seed = 100
    while True:
        yield images(8, seed := seed + 1)


def recovery(steps: int = 60) -> Recovery:
    return Recovery(
        batches=lambda *_: batches(), loss=relative_error, steps=steps, learning_rate=3e-3
    )


def pruned() -> tuple[Pruned, nn.Module]:
    teacher = made(Residual)
    return prune(teacher, images(2, 0), 0.5, Pruning(round_to=4)), teacher


def weights(net: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten() for p in net.parameters()])


def test_the_pupil_comes_nearer_on_inputs_it_has_not_seen() -> None:
    small, teacher = pruned()
    score = likeness(teacher, [images(16, 1)])
    before = -score(small.net)
    told: list[tuple[int, int, float]] = []
    net = distil(
        small.net, teacher, batches(), recovery(), progress=lambda *x: told.append(x),
        kept=small.kept,
    )  # fmt: skip
    assert -score(net) < 0.5 * before
    assert [t[:2] for t in told] == [(i + 1, 60) for i in range(60)]
    assert told[-1][2] < told[0][2]
    assert not net.training


def test_the_same_arguments_give_the_same_weights() -> None:
    first, second = (distil(s.net, t, batches(), recovery(10)) for s, t in (pruned(), pruned()))
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("rounded", [False, True])
def test_a_training_that_is_cut_off_ends_as_if_it_were_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rounded: bool
) -> None:
    monkeypatch.setattr(module, "SAVE_EVERY", 7)
    kept = pruned()[0].kept
    options: dict[str, Any] = {"kept": kept, "quantization_aware": rounded}
    small, teacher = pruned()
    whole = distil(small.net, teacher, batches(), recovery(20), **options)

    def stop(step: int, steps: int, loss: float) -> None:
        if step == 16:
            raise KeyboardInterrupt

    path = tmp_path / "a" / "hand.pt"
    small, _ = pruned()
    with pytest.raises(KeyboardInterrupt):
        distil(small.net, teacher, batches(), recovery(20), path, stop, **options)
    assert path.is_file()
    steps: list[int] = []
    small, _ = pruned()
    resumed = distil(
        small.net, teacher, batches(), recovery(20), path, lambda i, n, x: steps.append(i),
        **options,
    )  # fmt: skip
    assert steps == [17, 18, 19, 20]
    assert torch.equal(weights(resumed), weights(whole))
    # What is done is not done again.
    small, _ = pruned()
    again = distil(
        small.net, teacher, iter(()), recovery(20), path, lambda *_: pytest.fail("a step"),
        **options,
    )  # fmt: skip
    assert torch.equal(weights(again), weights(whole))


def test_a_checkpoint_of_another_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hand.pt"
    small, teacher = pruned()
    distil(small.net, teacher, batches(), recovery(2), path)
    small, _ = pruned()
    with pytest.raises(ExportError, match="checkpoint of another training"):
        distil(small.net, teacher, batches(), recovery(3), path)


def test_what_cannot_be_learnt_from_is_said() -> None:
    small, teacher = pruned()
    with pytest.raises(ExportError, match="came to an end"):
        distil(small.net, teacher, iter([images(2, 0)]), recovery(2))
    small, _ = pruned()
    poison = (torch.full((2, 3, 8, 8), torch.nan), torch.zeros(2, 1, 8, 8))
    with pytest.raises(ExportError, match="not a number"):
        distil(small.net, teacher, iter([poison]), recovery(1))


def test_rounding_is_that_of_int8_and_lets_gradients_through() -> None:
    net = nn.Sequential(nn.Linear(3, 2, bias=False))
    net[0].weight.data = torch.tensor([[1.27, 0.5, 0.004], [-0.0127, 0.0, 0.00004]])
    plain = net[0].weight
    x = torch.tensor([[0.0, 2.55, 1.004], [-0.0, 0.0, 0.0]])
    rounding = FakeQuant(net)
    y = net(x)
    # Steps of 0.01 for weights and inputs; each output has a scale of its own.
    torch.testing.assert_close(net[0].weight, torch.tensor([[1.27, 0.5, 0.0], [-0.0127, 0.0, 0.0]]))
    torch.testing.assert_close(y, torch.tensor([[2.55 * 0.5, 0.0], [0.0, 0.0]]))
    y.sum().backward()
    assert plain.grad is not None
    torch.testing.assert_close(plain.grad, torch.tensor([[0.0, 2.55, 1.0]] * 2))
    rounding.remove()
    assert net[0].weight is plain
    torch.testing.assert_close(net(x), x @ plain.T)


def test_sparse_networks_stay_sparse() -> None:
    small, teacher = pruned()
    net = distil(sparsify_2_4(small.net), teacher, batches(), recovery(5), quantization_aware=True)
    assert is_2_4(net.expand.weight.detach())
    assert type(net.expand.weight) is nn.Parameter
