"""The latencies of one model's engines in turn, and what loading each of them takes.

contenders = [Contender("hand_landmarks", "bundles/cpu", "int8", "onnxruntime-cpu", path)]
timed, refused = time_in_turn(contenders, inputs, runs=100, threads=1, note=print)
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from deixis.export.bench.engines_inputs import Inputs
from deixis.export.bench.engines_torch import COMPILED, EAGER, open_network
from deixis.export.timing import take_turns
from deixis.runtime.engines import BACKENDS, Array, open_model
from deixis.runtime.errors import EngineError
from deixis.runtime.metrics import Summary, summarise

RESAMPLES: Final = 400
_WARM_UP: Final = 3


@dataclass(frozen=True)
class Contender:
    """A model's file, and what is to run it.

    Attributes:
        role: the model's.
        bundle: the bundle's folder as the user named it; empty for PyTorch.
        precision: as the bundle says.
        backend: of :data:`deixis.runtime.engines.BACKENDS`, or ``torch``, ``torch.compile``.
        source: its file; for PyTorch the folder of the wheels.
        reference: whether it is of the bundle that the others are compared with.
    """

    role: str
    bundle: str
    precision: str
    backend: str
    source: Path
    reference: bool = False


@dataclass(frozen=True)
class Loading:
    """What it takes to have an engine ready.

    Attributes:
        load_ms: to open it in a fresh process that has loaded the backend's library.
        memory_mb: by how much that process grew, opening it and running it a few times, MiB of
            its own (host memory: what lies on a GPU is not counted).
    """

    load_ms: float
    memory_mb: float


@dataclass(frozen=True)
class Timed:
    """What was measured of one contender.

    Attributes:
        contender: which.
        times_ms: one a round.
        summary: of them.
        loading: None for PyTorch.
    """

    contender: Contender
    times_ms: tuple[float, ...]
    summary: Summary
    loading: Loading | None


class Runner(Protocol):
    """What can be timed: an engine."""

    def infer(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run once."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


def time_in_turn(
    contenders: Sequence[Contender],
    inputs: Inputs,
    runs: int,
    threads: int,
    note: Callable[[str], None],
) -> tuple[list[Timed], dict[Contender, str]]:
    """Measure all contenders for one role.

    Args:
        contenders: of the same role.
        inputs: one array an input.
        runs: timed inferences of each.
        threads: within one operator, on a CPU.
        note: hears what an engine has to say about itself.

    Returns:
        What was measured, and why the others could not be.
    """
    refused: dict[Contender, str] = {}
    with _opened(contenders, inputs, threads, note, refused) as runners:
        calls = {c: partial(runner.infer, inputs) for c, runner in runners.items()}
        times_ms = take_turns(calls, runs)
    # Only now: whatever a backend builds at the first load and keeps, it has built.
    timed = []
    for contender, own_ms in times_ms.items():
        loading = None
        if contender.backend in BACKENDS:
            loading = load_afresh(contender.source, contender.backend, threads, inputs)
        timed.append(Timed(contender, tuple(own_ms), summarise(own_ms), loading))
    return timed, refused


def load_afresh(path: Path, backend: str, threads: int, inputs: Inputs) -> Loading:
    """Open a model in a process of its own.

    Raises:
        EngineError: it cannot be opened or run there.
    """
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            # Ctrl-C is for this process, which ends the other one: that one is born deaf to it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                loading = pool.submit(_load, path, backend, threads, inputs)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            return loading.result()
    except BrokenProcessPool as cause:
        raise EngineError(f"the process that loads {path} with {backend} has died") from cause


def ratio(
    reference_ms: Sequence[float], own_ms: Sequence[float]
) -> tuple[float, tuple[float, float]]:
    """How many times faster than the reference: medians, with a 95 % interval.

    The interval is a bootstrap over rounds: both were measured in each of them, so what slowed the
    machine down for a while counts for both.

    Args:
        reference_ms: milliseconds, one a round.
        own_ms: the same rounds.

    Returns:
        The ratio of the medians, and the least and greatest that are likely.
    """
    reference, own = np.asarray(reference_ms), np.asarray(own_ms)
    picks = np.random.default_rng(0).integers(0, len(own), (RESAMPLES, len(own)))
    drawn = np.median(reference[picks], axis=1) / np.median(own[picks], axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(np.median(reference) / np.median(own)), (float(low), float(high))


@contextmanager
def _opened(
    contenders: Sequence[Contender],
    inputs: Inputs,
    threads: int,
    note: Callable[[str], None],
    refused: dict[Contender, str],
) -> Iterator[dict[Contender, Runner]]:
    """Those that can be opened and take the inputs; the reasons of the others go to ``refused``."""
    runners: dict[Contender, Runner] = {}
    try:
        for contender in contenders:
            try:
                runner = _open(contender, threads, note)
                runners[contender] = runner
                runner.infer(inputs)
            except EngineError as cause:
                refused[contender] = cause.message
                if contender in runners:
                    runners.pop(contender).close()
        yield runners
    finally:
        for runner in runners.values():
            runner.close()


def _open(contender: Contender, threads: int, note: Callable[[str], None]) -> Runner:
    if contender.backend in (EAGER, COMPILED):
        return open_network(contender.role, contender.source, contender.backend)
    return open_model(contender.source, contender.backend, threads, note)


def _load(path: Path, backend: str, threads: int, inputs: Inputs) -> Loading:
    """Runs in the fresh process."""
    import psutil

    import_module(f"deixis.runtime.engines.{BACKENDS[backend]}")
    process = psutil.Process()
    before = process.memory_full_info().uss
    start_ns = time.perf_counter_ns()
    engine = open_model(path, backend, threads)
    load_ms = (time.perf_counter_ns() - start_ns) / 1e6
    for _ in range(_WARM_UP):
        engine.infer(inputs)
    memory_mb = (process.memory_full_info().uss - before) / 2**20
    engine.close()
    return Loading(load_ms, memory_mb)
