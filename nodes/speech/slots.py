"""Puts the tagged words of an alignment together to slots: *the red cup*, *that one*, *in it*.

python -c "from deixis.nodes.speech.slots import build_slots; print(build_slots.__doc__)"
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

from deixis.nodes.speech.wordgraph import Tag
from deixis.runtime.messages import Slot, SlotKind, Word

Tagged = tuple[Tag, str, list[int]]
"""A tag, the grammar's word, and the indices of the heard words it was taken for."""


def build_slots(tagged: Sequence[Tagged], words: Sequence[Word]) -> tuple[Slot, ...]:
    """Put tagged words together.

    Args:
        tagged: The tagged words of one alignment, in order.
        words: The heard words with their times; may be empty.

    Returns:
        One slot per slot name, in the order they were said. Text, indices and times leave the
        words of a relation out: *in the box* is the slot ``box`` with the relation ``in``. A
        relation whose object has not been said yet is no slot.
    """
    by_slot: dict[str, list[Tagged]] = {}
    for item in tagged:
        by_slot.setdefault(item[0].slot, []).append(item)
    return tuple(
        _slot(name, items, words)
        for name, items in by_slot.items()
        if any(tag.part != "relation" for tag, _, _ in items)
    )


def _slot(name: str, items: list[Tagged], words: Sequence[Word]) -> Slot:
    own = [item for item in items if item[0].part != "relation"]
    parts = {tag.part for tag, _, _ in own}
    kind: SlotKind = "value"
    if "deictic" in parts:
        kind = "deictic"
    elif "anaphor" in parts:
        kind = "anaphor"
    elif parts & {"noun", "colour"}:
        kind = "named"
    indices = sorted({i for _, _, heard in own for i in heard})
    timed = [words[i] for i in indices if i < len(words)]
    relation = _value(items, "relation")
    return Slot(
        name=name,
        text=" ".join(word for _, word, _ in own),
        kind=kind,
        noun=_value(items, "noun"),
        colour=_value(items, "colour"),
        relation=cast("Literal['in', 'on', 'next_to'] | None", relation),
        word_indices=tuple(indices),
        start_ns=timed[0].start_ns if timed else 0,
        end_ns=timed[-1].end_ns if timed else 0,
        value=_meant(own, "value"),
    )


def _value(items: list[Tagged], part: str) -> str | None:
    """What a part stands for: as the domain says, else its words."""
    said = [word for tag, word, _ in items if tag.part == part]
    return _meant(items, part) or " ".join(said) or None


def _meant(items: list[Tagged], part: str) -> str | None:
    """What the domain says that a part stands for; only the last word of a number says it."""
    return next((tag.value for tag, _, _ in items if tag.part == part and tag.value), None)
