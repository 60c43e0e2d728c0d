"""Domains: the shipped ones load; every mistake is named with its line; the rest of the syntax."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deixis.nodes.speech.domain import Domain, load_domain
from deixis.nodes.speech.grammar import Grammar, parse_text
from deixis.nodes.speech.wordgraph import WordGraph, compile_domain
from deixis.runtime.errors import DomainError

ROOT = Path(__file__).resolve().parents[3]
COFFEE = ROOT / "examples" / "domains" / "coffee.yaml"

GOOD = """\
language: en
name: cafe
intents:
  order:
    sentences:
      - "<order> [a] [{size}] {drink}"
      - "<order> the usual"
  leave:
    sentences:
      - "(good bye|see you)"
expansion_rules:
  order: "(order|get)"
lists:
  size: {values: [small, {in: "(large|big)", out: large}]}
  drink:
    values:
      - tea
      - "coffee [with milk]"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "cafe.yaml"
    path.write_text(text)
    return str(path)


def compiled(folder: Path, text: str) -> WordGraph:
    return compile_domain(load_domain(write(folder, text)))


def understood(domain: str | Grammar, text: str) -> tuple[str, dict[str, str]]:
    """Intent and what every slot stands for."""
    best = parse_text(domain, text)[0]
    assert best.complete
    assert best.confidence > 0.95
    return best.intent, {s.name: s.value or s.text for s in best.slots}


def test_the_shipped_domain_has_every_intent_of_the_table() -> None:
    domain = load_domain("tabletop")
    assert set(domain.intents) == {
        "pick", "place", "bring", "go", "look", "describe", "teach", "open", "close", "switch_on",
        "switch_off", "turn", "release", "follow", "stop", "pause", "resume", "cancel", "yes", "no",
    }  # fmt: skip
    assert not domain.warnings
    assert not domain.ambiguous


def test_plain_lists_are_values_with_their_words(tmp_path: Path) -> None:
    best = parse_text(write(tmp_path, GOOD), "Get a big coffee with milk!")[0]
    assert [(s.name, s.kind, s.text, s.value) for s in best.slots] == [
        ("size", "value", "big", "large"),
        ("drink", "value", "coffee with milk", None),
    ]
    assert best.complete
    assert best.confidence > 0.95


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        # References.
        ("{drink}", "{drinks}",
         "6: intent 'order': '<order> [a] [{size}] {drinks}': unknown list {drinks}, did you mean "
         "'drink'?"),
        ("<order> the", "<ordre> the",
         "7: intent 'order': '<ordre> the usual': unknown rule <ordre>, did you mean 'order'?"),
        ('"(order|get)"', '"<get>"', "12: expansion rule <order>: '<get>': unknown rule <get>"),
        ("- tea", '- "<tea>"', "17: list {drink}: '<tea>': unknown rule <tea>"),
        ("{drink}", "{drink:drink.nuon}",
         "6: intent 'order': '<order> [a] [{size}] {drink:drink.nuon}': slot 'drink' has no part "
         "'nuon', did you mean 'noun'?"),
        ("[{size}] {drink}", "{drink:to.relation}", "None in list {drink} is none of ('in', 'on',"),
        ("{drink}", "{drink:@drink}", "6: intent 'order': '<order> [a] [{size}] {drink:@drink}': "
         "{…:@drink} is not supported: give the list's values an 'out'"),
        ("- tea", '- "{size} tea"',
         "17: list {drink}: '{size} tea': a value of a list contains a list"),
        ('"(order|get)"', '"(order|<order>)"',
         "12: expansion rules contain each other: <order> → <order>"),
        # Templates.
        ('"(good bye|see you)"', '"(good bye"', "10: intent 'leave': '(good bye': not a sentence"),
        ('"(good bye|see you)"', '" "', "10: intent 'leave': ' ': the sentence is empty"),
        ('"(good bye|see you)"', '"[bye]"',
         "10: intent 'leave': '[bye]': can be said with no words at all"),
        ("- tea", '- "[tea]"', "17: list {drink}: '[tea]': can be said with no words at all"),
        ('"(good bye|see you)"', '"(a;b;c;d;e;f;g;h;i)"',
         "10: intent 'leave': '(a;b;c;d;e;f;g;h;i)': 9 parts in any order; up to 8 will do"),
        # Structure.
        ("name: cafe", "name: cafe\nintends: {}",
         "3: unknown key 'intends', did you mean 'intents'?"),
        ("      - tea", "      - {in: tea, aut: x}",
         "17: list {drink}: values[0]: unknown key 'aut'"),
        ("  leave:\n    sentences:", "  leave:\n    sentence:",
         "9: intent 'leave': unknown key 'sentence', did you mean 'sentences'?"),
        ("language: en", "language: tlh", "1: language 'tlh'; only 'en' can be recognised"),
        ("name: cafe", "interrupts: [leave, oder]",
         "2: interrupts: there is no intent 'oder', did you mean 'order'?"),
        ("name: cafe", "thresholds: {accept_confidence: 1.5}",
         "2: thresholds.accept_confidence: Expected `float` <= 1.0"),
        ("name: cafe", "silences:\n  complete_ms: soon",
         "3: silences.complete_ms: Expected `float`, got `str`"),
        ("  leave:", "  order:", "8: 'order' is already there, on line 4"),
        ("values: [small, ", "value: [", "14: list {size}: unknown key 'value', did you mean"),
        ('      - tea\n      - "coffee [with milk]"', "      []",
         "15: list {drink}: has no values"),
        ('{values: [small, {in: "(large|big)", out: large}]}', "{}",
         "14: list {size}: give either 'values' or a 'range'"),
        ('{values: [small, {in: "(large|big)", out: large}]}', "{range: {from: 5, to: 1}}",
         "14: list {size}: a range of 0 numbers"),
        ('{values: [small, {in: "(large|big)", out: large}]}', "{range: {from: 0, to: 9999}}",
         "14: list {size}: a range of 10000 numbers; from 1 to 2001 will do"),
        ("name: cafe", "name: [", "is not valid YAML"),
        # What hassil has and deixis cannot do.
        ('{values: [small, {in: "(large|big)", out: large}]}', "{wildcard: true}",
         "14: 'wildcard' is not supported: a list of any words at all cannot be recognised"),
        ('    sentences:\n      - "(good bye|see you)"',
         "    data:\n      - sentences: [bye]\n        requires_context: {domain: light}",
         "11: 'requires_context' is not supported: deixis has no entities with a context"),
        ('    sentences:\n      - "(good bye|see you)"',
         "    data:\n      - sentences: [bye]\n        slots: {domain: light}",
         "11: 'slots' is not supported: a slot is filled by what is said"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_lines(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(DomainError) as error:
        load_domain(path)
    assert message in error.value.message
    assert error.value.message.startswith(path)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("{drink}", "{drunk}").replace("the usual", "<usual>")
    path = write(tmp_path, text.replace("- tea", '- "(tea"'))
    with pytest.raises(DomainError) as error:
        load_domain(path)
    first, *mistakes = error.value.message.splitlines()
    assert first == "3 mistakes:"
    assert [m.removeprefix(f"{path}:").partition(":")[0] for m in mistakes] == ["6", "7", "17"]


def test_the_line_is_that_of_the_sentence_itself_not_of_one_like_it(tmp_path: Path) -> None:
    # Both stand in the file before, in a comment and in another intent.
    text = GOOD.replace("name: cafe", "# <order> the usual {drink}").replace(
        '"(good bye|see you)"', '"get the usual {drunk}"'
    )
    with pytest.raises(DomainError, match=r"cafe\.yaml:10: intent 'leave'"):
        load_domain(write(tmp_path, text))


def test_yes_and_on_are_words(tmp_path: Path) -> None:
    text = GOOD + "  unused: {values: [yes, no, on, 7, true]}\n"
    values = load_domain(write(tmp_path, text)).lists["unused"].values
    assert [v.says.text for v in values] == ["yes", "no", "on", "7", "true"]


def test_what_no_sentence_reaches_is_a_warning(tmp_path: Path) -> None:
    text = GOOD.replace('order: "(order|get)"', 'order: "(order|get)"\n  bring: "<fetch>"\n'
                        '  fetch: "(fetch|{place})"')  # fmt: skip
    text = text.replace('the usual"', 'the usual"\n      - "<order> the usual"')
    path = write(tmp_path, text + "  place: {values: [here]}\nresponses: {}\n")
    assert load_domain(path).warnings == (
        f"{path}:8: intent 'order': '<order> the usual': the same as on line 7",
        f"{path}:14: expansion rule <bring> is in no sentence",
        f"{path}:15: expansion rule <fetch> is in no sentence",
        f"{path}:22: list {{place}} is in no sentence",
        f"{path}:23: 'responses' has no effect",
    )


@pytest.mark.parametrize(
    ("old", "new", "pattern"),
    [
        ("(good bye|see you)", "get [the] usual",
         r"7: 'get the usual' is ambiguous: intent 'order' with no slots, or intent 'leave' "
         r"\(line 10\) with no slots"),
        ("<order> the usual", "get (tea|nothing)",
         r"6: 'get tea' is ambiguous: intent 'order' with drink 'tea', or intent 'order' "
         r"\(line 7\) with no slots"),
        ("[{size}] {drink}", "[{size}] [{size:mood}] {drink}",
         r"6: '\w+ small \w+' is ambiguous: intent 'order' with mood 'small', drink '\w+', or "
         r"intent 'order' \(line 6\) with size 'small', drink '\w+'"),
        ("- tea", "- tea\n      - {in: tea, out: green}",
         r"6: '\w+ tea' is ambiguous: intent 'order' with drink 'tea', or intent 'order' "
         r"\(line 6\) with drink 'tea' = green"),
    ],
)  # fmt: skip
def test_a_sentence_with_two_meanings_is_refused(
    tmp_path: Path, old: str, new: str, pattern: str
) -> None:
    text = GOOD.replace(old, new, 1).replace(', {in: "(large|big)", out: large}', "")
    path = write(tmp_path, text)
    with pytest.raises(DomainError, match=f"{re.escape(path)}:{pattern}"):
        compile_domain(load_domain(path))
    # Where the scene and the hand are to decide, the file says so.
    assert compiled(tmp_path, text + "ambiguous: allow\n").src.size


def test_two_ways_to_say_the_same_are_not_ambiguous(tmp_path: Path) -> None:
    text = GOOD.replace("<order> the usual", "(order|bring me) [a] {drink}")
    assert compiled(tmp_path, text).src.size


RANGES = """\
language: en
intents:
  dim:
    sentences: ["dim [the] (light|lamp)[s] to {level}[%| percent]"]
  wait:
    sentences: ["wait {1..120:seconds} second[s]"]
  heat:
    sentences: ["heat to {degrees} degrees"]
lists:
  level: {range: {from: 0, to: 100, step: 5, type: percentage, multiplier: 2.55}}
  degrees: {range: {from: -5, to: 30, fractions: halves}}
"""


@pytest.mark.parametrize(
    ("text", "intent", "slot", "said", "value"),
    [
        ("dim the lights to twenty five percent", "dim", "level", "twenty five", "63.75"),
        ("dim lamp to 100%", "dim", "level", "one hundred", "255"),
        ("dim the lamp to a hundred", "dim", "level", "a hundred", "255"),
        ("wait one second", "wait", "seconds", "one", "1"),
        ("wait twenty seconds", "wait", "seconds", "twenty", "20"),
        ("wait a hundred and five seconds", "wait", "seconds", "a hundred and five", "105"),
        ("heat to twenty one and a half degrees", "heat", "degrees", "twenty one and a half",
         "21.5"),
        ("heat to minus two point five degrees", "heat", "degrees", "minus two point five", "-2.5"),
    ],
)  # fmt: skip
def test_numbers_are_recognised_as_words(
    tmp_path: Path, text: str, intent: str, slot: str, said: str, value: str
) -> None:
    best = parse_text(write(tmp_path, RANGES), text)[0]
    assert (best.intent, best.complete) == (intent, True)
    assert [(s.name, s.text, s.value) for s in best.slots] == [(slot, said, value)]


def test_blocks_of_home_assistant_have_lists_and_rules_of_their_own(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """\
language: en-US
skip_words: [please, "the"]
intents:
  HassTurnOn:
    data:
      - sentences: ["<turn> on <name>", "<turn> {name} on"]
        response: done
        lists: {name: {values: [lamp, {in: "big fan", out: fan.big}]}}
        expansion_rules: {name: "[my] {name}"}
      - sentences: ["<turn> everything on"]
        metadata: {x: 1}
  HassPlay:
    data:
      - sentences: ["play {name}"]
expansion_rules: {turn: "(turn|switch)"}
lists: {name: {values: [jazz, blues], wildcard: false}}
""",
    )
    domain = load_domain(path)
    assert domain.name == "cafe"
    assert domain.fillers == ("please", "the")
    assert [w.partition(": ")[2] for w in domain.warnings] == [
        "'response' has no effect", "'metadata' has no effect",
    ]  # fmt: skip
    assert understood(path, "please turn on my big fan") == ("HassTurnOn", {"name": "fan.big"})
    assert understood(path, "switch the lamp on") == ("HassTurnOn", {"name": "lamp"})
    assert understood(path, "play jazz") == ("HassPlay", {"name": "jazz"})
    assert parse_text(path, "play lamp")[0].confidence < 0.5


def test_lists_that_home_assistant_fills_itself_are_named_as_such(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("the usual", "the usual in {area}"))
    with pytest.raises(
        DomainError, match=r"unknown list \{area\}, which Home Assistant fills itself"
    ):
        load_domain(path)


def test_parts_in_any_order_do_not_blow_up(tmp_path: Path) -> None:
    words = ["alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel"]
    text = GOOD.replace("<order> the usual", f"mix ({';'.join(f'[{w}]' for w in words)}) please")
    graph = compiled(tmp_path, text)
    # One state for every set of words that have been said.
    assert 2**8 < len(graph.intent) < 2**8 + 100
    grammar = Grammar(load_domain(write(tmp_path, text)))
    random.Random(7).shuffle(words)
    assert understood(grammar, f"mix {' '.join(words[:5])} please") == ("order", {})


LIVE = GOOD.replace("  drink:\n", "  drink:\n    live: objects\n")


def test_objects_of_the_scene_can_be_named(tmp_path: Path) -> None:
    domain = load_domain(write(tmp_path, LIVE))
    named = domain.named(["Bob's Mug", "coffee with milk", "tea", "???", "", "gear 7"])
    assert named.names == ("Bob's Mug", "gear 7")
    grammar = Grammar(named)
    slot = parse_text(grammar, "get a big Bob’s mug")[0].slots[1]
    assert (slot.text, slot.value) == ("bobs mug", "Bob's Mug")
    assert understood(grammar, "order gear seven") == ("order", {"drink": "gear 7"})
    assert parse_text(Grammar(domain), "order gear seven")[0].confidence < 0.5
    # Nothing new, nothing done.
    assert domain.named(["tea"]) is domain
    assert named.named(["gear 7"]) is named
    assert load_domain(write(tmp_path, GOOD)).named(["wrench"]).names == ()


def test_an_object_taught_a_minute_ago_can_be_picked_up() -> None:
    grammar = Grammar(load_domain("tabletop").named(["screwdriver", "cup"]))
    slot = parse_text(grammar, "put the red screwdriver there")[0].slot("object")
    assert slot is not None
    assert (slot.noun, slot.colour, slot.text) == ("screwdriver", "red", "red screwdriver")


def test_a_live_list_may_be_empty_until_something_is_seen(tmp_path: Path) -> None:
    text = GOOD.replace("the usual", "the {thing}").replace("(good bye|see you)", "leave {thing}")
    text = text.replace("lists:", "lists:\n  thing: {live: objects}")
    domain = load_domain(write(tmp_path, text))
    graph = compile_domain(domain)
    assert set(graph.intent) == {"order"}
    assert "usual" not in graph.words
    assert understood(Grammar(domain.named(["key"])), "leave key") == ("leave", {"thing": "key"})


def test_a_domain_that_is_not_there() -> None:
    with pytest.raises(DomainError, match="did you mean 'tabletop'") as error:
        load_domain("tabeltop")
    assert "tabletop" in error.value.hint
    with pytest.raises(DomainError, match="there is no file"):
        load_domain("nowhere/domain.yaml")


# --- the coffee domain ------------------------------------------------------------------------


def rhino_context(shared_data: Path) -> dict[str, Any]:
    path = shared_data / "coffee_commands" / "rhino_context.yaml"
    if not path.is_file():
        pytest.skip("the coffee recordings are not in ../shared/data")
    context: dict[str, Any] = yaml.safe_load(path.read_text())["context"]
    return context


def from_rhino(context: dict[str, Any], folder: Path) -> Domain:
    """The same sentences in hassil's syntax: ``[a, b]`` is one of, ``$list:slot`` a value."""

    def template(text: str) -> str:
        text = re.sub(r"\[(.*?)\]", lambda m: f"({m[1].replace(', ', '|')})", text)
        return re.sub(r"\$(\w+):(\w+)", r"{\1:\2}", text)

    intents = {
        i: {"sentences": [template(s) for s in e]} for i, e in context["expressions"].items()
    }
    lists = {name: {"values": values} for name, values in context["slots"].items()}
    path = folder / "rhino.yaml"
    path.write_text(yaml.safe_dump({"language": "en", "intents": intents, "lists": lists}))
    return load_domain(str(path))


def canonical(graph: WordGraph) -> list[Any]:
    """A minimal automaton with its states numbered in the order of a walk: equal, same language."""
    number = {int(s): i for i, s in enumerate(graph.starts)}
    order = list(number)
    result = []
    for state in order:
        arcs = []
        for arc in range(graph.src.size):
            if graph.src[arc] == state:
                tag = graph.tags[graph.arc_tag[arc]] if graph.arc_tag[arc] >= 0 else None
                arcs.append((graph.words[graph.arc_word[arc]], str(tag), int(graph.dst[arc])))
        for *_, target in sorted(arcs):
            if target not in number:
                number[target] = len(order)
                order.append(target)
        found = [(word, tag, number[target]) for word, tag, target in sorted(arcs)]
        result.append((bool(graph.accepts[state]), graph.intent[state], found))
    return result


def test_coffee_is_the_language_of_the_published_context(shared_data: Path, tmp_path: Path) -> None:
    rhino = compile_domain(from_rhino(rhino_context(shared_data), tmp_path))
    coffee = compile_domain(load_domain(str(COFFEE)))
    assert canonical(coffee) == canonical(rhino)


def test_coffee_understands_what_the_published_context_says(shared_data: Path) -> None:
    context = rhino_context(shared_data)
    grammar = Grammar(load_domain(str(COFFEE)))
    draw = random.Random(3)
    for template in draw.sample(context["expressions"]["orderDrink"], 40):
        text = re.sub(r"\[(.*?)\]", lambda m: draw.choice(m[1].split(", ")), template)
        slots: dict[str, str] = {}
        for name, slot in re.findall(r"\$(\w+):(\w+)", template):
            slots[slot] = draw.choice(context["slots"][name])
            text = text.replace(f"${name}:{slot}", slots[slot])
        assert understood(grammar, text) == ("orderDrink", slots)


def test_coffee_loads_without_a_warning() -> None:
    domain = load_domain(str(COFFEE))
    assert not domain.warnings
    assert compile_domain(domain).src.size < 500
