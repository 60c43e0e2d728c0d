"""Reads a domain: what can be said, as a YAML of sentence templates in hassil's syntax.

    python -c "from deixis.nodes.speech.domain import load_domain; \
print(load_domain('tabletop').intents)"
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from hassil.expression import Alternative, Expression, Group, ListReference, RuleReference, Sentence
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from deixis.runtime.config import convert, load_yaml, nearest
from deixis.runtime.errors import DomainError

FOLDER: Final = Path(__file__).resolve().parents[1] / "domains"
PARTS: Final = ("value", "deictic", "anaphor", "noun", "colour", "relation")
RELATIONS: Final = ("in", "on", "next_to")


class IntentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``intents: {pick: {sentences: […]}}``."""

    sentences: tuple[str, ...]


class ValueFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list value: what is said (a template) and what it means."""

    says: str = msgspec.field(name="in")
    out: str


class ListFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``lists: {noun: {values: [ball, {in: "(cup|mug)", out: cup}]}}``."""

    values: tuple[str | ValueFile, ...]


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Least confidences in [0, 1].

    Attributes:
        accept_confidence: Of a reading that is committed.
        interrupt_confidence: Of an interrupting reading (stop) before the sentence is over.
    """

    accept_confidence: float = 0.5
    interrupt_confidence: float = 0.7


class Silences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long it must be quiet before an utterance is over, in milliseconds.

    Attributes:
        complete_ms: After a sentence that cannot go on.
        extendable_ms: After a complete sentence that could go on with another slot.
        incomplete_ms: After the beginning of a sentence.
    """

    complete_ms: float = 85.0
    extendable_ms: float = 120.0
    incomplete_ms: float = 600.0


class DomainFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A domain as it stands in the file."""

    language: str
    name: str
    intents: dict[str, IntentFile]
    expansion_rules: dict[str, str] = {}
    lists: dict[str, ListFile] = {}
    fillers: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()
    thresholds: Thresholds = Thresholds()
    silences: Silences = Silences()


@dataclass(frozen=True)
class Domain:
    """A domain, parsed and checked.

    Attributes:
        path: Where it was read.
        name: Its name.
        sentences: Templates per intent.
        rules: Expansion rules by name.
        lists: What can be said and what it means (None: the words themselves), by list.
        fillers: Words and phrases that may come anywhere and carry nothing.
        interrupts: Intents whose sentences break off another one.
        thresholds: Least confidences.
        silences: Endpoint silences.
    """

    path: Path
    name: str
    sentences: dict[str, list[Sentence]]
    rules: dict[str, Sentence]
    lists: dict[str, list[tuple[Sentence, str | None]]]
    fillers: tuple[str, ...]
    interrupts: tuple[str, ...]
    thresholds: Thresholds
    silences: Silences

    @property
    def intents(self) -> tuple[str, ...]:
        """Names of the intents."""
        return tuple(self.sentences)


def domain_path(name_or_path: str, base_dir: Path | None = None) -> Path:
    """Where a domain lies: a name is one that deixis ships, anything else a path.

    Raises:
        DomainError: There is no shipped domain of this name.
    """
    if name_or_path.endswith((".yaml", ".yml")):
        return ((base_dir or Path.cwd()) / Path(name_or_path).expanduser()).resolve()
    path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in FOLDER.glob("*.yaml"))
        raise DomainError(
            f"there is no domain {name_or_path!r}{nearest(name_or_path, known)}",
            hint=f"name one of {', '.join(known)}, or give the path of a .yaml file",
        )
    return path


def load_domain(name_or_path: str, base_dir: Path | None = None) -> Domain:
    """Read and check a domain.

    Args:
        name_or_path: ``tabletop``, or the path of a YAML file.
        base_dir: Where a relative path starts.

    Raises:
        DomainError: Naming file, intent, sentence and the unknown list or rule.
    """
    path = domain_path(name_or_path, base_dir)
    file = convert(load_yaml(path, DomainError), DomainFile, str(path), DomainError)
    if file.language != "en":
        raise DomainError(f"{path}: language {file.language!r}; only 'en' can be recognised")
    reader = _Reader(path, path.read_text(encoding="utf-8"))
    rules = {
        name: reader.template(text, f"expansion rule <{name}>")
        for name, text in file.expansion_rules.items()
    }
    lists = {
        name: [reader.value(value, name) for value in entry.values]
        for name, entry in file.lists.items()
    }
    sentences = {
        intent: [reader.template(text, f"intent {intent!r}") for text in entry.sentences]
        for intent, entry in file.intents.items()
    }
    for name, rule in rules.items():
        reader.check(rule, f"expansion rule <{name}>", rules, lists)
        _refuse_recursion(path, name, rules, ())
    for intent, templates in sentences.items():
        for template in templates:
            reader.check(template, f"intent {intent!r}", rules, lists)
    for intent in file.interrupts:
        if intent not in sentences:
            raise DomainError(
                f"{path}: interrupts: there is no intent {intent!r}"
                f"{nearest(intent, list(sentences))}"
            )
    return Domain(
        path=path,
        name=file.name,
        sentences=sentences,
        rules=rules,
        lists=lists,
        fillers=file.fillers,
        interrupts=file.interrupts,
        thresholds=file.thresholds,
        silences=file.silences,
    )


def slot_and_part(reference: ListReference) -> tuple[str, str]:
    """Slot and part that a list reference fills: ``{noun:object.noun}`` → object, noun."""
    slot, _, part = reference.slot_name.partition(".")
    return slot, part or "value"


class _Reader:
    """Parses templates and puts file, line, place and sentence into errors."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text

    def error(self, problem: str, where: str, sentence: str) -> DomainError:
        position = self._text.find(sentence)
        line = f":{self._text.count(chr(10), 0, position) + 1}" if position >= 0 else ""
        return DomainError(f"{self._path}{line}: {where}: {sentence!r}: {problem}")

    def template(self, text: str, where: str) -> Sentence:
        if not text.strip():
            raise self.error("the sentence is empty", where, text)
        try:
            return parse_sentence(text, keep_text=True)
        # hassil asserts that a delimiter is closed.
        except (ParseError, AssertionError) as cause:
            raise self.error(f"not a sentence template ({cause})", where, text) from cause

    def value(self, value: str | ValueFile, list_name: str) -> tuple[Sentence, str | None]:
        says, out = (value, None) if isinstance(value, str) else (value.says, value.out)
        return self.template(says, f"list {{{list_name}}}"), out

    def check(
        self, template: Sentence, where: str, rules: dict[str, Sentence], lists: dict[str, Any]
    ) -> None:
        text = template.text or ""
        for part in _walk(template.expression):
            if isinstance(part, RuleReference) and part.rule_name not in rules:
                raise self.error(
                    f"unknown rule <{part.rule_name}>{nearest(part.rule_name, list(rules))}",
                    where,
                    text,
                )
            if not isinstance(part, ListReference):
                continue
            if part.list_name not in lists:
                raise self.error(
                    f"unknown list {{{part.list_name}}}{nearest(part.list_name, list(lists))}",
                    where,
                    text,
                )
            slot, kind = slot_and_part(part)
            if kind not in PARTS:
                raise self.error(
                    f"slot {slot!r} has no part {kind!r}{nearest(kind, list(PARTS))}", where, text
                )
            if kind == "relation":
                for _, out in lists[part.list_name]:
                    if out not in RELATIONS:
                        raise self.error(
                            f"{out!r} in list {{{part.list_name}}} is none of {RELATIONS}",
                            where,
                            text,
                        )


def _walk(expression: Expression) -> Iterator[Expression]:
    yield expression
    if isinstance(expression, Group | Alternative):
        for item in expression.items:
            yield from _walk(item)


def _refuse_recursion(
    path: Path, name: str, rules: dict[str, Sentence], above: tuple[str, ...]
) -> None:
    if name in above:
        chain = " → ".join(f"<{n}>" for n in (*above, name))
        raise DomainError(f"{path}: expansion rules contain each other: {chain}")
    for part in _walk(rules[name].expression):
        if isinstance(part, RuleReference) and part.rule_name in rules:
            _refuse_recursion(path, part.rule_name, rules, (*above, name))
