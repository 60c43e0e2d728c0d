from __future__ import annotations

import pytest

pytest.importorskip("torch_pruning", reason="needs deixis[export]")
import torch
from torch import nn

from deixis.export.elimination import weigh_by_elimination
from deixis.export.refit import refit
from deixis.export.widths import Reader, Width

ROWS = torch.randn(400, 6, generator=torch.Generator().manual_seed(0))


def order(rows: torch.Tensor, *weights: torch.Tensor) -> list[int]:
    """When the channels go that some layers with these weights read."""
    n = rows.shape[1]
    layers = [nn.Linear(n, len(weight)) for weight in weights]
    for layer, weight in zip(layers, weights, strict=True):
        layer.weight.data.copy_(weight)
    columns = torch.arange(n)
    width = Width("", n, 1, 1, layers[0], [], [Reader(x, columns, columns) for x in layers])

    class Net(nn.Module):
        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [layer(x) for layer in layers]

    weigh_by_elimination(Net().eval(), [width], [(rows[:200],), (rows[200:],)])
    ranks = [int(rank) for rank in width.importance]
    assert sorted(ranks) == list(range(n))
    return [ranks.index(k) for k in range(n)]


def test_what_others_can_say_goes_first_however_large_its_weights() -> None:
    # Channel 6 is the sum of two others; channel 3 has small weights and says something.
    rows = torch.cat([ROWS, ROWS[:, :1] + ROWS[:, 1:2]], dim=1)
    weight = torch.ones(3, 7)
    weight[:, 6], weight[:, 1], weight[:, 3] = 20, 2, 0.5
    first, second = order(rows, weight)[:2]
    assert first in (0, 1, 6)
    assert second == 3


def test_what_hardly_varies_goes_first_since_a_bias_can_say_it() -> None:
    rows = ROWS.clone()
    rows[:, 4] = 100 + 0.1 * rows[:, 4]
    assert order(rows, torch.ones(2, 6))[0] == 4


def test_a_channel_counts_for_all_its_readers() -> None:
    one, other = torch.ones(2, 6), torch.ones(2, 6)
    one[:, 2] = other[:, 2] = other[:, 3] = 0.01
    assert order(ROWS, one, other)[:2] == [2, 3]


def nets(lost: int) -> tuple[nn.Sequential, nn.Sequential, dict[str, list[int]]]:
    """A network, and the same without some channels of its first and of its third layer."""
    torch.manual_seed(0)
    teacher = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 8, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Flatten(1, -1), nn.Linear(12 * 16, 4),
    ).eval()  # fmt: skip
    pupil = nn.Sequential(
        nn.Conv2d(3, 16 - lost, 3, padding=1), nn.ReLU(), nn.Conv2d(16 - lost, 8, 3, 2, 1),
        nn.ReLU(), nn.Conv2d(8, 12, 1), nn.ReLU(), nn.Flatten(1, -1), nn.Linear(12 * 16, 4),
    ).eval()  # fmt: skip
    state = {
        name: array[: like.shape[0], : like.shape[1]] if array.ndim > 1 else array[: len(like)]
        for (name, array), like in zip(
            teacher.state_dict().items(), pupil.state_dict().values(), strict=True
        )
    }
    pupil.load_state_dict(state)
    return teacher, pupil, {"0": list(range(16 - lost))}


def inputs(seed: int) -> list[tuple[torch.Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    coarse = [torch.randn(16, 3, 3, 3, generator=chance) for _ in range(6)]
    return [(nn.functional.interpolate(x, size=8, mode="bilinear"),) for x in coarse]


def error(teacher: nn.Module, pupil: nn.Module) -> float:
    (x,) = inputs(1)[0]
    with torch.inference_mode():
        return float((teacher(x) - pupil(x)).square().mean())


def test_a_layer_that_lost_inputs_makes_up_for_them() -> None:
    teacher, pupil, kept = nets(lost=4)
    before, first = error(teacher, pupil), pupil.state_dict()["0.weight"].clone()
    done: list[tuple[int, int]] = []
    assert refit(pupil, teacher, inputs(0), kept, lambda *at: done.append(at)) is pupil
    assert error(teacher, pupil) < 0.5 * before
    assert done == [(1, 1)]
    assert torch.equal(pupil.state_dict()["0.weight"], first)


def test_what_lost_nothing_stays_as_it_is() -> None:
    teacher, pupil, kept = nets(lost=0)
    refit(pupil, teacher, inputs(0), kept)
    assert error(teacher, pupil) == 0


def test_outputs_that_are_gone_are_not_asked_for() -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    pupil = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 2))
    kept = {"0": [0, 2, 3, 4, 6, 7], "2": [1, 3, 4, 5, 7]}
    with torch.no_grad():
        whole = teacher[0].state_dict()
        pupil[0].load_state_dict({name: array[kept["0"]] for name, array in whole.items()})
    rows = [(ROWS,)]
    refit(pupil, teacher, rows, kept)
    with torch.no_grad():
        want = teacher[2](teacher[1](teacher[0](ROWS)))[:, kept["2"]]
        got = pupil[2](pupil[1](pupil[0](ROWS)))
        assert (want - got).square().mean() < 0.2 * want.var()
        assert (teacher(ROWS) - pupil(ROWS)).square().mean() < 0.5 * teacher(ROWS).var()


class Block(nn.Module):
    """A residual block whose inner width shrinks."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Conv2d(8, width, 1), nn.Conv2d(width, 8, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = x + self.down(torch.relu(self.up(x)))
        return y


def test_a_residual_block_makes_up_for_the_errors_before_it() -> None:
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Conv2d(3, 8, 1), *(Block(16) for _ in range(4))).eval()
    pupil = nn.Sequential(nn.Conv2d(3, 8, 1), *(Block(12) for _ in range(4))).eval()
    kept = {f"{i}.up": list(range(12)) for i in range(1, 5)}
    state = {}
    for (name, whole), like in zip(
        teacher.state_dict().items(), pupil.state_dict().values(), strict=True
    ):
        state[name] = whole[tuple(slice(n) for n in like.shape)]
    pupil.load_state_dict(state)
    # As if what comes before had gone wrong: no layer but the blocks can mend it.
    pupil.state_dict()["0.bias"].add_(0.3)
    before = error(teacher, pupil)
    refit(pupil, teacher, inputs(0), kept)
    assert error(teacher, pupil) < 0.2 * before
