r"""The bus: ZeroMQ sockets of one node, its input queues, and every drop counted.

* Streams go over one PUB socket a node, ``<output>\0<msgpack>`` in one part; frames put their
  pixels in shared memory (:mod:`deixis.runtime.frames`) and only a descriptor on the wire.
* Commands go over DEALER/ROUTER: acknowledged at receipt, sent again until they are, and given up
  at their deadline.
* Stop has a PUSH/PULL socket of its own, which is served before everything else.

All sockets are ``ipc://`` files in the run folder, which only its owner can enter.

    with Bus(run_dir, "hands", HandsNode.outputs, links) as bus:
        bus.send("hands", message)
        if bus.poll(10.0) and (item := bus.next()):
            name, message = item
"""

from __future__ import annotations

import itertools
import logging
import math
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.clock import NS_PER_MS
from deixis.runtime.closing import Closing
from deixis.runtime.errors import BusError, MessageError, SharedMemoryError
from deixis.runtime.frames import FrameRing
from deixis.runtime.graph import Link
from deixis.runtime.queues import InputQueue
from deixis.runtime.topics import Topic

TELEMETRY = "telemetry"
RESEND_MS = 40.0
# Room for a burst while a handler runs; the queue policy decides what is kept.
_RECEIVE_LIMIT = 4000
_log = logging.getLogger("deixis.bus")


def endpoint(run_dir: Path, node_id: str, kind: str) -> str:
    """Address of a socket in the run folder.

    Raises:
        BusError: The path is too long for a Unix socket.
    """
    path = str(run_dir / f"{node_id}.{kind}")
    if len(path.encode()) > 100:
        raise BusError(
            f"the socket path {path} is longer than Unix allows",
            hint="choose a shorter --run-dir (or XDG_RUNTIME_DIR)",
        )
    return f"ipc://{path}"


def ring_prefix(run_dir: Path) -> str:
    """Prefix of the names of all shared-memory rings of a run."""
    # Not hash(): that differs from process to process.
    return f"deixis-{zlib.crc32(str(run_dir.resolve()).encode()):x}-"


@dataclass
class _Pending:
    """A command that is not acknowledged yet."""

    payload: bytes
    deadline_ns: int
    sent_ns: int
    tries: int = 1


class Bus(Closing):
    """The sockets of one node.

    Args:
        run_dir: Folder of the sockets.
        node_id: Id of the node.
        outputs: Its outputs.
        links: All connections of the graph.
        priority: Inputs to serve first, most urgent first (after stop and commands).
    """

    def __init__(
        self,
        run_dir: Path,
        node_id: str,
        outputs: Mapping[str, Topic],
        links: Sequence[Link],
        priority: Sequence[str] = (),
    ) -> None:
        self._run_dir = run_dir
        self._node_id = node_id
        self._outputs = outputs
        self._context = zmq.Context()
        self._poller = zmq.Poller()
        self._arrivals = itertools.count()
        self._inputs: dict[str, InputQueue] = {}
        self._subscriptions: dict[zmq.Socket[bytes], tuple[str, dict[bytes, list[str]]]] = {}
        self._routers: dict[zmq.Socket[bytes], str] = {}
        self._pulls: dict[zmq.Socket[bytes], str] = {}
        self._senders: dict[str, list[zmq.Socket[bytes]]] = {}
        self._pending: dict[tuple[int, str], _Pending] = {}
        self._rings: dict[str, tuple[FrameRing, int]] = {}
        self._attached: dict[str, FrameRing] = {}
        self.published: dict[str, int] = dict.fromkeys(outputs, 0)
        self.undelivered = 0
        self._publisher = self._socket(zmq.PUB)
        self._bind(self._publisher, "pub")
        for link in links:
            if link.target == node_id:
                self._connect_input(link, priority)
            if link.source == node_id:
                self._connect_output(link)

    # --- set-up ---------------------------------------------------------------------------------

    def _socket(self, kind: int) -> zmq.Socket[bytes]:
        socket: zmq.Socket[bytes] = self._context.socket(kind)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_LIMIT)
        socket.setsockopt(zmq.SNDHWM, _RECEIVE_LIMIT)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        return socket

    def _bind(self, socket: zmq.Socket[bytes], kind: str) -> None:
        address = endpoint(self._run_dir, self._node_id, kind)
        try:
            socket.bind(address)
        except zmq.ZMQError as cause:
            raise BusError(f"cannot open the socket {address}: {cause}") from cause

    def _connect_input(self, link: Link, priority: Sequence[str]) -> None:
        if link.input not in self._inputs:
            self._inputs[link.input] = InputQueue(
                link.topic, link.policy, link.depth, _rank(link, priority)
            )
            if link.topic.transport in ("command", "stop"):
                kind = zmq.ROUTER if link.topic.transport == "command" else zmq.PULL
                receiver = self._socket(kind)
                self._bind(receiver, f"{link.input}.in")
                table = self._routers if kind == zmq.ROUTER else self._pulls
                table[receiver] = link.input
                self._poller.register(receiver, zmq.POLLIN)
        if link.topic.transport in ("pub", "frame"):
            subscriber = self._subscriber(link.source)
            subscriber.subscribe(link.output.encode() + b"\0")
            wanted = self._subscriptions[subscriber][1]
            wanted.setdefault(link.output.encode(), []).append(link.input)

    def _subscriber(self, source: str) -> zmq.Socket[bytes]:
        """The one SUB socket that listens to a node."""
        for socket, (known, _) in self._subscriptions.items():
            if known == source:
                return socket
        fresh = self._socket(zmq.SUB)
        fresh.connect(endpoint(self._run_dir, source, "pub"))
        self._subscriptions[fresh] = (source, {})
        self._poller.register(fresh, zmq.POLLIN)
        return fresh

    def _connect_output(self, link: Link) -> None:
        if link.topic.transport not in ("command", "stop"):
            return
        sender = self._socket(zmq.DEALER if link.topic.transport == "command" else zmq.PUSH)
        sender.connect(endpoint(self._run_dir, link.target, f"{link.input}.in"))
        self._senders.setdefault(link.output, []).append(sender)
        if link.topic.transport == "command":
            self._poller.register(sender, zmq.POLLIN)

    # --- sending --------------------------------------------------------------------------------

    def send(self, output: str, message: m.Message) -> None:
        """Send a message on one of the outputs.

        Raises:
            SharedMemoryError: A frame found no room.
        """
        topic = topics.TELEMETRY if output == TELEMETRY else self._outputs[output]
        self.published[output] = self.published.get(output, 0) + 1
        if topic.transport == "frame":
            assert isinstance(message, m.Frame)
            payload = m.encode(self._store_frame(output, message))
        else:
            payload = m.encode(message)
        # Commands and stops as well: whoever listens in (a recorder, the command line) sees them.
        self._publisher.send(output.encode() + b"\0" + payload)
        for sender in self._senders.get(output, ()):
            self._send_now(sender, payload)
            if isinstance(message, m.Command):
                key = (id(sender), message.header.command_id or "")
                now_ns = time.monotonic_ns()
                self._pending[key] = _Pending(payload, message.deadline_ns, now_ns)

    def _send_now(self, sender: zmq.Socket[bytes], payload: bytes) -> None:
        try:
            sender.send(payload, zmq.NOBLOCK)
        except zmq.Again:
            _log.error("%s: the receiver takes no more messages", self._node_id)

    def _store_frame(self, output: str, frame: m.Frame) -> m.FrameRef:
        image = frame.image
        ring, slot_bytes = self._rings.get(output, (None, 0))
        if ring is None or image.nbytes > slot_bytes:
            if ring is not None:
                ring.close()
            # The process is part of the name: a reader must not take the memory of a node that
            # died for that of its successor, whose numbers begin at 0 again.
            stem = f"{ring_prefix(self._run_dir)}{self._node_id}-{output}"
            name = f"{stem}-{os.getpid()}-{image.nbytes}"
            ring = FrameRing.create(name, image.nbytes)
            self._rings[output] = (ring, image.nbytes)
        slot, seq = ring.write(image)
        height, width, channels = image.shape
        return m.FrameRef(
            frame.header, ring.name, slot, seq, (height, width, channels), frame.stream
        )

    def _resend(self) -> None:
        """Send unacknowledged commands again; give up on those past their deadline."""
        now_ns = time.monotonic_ns()
        senders = {id(s): s for group in self._senders.values() for s in group}
        for key, pending in list(self._pending.items()):
            if now_ns > pending.deadline_ns:
                del self._pending[key]
                self.undelivered += 1
                _log.error(
                    "%s: command %s was never acknowledged (%d tries)",
                    self._node_id, key[1], pending.tries,
                )  # fmt: skip
            elif now_ns - pending.sent_ns > RESEND_MS * NS_PER_MS:
                pending.sent_ns, pending.tries = now_ns, pending.tries + 1
                self._send_now(senders[key[0]], pending.payload)

    # --- receiving ------------------------------------------------------------------------------

    def poll(self, timeout_ms: float) -> None:
        """Wait up to ``timeout_ms`` for messages and put all that have arrived into the queues."""
        if self._pending:
            timeout_ms = min(timeout_ms, RESEND_MS)
        # Rounded up: rounding down would spin through the last millisecond.
        for socket, _ in self._poller.poll(math.ceil(max(0.0, timeout_ms))):
            if not isinstance(socket, int):
                self._drain(socket)
        # After the acknowledgements that were waiting have been read.
        if self._pending:
            self._resend()

    def watch(self, fd: int) -> None:
        """Let a file descriptor that becomes readable end :meth:`poll` early."""
        self._poller.register(fd, zmq.POLLIN)

    def _drain(self, socket: zmq.Socket[bytes]) -> None:
        while True:
            try:
                parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if socket in self._subscriptions:
                source, wanted = self._subscriptions[socket]
                output, _, payload = parts[0].partition(b"\0")
                origin = f"{source}/{output.decode(errors='replace')}"
                for name in wanted.get(output, ()):
                    self._inputs[name].push(next(self._arrivals), origin, payload)
            elif socket in self._routers:
                self._receive_command(socket, parts)
            elif socket in self._pulls:
                name = self._pulls[socket]
                self._inputs[name].push(next(self._arrivals), "", parts[0])
            else:
                self._pending.pop((id(socket), parts[-1].decode(errors="replace")), None)

    def _receive_command(self, socket: zmq.Socket[bytes], parts: list[bytes]) -> None:
        entry = self._inputs[self._routers[socket]]
        try:
            command = m.decode(parts[-1], m.Command)
        except MessageError as error:
            entry.refused += 1
            _log.error("%s: refused a command: %s", self._node_id, error)
            return
        entry.push(next(self._arrivals), command.header.source, command)
        socket.send_multipart([parts[0], (command.header.command_id or "").encode()])

    def next(self) -> tuple[str, m.Message] | None:
        """The most urgent message that waits, with the name of its input."""
        while True:
            waiting = [(e.rank, e.queue[0][0], name) for name, e in self._inputs.items() if e.queue]
            if not waiting:
                return None
            name = min(waiting)[2]
            entry = self._inputs[name]
            _, source, item = entry.queue.popleft()
            message = item if isinstance(item, m.Message) else self._decode(entry, item)
            if message is not None:
                # Commands and stops come from several senders, each with its own numbering, and
                # are delivered again on purpose: gaps mean nothing there.
                if entry.topic.transport in ("pub", "frame"):
                    entry.note_seq(source, message.header.seq)
                entry.received += 1
                return name, message

    def _decode(self, entry: InputQueue, payload: bytes) -> m.Message | None:
        try:
            if entry.topic.transport != "frame":
                return m.decode(payload, entry.topic.message)
            reference = m.decode(payload, m.FrameRef)
        except MessageError as error:
            entry.refused += 1
            _log.error("%s: refused a message: %s", self._node_id, error)
            return None
        image = self._read_frame(reference)
        if image is None:
            entry.dropped += 1
            return None
        return m.Frame(reference.header, image, reference.stream)

    def _read_frame(self, reference: m.FrameRef) -> Any | None:
        if not reference.ring.startswith(ring_prefix(self._run_dir)):
            _log.error("%s: refused the frame ring %r", self._node_id, reference.ring)
            return None
        # Without process and size: the successor of a ring takes its place.
        stem = reference.ring.rsplit("-", 2)[0]
        ring = self._attached.get(stem)
        if ring is None or ring.name != reference.ring:
            if ring is not None:
                self._attached.pop(stem).close()
            try:
                ring = self._attached[stem] = FrameRing.attach(reference.ring)
            except SharedMemoryError as error:
                _log.error("%s: %s", self._node_id, error)
                return None
        return ring.read(reference.slot, reference.slot_seq, reference.shape)

    def input_stats(self) -> dict[str, m.InputStats]:
        """Counters per input."""
        return {
            name: m.InputStats(e.received, e.dropped, e.refused) for name, e in self._inputs.items()
        }

    def close(self) -> None:
        """Close all sockets and let go of shared memory."""
        for ring, _ in self._rings.values():
            ring.close()
        for ring in self._attached.values():
            ring.close()
        self._context.destroy(linger=0)


def _rank(link: Link, priority: Sequence[str]) -> int:
    if link.topic.transport == "stop":
        return -2
    if link.topic.transport == "command":
        return -1
    return priority.index(link.input) if link.input in priority else len(priority)
