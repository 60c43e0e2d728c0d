"""Plays many recordings in worker processes, in a fixed order, and stops when asked to.

    for job, done in play_all(jobs, Setup(bundle=Path("bundles/cpu")), workers=2):
        print(job.recording.name, done.played.heard)

Every worker has its own models and one thread.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from deixis.export.bench.labels import Recording
from deixis.export.bench.mixing import RATE_HZ, Floats, estimated_end_s, surrounded
from deixis.export.bench.playing import Played, Player
from deixis.nodes.microphone import read_audio
from deixis.runtime.bundle import Bundle
from deixis.runtime.errors import EngineError


@dataclass(frozen=True)
class Setup:
    """What a worker needs to know once.

    Attributes:
        bundle: Folder of the bundle.
        real_time: Whether the audio comes in real time.
        noise: Audio file with the noise, if there is to be any.
    """

    bundle: Path
    real_time: bool = False
    noise: Path | None = None


@dataclass(frozen=True)
class Job:
    """One recording to be played.

    Attributes:
        recording: It.
        condition: Name of the condition it is played in.
        snr_db: Level of the noise; None for none.
        params: Parameters of the speech node.
    """

    recording: Recording
    condition: str
    snr_db: float | None
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        played: What the node made of it.
        end_s: End of the speech: as labelled, or estimated.
        estimated: It is estimated.
        file_s: Length of the file.
    """

    played: Played
    end_s: float
    estimated: bool
    file_s: float


def play_all(jobs: Sequence[Job], setup: Setup, workers: int) -> Generator[tuple[Job, Done]]:
    """Play recordings; gives results in the order of the jobs, as soon as they are there.

    On leaving early (an interrupt) the workers stop within a chunk.

    Raises:
        MediaError: A file cannot be read.
        EngineError: A worker died.
    """
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        # Read when a worker imports numpy.
        os.environ.setdefault(name, "1")
    context = multiprocessing.get_context("spawn")
    stop = context.Event()
    executor = ProcessPoolExecutor(min(workers, max(1, len(jobs))), context, _begin, (setup, stop))
    # Ctrl-C reaches the whole process group; only the parent acts on it. Workers inherit this.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        results = executor.map(_play, jobs)
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        for job, done in zip(jobs, results, strict=True):
            if done is not None:
                yield job, done
    except BrokenProcessPool as cause:
        raise EngineError(
            "a worker process died", hint="is there memory enough? try --workers 1"
        ) from cause
    finally:
        stop.set()
        executor.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class _Worker:
    player: Player
    noise: Floats | None


_worker: _Worker | None = None


def _begin(setup: Setup, stop: Event) -> None:
    """Make this process a worker."""
    global _worker
    noise = None if setup.noise is None else read_audio(setup.noise)[0]
    player = Player(Bundle.open(setup.bundle), real_time=setup.real_time, stopped=stop.is_set)
    _worker = _Worker(player, noise)


@lru_cache(maxsize=8)
def _read(path: Path) -> Floats:
    return read_audio(path)[0]


def _play(job: Job) -> Done | None:
    if _worker is None:
        raise RuntimeError("not a worker process")
    name, label = job.recording.name, job.recording.label
    speech = _read(job.recording.path)
    samples = surrounded(name, speech, _worker.noise, job.snr_db)
    played = _worker.player.play(name, samples, job.params)
    if played is None:
        return None
    estimated = label.speech_end_s is None
    end_s = estimated_end_s(speech) if label.speech_end_s is None else label.speech_end_s
    return Done(played, end_s, estimated, len(speech) / RATE_HZ)
