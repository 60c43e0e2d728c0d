"""A network that looks at its pictures with fewer pixels: pruning along the other axis.

A network with global pooling at its end takes pictures of any size, and its work falls with the
square of their side, as it does with the share of channels. Where what is looked at is small
anyway, pixels cost less of the metric than channels (Tan & Le, *EfficientNet*, 2019, section 3,
scale both). The picture is resized inside the network, so whoever runs it sees no difference.

    net = shrink(crop_embedding(wheels), 0.3, 224)  # looks at 160 × 160
"""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

MULTIPLE_PX = 32
"""Sides are multiples of this, what a backbone halves five times."""


class Smaller(nn.Module):
    """A network behind a resize of its picture.

    Args:
        net: takes pictures [N,3,H,W] of any size.
        side_px: what it is shown.
    """

    def __init__(self, net: nn.Module, side_px: int) -> None:
        super().__init__()
        self.net = net
        self.side_px = side_px

    def forward(self, image: Tensor) -> Any:
        """Resize ``image`` [N,3,H,W] and answer."""
        size = (self.side_px, self.side_px)
        small = functional.interpolate(image, size=size, mode="bilinear", align_corners=False)
        return self.net(small)


def shrink(net: nn.Module, ratio: float, side_px: int) -> Smaller:
    """A copy of a network that looks with a smaller side.

    Args:
        net: takes pictures of any size; in eval mode.
        ratio: share of the side to remove.
        side_px: of the pictures that it is given.
    """
    side = MULTIPLE_PX * max(1, round((1 - ratio) * side_px / MULTIPLE_PX))
    return Smaller(copy.deepcopy(net), side).eval()
