"""Sentence templates, their rules and lists, and what can be wrong with them.

for line, problem in Checks(domain.rules, domain.lists, domain.sentences).references():
    print(line, problem)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

from hassil.expression import (
    Alternative,
    Expression,
    Group,
    ListReference,
    Permutation,
    RuleReference,
    TextChunk,
)

from deixis.nodes.speech.text import tokens
from deixis.runtime.config import nearest

PARTS: Final = ("value", "deictic", "anaphor", "noun", "pronoun", "colour", "relation")
RELATIONS: Final = ("in", "on", "next_to")
MAX_PERMUTED: Final = 8
REGISTRY: Final = ("name", "area", "floor")
"""Lists that no file of Home Assistant contains."""

Finding = tuple[int, str]
"""Line and text of a mistake or a warning."""


@dataclass(frozen=True)
class Template:
    """A sentence template.

    Attributes:
        expression: What it says.
        text: As it is written.
        line: Where.
    """

    expression: Expression
    text: str
    line: int


@dataclass(frozen=True)
class Value:
    """A value of a list: what is said, and what it means (None: the words themselves)."""

    says: Template
    out: str | None


@dataclass(frozen=True)
class ValueList:
    """A list.

    Attributes:
        values: What can be said.
        line: Where it is written.
        live: Whether the names of the objects in the scene belong to it.
        numbers: Whether it is a range: the words of one number begin another.
    """

    values: tuple[Value, ...]
    line: int
    live: bool = False
    numbers: bool = False


def slot_and_part(reference: ListReference) -> tuple[str, str]:
    """Slot and part that a list reference fills: ``{noun:object.noun}`` → object, noun."""
    slot, _, part = reference.slot_name.partition(".")
    return slot, part or "value"


def walk(expression: Expression) -> Iterator[Expression]:
    """An expression and everything in it; rules and lists are not followed."""
    yield expression
    if isinstance(expression, Group):
        for item in expression.items:
            yield from walk(item)


def own_name(name: str) -> str:
    """A name as its author wrote it, without the block that it belongs to."""
    return name.rpartition("/")[2]


def rule_label(name: str) -> str:
    """How a message calls a rule."""
    return f"expansion rule <{own_name(name)}>"


def list_label(name: str) -> str:
    """How a message calls a list."""
    return f"list {{{own_name(name)}}}"


@dataclass(frozen=True)
class Checks:
    """What can be checked without compiling.

    Attributes:
        rules: Expansion rules by name.
        lists: Lists by name.
        sentences: Templates per intent.
    """

    rules: Mapping[str, Template]
    lists: Mapping[str, ValueList]
    sentences: Mapping[str, list[Template]]

    def references(self) -> Iterator[Finding]:
        """Unknown rules, lists and parts of slots; lists within lists; long permutations."""
        for name, rule in self.rules.items():
            yield from self._template(rule, rule_label(name))
        for name, entry in self.lists.items():
            if not entry.numbers:
                for value in entry.values:
                    yield from self._value(value.says, list_label(name))
        for intent, templates in self.sentences.items():
            for template in templates:
                yield from self._template(template, f"intent {intent!r}")

    def recursion(self) -> Iterator[Finding]:
        """Rules that contain each other."""
        uses = {
            name: {p.rule_name for p in walk(rule.expression) if isinstance(p, RuleReference)}
            for name, rule in self.rules.items()
        }
        try:
            TopologicalSorter(uses).prepare()
        except CycleError as error:
            # graphlib lists a cycle from what is used to what uses it.
            cycle = [str(name) for name in reversed(error.args[1])]
            chain = " → ".join(f"<{own_name(name)}>" for name in cycle)
            yield self.rules[cycle[0]].line, f"expansion rules contain each other: {chain}"

    def empty(self) -> Iterator[Finding]:
        """Sentences and values that can be said with no words."""
        places = [(f"intent {i!r}", t) for i, found in self.sentences.items() for t in found]
        places += [(list_label(n), v.says) for n, e in self.lists.items() for v in e.values]
        for where, template in places:
            if self._can_be_empty(template.expression):
                problem = "can be said with no words at all"
                yield template.line, f"{where}: {template.text!r}: {problem}"

    def unused(self) -> Iterator[Finding]:
        """Rules and lists that no sentence reaches."""
        used: set[tuple[str, str]] = set()
        stack = [t.expression for templates in self.sentences.values() for t in templates]
        while stack:
            for part in self._reach(stack.pop()):
                if isinstance(part, RuleReference):
                    used.add(("rule", part.rule_name))
                elif isinstance(part, ListReference) and ("list", part.list_name) not in used:
                    used.add(("list", part.list_name))
                    entry = self.lists[part.list_name]
                    if not entry.numbers:
                        stack.extend(value.says.expression for value in entry.values)
        for name, rule in self.rules.items():
            if ("rule", name) not in used:
                yield rule.line, f"{rule_label(name)} is in no sentence"
        for name, entry in self.lists.items():
            if ("list", name) not in used:
                yield entry.line, f"{list_label(name)} is in no sentence"

    def _template(self, template: Template, where: str) -> Iterator[Finding]:
        for part in walk(template.expression):
            for problem in self._part(part):
                yield template.line, f"{where}: {template.text!r}: {problem}"

    def _value(self, says: Template, where: str) -> Iterator[Finding]:
        yield from self._template(says, where)
        if any(isinstance(part, ListReference) for part in self._reach(says.expression)):
            yield says.line, f"{where}: {says.text!r}: a value of a list contains a list"

    def _part(self, part: Expression) -> Iterator[str]:
        if isinstance(part, RuleReference) and part.rule_name not in self.rules:
            known = nearest(part.rule_name, list(self.rules))
            yield f"unknown rule <{own_name(part.rule_name)}>{known}"
        elif isinstance(part, Permutation) and len(part.items) > MAX_PERMUTED:
            yield f"{len(part.items)} parts in any order; up to {MAX_PERMUTED} will do"
        elif isinstance(part, ListReference):
            yield from self._list_reference(part)

    def _list_reference(self, part: ListReference) -> Iterator[str]:
        if part.is_capture:
            yield f"{{…:@{part.slot_name}}} is not supported: give the list's values an 'out'"
            return
        if part.list_name not in self.lists:
            name = own_name(part.list_name)
            known = nearest(part.list_name, list(self.lists))
            if name in REGISTRY and not known:
                known = ", which Home Assistant fills itself; write it out"
            yield f"unknown list {{{name}}}{known}"
            return
        slot, kind = slot_and_part(part)
        if kind not in PARTS:
            yield f"slot {slot!r} has no part {kind!r}{nearest(kind, list(PARTS))}"
        if kind == "relation":
            outs = [value.out for value in self.lists[part.list_name].values]
            wrong = [out for out in outs if out not in RELATIONS]
            if wrong:
                yield f"{wrong[0]!r} in list {{{part.list_name}}} is none of {RELATIONS}"

    def _reach(self, expression: Expression) -> Iterator[Expression]:
        """Everything in an expression and in the rules it uses; each rule once."""
        seen: set[str] = set()
        stack = [expression]
        while stack:
            for part in walk(stack.pop()):
                yield part
                if isinstance(part, RuleReference) and part.rule_name not in seen:
                    seen.add(part.rule_name)
                    if part.rule_name in self.rules:
                        stack.append(self.rules[part.rule_name].expression)

    def _can_be_empty(self, expression: Expression) -> bool:
        if isinstance(expression, TextChunk):
            return not tokens(expression.original_text)
        if isinstance(expression, RuleReference):
            return self._can_be_empty(self.rules[expression.rule_name].expression)
        if isinstance(expression, Alternative):
            return any(self._can_be_empty(item) for item in expression.items)
        if isinstance(expression, Group):
            return all(self._can_be_empty(item) for item in expression.items)
        return False  # Values of lists are checked by themselves.
