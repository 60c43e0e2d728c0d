"""Moonshine tiny's decoder in torch: the encoder's frames and the tokens so far to the next token.

Its inputs and outputs are those of the file in the wheel. The first call (``use_cache_branch``
false, pasts of length 0) computes what the layers keep of the encoder's frames; later ones take it
over, in a branch of their own. The vocabulary [288,32768] is there once: its columns are the
tokens' embeddings and it gives the logits.

    python -c "from pathlib import Path; from deixis.export.models import moonshine_decoder; \
print(moonshine_decoder.decoder(Path('.cache/wheels')))"
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from deixis.export.models.moonshine import (
    HEAD_SIZE,
    HIDDEN,
    MASKED,
    N_LAYERS,
    SIZE,
    Attention,
    PackedAttention,
    Rotary,
    as_linear,
    attend,
    load,
    mask_bias,
    named_weights,
    split_heads,
)
from deixis.export.weights import ort_reader, wheels

VOCABULARY = 32_768
HEADS = SIZE // HEAD_SIZE
KINDS = tuple(f"{where}.{what}" for where in ("decoder", "encoder") for what in ("key", "value"))
PASTS = tuple(f"past_key_values.{i}.{kind}" for i in range(N_LAYERS) for kind in KINDS)
PRESENTS = tuple(f"present.{i}.{kind}" for i in range(N_LAYERS) for kind in KINDS)
INPUTS = (
    "encoder_attention_mask",
    "input_ids",
    "encoder_hidden_states",
    *PASTS,
    "use_cache_branch",
)
OUTPUTS = ("logits", *PRESENTS)


class CrossAttention(nn.Module):
    """Attention of the tokens to the encoder's frames."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(SIZE, SIZE, bias=False)
        self.k_proj = nn.Linear(SIZE, SIZE, bias=False)
        self.v_proj = nn.Linear(SIZE, SIZE, bias=False)
        self.o_proj = nn.Linear(SIZE, SIZE, bias=False)

    def forward(self, x: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
        """Attend.

        Args:
            x: [B,L,288].
            key: of the frames, [B,8,T,36].
            value: likewise.
            bias: added to the scores, [B,1,1,T].
        """
        q = split_heads(self.q_proj(x)).transpose(1, 2)
        out: Tensor = self.o_proj(attend(q, key, value, bias))
        return out


class GatedMlp(nn.Module):
    """Two products with a gate between them (SwiGLU)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1 = nn.Linear(SIZE, 2 * HIDDEN)
        self.fc2 = nn.Linear(HIDDEN, SIZE)

    def forward(self, x: Tensor) -> Tensor:
        """[B,L,288] → [B,L,288]."""
        a, gate = self.fc1(x).chunk(2, dim=-1)
        out: Tensor = self.fc2(functional.silu(gate) * a)
        return out


class DecoderLayer(nn.Module):
    """A transformer layer: attention to the tokens, to the frames, and a gated product."""

    def __init__(self) -> None:
        super().__init__()
        self.input_layernorm = nn.LayerNorm(SIZE, bias=False)
        self.self_attn = Attention()
        self.post_attention_layernorm = nn.LayerNorm(SIZE, bias=False)
        self.encoder_attn = CrossAttention()
        self.final_layernorm = nn.LayerNorm(SIZE, bias=False)
        self.mlp = GatedMlp()


class Decoder(nn.Module):
    """The network with its weights by the original's names; :meth:`deployed` is what runs."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, SIZE)
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(N_LAYERS))
        self.norm = nn.LayerNorm(SIZE, bias=False)

    def deployed(self) -> DeployedDecoder:
        """The form that is exported: every weight in a product of matrices, and once."""
        return DeployedDecoder(self).eval()

    @property
    def each_layer(self) -> list[DecoderLayer]:
        """The layers in turn."""
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See :meth:`DeployedDecoder.forward`."""
        outputs: tuple[Tensor, ...] = self.deployed()(*inputs)
        return outputs


class DeployedLayer(nn.Module):
    """A layer whose projections of the tokens are one product."""

    def __init__(self, layer: DecoderLayer) -> None:
        super().__init__()
        packed = PackedAttention(layer.self_attn)
        self.qkv, self.o_proj, self.rotary = packed.qkv, packed.o_proj, packed.rotary
        self.input_layernorm = layer.input_layernorm
        self.post_attention_layernorm = layer.post_attention_layernorm
        self.encoder_q = layer.encoder_attn.q_proj
        self.encoder_o = layer.encoder_attn.o_proj
        self.final_layernorm = layer.final_layernorm
        self.mlp = layer.mlp

    def forward(
        self,
        x: Tensor,
        past: tuple[Tensor, Tensor],
        frames: tuple[Tensor, Tensor],
        angles: tuple[Tensor, Tensor],
        bias: Tensor,
        frames_bias: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One layer.

        Args:
            x: [B,L,288].
            past: keys and values of the tokens before, [B,8,P,36].
            frames: keys and values of the frames, [B,8,T,36].
            angles: of the new tokens' positions.
            bias: added to the scores of the tokens, [L,P + L].
            frames_bias: added to the scores of the frames, [B,1,1,T].

        Returns:
            What comes out, keys and values of all tokens.
        """
        qkv = split_heads(self.qkv(self.input_layernorm(x)))
        turned = self.rotary(qkv[:, :, : 2 * HEADS], angles).transpose(1, 2)
        key = torch.cat((past[0], turned[:, HEADS:]), dim=2)
        value = torch.cat((past[1], qkv[:, :, 2 * HEADS :].transpose(1, 2)), dim=2)
        x = x + self.o_proj(attend(turned[:, :HEADS], key, value, bias))
        q = split_heads(self.encoder_q(self.post_attention_layernorm(x))).transpose(1, 2)
        x = x + self.encoder_o(attend(q, *frames, frames_bias))
        return x + self.mlp(self.final_layernorm(x)), key, value


class DeployedDecoder(nn.Module):
    """The decoder as it runs, from the weights of a :class:`Decoder`."""

    def __init__(self, net: Decoder) -> None:
        super().__init__()
        self.vocabulary = nn.Parameter(net.embed_tokens.weight.detach().T.contiguous())
        self.layers = nn.ModuleList(DeployedLayer(layer) for layer in net.each_layer)
        self.norm = net.norm
        self.rotary = Rotary()
        projections = [
            weight
            for layer in net.each_layer
            for weight in (layer.encoder_attn.k_proj.weight, layer.encoder_attn.v_proj.weight)
        ]
        self.frames = as_linear(torch.cat(projections).detach())

    def of_frames(self, hidden: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
        """Keys and values of the frames for every layer in turn, [B,8,T,36] each."""
        kv = self.frames(hidden).reshape(*hidden.shape[:2], 2 * N_LAYERS, HEADS, HEAD_SIZE)
        return tuple(each.contiguous() for each in kv.permute(2, 0, 3, 1, 4).unbind())

    def forward(
        self, encoder_attention_mask: Tensor, input_ids: Tensor, hidden: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits of the next token after each, and what the next call needs.

        Args:
            encoder_attention_mask: one value a sample of sound, [B,n].
            input_ids: the tokens, [B,L].
            hidden: the encoder's frames, [B,T,288].
            rest: :data:`PASTS`, then whether the frames' keys and values are taken from them, [1].

        Returns:
            :data:`OUTPUTS`.
        """
        pasts, cached = rest[:-1], rest[-1]
        kept = tuple(past for i, past in enumerate(pasts) if i % 4 > 1)
        if torch.compiler.is_exporting():
            of_frames = torch.cond(cached[0], _keep, self.of_frames, (hidden, *kept))
            for each in of_frames:
                torch._check(each.shape[2] == hidden.shape[1])  # type: ignore[no-untyped-call]
        else:
            of_frames = kept if cached.item() else self.of_frames(hidden)
        length, past_length = input_ids.shape[1], pasts[0].shape[2]
        x = self.vocabulary.index_select(1, input_ids.flatten()).T.reshape(*input_ids.shape, SIZE)
        frames_bias = mask_bias(encoder_attention_mask, hidden.shape[1])
        angles = self.rotary.angles(past_length, length)
        places = torch.arange(past_length + length, device=x.device)
        bias = (places > places[past_length:, None]) * MASKED
        presents: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            past, frames = pasts[4 * i : 4 * i + 2], of_frames[2 * i : 2 * i + 2]
            x, key, value = layer(x, past, frames, angles, bias, frames_bias)
            presents += (key, value, *frames)
        return (self.norm(x) @ self.vocabulary, *presents)


def _keep(hidden: Tensor, *pasts: Tensor) -> tuple[Tensor, ...]:
    """Keys and values of the frames from the first call."""
    # A branch must not return what it was given.
    return tuple(past.clone(memory_format=torch.contiguous_format) for past in pasts)


def decoder(wheel_folder: Path) -> Decoder:
    """The pretrained decoder.

    Args:
        wheel_folder: where the wheels lie.

    Raises:
        WeightsError: if the wheel or one of the weights is missing.
    """
    model = ort_reader.read_ort(wheels.read_member(wheels.SPEECH_DECODER, wheel_folder))
    weights = named_weights(model)
    # The vocabulary is stored twice, to look up and to multiply with, and is the same.
    weights["embed_tokens.weight"] = weights.pop("proj_out.weight")
    return load(Decoder(), weights)
