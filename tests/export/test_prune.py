from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch_pruning", reason="needs deixis[export]")
import torch
from torch import nn

from deixis.export.prune import count_macs, prune
from deixis.export.recipes.recipe import Pruning
from deixis.export.reconstruction import reconstruct
from deixis.export.sensitivity import SHARES, choose, layer_costs, likeness, scan
from deixis.export.sparsity import is_2_4, settle, sparsify_2_4
from deixis.export.width_graph import WidthGraph
from deixis.export.widths import flat
from deixis.runtime.errors import ExportError, UsageError
from tests.export.nets import Residual, Transformer, images, made

RECIPE = Pruning(round_to=4)


def test_macs_are_counted_by_hand() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3, bias=False), nn.Flatten(), nn.Linear(8 * 36, 10))
    assert count_macs(net, (torch.zeros(1, 3, 8, 8),)) == 36 * 8 * 27 + 8 * 36 * 10


@pytest.mark.parametrize("ratio", [0.25, 0.5])
def test_layers_that_hang_together_shrink_together_and_outputs_stay(ratio: float) -> None:
    net, example = made(Residual), images(2, 0)
    before = copy.deepcopy(net.state_dict())
    pruned = prune(net, example, ratio, RECIPE)
    small = pruned.net
    assert small.stem.out_channels == small.side.out_channels == small.project.out_channels
    assert small.depthwise.groups == small.expand.out_channels == small.project.in_channels
    assert small.stem.out_channels % 4 == 0
    assert [y.shape for y in flat(small(*example))] == [y.shape for y in flat(net(*example))]
    assert np.mean(list(pruned.ratios.values())) == pytest.approx(ratio, abs=0.05)
    assert pruned.macs < pruned.macs_before == count_macs(net, example)
    # The network that it came from is untouched.
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_what_is_zeroed_in_the_scan_is_what_pruning_removes() -> None:
    net, example = made(Residual), images(3, 0)
    graph = WidthGraph(net, example, RECIPE)
    whole = flat(net(*example))
    for i, width in enumerate(graph.widths):
        with width.without(8):
            zeroed = flat(net(*example))
        assert all(torch.equal(a, b) for a, b in zip(whole, flat(net(*example)), strict=True))
        copied = made(Residual)
        other = WidthGraph(copied, example, RECIPE)
        other.remove([8 if k == i else 0 for k in range(len(graph.widths))])
        for a, b, c in zip(zeroed, flat(copied(*example)), whole, strict=True):
            torch.testing.assert_close(a, b)
            assert not torch.allclose(a, c)


def test_readers_make_up_for_channels_that_others_foretell() -> None:
    """Half of the channels repeat the others: nothing is lost with them."""
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1)).eval()
    net[0].weight.data[8:] = 2 * net[0].weight.data[:8]
    net[0].bias.data[8:] = 2 * net[0].bias.data[:8]
    net[2].weight.data[:, :8] *= 3  # so that neither half has all the weight
    example = (images(4, 1)[0],)
    inputs = [(images(8, seed)[0],) for seed in range(4)]
    recipe = Pruning(round_to=8)
    blind = prune(net, example, 0.5, recipe)
    seeing = prune(net, example, 0.5, recipe, inputs=inputs)
    wanted = net(*example)

    def error(small: nn.Module) -> float:
        return float(((small(*example) - wanted).abs().max() / wanted.std()).detach())

    assert error(seeing.net) < 0.05 < error(blind.net)


def test_taylor_keeps_the_channels_that_the_outputs_need() -> None:
    net = nn.Sequential(nn.Conv2d(3, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1)).eval()
    net[0].weight.data.uniform_(0.1, 0.5)
    net[0].weight.data[::2] *= 4  # large weights, which nothing reads
    net[2].weight.data[:, ::2] = 0
    example = (images(4, 1)[0],)
    pruned = prune(net, example, 0.5, Pruning(round_to=8), inputs=[example], importance="taylor")
    torch.testing.assert_close(pruned.net[0].weight, net[0].weight[1::2])
    torch.testing.assert_close(pruned.net(*example), net(*example))


def test_the_scan_spares_what_is_missed() -> None:
    """Same cost, same width: the layer without which all is lost keeps its channels."""
    net = nn.Sequential(
        nn.Conv2d(3, 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 1), nn.ReLU(), nn.Conv2d(32, 4, 1)
    ).eval()
    net[4].weight.data[:, 4:] = 0.0  # all but four channels of the second width are idle
    example = (images(4, 1)[0],)
    score = likeness(net, [example])
    pruned = prune(net, example, 0.4, Pruning(round_to=4), score=score, inputs=[example])
    assert pruned.ratios["2"] > 0.6 > 0.3 > pruned.ratios["0"]
    assert np.mean(list(pruned.ratios.values())) == pytest.approx(0.4, abs=0.07)


def test_where_all_is_missed_alike_the_dearest_go() -> None:
    net, example = made(Residual), images(2, 0)
    graph = WidthGraph(net, example, RECIPE)
    curves = [np.array(SHARES) for _ in graph.widths]
    costs = layer_costs(net, example)
    dear = {layer: cost for layer, cost in costs.items() if layer in (net.expand, net.depthwise)}
    counts = choose(graph.widths, curves, dear, 0.2)
    shares = {w.name: n / w.channels for w, n in zip(graph.widths, counts, strict=True)}
    assert shares["expand"] > shares["stem"]


def test_curves_rise() -> None:
    net, example = made(Residual), images(2, 0)
    graph = WidthGraph(net, example, RECIPE)
    seen: list[tuple[int, int]] = []
    curves = scan(graph.widths, net, likeness(net, [example]), lambda *x: seen.append(x))
    assert len(curves) == len(graph.widths) == 2
    assert seen == [(1, 2), (2, 2)]
    for curve in curves:
        assert (np.diff(curve) >= 0).all()
        assert curve[-1] > 0


def test_heads_go_whole_and_attention_is_told() -> None:
    net = made(Transformer)
    example = (torch.rand(2, 6, 16),)
    recipe = Pruning(round_to=8, heads={"attention": 4})
    pruned = prune(net, example, 0.5, recipe)
    small = pruned.net
    assert small.attention.heads == 2
    assert small.attention.q_proj.out_features == small.attention.o_proj.in_features == 16
    assert small.up.out_features == small.down.in_features == 32
    assert pruned.ratios == {"attention": 0.5, "up": 0.5}
    # The same as the whole network without the readings of those heads.
    whole = copy.deepcopy(net)
    gone = WidthGraph(whole, example, recipe)
    for width in gone.widths:
        width.forget(width.channels // 2)
    torch.testing.assert_close(small(*example), whole(*example))


def test_kept_layers_keep_their_widths() -> None:
    net, example = made(Residual), images(2, 0)
    pruned = prune(net, example, 0.5, Pruning(round_to=4, keep=("exp*",)))
    assert pruned.net.expand.out_channels == 64
    assert list(pruned.ratios) == ["stem"]
    with pytest.raises(ExportError, match="nothing of Residual may be pruned"):
        prune(net, example, 0.5, Pruning(keep=("*",)))
    with pytest.raises(UsageError, match=r"\[0, 1\)"):
        prune(net, example, 1.5, RECIPE)
    assert prune(net, example, 0.0, RECIPE).macs == count_macs(net, example)


def test_sparse_weights_are_two_of_four_and_stay_so_in_training() -> None:
    net, example = made(Residual), images(2, 0)
    before = net.expand.weight.detach().clone()
    sparse = sparsify_2_4(copy.deepcopy(net), keep=("head",))
    optimizer = torch.optim.SGD(sparse.parameters(), 0.1)
    flat(sparse(*example))[0].square().mean().backward()
    optimizer.step()
    settle(sparse)
    weight = sparse.expand.weight
    assert isinstance(weight, nn.Parameter)
    assert is_2_4(weight.detach())
    assert not is_2_4(before)
    assert not is_2_4(sparse.head.weight.detach())
    # The larger two of each four are those that stay.
    assert float((weight != 0).float().mean()) == pytest.approx(0.5)
    stayed = before.abs()[weight != 0].mean()
    assert stayed > before.abs()[weight == 0].mean()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["hand_landmarks", "palm_detector"])
def test_the_hand_nets_shrink_with_their_outputs_whole(wheel_folder: Path, name: str) -> None:
    from deixis.export.models import hands

    net = getattr(hands, name)(wheel_folder)
    side = {"hand_landmarks": 224, "palm_detector": 192}[name]
    example = (torch.zeros(1, 3, side, side),)
    pruned = prune(net, example, 0.3, Pruning())
    assert pruned.macs < 0.62 * pruned.macs_before
    two = torch.rand(2, 3, side, side)
    for a, b in zip(pruned.net(two), net(two), strict=True):
        assert a.shape == b.shape


def test_kept_channels_are_the_teachers() -> None:
    """Where nothing before a layer is lost, what it makes is what the teacher makes there."""
    net, example = made(Residual), images(2, 0)
    graph = WidthGraph(net, example, RECIPE)
    expand = [w.name for w in graph.widths].index("expand")
    counts = [32 if i == expand else 0 for i in range(len(graph.widths))]
    # Layers that widen are no place to teach at: they make most and say least.
    assert set(graph.kept(counts)) == {"project"}
    pruned = prune(net, example, 0.5, RECIPE)
    assert len(pruned.kept["project"]) == pruned.net.project.out_channels == 16
    for mine, theirs in zip(pruned.net.stem.weight, pruned.kept["project"], strict=True):
        assert torch.equal(mine, net.stem.weight[theirs])


def test_reconstruction_comes_nearer_to_the_teacher() -> None:
    teacher, example = made(Residual), images(2, 0)
    inputs = [images(4, seed) for seed in range(1, 9)]
    pruned = prune(teacher, example, 0.5, RECIPE)
    score = likeness(teacher, [images(16, 99)])
    before = score(pruned.net)
    told: list[tuple[int, int]] = []
    reconstruct(pruned.net, teacher, inputs, pruned.channels, lambda *x: told.append(x))
    assert told[-1] == (7, 7)
    assert score(pruned.net) > 0.2 * before  # scores are negative: nearer to zero
    # A network that lost nothing stays what it is.
    whole = copy.deepcopy(teacher)
    everything = {name: range(len(m.weight)) for name, m in whole.named_modules() if name}
    reconstruct(whole, teacher, inputs, everything)
    for a, b in zip(flat(whole(*example)), flat(teacher(*example)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_reconstruction_finds_the_weights_of_every_kind_of_layer() -> None:
    """A network whose weights were disturbed gets its answers back."""
    torch.manual_seed(0)
    teacher = nn.Sequential(
        nn.Conv1d(4, 6, 5, stride=2, padding=1, dilation=2), nn.Tanh(),
        nn.Conv1d(6, 6, 3, groups=6), nn.Conv1d(6, 8, 1, bias=False), nn.Linear(5, 3),
    ).eval()  # fmt: skip
    inputs = [(torch.randn(8, 4, 20),) for _ in range(16)]
    score = likeness(teacher, inputs)
    names = [name for name, m in teacher.named_modules() if hasattr(m, "weight")]
    for name in names:
        pupil = copy.deepcopy(teacher)
        layer = pupil.get_submodule(name)
        layer.weight.data += 0.1
        before = score(pupil)
        reconstruct(pupil, teacher, inputs, {name: range(len(layer.weight))})
        assert score(pupil) > 0.01 * before
