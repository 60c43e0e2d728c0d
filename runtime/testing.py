"""Runs one node alone, on an in-process bus with a simulated clock: unit tests without a daemon.

bench = NodeBench(HandsNode, params={"calibration": "camera.json"}, bundle=bundle)
bench.send("frame", frame)
hands = bench.outputs["hands"][-1]
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deixis.runtime.bundle import Bundle
from deixis.runtime.clock import NS_PER_MS, SimulatedClock
from deixis.runtime.closing import Closing
from deixis.runtime.config import convert
from deixis.runtime.errors import NodeError
from deixis.runtime.messages import Message
from deixis.runtime.node import Node, NodeContext, check_declaration


class NodeBench(Closing):
    """A node with its inputs and outputs in hand.

    Args:
        node_class: The node to run.
        params: Its parameters, as in a graph file.
        bundle: The models.
        base_dir: Where relative paths start.
        clock: A simulated clock; a new one by default.
    """

    def __init__(
        self,
        node_class: type[Node[Any]],
        params: Mapping[str, Any] | None = None,
        *,
        bundle: Bundle | None = None,
        base_dir: Path | None = None,
        clock: SimulatedClock | None = None,
    ) -> None:
        check_declaration(node_class)
        self.clock = clock or SimulatedClock()
        self.outputs: dict[str, list[Any]] = defaultdict(list)
        context = NodeContext(
            node_id=node_class.__name__.lower(),
            clock=self.clock,
            send=lambda output, message: self.outputs[output].append(message),
            bundle=bundle,
            base_dir=base_dir or Path.cwd(),
        )
        typed = convert(dict(params or {}), node_class.Params, where="params")
        self.node = node_class(context, typed)
        self.node.setup()

    def send(self, name: str, message: Message) -> None:
        """Give the node a message on one of its inputs, at the clock's time.

        Raises:
            NodeError: The input is not declared, or takes another type.
        """
        topic = self.node.inputs.get(name)
        if topic is None or not isinstance(message, topic.message):
            raise NodeError(f"no input {name!r} for {type(message).__name__}")
        self.node.handle(name, message)

    def advance(self, milliseconds: float) -> None:
        """Move the clock forward, ticking the node whenever it asked for it."""
        end_ns = self.clock.now_ns() + int(milliseconds * NS_PER_MS)
        while (due_ns := self.node.next_tick_ns()) is not None and due_ns <= end_ns:
            self.clock.advance_to(due_ns)
            self.node.tick()
            after_ns = self.node.next_tick_ns()
            if after_ns is not None and after_ns <= due_ns:
                # The node wants to run again at once; simulated time has to move for it.
                self.clock.advance_to(due_ns + NS_PER_MS)
        self.clock.advance_to(end_ns)

    def close(self) -> None:
        """Close the node."""
        self.node.close()
