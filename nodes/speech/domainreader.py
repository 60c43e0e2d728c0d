"""Reads the templates of a domain file with their lists and rules, and has them checked.

    reader = Reader(source)
    reader.read(source.typed(source.data, DomainFile, ()))
    print(reader.sentences, reader.warnings)

A block of Home Assistant's ``data`` may have lists and rules of its own: here they get a longer
name (``TurnOn.0/name``), and the references of the block are turned to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hassil.expression import ListReference, RuleReference, TextChunk
from hassil.parse_expression import parse_sentence
from hassil.parser import ParseError

from deixis.nodes.speech.domainfile import (
    At,
    BlockFile,
    DomainFile,
    IntentFile,
    ListFile,
    RangeFile,
    Source,
    ValueFile,
)
from deixis.nodes.speech.numbers import MAX_NUMBERS, count, range_values
from deixis.nodes.speech.templates import (
    Checks,
    Template,
    Value,
    ValueList,
    list_label,
    rule_label,
    walk,
)
from deixis.runtime.errors import DomainError


@dataclass(frozen=True)
class Scope:
    """Which of the names in a block are its own, and what stands before them."""

    prefix: str = ""
    rules: frozenset[str] = frozenset()
    lists: frozenset[str] = frozenset()


GLOBAL: Final = Scope()


@dataclass
class Reader:
    """Reads templates; collects what is wrong with them, so that all of it can be reported.

    Attributes:
        source: The file.
        rules: Expansion rules by name.
        lists: Lists by name.
        sentences: Templates per intent.
        problems: What is wrong, with lines.
        warnings: What is odd, with lines.
    """

    source: Source
    rules: dict[str, Template] = field(default_factory=dict)
    lists: dict[str, ValueList] = field(default_factory=dict)
    sentences: dict[str, list[Template]] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    warnings: list[tuple[int, str]] = field(default_factory=list)

    def read(self, file: DomainFile) -> None:
        """Read everything.

        Raises:
            DomainError: With all mistakes, each with file, line, place and template.
        """
        self._block(file.expansion_rules, file.lists, (), GLOBAL)
        for intent, data in file.intents.items():
            self._intent(intent, data)
        checks = Checks(self.rules, self.lists, self.sentences)
        # What the later checks take for granted, the earlier ones have made sure of.
        for check in (checks.references, checks.recursion, checks.empty):
            self.problems.extend(check())
            self._refuse()
        self.warnings.extend(checks.unused())
        for at in self.source.unused:
            self.warnings.append((self.source.line(at), f"{at[-1]!r} has no effect"))

    def problem(self, line: int, text: str) -> None:
        """Note a mistake."""
        self.problems.append((line, text))

    def _refuse(self) -> None:
        if self.problems:
            lines = [f"{self.source.path}:{line}: {text}" for line, text in sorted(self.problems)]
            more = [f"{len(lines)} mistakes:"] if len(lines) > 1 else []
            raise DomainError("\n".join([*more, *lines]))

    def _block(
        self, rules: Mapping[str, str], lists: Mapping[str, Any], at: At, scope: Scope
    ) -> None:
        for name, text in rules.items():
            where = rule_label(name)
            place = (*at, "expansion_rules", name)
            rule = self._template(text, place, where, scope)
            # One with a mistake is known nevertheless: one mistake, one message.
            nothing = Template(TextChunk(), text, self.source.line(place))
            self.rules[scope.prefix + name] = rule or nothing
        for name, data in lists.items():
            place = (*at, "lists", name)
            entry = self._list(name, data, place, scope)
            self.lists[scope.prefix + name] = entry or ValueList((), self.source.line(place))

    def _intent(self, intent: str, data: Any) -> None:
        at: At = ("intents", intent)
        where = f"intent {intent!r}"
        found = self.sentences[intent] = []
        file = self._typed(data, IntentFile, at, where)
        if file is None:
            return
        blocks: list[tuple[At, Scope, tuple[str, ...]]] = [(at, GLOBAL, file.sentences)]
        for index, item in enumerate(file.data):
            here: At = (*at, "data", index)
            block = self._typed(item, BlockFile, here, where)
            if block is not None:
                scope = Scope(
                    f"{intent}.{index}/",
                    frozenset(block.expansion_rules),
                    frozenset(block.lists),
                )
                self._block(block.expansion_rules, block.lists, here, scope)
                blocks.append((here, scope, block.sentences))
        for here, scope, sentences in blocks:
            for index, text in enumerate(sentences):
                template = self._template(text, (*here, "sentences", index), where, scope)
                if template is not None:
                    found.append(template)
        if not found and not self.problems:
            self.problem(self.source.line(at), f"{where}: has no sentences")
        lines: dict[tuple[str, str], int] = {}
        for here, scope, sentences in blocks:
            for index, text in enumerate(sentences):
                line = self.source.line((*here, "sentences", index))
                first = lines.setdefault((text, scope.prefix), line)
                if first != line:
                    again = f"{where}: {text!r}: the same as on line {first}"
                    self.warnings.append((line, again))

    def _typed(self, data: Any, kind: type[Any], at: At, where: str) -> Any:
        try:
            return self.source.typed(data, kind, at, where)
        except DomainError as error:
            prefix = f"{self.source.path}:"
            line, _, text = error.message.removeprefix(prefix).partition(": ")
            self.problem(int(line), f"{text} ({error.hint})" if error.hint else text)
            return None

    def _list(self, name: str, data: Any, at: At, scope: Scope) -> ValueList | None:
        where = list_label(name)
        file = self._typed(data, ListFile, at, where)
        if file is None:
            return None
        line = self.source.line(at)
        if (file.values is None) == (file.range is None) and not (file.live and not file.range):
            self.problem(line, f"{where}: give either 'values' or a 'range'")
            return None
        if file.range is not None:
            if file.live:
                self.problem(line, f"{where}: names of objects are no numbers")
            return self._range(file.range, self.source.line((*at, "range")), where)
        values = []
        for index, value in enumerate(file.values or ()):
            says, out = (value.says, value.out) if isinstance(value, ValueFile) else (value, None)
            place = (*at, "values", index)
            template = self._template(_text(says), place, where, scope)
            if template is not None:
                values.append(Value(template, None if out is None else _text(out)))
        if not values and not file.live and not self.problems:
            self.problem(line, f"{where}: has no values")
        return ValueList(tuple(values), line, live=file.live is not None)

    def _range(self, numbers: RangeFile, line: int, where: str) -> ValueList | None:
        if not 0 < count(numbers) <= MAX_NUMBERS:
            self.problem(
                line,
                f"{where}: a range of {count(numbers)} numbers; from 1 to {MAX_NUMBERS} will do",
            )
            return None
        values = tuple(
            Value(Template(TextChunk(text=says), says, line), out)
            for says, out in range_values(numbers)
        )
        return ValueList(values, line, numbers=True)

    def _template(self, text: str, at: At, where: str, scope: Scope) -> Template | None:
        line = self.source.line(at)
        if not text.strip():
            self.problem(line, f"{where}: {text!r}: the sentence is empty")
            return None
        try:
            expression = parse_sentence(" ".join(text.split())).expression
        # hassil asserts that a delimiter is closed.
        except (ParseError, AssertionError) as cause:
            self.problem(line, f"{where}: {text!r}: not a sentence template ({cause})")
            return None
        for part in walk(expression):
            if isinstance(part, RuleReference) and part.rule_name in scope.rules:
                part.rule_name = scope.prefix + part.rule_name
            elif isinstance(part, ListReference):
                if part.list_name in scope.lists:
                    part.list_name = scope.prefix + part.list_name
                self._inline_range(part, line, f"{where}: {text!r}")
        return Template(expression, text, line)

    def _inline_range(self, part: ListReference, line: int, where: str) -> None:
        """``{0..100,5:brightness}`` is a list of its own."""
        numbers = part.get_inline_range()
        if numbers is not None and part.list_name not in self.lists:
            start, stop, step = numbers
            entry = self._range(RangeFile(start=start, stop=stop, step=max(1, step)), line, where)
            if entry is not None:
                self.lists[part.list_name] = entry


def _text(value: object) -> str:
    """A scalar as it was written, nearly."""
    return str(value).lower() if isinstance(value, bool) else str(value)
