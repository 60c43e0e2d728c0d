"""Latency of a model's variants side by side: one thread, in turns, fair on a noisy machine.

    python -c "from pathlib import Path; import numpy as np; from deixis.export.timing import race
print(race({'fp32': Path('bundles/cpu/models/gestures.onnx')}, \
{'features': np.zeros((1, 21, 67), np.float32)}))"
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from deixis.runtime.engines import open_model
from deixis.runtime.measured import LatencyInfo

ROUNDS = 60
WARM_UP = 5

_Name = TypeVar("_Name", bound=Hashable)


def race(
    models: Mapping[str, Path], inputs: Mapping[str, NDArray[Any]], rounds: int = ROUNDS
) -> dict[str, LatencyInfo]:
    """Time one inference of each model, in turns.

    Args:
        models: ONNX or ORT files by a name of theirs; all take the same inputs.
        inputs: one array an input.
        rounds: timed runs of each, after five untimed ones.

    Returns:
        The latencies by name.
    """
    engines = {name: open_model(path, threads=1) for name, path in models.items()}
    times_ms = take_turns({name: partial(e.infer, inputs) for name, e in engines.items()}, rounds)
    for engine in engines.values():
        engine.close()
    return {name: _summary(values) for name, values in times_ms.items()}


def take_turns(
    calls: Mapping[_Name, Callable[[], object]], rounds: int
) -> dict[_Name, list[float]]:
    """Time each call once a round, every round in another order.

    What slows the machine down for a while slows all of them; and none always comes after the same
    one, whose weights and data it finds in the caches.

    Args:
        calls: by a name of theirs.
        rounds: after a few untimed ones.

    Returns:
        Milliseconds by name, one a round, in the rounds' order.
    """
    chance = random.Random(0)
    order = list(calls)
    times_ms: dict[_Name, list[float]] = {name: [] for name in order}
    for call in calls.values():
        for _ in range(WARM_UP):
            call()
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            start_ns = time.perf_counter_ns()
            calls[name]()
            times_ms[name].append((time.perf_counter_ns() - start_ns) / 1e6)
    return times_ms


def _summary(times_ms: list[float]) -> LatencyInfo:
    p50_ms, p95_ms = (float(v) for v in np.percentile(times_ms, [50, 95]))
    return LatencyInfo(p50_ms=p50_ms, p95_ms=p95_ms, n=len(times_ms))
