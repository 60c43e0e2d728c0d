"""The adapter of the crop embedding: one linear map into a space in which things are told apart.

EfficientNet's features say what an ImageNet picture shows; which of two cups this is, seen from
another side in other light, they say less well. The map is trained contrastively on views of things
(InfoNCE; van den Oord et al., "Representation Learning with Contrastive Predictive Coding", 2018).

    adapter = load_adapter()   # (n, 1280) of length 1 → (n, 256) of length 1
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deixis.export.models.efficientnet_lite import EMBEDDING
from deixis.export.train import OBJECT_WEIGHTS
from deixis.runtime.errors import WeightsError

SIZE = 256


class ObjectAdapter(nn.Module):
    """Embeddings in, embeddings out."""

    mean: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(EMBEDDING))
        self.map = nn.Linear(EMBEDDING, SIZE, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Unit vectors [N,256] of crop embeddings [N,1280], themselves of length 1."""
        return nn.functional.normalize(self.map(features - self.mean), dim=1)


@dataclass(frozen=True)
class HeldOut:
    """Views of things that the adapter was not trained on, with which its export is checked.

    Attributes:
        features: Crop embeddings, float32 ``(n, 1280)``.
        things: Which thing each shows, ``(n,)``.
    """

    features: NDArray[np.float32]
    things: NDArray[np.int64]


def save_adapter(adapter: ObjectAdapter, held_out: HeldOut, path: Path) -> None:
    """Write weights and held-out views, half precision; equal ones give equal bytes."""
    data = io.BytesIO()
    np.savez(
        data,
        mean=adapter.mean.numpy().astype(np.float16),
        map=adapter.map.weight.detach().numpy().astype(np.float16),
        features=held_out.features.astype(np.float16),
        things=held_out.things.astype(np.int16),
    )
    path.write_bytes(data.getvalue())


def load_adapter(path: Path = OBJECT_WEIGHTS) -> ObjectAdapter:
    """The adapter that :func:`save_adapter` wrote.

    Raises:
        WeightsError: The file is missing or holds other weights.
    """
    arrays = _read(path)
    adapter = ObjectAdapter()
    try:
        adapter.load_state_dict(
            {
                "mean": torch.from_numpy(arrays["mean"]),
                "map.weight": torch.from_numpy(arrays["map"]),
            }
        )
    except (KeyError, RuntimeError) as cause:
        raise _wrong(path, cause) from cause
    return adapter.eval()


def load_held_out(path: Path = OBJECT_WEIGHTS) -> HeldOut:
    """The held-out views that lie beside the weights.

    Raises:
        WeightsError: The file is missing or holds none.
    """
    arrays = _read(path)
    try:
        return HeldOut(arrays["features"], arrays["things"].astype(np.int64))
    except KeyError as cause:
        raise _wrong(path, cause) from cause


_RETRAIN = "deixis train objects --data FOLDER"


def _read(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name].astype(np.float32) for name in file.files}
    except FileNotFoundError:
        raise WeightsError(f"there is no object adapter at {path}", hint=_RETRAIN) from None
    except (OSError, ValueError) as cause:
        raise _wrong(path, cause) from cause


def _wrong(path: Path, cause: Exception) -> WeightsError:
    what = str(cause).splitlines()[0].rstrip(":")
    return WeightsError(f"{path} does not hold an object adapter: {what}", hint=_RETRAIN)
