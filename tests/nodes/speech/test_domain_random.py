"""Whatever a random domain can say parses back to its intent and its slots."""

from __future__ import annotations

import tempfile
from pathlib import Path

import yaml
from hassil.expression import (
    Alternative,
    Expression,
    ListReference,
    Permutation,
    RuleReference,
    Sequence,
    TextChunk,
)
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from deixis.nodes.speech.domain import Domain, load_domain
from deixis.nodes.speech.grammar import Grammar, parse_text
from deixis.nodes.speech.text import tokens
from deixis.runtime.errors import DomainError

WORDS = ("alpha", "bravo", "charlie", "delta", "foxtrot", "golf", "hotel", "juliet", "kilo",
         "november", "quebec", "sierra", "twenty two", "can't", "7")  # fmt: skip
VALUES = st.sampled_from([*WORDS, "whisky", "zulu", "oscar [papa]", "(yankee|tango)", "mike[s]"])
LISTS = ("colour", "size", "amount")

Slots = dict[str, tuple[list[str], str | None]]
"""Per slot: the words said, and what the first value stands for."""


def templates(references: list[str]) -> st.SearchStrategy[str]:
    parts = st.sampled_from([*WORDS, *references])
    return st.recursive(
        parts,
        lambda inner: st.one_of(
            st.lists(inner, min_size=2, max_size=3).map(" ".join),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: f"({'|'.join(items)})"),
            st.lists(inner, min_size=1, max_size=3).map(lambda items: f"[{'|'.join(items)}]"),
            st.lists(inner, min_size=2, max_size=3).map(lambda items: f"({';'.join(items)})"),
        ),
        max_leaves=6,
    )


@st.composite
def domains(draw: st.DrawFn) -> dict[str, object]:
    lists: dict[str, object] = {"amount": {"range": {"from": 0, "to": 120, "step": 10}}}
    for name in LISTS[:2]:
        entry = st.one_of(VALUES, st.builds(lambda v: {"in": v, "out": "X"}, VALUES))
        lists[name] = {"values": draw(st.lists(entry, min_size=1, max_size=3))}
    references = [f"{{{name}}}" for name in LISTS]
    rules = {"rule": draw(templates(references))}
    sentences = st.lists(templates([*references, "<rule>"]), min_size=1, max_size=2)
    intents = {name: {"sentences": draw(sentences)} for name in ("first", "second")}
    return {"language": "en", "intents": intents, "expansion_rules": rules, "lists": lists}


def said(data: st.DataObject, domain: Domain, expression: Expression, slots: Slots) -> str:
    """One way to say an expression; the values it fills are put into ``slots``."""
    if isinstance(expression, TextChunk):
        return expression.original_text
    if isinstance(expression, Alternative):
        return said(data, domain, data.draw(st.sampled_from(expression.items)), slots)
    if isinstance(expression, Permutation):
        items = data.draw(st.permutations(expression.items))
        return "".join(said(data, domain, item, slots) for item in items)
    if isinstance(expression, Sequence):
        return "".join(said(data, domain, item, slots) for item in expression.items)
    if isinstance(expression, RuleReference):
        return said(data, domain, domain.rules[expression.rule_name].expression, slots)
    assert isinstance(expression, ListReference)
    value = data.draw(st.sampled_from(domain.lists[expression.list_name].values))
    text = said(data, domain, value.says.expression, {})
    words, out = slots.get(expression.list_name, ([], None))
    slots[expression.list_name] = ([*words, *(w for w, _ in tokens(text))], out or value.out)
    return text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(domains(), st.data())
def test_what_can_be_said_is_understood(content: dict[str, object], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.yaml"
        path.write_text(yaml.safe_dump(content))
        try:
            domain = load_domain(str(path))
            grammar = Grammar(domain)
        except DomainError as error:
            # Nothing else is wrong with what is generated here.
            assume("is ambiguous" not in error.message and "no words" not in error.message)
            raise
    intent = data.draw(st.sampled_from(domain.intents))
    template = data.draw(st.sampled_from(domain.sentences[intent]))
    slots: Slots = {}
    text = said(data, domain, template.expression, slots)
    assume(len(tokens(text)) <= 20)
    best = parse_text(grammar, text)[0]
    assert best.intent == intent
    assert best.complete
    assert best.confidence > 0.99
    assert {s.name: (s.text.split(), s.value) for s in best.slots} == slots
