"""The corpora of single sentences: ``dev`` and ``held``.

``python -m bench.corpora.speech --out /tmp/corpora/dev --set dev``
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .corpus import Corpus
from .sentences import Line, commands, others
from .voices import Group, open_voices

SEEDS: dict[Group, int] = {"dev": 1, "held": 2}
COMMANDS = 60
VOICES_A_SENTENCE: dict[Group, int] = {"dev": 5, "held": 4}


def command_lines(group: Group) -> list[Line]:
    """The commands of a group; the held-out ones leave out those of development."""
    if group == "dev":
        return commands(SEEDS["dev"], COMMANDS)
    return commands(SEEDS["held"], COMMANDS, {line.text for line in command_lines("dev")})


def make(folder: Path, group: Group) -> dict[str, Any]:
    """Write ``dev`` or ``held``: commands and what is none, by the voices of the group.

    Every sentence is spoken by some of the voices, in turn, so that each speaks all kinds.

    Args:
        folder: Where to.
        group: Whose sentences and voices.

    Returns:
        The report.
    """
    voices, missing = open_voices(group)
    corpus = Corpus(folder, missing)
    rng = np.random.default_rng(SEEDS[group])
    names = list(voices)
    for index, line in enumerate([*command_lines(group), *others(group == "held")]):
        for name in turn(names, index, VOICES_A_SENTENCE[group]):
            corpus.say(line, voices[name].say(line.text), name, rng)
    return corpus.close()


def turn(names: Sequence[str], index: int, count: int) -> list[str]:
    """A share of the voices, so that all come up equally often."""
    count = min(count, len(names))
    return [names[(index * count + k) % len(names)] for k in range(count)]
