from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs deixis[export]")

from deixis.export.compare import gesture_windows
from deixis.export.models.gestures import load_gestures
from deixis.export.samples import Samples
from deixis.export.tasks.gestures import GESTURES, Moments
from deixis.export.train.judging import TorchGestures
from deixis.nodes.hands.gestures import GESTURES as NAMES
from deixis.nodes.hands.gestures import N_FEATURES, STEPS
from deixis.runtime.engines import Array


class Late(TorchGestures):
    """Sees the hand as it was 0.35 s ago."""

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        features = inputs["features"]
        past = np.concatenate([np.repeat(features[:, :1], 7, axis=1), features[:, :-7]], axis=1)
        return super().infer({"features": np.ascontiguousarray(past)})


@pytest.fixture(scope="module")
def moments() -> Moments:
    films: Moments = GESTURES.prepare(Path(), Samples((), np.zeros(0, np.float32)))
    return films


def test_moments_show_all_gestures_and_none_that_calibrates(moments: Moments) -> None:
    assert moments.windows.shape == (len(moments.gestures), STEPS, N_FEATURES)
    assert moments.windows.dtype == np.float32
    assert set(moments.gestures.tolist()) == set(range(len(NAMES)))
    assert GESTURES.n(moments) > 300
    seen = {window.tobytes() for window in gesture_windows()}
    assert not any(window.tobytes() in seen for window in moments.windows)


def test_the_trained_network_is_right_and_a_late_one_less_often(moments: Moments) -> None:
    net = load_gestures()
    whole = GESTURES.score(TorchGestures(net), moments)
    assert 90 < whole < 100
    assert GESTURES.score(Late(net), moments) < whole - GESTURES.points
