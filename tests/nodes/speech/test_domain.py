"""Domains: the shipped one loads; mistakes name file, place and the nearest thing that exists."""

from __future__ import annotations

from pathlib import Path

import pytest

from deixis.nodes.speech.domain import load_domain
from deixis.nodes.speech.grammar import parse_text
from deixis.nodes.speech.wordgraph import compile_domain
from deixis.runtime.errors import DomainError

GOOD = """
language: en
name: cafe
intents:
  order:
    sentences:
      - "(order|get) [a] [{size}] {drink}"
expansion_rules:
  order: "{size} {drink}"
lists:
  size: {values: [small, {in: "(large|big)", out: large}]}
  drink: {values: [tea, "coffee [with milk]"]}
"""


def write(folder: Path, text: str) -> str:
    path = folder / "cafe.yaml"
    path.write_text(text)
    return str(path)


def test_the_shipped_domain_has_every_intent_of_the_table() -> None:
    assert set(load_domain("tabletop").intents) == {
        "pick", "place", "bring", "go", "look", "describe", "open", "close", "switch_on",
        "switch_off", "turn", "release", "follow", "stop", "pause", "resume", "cancel", "yes", "no",
    }  # fmt: skip


def test_plain_lists_are_values(tmp_path: Path) -> None:
    best = parse_text(write(tmp_path, GOOD), "Get a big coffee with milk!")[0]
    assert [(s.name, s.kind, s.text) for s in best.slots] == [
        ("size", "value", "large"),
        ("drink", "value", "coffee with milk"),
    ]
    assert best.complete
    assert best.confidence > 0.95


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{drink}", "{drinks}", "unknown list {drinks}, did you mean 'drink'?"),
        ("[a] [", "<ordre> [", "unknown rule <ordre>, did you mean 'order'?"),
        ("[{size}] {drink}", "[{size}] {drink:drink.nuon}", "has no part 'nuon', did you mean"),
        ('order: "{size}', 'order: "<order>', "contain each other: <order> → <order>"),
        ("(order|get)", "(order|get", "not a sentence template"),
        ("[a] [{size}] {drink}", "{drink:to.relation}", "is none of ('in', 'on', 'next_to')"),
        ("name: cafe", "name: cafe\nintends: {}", "unknown key 'intends', did you mean 'intents'"),
        ("language: en", "language: tlh", "language 'tlh'"),
        ("name: cafe", "name: cafe\ninterrupts: [oder]", "no intent 'oder', did you mean 'order'"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(DomainError) as error:
        load_domain(path)
    assert message in error.value.message
    assert "cafe.yaml" in error.value.message


def test_the_line_of_a_mistake_is_named(tmp_path: Path) -> None:
    with pytest.raises(DomainError, match=r"cafe\.yaml:7: intent 'order'"):
        load_domain(write(tmp_path, GOOD.replace("{drink}", "{drunk}", 1)))


def test_a_sentence_may_not_be_empty(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("(order|get) [a] [{size}] {drink}", "[please]"))
    with pytest.raises(DomainError, match="no words at all"):
        compile_domain(load_domain(path))


def test_a_domain_that_is_not_there() -> None:
    with pytest.raises(DomainError, match="did you mean 'tabletop'") as error:
        load_domain("tabeltop")
    assert "tabletop" in error.value.hint
    with pytest.raises(DomainError, match="there is no file"):
        load_domain("nowhere/domain.yaml")
