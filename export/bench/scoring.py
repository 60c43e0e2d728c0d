"""Right or wrong: compares what the node committed with what the label says.

    judged = judge(recording, played, end_s=1.2, estimated=False, slot_names=frozenset({"object"}))

A file is right if exactly one command was acted on (a stop may come twice), with the intent, every
labelled slot, and no slot too many of those that the labels use. Slots are compared as words, in
lower case, without articles; ``in box`` is the slot *box* with the relation *in*.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final

import jellyfish
import msgspec
import numpy as np

from deixis.export.bench.labels import Label, Recording
from deixis.export.bench.playing import Heard, HeardSlot, Played
from deixis.nodes.speech.text import tokens

STOP: Final = "stop"
PREMATURE_S: Final = 0.05
"""A commit counts as premature if it comes earlier than this before the end of the speech."""
ECE_BINS: Final = 10
DEICTIC: Final = frozenset({"this", "that", "these", "those", "here", "there"})
NOTHING: Final = "–"
_ARTICLE: Final = re.compile(r"\b(the|a|an)\b")


class Confusion(msgspec.Struct, frozen=True, order=True):
    """A slot (or the intent) that was taken for something else."""

    slot: str
    said: str
    understood: str


class Judged(msgspec.Struct, frozen=True):
    """One file, judged.

    Attributes:
        intent: The labelled one.
        kind: The label's kind of sound.
        right: It was understood (in-domain files only).
        acts: What was acted on.
        premature: It was committed while the sentence went on.
        latency_ms: End of the speech to the commit, where there is one that is not premature.
        estimated: The end of the speech is not labelled but estimated.
        stop_ms: For files with the intent *stop*: end of the word to the stop.
        beliefs: Confidence of what was understood, and whether it was right.
        errors: Word errors.
        n_words: Words in the label's text.
        confusions: Why it is wrong.
        times_ms: Per deictic word, how far off its start and its end were.
    """

    intent: str | None
    kind: str | None
    right: bool
    acts: tuple[Heard, ...]
    premature: bool
    latency_ms: float | None
    estimated: bool
    stop_ms: float | None
    beliefs: tuple[tuple[float, bool], ...]
    errors: int
    n_words: int
    confusions: tuple[Confusion, ...]
    times_ms: tuple[tuple[float, float], ...]


def judge(
    recording: Recording, played: Played, end_s: float, estimated: bool, slot_names: frozenset[str]
) -> Judged:
    """Judge a file.

    Args:
        recording: The file with its label.
        played: What the node made of it.
        end_s: Where the speech ends.
        estimated: That is an estimate.
        slot_names: All slots that the labels use.
    """
    label = recording.label
    acts = acted_on(played.heard)
    stops = label.intent == STOP
    # A robot that stands still may be stopped again.
    n_acts = 1 if stops and all(h.intent == STOP for h in acts[1:]) else len(acts)
    right = bool(acts) and n_acts == 1 and label.in_domain and agrees(label, acts[0], slot_names)
    premature, latency_ms, stop_ms = False, None, None
    if stops:
        first = next((h for h in acts if h.intent == STOP), None)
        word_end_s = end_s if label.stop_end_s is None else label.stop_end_s
        stop_ms = None if first is None else 1000.0 * (first.at_s - word_end_s)
    elif label.in_domain and acts:
        early = acts[0].at_s < end_s - PREMATURE_S
        # Where all was understood and the end is but an estimate, the estimate is what is wrong.
        premature = early and not (right and estimated)
        latency_ms = None if early else 1000.0 * (acts[0].at_s - end_s)
    errors, n_words = (0, 0) if label.text is None else word_errors(label.text, played.heard)
    return Judged(
        intent=label.intent,
        kind=label.kind,
        right=right,
        acts=acts,
        premature=premature,
        latency_ms=latency_ms,
        estimated=estimated and label.in_domain,
        stop_ms=stop_ms,
        beliefs=_beliefs(label, played.heard, acts, slot_names),
        errors=errors,
        n_words=n_words,
        confusions=() if right or not label.in_domain else _confusions(label, acts, slot_names),
        times_ms=_time_errors(label, acts[0]) if right else (),
    )


def acted_on(heard: Sequence[Heard]) -> tuple[Heard, ...]:
    """What a robot does: every final, and every *stop* once, as early as it comes."""
    acts: list[Heard] = []
    stopped: set[str] = set()
    for event in heard:
        if event.kind == "rejected" or (event.intent == STOP and event.utterance in stopped):
            continue
        if event.intent == STOP:
            stopped.add(event.utterance)
        acts.append(event)
    return tuple(acts)


def normal(words: str) -> str:
    """Words to be compared: lower case, no articles, single blanks, one spelling of grey."""
    return " ".join(_ARTICLE.sub(" ", words.lower().replace("gray", "grey")).split())


def slot_agrees(said: str, slot: HeardSlot | None) -> bool:
    """Whether a slot (its text, with or without relation, or its value) is what was said."""
    if slot is None:
        return False
    relation = (slot.relation or "").replace("_", " ")
    understood = (slot.text, f"{relation} {slot.text}", slot.value or slot.text)
    return normal(said) in [normal(words) for words in understood]


def agrees(label: Label, heard: Heard, slot_names: frozenset[str]) -> bool:
    """Whether intent and slots are as labelled."""
    extra = (set(heard.slots) & slot_names) - set(label.slots)
    return (
        heard.intent == label.intent
        and not extra
        and all(slot_agrees(said, heard.slots.get(name)) for name, said in label.slots.items())
    )


def word_errors(text: str, heard: Sequence[Heard]) -> tuple[int, int]:
    """Word edits between a text and the transcripts, and the number of words of the text."""
    said = [word for word, _ in tokens(text)]
    got = [word for h in heard if h.kind != "stop" for word, _ in tokens(h.text)]
    # One character a word; ideographs, since no two of them combine to one.
    ids = {word: chr(0x4E00 + i) for i, word in enumerate(dict.fromkeys((*said, *got)))}
    distance = jellyfish.levenshtein_distance(
        "".join(ids[w] for w in said), "".join(ids[w] for w in got)
    )
    return int(distance), len(said)


def calibration_error(beliefs: Sequence[tuple[float, bool]]) -> float | None:
    """Expected calibration error (Guo et al. 2017, section 2) in ``ECE_BINS`` equal bins."""
    if not beliefs:
        return None
    confidence = np.array([b[0] for b in beliefs])
    right = np.array([b[1] for b in beliefs], np.float64)
    bins = np.minimum((confidence * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    gaps = [abs((confidence - right)[bins == b].sum()) for b in np.unique(bins)]
    return float(sum(gaps)) / len(beliefs)


def _beliefs(
    label: Label, heard: Sequence[Heard], acts: Sequence[Heard], slot_names: frozenset[str]
) -> tuple[tuple[float, bool], ...]:
    """Of a command: what was acted on, or else the best of the rejected. Of others: everything."""
    rejected = [h for h in heard if h.kind == "rejected" and h.confidence is not None]
    rejected.sort(key=lambda h: -(h.confidence or 0.0))
    shown = [*acts, *rejected]
    if label.in_domain:
        shown = shown[:1]
    return tuple(
        (h.confidence, label.in_domain and agrees(label, h, slot_names))
        for h in shown
        if h.confidence is not None
    )


def _confusions(
    label: Label, acts: Sequence[Heard], slot_names: frozenset[str]
) -> tuple[Confusion, ...]:
    intent = label.intent or ""
    if not acts:
        return (Confusion("intent", intent, "rejected"),)
    first = acts[0]
    found = []
    if first.intent != intent:
        found.append(Confusion("intent", intent, first.intent or NOTHING))
    else:
        for name in sorted(set(label.slots) | (set(first.slots) & slot_names)):
            slot, said = first.slots.get(name), label.slots.get(name)
            if said is None or not slot_agrees(said, slot):
                understood = _slot_text(slot)
                found.append(Confusion(name, NOTHING if said is None else normal(said), understood))
    if len(acts) > 1:
        found.append(Confusion("intent", intent, f"{len(acts)} commands"))
    return tuple(found)


def _slot_text(slot: HeardSlot | None) -> str:
    if slot is None:
        return NOTHING
    return f"{(slot.relation or '').replace('_', ' ')} {slot.text}".strip()


def _time_errors(label: Label, heard: Heard) -> tuple[tuple[float, float], ...]:
    said = [word for text, _, _ in label.words for word, _ in tokens(text)[:1]]
    got = [word for text, *_ in heard.words for word, _ in tokens(text)[:1]]
    if len(said) != len(label.words) or len(got) != len(heard.words):
        return ()
    blocks = difflib.SequenceMatcher(None, said, got, autojunk=False).get_matching_blocks()
    return tuple(
        (
            1000.0 * (heard.words[block.b + k][1] - label.words[block.a + k][1]),
            1000.0 * (heard.words[block.b + k][2] - label.words[block.a + k][2]),
        )
        for block in blocks
        for k in range(block.size)
        if said[block.a + k] in DEICTIC
    )
