"""The bus with real sockets, two nodes in one process: queues, drops, commands, stops, frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import zmq

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.bus import Bus, endpoint
from deixis.runtime.errors import BusError
from deixis.runtime.graph import Link
from deixis.runtime.topics import Topic

NINE = (0.0,) * 9


def link(topic: Topic, source: str = "a", policy: str | None = None, depth: int = 8) -> Link:
    name = topic.name
    return Link(source, name, "b", name, topic, policy or topic.policy, depth)  # type: ignore[arg-type]


Connect = Callable[..., tuple[Bus, Bus]]


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Connect]:
    """Two nodes: ``a`` sends, ``b`` receives."""
    with ExitStack() as stack:

        def connected(*links: Link, priority: tuple[str, ...] = ()) -> tuple[Bus, Bus]:
            outputs = {link.output: link.topic for link in links}
            receiver = stack.enter_context(Bus(tmp_path, "b", {}, links, priority))
            sender = stack.enter_context(Bus(tmp_path, "a", outputs, links))
            # Subscriptions take a moment to arrive.
            time.sleep(0.3)
            return sender, receiver

        yield connected


@pytest.fixture
def forger(tmp_path: Path) -> Iterator[zmq.Socket[bytes]]:
    """Somebody who publishes as the node ``forger`` whatever he likes."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    socket = context.socket(zmq.PUB)
    socket.bind(endpoint(tmp_path, "forger", "pub"))
    yield socket
    context.destroy(linger=0)


def scene(seq: int) -> m.Scene:
    return m.Scene(m.Header(1000 + seq, seq, "a"), ())


def settle(bus: Bus, milliseconds: float = 200) -> None:
    deadline = time.monotonic() + milliseconds / 1000
    while time.monotonic() < deadline:
        bus.poll(10)


def take(bus: Bus) -> list[tuple[str, m.Message]]:
    found = []
    while (item := bus.next()) is not None:
        found.append(item)
    return found


def test_latest_keeps_the_newest_and_counts_the_rest(connect: Connect) -> None:
    sender, receiver = connect(link(topics.SCENE))
    for seq in range(10):
        sender.send("scene", scene(seq))
    settle(receiver)
    assert [item[1].header.seq for item in take(receiver)] == [9]
    assert receiver.input_stats()["scene"] == m.InputStats(received=1, dropped=9)


def test_all_keeps_the_order_and_drops_the_oldest_when_full(connect: Connect) -> None:
    sender, receiver = connect(link(topics.SCENE, policy="all", depth=4))
    for seq in range(6):
        sender.send("scene", scene(seq))
    settle(receiver)
    assert [item[1].header.seq for item in take(receiver)] == [2, 3, 4, 5]
    assert receiver.input_stats()["scene"] == m.InputStats(received=4, dropped=2)


def test_messages_lost_on_the_way_are_counted(connect: Connect) -> None:
    sender, receiver = connect(link(topics.SCENE, policy="all"))
    for seq in (0, 1, 5):
        sender.send("scene", scene(seq))
    settle(receiver)
    assert len(take(receiver)) == 3
    assert receiver.input_stats()["scene"].dropped == 3
    # A sender that was started again counts from 0: nothing was lost.
    sender.send("scene", scene(0))
    settle(receiver)
    take(receiver)
    assert receiver.input_stats()["scene"].dropped == 3


def test_what_does_not_decode_is_refused_and_counted(
    connect: Connect, forger: zmq.Socket[bytes]
) -> None:
    _, receiver = connect(link(topics.SCENE, source="forger", policy="all"))
    forger.send(b"scene\0" + m.encode(m.Heartbeat(m.Header(1))))
    forger.send(b"scene\0\xff\xff\xff")
    settle(receiver)
    assert take(receiver) == []
    assert receiver.input_stats()["scene"] == m.InputStats(refused=2)


def test_the_urgent_comes_first(connect: Connect) -> None:
    links = (link(topics.SCENE), link(topics.POINTING), link(topics.STOP), link(topics.COMMAND))
    sender, receiver = connect(*links, priority=("pointing",))
    header = m.Header(1, command_id="c")
    sender.send("scene", scene(0))
    sender.send(
        "pointing", m.Pointing(m.Header(1), 0, (0, 0, 0), (1, 0, 0), NINE, NINE, 1.0, "hold")
    )
    deadline_ns = time.monotonic_ns() + 10**9
    sender.send("command", m.Command(header, "pick", None, None, None, 1.0, deadline_ns))
    sender.send("stop", m.Stop(header, "said stop"))
    settle(receiver)
    assert [name for name, _ in take(receiver)] == ["stop", "command", "pointing", "scene"]


def command(command_id: str, ttl_ms: float = 2000) -> m.Command:
    deadline_ns = time.monotonic_ns() + int(ttl_ms * 1e6)
    return m.Command(m.Header(1, 0, "a", command_id), "pick", None, None, None, 1.0, deadline_ns)


def test_an_acknowledged_command_is_sent_once(connect: Connect) -> None:
    sender, receiver = connect(link(topics.COMMAND))
    sender.send("command", command("c1"))
    settle(receiver)
    settle(sender)
    settle(receiver)
    assert [item[1].header.command_id for item in take(receiver)] == ["c1"]
    assert sender.undelivered == 0


def test_a_command_reaches_a_receiver_that_comes_late(tmp_path: Path) -> None:
    connection = link(topics.COMMAND)
    with Bus(tmp_path, "a", {"command": topics.COMMAND}, [connection]) as sender:
        sender.send("command", command("c1"))
        settle(sender, 150)
        with Bus(tmp_path, "b", {}, [connection]) as receiver:
            for _ in range(10):
                settle(sender, 30)
                settle(receiver, 30)
            ids = [item[1].header.command_id for item in take(receiver)]
            settle(sender, 60)
    # More than one copy may arrive; the robot executes an id once.
    assert set(ids) == {"c1"}
    assert sender.undelivered == 0


def test_a_command_that_nobody_takes_is_given_up_at_its_deadline(tmp_path: Path) -> None:
    connection = link(topics.COMMAND)
    with Bus(tmp_path, "a", {"command": topics.COMMAND}, [connection]) as sender:
        sender.send("command", command("c1", ttl_ms=100))
        settle(sender, 300)
        assert sender.undelivered == 1


def test_frames_arrive_as_they_were_sent(connect: Connect) -> None:
    sender, receiver = connect(link(topics.FRAME))
    image = np.random.default_rng(1).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    sender.send("frame", m.Frame(m.Header(7, 0, "a"), image, "clip"))
    settle(receiver)
    ((name, frame),) = take(receiver)
    assert name == "frame"
    assert isinstance(frame, m.Frame)
    assert (frame.header.stamp_ns, frame.stream) == (7, "clip")
    np.testing.assert_array_equal(frame.image, image)
    # A larger picture gets a larger ring.
    larger = np.full((480, 640, 3), 9, np.uint8)
    sender.send("frame", m.Frame(m.Header(8, 1, "a"), larger))
    settle(receiver)
    ((_, frame),) = take(receiver)
    assert isinstance(frame, m.Frame)
    np.testing.assert_array_equal(frame.image, larger)


def test_a_frame_that_was_overwritten_is_dropped(connect: Connect) -> None:
    sender, receiver = connect(link(topics.FRAME, policy="all", depth=64))
    for seq in range(20):
        image = np.full((48, 64, 3), seq, np.uint8)
        sender.send("frame", m.Frame(m.Header(seq, seq, "a"), image))
    settle(receiver)
    frames = [item[1] for item in take(receiver)]
    assert [f.header.seq for f in frames] == list(range(12, 20))
    assert all((f.image == f.header.seq).all() for f in frames if isinstance(f, m.Frame))
    assert receiver.input_stats()["frame"].dropped == 12


def test_a_descriptor_of_a_foreign_ring_is_refused(
    connect: Connect, forger: zmq.Socket[bytes]
) -> None:
    _, receiver = connect(link(topics.FRAME, source="forger"))
    reference = m.FrameRef(m.Header(1), "../../etc/passwd", 0, 0, (1, 1, 3))
    forger.send(b"frame\0" + m.encode(reference))
    settle(receiver)
    assert take(receiver) == []
    assert receiver.input_stats()["frame"].dropped == 1


def test_a_path_too_long_for_a_socket_is_named(tmp_path: Path) -> None:
    with pytest.raises(BusError, match="longer than Unix allows"):
        endpoint(tmp_path / ("x" * 100), "node", "pub")


def test_a_successor_of_a_dead_sender_is_not_taken_for_it(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frame 0 of the new process must not be read from the old one's memory."""
    sender, receiver = connect(link(topics.FRAME))
    old = np.full((48, 64, 3), 1, np.uint8)
    sender.send("frame", m.Frame(m.Header(1, 0, "a"), old))
    settle(receiver)
    assert len(take(receiver)) == 1
    # What a new process has: its own number, and no ring yet.
    monkeypatch.setattr("deixis.runtime.bus.os.getpid", lambda: 1)
    old_ring, _ = sender._rings.pop("frame")
    new = np.full((48, 64, 3), 2, np.uint8)
    sender.send("frame", m.Frame(m.Header(2, 0, "a"), new))
    settle(receiver)
    ((_, frame),) = take(receiver)
    assert isinstance(frame, m.Frame)
    np.testing.assert_array_equal(frame.image, new)
    old_ring.close()
