"""Bad graph files are refused before anything runs, with file, place and mend."""

from __future__ import annotations

from pathlib import Path

import pytest

from deixis.runtime.errors import ConfigError, GraphError
from deixis.runtime.graph import find_graph, load_graph

NODES = "tests.faults.nodes"
GOOD = f"""
name: good
nodes:
  - {{id: ticker, node: "{NODES}:Ticker"}}
  - id: commander
    node: "{NODES}:Commander"
    inputs: {{scene: {{from: ticker/scene, queue: all, depth: 7}}}}
  - id: executor
    node: "{NODES}:Executor"
    inputs: {{command: commander/command, heartbeat: daemon/heartbeat}}
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_graph(text: str) -> Path:
        path = tmp_path / "graph.yaml"
        path.write_text(text)
        return path

    return write_graph


def test_a_sound_graph(write):
    graph = load_graph(write(GOOD))
    assert list(graph.order).index("ticker") < list(graph.order).index("commander")
    link = next(link for link in graph.links if link.input == "scene")
    assert (link.source, link.output, link.policy, link.depth) == ("ticker", "scene", "all", 7)


def test_settings_override_parameters(write):
    graph = load_graph(write(GOOD), ["ticker.size_px=32"])
    assert graph.params["ticker"].size_px == 32  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="did you mean 'ticker'"):
        load_graph(write(GOOD), ["tiker.size_px=32"])
    with pytest.raises(ConfigError, match=r"node\.param=value"):
        load_graph(write(GOOD), ["ticker"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("queue: all", "queu: all", "unknown key 'queu', did you mean 'queue'"),
        ("queue: all", "queue: some", "Invalid enum value 'some'"),
        ("depth: 7", "depth: many", "Expected `int"),
        ("name: good", "nam: good", "unknown key 'nam', did you mean 'name'"),
        (f"{NODES}:Ticker", "tickr", "unknown node 'tickr'"),
        (f"{NODES}:Ticker", "tests.nowhere:Ticker", "cannot be imported"),
        ("ticker/scene", "ticker/scenes", "no output 'scenes', did you mean 'scene'"),
        ("ticker/scene", "tickers/scene", "no node 'tickers', did you mean 'ticker'"),
        ("ticker/scene", "ticker", "not of the form <node id>/<output>"),
        ("ticker/scene", "ticker/frame", r"takes Scene .* gives Frame"),
        ("command: commander", "comand: commander", "no such input, did you mean 'command'"),
        ("id: commander", "id: ticker", "'ticker' is taken twice"),
        ("id: commander", "id: daemon", "'daemon' is taken twice"),
        ("command: commander/command, ", "", "input 'command' is not connected"),
        (f'"{NODES}:Ticker"', f'"{NODES}:Ticker", params: {{size: 3}}', "unknown key 'size'"),
    ],
)
def test_mistakes_are_named(write, old: str, new: str, message: str):
    assert old in GOOD
    path = write(GOOD.replace(old, new))
    with pytest.raises(GraphError, match=message) as caught:
        load_graph(path)
    assert "graph.yaml" in str(caught.value)


def test_a_cycle_is_an_error_unless_it_is_meant(write):
    text = f"""
name: loop
nodes:
  - {{id: a, node: "{NODES}:Relay", inputs: {{scene: b/scene}}}}
  - {{id: b, node: "{NODES}:Relay", inputs: {{scene: a/scene}}}}
"""
    with pytest.raises(GraphError, match=r"the graph has a cycle: \w → \w → \w") as caught:
        load_graph(write(text))
    assert "feedback: true" in caught.value.hint
    meant = text.replace("scene: a/scene", "scene: {from: a/scene, feedback: true}")
    assert list(load_graph(write(meant)).order) == ["b", "a"]


def test_not_yaml_and_not_there(write, tmp_path: Path):
    with pytest.raises(GraphError, match="not valid YAML"):
        load_graph(write("nodes: [a: b: c"))
    with pytest.raises(GraphError, match="there is no file"):
        load_graph(tmp_path / "nothing.yaml")
    with pytest.raises(GraphError, match="there is no graph file demi") as caught:
        find_graph("demi")
    assert "demo.yaml" in caught.value.hint


def test_the_packaged_graphs_are_sound():
    for path in find_graph("demo").parent.glob("*.yaml"):
        assert load_graph(path).order
