"""Small networks with what is hard about the real ones, for the tests of pruning and teaching."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two inputs, a residual sum, a depthwise convolution, nested outputs of fixed widths."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.side = nn.Conv2d(1, 32, 1)
        self.expand = nn.Conv2d(32, 64, 1)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.project = nn.Conv2d(64, 32, 1)
        self.head = nn.Linear(32, 5)
        self.map = nn.Conv2d(32, 2, 1)

    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        x = torch.relu(self.stem(image) + self.side(mask))
        y = torch.relu(self.depthwise(torch.relu(self.expand(x))))
        x = x + self.project(y)
        return self.head(x.mean((2, 3))), (self.map(x),)


class Attention(nn.Module):
    """Four heads of eight."""

    def __init__(self) -> None:
        super().__init__()
        self.heads = 4
        self.q_proj = nn.Linear(16, 32, bias=False)
        self.k_proj = nn.Linear(16, 32, bias=False)
        self.v_proj = nn.Linear(16, 32)
        self.o_proj = nn.Linear(32, 16)

    def forward(self, x: Tensor) -> Tensor:
        n, t, _ = x.shape
        q, k, v = (
            layer(x).reshape(n, t, self.heads, -1).transpose(1, 2)
            for layer in (self.q_proj, self.k_proj, self.v_proj)
        )
        seen = torch.softmax(q @ k.transpose(2, 3) / 8**0.5, dim=-1) @ v
        out: Tensor = self.o_proj(seen.transpose(1, 2).reshape(n, t, -1))
        return out


class Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = Attention()
        self.up, self.down = nn.Linear(16, 64), nn.Linear(64, 16)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        out: Tensor = x + self.down(torch.relu(self.up(x)))
        return out


def images(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Inputs of :class:`Residual`."""
    chance = torch.Generator().manual_seed(seed)
    return torch.rand(n, 3, 8, 8, generator=chance), torch.rand(n, 1, 8, 8, generator=chance)


def made(net: type[nn.Module], seed: int = 0) -> nn.Module:
    """A network with random weights, the same ones for a seed."""
    torch.manual_seed(seed)
    return net().eval()
