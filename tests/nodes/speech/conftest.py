"""Episodes as audio, and the models of the bundle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from deixis.nodes.speech.grammar import open_grammar
from deixis.nodes.speech.moonshine import Moonshine
from deixis.runtime.bundle import Bundle
from deixis.runtime.episodes import Episode


@dataclass(frozen=True)
class Recording:
    """The audio of an episode and its truth."""

    episode: Episode
    samples: NDArray[np.float32]


@pytest.fixture(scope="session")
def recordings(episodes: Path) -> dict[str, Recording]:
    """Every rendered episode by name."""
    folders = sorted(p.parent for p in episodes.glob("*/truth.json"))
    if not folders:
        pytest.skip("no rendered episodes in tests/scenes/episodes")
    found = {}
    for folder in folders:
        samples, rate_hz = soundfile.read(folder / "audio.wav", dtype="float32")
        assert rate_hz == 16_000
        found[folder.name] = Recording(Episode.load(folder), samples)
    return found


@pytest.fixture(scope="session")
def moonshine(bundle: Bundle) -> Iterator[Moonshine]:
    """The recogniser with the words of the tabletop domain."""
    model = Moonshine.from_bundle(bundle)
    model.watch(open_grammar("tabletop").graph.words)
    yield model
    model.close()
