from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.onnx_export import to_onnx  # noqa: E402
from deixis.export.onnx_macs import count_macs  # noqa: E402

nn = torch.nn


@pytest.mark.parametrize(
    ("module", "shape", "macs"),
    [
        (nn.Conv2d(3, 8, 3, padding=1), (1, 3, 10, 12), 8 * 10 * 12 * 3 * 9),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 10, 12), 8 * 10 * 12 * 9),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (1, 4, 5, 5), 4 * 25 * 2 * 4),
        (nn.Linear(32, 5), (7, 32), 7 * 32 * 5),
        (nn.Linear(32, 5), (1, 7, 32), 7 * 32 * 5),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), (1, 4), 16 + 8),
    ],
)
def test_counts_what_a_layer_multiplies(module: Any, shape: tuple[int, ...], macs: int) -> None:
    model = to_onnx(module.eval(), torch.zeros(shape), "x", ("y",))
    assert count_macs(model, {"x": np.zeros(shape, np.float32)}) == macs


def test_agrees_with_torch_on_a_real_network(wheel_folder: Any) -> None:
    from deixis.export.models.hands import palm_detector
    from deixis.export.prune import count_macs as torch_macs

    net = palm_detector(wheel_folder)
    example = torch.zeros(1, 3, 192, 192)
    model = to_onnx(net, example, "image", ("boxes", "scores"))
    counted = count_macs(model, {"image": example.numpy()})
    assert counted == pytest.approx(torch_macs(net, (example,)), rel=0.01)
