"""Never more than one frame in flight: what arrives while the hands node works is replaced."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deixis.nodes.hands.node import HandsNode
from deixis.runtime import topics
from deixis.runtime.bundle import Bundle
from deixis.runtime.bus import Bus
from deixis.runtime.graph import Link, load_graph
from deixis.runtime.messages import Frame, Hands, Header, Message
from deixis.runtime.testing import NodeBench

CAMERA = Path(__file__).parents[2] / "scenes" / "camera.json"
IMAGE = np.full((480, 640, 3), 90, np.uint8)


def pump(bus: Bus, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        bus.poll(5)


def test_a_busy_node_sees_only_the_newest_frame(bundle: Bundle, tmp_path: Path) -> None:
    links = [Link("camera", "frame", "hands", "frame", topics.FRAME, topics.FRAME.policy, 1)]
    with ExitStack() as stack:
        receiver = stack.enter_context(Bus(tmp_path, "hands", {}, links, HandsNode.priority))
        camera = stack.enter_context(Bus(tmp_path, "camera", {"frame": topics.FRAME}, links))
        node = stack.enter_context(
            NodeBench(HandsNode, {"calibration": str(CAMERA)}, bundle=bundle)
        )
        time.sleep(0.3)
        seen: list[int] = []
        sent = 0

        def burst(n: int) -> None:
            nonlocal sent
            for _ in range(n):
                sent += 1
                camera.send("frame", Frame(Header(sent, sent, "camera"), IMAGE))
            pump(receiver, 0.2)

        class Busy:
            """The node, and a camera that goes on while it works."""

            def handle(self, name: str, message: Message) -> None:
                node.send(name, message)
                seen.append(message.header.seq)
                if len(seen) < 4:
                    burst(5)

        busy = Busy()
        burst(1)
        while (item := receiver.next()) is not None:
            busy.handle(*item)
        assert seen == [1, 6, 11, 16]
        assert receiver.input_stats()["frame"].dropped == 12
        published: list[Any] = node.outputs["hands"]
    assert all(isinstance(h, Hands) for h in published)
    assert [h.header.stamp_ns for h in published] == seen


@pytest.mark.parametrize("name", ["demo", "live"])
def test_the_graphs_keep_only_the_newest_frame(name: str) -> None:
    graph = load_graph(Path(__file__).parents[3] / "nodes" / "graphs" / f"{name}.yaml", [])
    links = [link for link in graph.links if link.target == "hands" and link.input == "frame"]
    assert [link.policy for link in links] == ["latest"]
