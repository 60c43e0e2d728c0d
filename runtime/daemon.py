"""The daemon: runs a graph, answers requests, beats the heart that the robot listens to.

    deixis run demo --bundle bundles/cpu

Its processes are the supervisor's (:mod:`deixis.runtime.supervisor`); requests come over one socket
in the run folder (:mod:`deixis.runtime.control`).
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO

import msgspec
import zmq

from deixis.runtime import control as c
from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.bundle import Bundle
from deixis.runtime.bus import TELEMETRY, Bus, endpoint, ring_prefix
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.errors import BusError, DaemonError
from deixis.runtime.frames import SHM_DIR
from deixis.runtime.graph import DAEMON, DAEMON_OUTPUTS, Graph, Link
from deixis.runtime.signing import SignatureInfo
from deixis.runtime.supervisor import Supervisor

_HEARTBEAT_MS = 1000.0 / topics.HEARTBEAT.rate_hz
_log = logging.getLogger("deixis.daemon")


class Daemon:
    """Runs a graph.

    Args:
        graph: A checked graph.
        bundle: The models, if the graph needs some.
        run_dir: Folder for the sockets; made private.
        log_level: Level of the nodes' logs.
        metrics_port: Where to serve Prometheus metrics, if at all.
        signature: Who signed the bundle, for the status.
    """

    def __init__(
        self,
        graph: Graph,
        bundle: Bundle | None,
        run_dir: Path,
        log_level: int = logging.INFO,
        metrics_port: int | None = None,
        signature: SignatureInfo | None = None,
    ) -> None:
        self._graph = graph
        self._signature = signature
        self._bundle = bundle
        self._run_dir = run_dir
        self._metrics_port = metrics_port
        self._supervisor = Supervisor(graph, bundle, run_dir, log_level)
        self._state = "starting"
        self._start_ns = time.monotonic_ns()
        self._ready_ns: int | None = None
        self._lock: IO[str] | None = None
        self._stop_signal = 0
        self._next_heartbeat_ns = 0
        self._seq: dict[str, int] = {}

    def run(self) -> int:
        """Run until Ctrl-C, SIGTERM or a shutdown request.

        Returns:
            Exit code: 0 after a clean end, 1 if a node failed for good.

        Raises:
            DeixisError: The graph did not start.
        """
        self._take_run_dir()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        try:
            if self._bundle is not None:
                self._bundle.verify()
            with self._open_bus() as bus:
                self._bus = bus
                self._open_control()
                close_metrics = self._serve_metrics()
                try:
                    if self._supervisor.start_all(lambda: bool(self._stop_signal)):
                        self._on_ready()
                    return self._serve()
                finally:
                    self._state = "closing"
                    self._supervisor.close_all()
                    close_metrics()
                    self._control.close(0)
                    _log.info("closed")
        finally:
            self._release_run_dir()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signal = number

    def _on_ready(self) -> None:
        self._ready_ns = time.monotonic_ns()
        self._state = "ready"
        _log.info(
            "ready: %d nodes in %.1f s (%s)",
            len(self._graph.order),
            (self._ready_ns - self._start_ns) / NS_PER_S,
            ", ".join(self._graph.order),
        )

    # --- run folder and sockets -----------------------------------------------------------------

    def _take_run_dir(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._run_dir.chmod(0o700)
        lock = (self._run_dir / "lock").open("a+")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise DaemonError(
                f"a daemon already runs in {self._run_dir} (pid {lock.read().strip() or '?'})",
                hint="deixis status; end it with Ctrl-C or deixis shutdown, or use another --name",
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        self._remove_leftovers()

    def _remove_leftovers(self) -> None:
        """Sockets and frames of a run that was killed."""
        for path in self._run_dir.iterdir():
            if path.is_socket():
                path.unlink(missing_ok=True)
        for path in SHM_DIR.glob(f"{ring_prefix(self._run_dir)}*"):
            path.unlink(missing_ok=True)

    def _release_run_dir(self) -> None:
        self._remove_leftovers()
        if self._lock is not None:
            self._lock.close()

    def _open_bus(self) -> Bus:
        telemetry = [
            Link(n.id, TELEMETRY, DAEMON, n.id, topics.TELEMETRY, "latest", 1)
            for n in self._graph.spec.nodes
        ]
        outputs = [link for link in self._graph.links if link.source == DAEMON]
        return Bus(self._run_dir, DAEMON, DAEMON_OUTPUTS, [*telemetry, *outputs])

    def _open_control(self) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._control = self._context.socket(zmq.REP)
        address = endpoint(self._run_dir, DAEMON, c.CONTROL)
        try:
            self._control.bind(address)
        except zmq.ZMQError as cause:
            raise BusError(f"cannot open the socket {address}: {cause}") from cause

    def _serve_metrics(self) -> Callable[[], None]:
        if self._metrics_port is None:
            return lambda: None
        from deixis.runtime.prometheus import serve

        return serve(self._metrics_port, lambda: self._status(time.monotonic_ns()))

    # --- serving --------------------------------------------------------------------------------

    def _serve(self) -> int:
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        while not self._stop_signal:
            self._bus.poll(0)
            while (item := self._bus.next()) is not None:
                # The inputs are called like the nodes; all of them carry telemetry.
                if isinstance(item[1], m.Telemetry):
                    self._supervisor.on_telemetry(item[0], item[1])
            if poller.poll(int(_HEARTBEAT_MS / 2)):
                self._answer()
            self._beat()
            self._supervisor.watch()
            self._state = "degraded" if self._supervisor.failed else "ready"
        if self._stop_signal == signal.SIGINT:
            _log.info("Ctrl-C: closing")
        return 1 if self._supervisor.failed else 0

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_heartbeat_ns:
            self._next_heartbeat_ns = now_ns + int(_HEARTBEAT_MS * NS_PER_MS)
            self._bus.send("heartbeat", m.Heartbeat(self._header("heartbeat", now_ns)))

    def _header(self, output: str, stamp_ns: int) -> m.Header:
        seq = self._seq[output] = self._seq.get(output, -1) + 1
        return m.Header(stamp_ns, seq, DAEMON)

    def _answer(self) -> None:
        try:
            request = msgspec.msgpack.decode(self._control.recv(), type=c.Request)
        except msgspec.DecodeError as error:
            self._control.send(msgspec.msgpack.encode(c.Refused(f"not a request: {error}")))
            return
        self._control.send(msgspec.msgpack.encode(self._carry_out(request)))

    def _carry_out(self, request: c.Request) -> c.Status | c.Accepted | c.Refused:
        now_ns = time.monotonic_ns()
        if isinstance(request, c.StatusRequest):
            return self._status(now_ns)
        if isinstance(request, c.PlayRequest):
            if not any(link.output == "playback" for link in self._graph.links):
                return c.Refused(f"graph {self._graph.spec.name!r} has no input for playback")
            start_ns = now_ns + int(request.delay_ms * NS_PER_MS)
            header = self._header("playback", now_ns)
            audio, video = request.audio_path, request.video_path
            self._bus.send("playback", m.Playback(header, audio, video, start_ns, request.reset))
            return c.Accepted(start_ns)
        if isinstance(request, c.TypeRequest):
            if not any(link.output == "typed" for link in self._graph.links):
                return c.Refused(f"graph {self._graph.spec.name!r} has no input for typed commands")
            header = self._header("typed", now_ns)
            self._bus.send("typed", m.TypedCommand(header, request.text, request.points_base_m))
            return c.Accepted()
        if isinstance(request, c.TalkRequest):
            if not any(link.output == "talk" for link in self._graph.links):
                return c.Refused(f"graph {self._graph.spec.name!r} has no input for push-to-talk")
            until_ns = now_ns + int(request.seconds * NS_PER_S)
            self._bus.send("talk", m.Talk(self._header("talk", now_ns), until_ns))
            return c.Accepted()
        self._stop_signal = signal.SIGTERM
        return c.Accepted()

    def _status(self, now_ns: int) -> c.Status:
        return c.Status(
            state=self._state,
            graph=str(self._graph.path),
            bundle=str(self._bundle.root) if self._bundle else None,
            signature=self._signature,
            pid=os.getpid(),
            uptime_s=(now_ns - self._start_ns) / NS_PER_S,
            start_s=(self._ready_ns - self._start_ns) / NS_PER_S if self._ready_ns else None,
            nodes=self._supervisor.status(now_ns),
        )
