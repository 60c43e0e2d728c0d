"""Reads the YAML of a domain: typed, and with the line of everything in it.

    from deixis.nodes.speech.domainfile import read_source
    print(read_source(Path("examples/domains/coffee.yaml")).line(("intents", "orderDrink")))

Besides deixis's own short form (``intents: {pick: {sentences: […]}}``) this is hassil's: blocks of
``data`` with their own lists and rules, ``skip_words``, ranges. What a robot's domain cannot give
the meaning of (wildcards, conditions on Home Assistant's entities) is refused with a word on why.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
import yaml

from deixis.runtime.config import convert, read_text
from deixis.runtime.errors import DomainError

T = TypeVar("T")

At = tuple[str | int, ...]
"""Where something is in a file: ``("intents", "pick", "sentences", 0)``."""

UNSUPPORTED: Final[Mapping[str, str]] = {
    "wildcard": "a list of any words at all cannot be recognised; list the values",
    "requires_context": "deixis has no entities with a context; make it an intent of its own",
    "excludes_context": "deixis has no entities with a context; make it an intent of its own",
    "slots": "a slot is filled by what is said; give a list whose value has this as its 'out'",
    "required_keywords": "write the words into the sentences",
    "inferred_domain": "deixis has no entities; make it an intent of its own",
    "name_domains": "deixis has no entities; make it an intent of its own",
    "context": "deixis has no entities with a context; make it a list of its own",
}
UNUSED: Final = ("response", "responses", "metadata", "settings")
"""Keys of hassil that change nothing in what is understood: accepted, with a warning."""

_SEGMENT: Final = re.compile(r"(\w+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"unknown key '([^']*)'")

Share = Annotated[float, msgspec.Meta(ge=0.0, le=1.0)]
Milliseconds = Annotated[float, msgspec.Meta(ge=0.0)]
Scalar = str | int | float | bool


class ValueFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list value: what is said (a template) and what it means."""

    says: Scalar = msgspec.field(name="in")
    out: Scalar | None = None


class RangeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of numbers, ``from`` to ``to`` (both included).

    Attributes:
        start: ``from``.
        stop: ``to``.
        step: Distance of the whole numbers.
        kind: ``type``; says nothing about how a number is spoken.
        multiplier: The value is the spoken number times this.
        fractions: Besides every whole number n: n and a half, or n point one to nine.
        words: Accepted for hassil's sake; numbers are always recognised as words.
        digits: Likewise.
    """

    start: int = msgspec.field(name="from")
    stop: int = msgspec.field(name="to")
    step: Annotated[int, msgspec.Meta(ge=1)] = 1
    kind: Literal["number", "percentage", "temperature"] = msgspec.field(
        name="type", default="number"
    )
    multiplier: float | None = None
    fractions: Literal["halves", "tenths"] | None = None
    words: bool = True
    digits: bool = True


class ListFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``lists: {noun: {values: [ball, {in: "(cup|mug)", out: cup}], live: objects}}``."""

    values: tuple[Scalar | ValueFile, ...] | None = None
    range: RangeFile | None = None
    live: Literal["objects"] | None = None


class BlockFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sentences with rules and lists of their own."""

    sentences: tuple[str, ...]
    expansion_rules: dict[str, str] = {}
    lists: dict[str, Any] = {}


class IntentFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``intents: {pick: {sentences: […]}}``, or blocks below ``data``."""

    sentences: tuple[str, ...] = ()
    data: tuple[Any, ...] = ()


class Thresholds(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Least confidences in [0, 1].

    Attributes:
        accept_confidence: Of a reading that is committed.
        interrupt_confidence: Of an interrupting reading (stop) before the sentence is over.
    """

    accept_confidence: Share = 0.5
    interrupt_confidence: Share = 0.7


class Silences(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long it must be quiet before an utterance is over, in milliseconds.

    Attributes:
        complete_ms: After a sentence that cannot go on.
        extendable_ms: After a complete sentence that could go on with another slot.
        incomplete_ms: After the beginning of a sentence.
        unknown_ms: After anything else, and what may be a misheard sentence.
    """

    complete_ms: Milliseconds = 100.0
    extendable_ms: Milliseconds = 120.0
    incomplete_ms: Milliseconds = 1100.0
    unknown_ms: Milliseconds = 600.0


class DomainFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A domain as it stands in the file; intents and lists are read one by one.

    Attributes:
        language: Must be English.
        intents: By name.
        name: Its name; the file's, where there is none.
        expansion_rules: By name.
        lists: By name.
        fillers: Words and phrases that may come anywhere and carry nothing.
        skip_words: hassil's name for the same.
        interrupts: Intents that break off whatever is being said.
        ambiguous: Whether a sentence may mean two things (the scene and the hand decide).
        thresholds: Least confidences.
        silences: Endpoint silences.
    """

    language: str
    intents: dict[str, Any]
    name: str = ""
    expansion_rules: dict[str, str] = {}
    lists: dict[str, Any] = {}
    fillers: tuple[str, ...] = ()
    skip_words: tuple[str, ...] = ()
    interrupts: tuple[str, ...] = ()
    ambiguous: Literal["refuse", "allow"] = "refuse"
    thresholds: Thresholds = Thresholds()
    silences: Silences = Silences()


@dataclass(frozen=True)
class Source:
    """A YAML file as plain data, and where everything in it stands.

    Attributes:
        path: The file.
        data: Its contents.
        lines: Line per place, counted from 1.
        unused: Places of keys that were left out, being of no use to deixis.
    """

    path: Path
    data: Any
    lines: Mapping[At, int]
    unused: tuple[At, ...]

    def line(self, at: At) -> int:
        """The line of a place, or of the nearest thing around it."""
        while at not in self.lines:
            at = at[:-1]
        return self.lines[at]

    def error(self, at: At, problem: str, hint: str = "") -> DomainError:
        """An error that names file and line."""
        return DomainError(f"{self.path}:{self.line(at)}: {problem}", hint=hint)

    def typed(self, data: Any, kind: type[T], at: At, what: str = "") -> T:
        """Turn a part of the data into a struct.

        Raises:
            DomainError: Naming file, line and key.
        """
        try:
            return convert(data, kind, "", DomainError)
        except DomainError as error:
            place, _, problem = error.message.removeprefix(": ").partition(": ")
            if not problem:
                place, problem = "", place
            inner = [word or int(number) for word, number in _SEGMENT.findall(place)]
            unknown = _UNKNOWN.match(problem)
            if unknown:
                inner.append(unknown[1])
            where = ": ".join(part for part in (what, place, problem) if part)
            raise self.error((*at, *inner), where, error.hint) from None


class _Loader(yaml.SafeLoader):
    """YAML in which ``yes``, ``no``, ``on`` and ``off`` are words, as they are in sentences."""

    yaml_implicit_resolvers = {
        first: [(tag, regexp) for tag, regexp in found if tag != "tag:yaml.org,2002:bool"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


def read_source(path: Path) -> Source:
    """Read a YAML file with its lines.

    Raises:
        DomainError: It is missing, is not YAML, says something twice, or asks for something that
            deixis has not.
    """
    loader = _Loader(read_text(path, DomainError))
    try:
        node = loader.get_single_node()
        if not isinstance(node, yaml.MappingNode):
            raise DomainError(f"{path}: not a domain: there are no keys such as 'intents'")
        lines: dict[At, int] = {(): 1}
        unused: list[At] = []
        _visit(path, node, (), lines, unused, ())
        data = loader.construct_document(node)
    except yaml.YAMLError as cause:
        raise DomainError(f"{path} is not valid YAML: {cause}") from cause
    finally:
        loader.dispose()
    return Source(path, data, lines, tuple(unused))


def _visit(
    path: Path,
    node: yaml.Node,
    at: At,
    lines: dict[At, int],
    unused: list[At],
    above: tuple[yaml.Node, ...],
) -> None:
    """Note the lines below a node; take out what is not used and refuse what is not supported."""
    if node in above:
        raise DomainError(f"{path}:{node.start_mark.line + 1}: contains itself")
    lines.setdefault(at, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _visit(path, item, (*at, index), lines, unused, (*above, node))
    elif isinstance(node, yaml.MappingNode):
        kept = []
        for key, value in node.value:
            here, line = (*at, str(key.value)), key.start_mark.line + 1
            if here in lines:
                raise DomainError(
                    f"{path}:{line}: {key.value!r} is already there, on line {lines[here]}"
                )
            lines[here] = line
            # Names of intents, lists and rules are the author's own.
            if not at or at[-1] not in ("intents", "lists", "expansion_rules"):
                if key.value in UNSUPPORTED and not _is_default(value):
                    raise DomainError(
                        f"{path}:{line}: {key.value!r} is not supported: {UNSUPPORTED[key.value]}"
                    )
                if key.value in UNSUPPORTED or key.value in UNUSED:
                    unused.extend([here] if key.value in UNUSED else [])
                    continue
            kept.append((key, value))
            _visit(path, value, here, lines, unused, (*above, node))
            if isinstance(value, yaml.ScalarNode) and value.style not in ("|", ">"):
                lines[here] = value.start_mark.line + 1
        node.value = kept


def _is_default(node: yaml.Node) -> bool:
    """``wildcard: false``, ``slots: {}``."""
    return node.value in ("false", []) or not node.value
