from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.onnx_export import to_onnx  # noqa: E402
from deixis.export.prune import count_macs  # noqa: E402
from deixis.export.shrink import shrink  # noqa: E402
from deixis.runtime.engines import open_model  # noqa: E402


@pytest.mark.parametrize(
    ("ratio", "side_px"), [(0.0, 224), (0.1, 192), (0.3, 160), (0.5, 128), (0.99, 32)]
)
def test_the_side_shrinks_by_the_ratio_in_whole_steps(ratio: float, side_px: int) -> None:
    assert shrink(torch.nn.Identity(), ratio, 224).side_px == side_px


def test_a_smaller_picture_is_less_work_and_the_same_contract(
    wheel_folder: Path, tmp_path: Path
) -> None:
    from deixis.export.models.hands import hand_landmarks

    net = hand_landmarks(wheel_folder)
    small = shrink(net, 0.3, 224)
    example = torch.rand(1, 3, 224, 224)
    whole_macs, macs = count_macs(net, (example,)), count_macs(small, (example,))
    assert 0.45 < macs / whole_macs < 0.55
    path = tmp_path / "small.onnx"
    outputs = ("landmarks", "presence", "handedness", "world_landmarks")
    path.write_bytes(to_onnx(small, example, "image", outputs))
    engine = open_model(path)
    got = engine.infer({"image": example.numpy()})
    with torch.inference_mode():
        want = small(example)
    for name, tensor in zip(outputs, want, strict=True):
        np.testing.assert_allclose(got[name], tensor.numpy(), atol=2e-3)
    assert small.net is not net  # a copy: the whole network teaches it
