"""How the command line talks to a running daemon, and listens to its nodes.

client = Client(run_dir("default"))
print(client.status().state)
with Tap(client.run_dir, client.status().outputs_of(topics.RESOLUTION)) as tap:
    client.type_command("pick up that", [(0.42, 0.1, 0.0)])
    node, message = tap.next(timeout_ms=1000)
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import zmq

from deixis.runtime import messages as m
from deixis.runtime.bus import endpoint
from deixis.runtime.closing import Closing
from deixis.runtime.errors import BusError, DaemonError, MessageError
from deixis.runtime.signing import SignatureInfo
from deixis.runtime.topics import TOPICS, Topic

CONTROL = "ctl"
START_HINT = "start it with: deixis run demo --bundle bundles/cpu"


class StatusRequest(msgspec.Struct, frozen=True, tag=True):
    """Ask for a :class:`Status`."""


class PlayRequest(msgspec.Struct, frozen=True, tag=True):
    """Play media in place of the devices.

    Attributes:
        audio_path: Absolute path, or None.
        video_path: Absolute path, or None.
        reset: A new scene begins.
        delay_ms: From now until sample 0; the files are opened meanwhile.
    """

    audio_path: str | None
    video_path: str | None
    reset: bool = False
    delay_ms: float = 400.0


class TypeRequest(msgspec.Struct, frozen=True, tag=True):
    """A typed command; one point in the base frame per deictic word."""

    text: str
    points_base_m: tuple[m.Vec3, ...] = ()


class TalkRequest(msgspec.Struct, frozen=True, tag=True):
    """Hold push-to-talk.

    Attributes:
        seconds: For how long, from now on; 0 lets go.
    """

    seconds: float


class ShutdownRequest(msgspec.Struct, frozen=True, tag=True):
    """End the daemon in order."""


Request = StatusRequest | PlayRequest | TypeRequest | TalkRequest | ShutdownRequest


class NodeStatus(msgspec.Struct, frozen=True):
    """State of one node.

    Attributes:
        node_id: Id in the graph.
        node: Which node it is.
        state: ``starting``, ``ready``, ``restarting``, ``failed`` or ``closed``.
        restarts: How often it was started again.
        error: Why it failed last.
        age_ms: Time since its last report.
        budget_ms: What one call of a handler should take at most.
        outputs: Topic per output.
        telemetry: Its last report.
    """

    node_id: str
    node: str
    state: str
    restarts: int
    error: str
    age_ms: float | None
    budget_ms: float | None
    outputs: dict[str, str]
    telemetry: m.Telemetry | None


class Status(msgspec.Struct, frozen=True):
    """State of the daemon.

    Attributes:
        state: ``starting``, ``ready``, ``degraded`` or ``closing``.
        graph: Graph file.
        bundle: Folder of the bundle.
        signature: Who signed the bundle; None: nobody.
        pid: Process of the daemon.
        uptime_s: Since it was started.
        start_s: How long it took to become ready.
        nodes: All nodes.
    """

    state: str
    graph: str
    bundle: str | None
    signature: SignatureInfo | None
    pid: int
    uptime_s: float
    start_s: float | None
    nodes: list[NodeStatus]

    def outputs_of(self, *wanted: Topic) -> list[tuple[str, str, Topic]]:
        """Node, output and topic of everything that carries these topics."""
        names = {t.name for t in wanted}
        return [
            (node.node_id, output, TOPICS[topic])
            for node in self.nodes
            for output, topic in node.outputs.items()
            if topic in names
        ]


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """The request was carried out.

    Attributes:
        start_ns: For play: when sample 0 counts as captured.
    """

    start_ns: int = 0


class Refused(msgspec.Struct, frozen=True, tag=True):
    """The request was not understood or cannot be carried out."""

    message: str


def run_dir(name: str) -> Path:
    """Folder of the sockets of the daemon with this name: private, on a local file system."""
    base = os.environ.get("XDG_RUNTIME_DIR")
    return Path(base, "deixis", name) if base else Path(f"/tmp/deixis-{os.getuid()}", name)


class Client:
    """Asks a daemon.

    Args:
        run_folder: Folder of its sockets.
        timeout_ms: How long to wait for an answer.
    """

    def __init__(self, run_folder: Path, timeout_ms: float = 2000.0) -> None:
        self.run_dir = run_folder
        self._timeout_ms = timeout_ms

    def status(self) -> Status:
        """State of the daemon.

        Raises:
            DaemonError: It does not run, or does not answer.
        """
        return msgspec.msgpack.decode(self._ask(StatusRequest()), type=Status)

    def play(self, audio: Path | None, video: Path | None, *, reset: bool = False) -> int:
        """Play media in place of the devices.

        Returns:
            When sample 0 and frame 0 count as captured (monotonic ns).

        Raises:
            DaemonError: It does not run, does not answer, or refuses.
        """
        request = PlayRequest(
            str(audio.resolve()) if audio else None,
            str(video.resolve()) if video else None,
            reset,
        )
        return self._carry_out(request).start_ns

    def type_command(self, text: str, points_base_m: Sequence[m.Vec3] = ()) -> None:
        """Give a typed command.

        Raises:
            DaemonError: It does not run, does not answer, or refuses.
        """
        self._carry_out(TypeRequest(text, tuple(points_base_m)))

    def talk(self, seconds: float) -> None:
        """Hold push-to-talk for so long from now on; 0 lets go.

        Raises:
            DaemonError: It does not run, does not answer, or refuses.
        """
        self._carry_out(TalkRequest(seconds))

    def shutdown(self) -> None:
        """End the daemon in order.

        Raises:
            DaemonError: It does not run, or does not answer.
        """
        self._carry_out(ShutdownRequest())

    def _carry_out(self, request: Request) -> Accepted:
        answer = msgspec.msgpack.decode(self._ask(request), type=Accepted | Refused)
        if isinstance(answer, Refused):
            raise DaemonError(answer.message)
        return answer

    def _ask(self, request: Request) -> bytes:
        address = endpoint(self.run_dir, "daemon", CONTROL)
        if not Path(address.removeprefix("ipc://")).exists():
            raise DaemonError(f"no daemon runs in {self.run_dir}", hint=START_HINT)
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        try:
            socket = context.socket(zmq.REQ)
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(address)
            socket.send(msgspec.msgpack.encode(request))
            if not socket.poll(int(self._timeout_ms)):
                raise DaemonError(
                    f"the daemon in {self.run_dir} does not answer; it may have been killed",
                    hint=START_HINT,
                )
            answer: bytes = socket.recv()
            return answer
        finally:
            context.destroy(linger=0)


class Tap(Closing):
    """Listens to outputs of running nodes, as a subscriber more; never slows them down.

    Args:
        run_folder: Folder of the sockets.
        outputs: Node, output and topic of each (``Status.outputs_of``).
    """

    def __init__(self, run_folder: Path, outputs: Sequence[tuple[str, str, Topic]]) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._sockets: dict[zmq.Socket[bytes], str] = {}
        self._types = {(node, output): topic.message for node, output, topic in outputs}
        for node in {node for node, _, _ in outputs}:
            socket = self._context.socket(zmq.SUB)
            socket.setsockopt(zmq.RCVHWM, 10_000)
            socket.connect(endpoint(run_folder, node, "pub"))
            for owner, output, _ in outputs:
                if owner == node:
                    socket.subscribe(output.encode() + b"\0")
            self._poller.register(socket, zmq.POLLIN)
            self._sockets[socket] = node
        # A subscription takes a moment to reach its publisher; what is published before is missed.
        time.sleep(0.15)

    def next(self, timeout_ms: float) -> tuple[str, m.Message] | None:
        """The next message with the output's name, or None after ``timeout_ms``.

        Raises:
            BusError: A message does not decode.
        """
        for socket, _ in self._poller.poll(max(0, int(timeout_ms))):
            output, _, payload = socket.recv().partition(b"\0")
            kind = self._types[(self._sockets[socket], output.decode())]
            try:
                return output.decode(), m.decode(payload, kind)
            except MessageError as error:
                raise BusError(f"{self._sockets[socket]}/{output.decode()}: {error}") from error
        return None

    def close(self) -> None:
        """Close the sockets."""
        self._context.destroy(linger=0)
