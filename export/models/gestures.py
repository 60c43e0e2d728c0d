"""The gesture network: a small perceptron a frame, then three dilated convolutions over time.

The convolutions are causal and see exactly the window of the runtime (Bai, Kolter and Koltun, "An
Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling", 2018).

    model = load_gestures(GESTURE_WEIGHTS)   # (n, STEPS, N_FEATURES) → probabilities (n, 7)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deixis.export.train import GESTURE_WEIGHTS
from deixis.nodes.hands.gestures import GESTURES, N_FEATURES
from deixis.runtime.errors import WeightsError

_WIDTH, _CHANNELS = 96, 48
_DILATIONS = (1, 2, 4)


class GestureNet(nn.Module):
    """Features in, a logit per gesture out."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_FEATURES))
        self.register_buffer("scale", torch.ones(N_FEATURES))
        self.frame = nn.Sequential(
            nn.Linear(N_FEATURES, _WIDTH), nn.ReLU(),
            nn.Linear(_WIDTH, _CHANNELS), nn.ReLU(),
        )  # fmt: skip
        self.time = nn.ModuleList(
            nn.Conv1d(_CHANNELS, _CHANNELS, 3, dilation=d) for d in _DILATIONS
        )
        self.answer = nn.Linear(_CHANNELS, len(GESTURES))

    def forward(self, features: Tensor) -> Tensor:
        """Logits.

        Args:
            features: ``(n, t, N_FEATURES)``, frames 50 ms apart, t at least STEPS.

        Returns:
            ``(n, t - STEPS + 1, 7)``: an answer for every frame that has a whole window behind it.
        """
        x = self.frame((features - self.mean) * self.scale).transpose(1, 2)
        for convolution in self.time:
            y = torch.relu(convolution(x))
            x = x[..., -y.shape[-1] :] + y
        logits: Tensor = self.answer(x.transpose(1, 2))
        return logits


class Gestures(nn.Module):
    """What the robot runs: calibrated probabilities of the newest frame.

    Args:
        net: The network.
        temperature: Divides the logits (Guo et al., "On Calibration of Modern Neural Networks",
            2017).
    """

    def __init__(self, net: GestureNet, temperature: float) -> None:
        super().__init__()
        self.net = net
        self.temperature = temperature

    def forward(self, features: Tensor) -> Tensor:
        """Probabilities ``(n, 7)`` of windows ``(n, STEPS, N_FEATURES)``."""
        return torch.softmax(self.net(features)[:, -1] / self.temperature, dim=-1)


def save_gestures(net: GestureNet, temperature: float, path: Path) -> None:
    """Write weights and temperature; equal weights give equal bytes."""
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    with path.open("wb") as file:
        np.savez(file, temperature=np.float32(temperature), **arrays)


def load_gestures(path: Path = GESTURE_WEIGHTS) -> Gestures:
    """Read what :func:`save_gestures` wrote.

    Raises:
        WeightsError: The file is missing or holds other weights.
    """
    net = GestureNet()
    retrain = "deixis train gestures --data FOLDER"
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: torch.from_numpy(file[name]) for name in file.files}
        temperature = float(arrays.pop("temperature"))
        net.load_state_dict(arrays)
    except FileNotFoundError:
        raise WeightsError(f"there are no gesture weights at {path}", hint=retrain) from None
    except (OSError, ValueError, KeyError, RuntimeError) as cause:
        what = str(cause).splitlines()[0].rstrip(":")
        raise WeightsError(f"{path} does not hold gesture weights: {what}", hint=retrain) from cause
    return Gestures(net, temperature).eval()
