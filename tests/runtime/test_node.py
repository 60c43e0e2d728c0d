"""Nodes: declarations, publishing, ticking on a simulated clock."""

from __future__ import annotations

import itertools

import pytest

from deixis.runtime import messages as m
from deixis.runtime.errors import ConfigError, NodeError
from deixis.runtime.node import Node, check_declaration
from deixis.runtime.testing import NodeBench
from deixis.runtime.topics import SCENE
from tests.faults.nodes import Executor, Relay, Ticker


def test_outgoing_messages_are_numbered_and_signed():
    with NodeBench(Relay) as bench:
        for _ in range(3):
            bench.send("scene", m.Scene(m.Header(stamp_ns=77), ()))
        headers = [s.header for s in bench.outputs["scene"]]
    assert [h.seq for h in headers] == [0, 1, 2]
    assert {h.source for h in headers} == {"relay"}
    assert {h.stamp_ns for h in headers} == {77}


def test_ticks_come_at_their_rate():
    with NodeBench(Ticker) as bench:
        bench.advance(1000)
        stamps = [f.header.stamp_ns for f in bench.outputs["frame"]]
    assert len(stamps) == pytest.approx(50, abs=1)
    assert {b - a for a, b in itertools.pairwise(stamps)} == {20_000_000}


def test_wrong_outputs_and_inputs_are_errors():
    with NodeBench(Relay) as bench:
        with pytest.raises(NodeError, match="no output 'sene'"):
            bench.node.publish("sene", m.Scene(m.Header(1), ()))
        with pytest.raises(NodeError, match="carries Scene, not Heartbeat"):
            bench.node.publish("scene", m.Heartbeat(m.Header(1)))
        with pytest.raises(NodeError):
            bench.send("scene", m.Heartbeat(m.Header(1)))


def test_an_input_without_handler_is_found():
    class Mute(Node):
        inputs = {"scene": SCENE}

    with pytest.raises(NodeError, match=r"has no on_scene\(\)"):
        check_declaration(Mute)


def test_unknown_parameters_are_named():
    with pytest.raises(ConfigError, match="unknown key 'size', did you mean 'size_px'"):
        NodeBench(Ticker, params={"size": 3})


def test_notes_are_kept_until_taken_back():
    with NodeBench(Executor) as bench:
        bench.send("heartbeat", m.Heartbeat(m.Header(1)))
        assert bench.node.context.notes == {"heartbeat": "the daemon lives"}
        bench.node.clear_note("heartbeat")
        assert not bench.node.context.notes
