"""The daemon: starts one process a node, watches them, starts them again, and ends them in order.

    deixis run demo --bundle bundles/cpu

Nodes are forked from a server process that has their modules loaded already, so that a graph (and
a node that is started again) is ready quickly. Start-up: all nodes open their sockets and load
their models at once; when every one is ready, all are told to go. A node that fails or falls silent
is started again with growing delays, as its ``restart`` says.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
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
from deixis.runtime.errors import BusError, DaemonError, DeixisError, NodeError
from deixis.runtime.frames import SHM_DIR
from deixis.runtime.graph import DAEMON, DAEMON_OUTPUTS, Graph, Link
from deixis.runtime.host import CLOSE, GO, HostSpec
from deixis.runtime.host import main as host_main

START_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 2.0
SILENT_MS = 5000.0
RESTART_WINDOW_S = 60.0
_HEARTBEAT_MS = 1000.0 / topics.HEARTBEAT.rate_hz
_log = logging.getLogger("deixis.daemon")


@dataclass
class _Running:
    """A node's process."""

    spec: HostSpec
    process: BaseProcess
    pipe: Connection
    started_ns: int
    state: str = "starting"
    error: str = ""
    restarts: list[float] = field(default_factory=list)
    n_restarts: int = 0
    restart_at_ns: int = 0
    telemetry: m.Telemetry | None = None
    heard_ns: int = 0


class Daemon:
    """Runs a graph.

    Args:
        graph: A checked graph.
        bundle: The models, if the graph needs some.
        run_dir: Folder for the sockets; made private.
        log_level: Level of the nodes' logs.
        metrics_port: Where to serve Prometheus metrics, if at all.
    """

    def __init__(
        self,
        graph: Graph,
        bundle: Bundle | None,
        run_dir: Path,
        log_level: int = logging.INFO,
        metrics_port: int | None = None,
    ) -> None:
        self._graph = graph
        self._metrics_port = metrics_port
        self._bundle = bundle
        self._run_dir = run_dir
        self._log_level = log_level
        self._state = "starting"
        self._start_ns = time.monotonic_ns()
        self._ready_ns: int | None = None
        self._nodes: dict[str, _Running] = {}
        self._lock: IO[str] | None = None
        self._stop_signal = 0
        self._next_heartbeat_ns = 0
        self._seq: dict[str, int] = {}

    # --- life -----------------------------------------------------------------------------------

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
                    self._start_all()
                    return self._serve()
                finally:
                    self._close_all()
                    close_metrics()
                    self._control.close(0)
        finally:
            self._release_run_dir()

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._stop_signal = number

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

    # --- start and end --------------------------------------------------------------------------

    def _start_all(self) -> None:
        # BLAS pools of several processes take the cores from each other; read when numpy loads.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._fork = multiprocessing.get_context("forkserver")
        self._fork.set_forkserver_preload(
            [
                *("deixis.runtime.host", "onnxruntime", "cv2"),
                *sorted({k.__module__ for k in self._graph.classes.values()}),
            ]
        )
        for node_id in self._graph.order:
            self._nodes[node_id] = self._start(node_id)
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(r.state == "starting" for r in self._nodes.values()):
            for node_id, running in self._nodes.items():
                self._hear(node_id, running)
                if running.state == "failed":
                    raise NodeError(f"node {node_id!r} did not start: {running.error}")
            if self._stop_signal:
                return
            if time.monotonic() > deadline:
                late = [i for i, r in self._nodes.items() if r.state == "starting"]
                raise NodeError(
                    f"not ready after {START_TIMEOUT_S:.0f} s: {', '.join(late)}",
                    hint="deixis run … --log debug says what they wait for",
                )
            time.sleep(0.005)
        # Sources go last: whoever listens to them is there by then.
        for node_id in reversed(self._graph.order):
            self._nodes[node_id].pipe.send_bytes(GO)
        self._ready_ns = time.monotonic_ns()
        self._state = "ready"
        _log.info(
            "ready: %d nodes in %.1f s (%s)",
            len(self._nodes),
            (self._ready_ns - self._start_ns) / NS_PER_S,
            ", ".join(self._graph.order),
        )

    def _start(self, node_id: str) -> _Running:
        entry = self._graph.node(node_id)
        spec = HostSpec(
            node_id=node_id,
            node=entry.node,
            params=msgspec.msgpack.encode(self._graph.params[node_id]),
            links=list(self._graph.links),
            run_dir=self._run_dir,
            base_dir=self._graph.path.parent,
            bundle=self._bundle.root if self._bundle else None,
            log_level=self._log_level,
        )
        ours, theirs = self._fork.Pipe()
        process = self._fork.Process(
            target=host_main, args=(theirs, spec), name=f"deixis-{node_id}", daemon=True
        )
        process.start()
        theirs.close()
        now_ns = time.monotonic_ns()
        return _Running(spec, process, ours, now_ns, heard_ns=now_ns)

    def _hear(self, node_id: str, running: _Running) -> None:
        """Read what a node says over its pipe, and notice that it ended."""
        try:
            while running.pipe.poll():
                state, _, text = running.pipe.recv_bytes().decode().partition("\0")
                running.state, running.error = state, text
                if state == "ready":
                    running.heard_ns = time.monotonic_ns()
        except (EOFError, OSError):
            # The pipe broke: the process ended; its exit code says more below.
            running.error = running.error or "its process ended"
        if running.state != "failed" and not running.process.is_alive():
            running.state = "failed"
            running.error = running.error or (
                f"its process ended with code {running.process.exitcode}"
            )

    def _close_all(self) -> None:
        self._state = "closing"
        # Sources first, so that nobody waits for what no longer comes.
        for node_id in self._graph.order:
            running = self._nodes.get(node_id)
            if running is None:
                continue
            try:
                running.pipe.send_bytes(CLOSE)
            except OSError:
                _log.debug("node %s has ended already", node_id)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        for node_id, running in self._nodes.items():
            running.process.join(max(0.0, deadline - time.monotonic()))
            if running.process.is_alive():
                _log.warning("node %s does not close: killing it", node_id)
                running.process.kill()
                running.process.join(1.0)
            running.pipe.close()
        _log.info("closed")

    # --- serving --------------------------------------------------------------------------------

    def _serve(self) -> int:
        poller = zmq.Poller()
        poller.register(self._control, zmq.POLLIN)
        while not self._stop_signal:
            self._bus.poll(0)
            while (item := self._bus.next()) is not None:
                self._on_telemetry(*item)
            if poller.poll(int(_HEARTBEAT_MS / 2)):
                self._answer()
            self._beat()
            self._watch()
            if any(r.state == "failed" and not r.restart_at_ns for r in self._nodes.values()):
                self._state = "degraded"
        if self._stop_signal == signal.SIGINT:
            _log.info("Ctrl-C: closing")
        return 1 if self._state == "degraded" else 0

    def _beat(self) -> None:
        now_ns = time.monotonic_ns()
        if now_ns >= self._next_heartbeat_ns:
            self._next_heartbeat_ns = now_ns + int(_HEARTBEAT_MS * NS_PER_MS)
            self._send("heartbeat", m.Heartbeat(self._header("heartbeat", now_ns)))

    def _header(self, output: str, stamp_ns: int) -> m.Header:
        seq = self._seq[output] = self._seq.get(output, -1) + 1
        return m.Header(stamp_ns, seq, DAEMON)

    def _send(self, output: str, message: m.Message) -> None:
        self._bus.send(output, message)

    def _on_telemetry(self, node_id: str, message: m.Message) -> None:
        running = self._nodes.get(node_id)
        if running is not None and isinstance(message, m.Telemetry):
            running.telemetry = message
            running.heard_ns = time.monotonic_ns()

    def _watch(self) -> None:
        now_ns = time.monotonic_ns()
        for node_id, running in self._nodes.items():
            before = running.state
            if before != "failed":
                self._hear(node_id, running)
                if running.state == "ready" and before in ("starting", "restarting"):
                    running.pipe.send_bytes(GO)
                    _log.info("node %s runs again", node_id)
                silent_ms = (now_ns - running.heard_ns) / NS_PER_MS
                if running.state == "ready" and silent_ms > SILENT_MS:
                    running.state, running.error = "failed", f"silent for {silent_ms:.0f} ms"
                    running.process.kill()
            if running.state == "failed" and before != "failed":
                self._plan_restart(node_id, running, now_ns)
            if (
                running.state == "failed"
                and running.restart_at_ns
                and (now_ns >= running.restart_at_ns)
            ):
                self._restart(node_id, running)

    def _plan_restart(self, node_id: str, running: _Running, now_ns: int) -> None:
        entry = self._graph.node(node_id)
        now_s = now_ns / NS_PER_S
        recent = [t for t in running.restarts if now_s - t < RESTART_WINDOW_S]
        if entry.restart == "never" or len(recent) >= entry.max_restarts:
            running.restart_at_ns = 0
            _log.error("node %s failed for good: %s", node_id, running.error)
            return
        delay_s = min(5.0, 0.1 * 2 ** len(recent))
        running.restarts = [*recent, now_s]
        running.restart_at_ns = now_ns + int(delay_s * NS_PER_S)
        _log.error("node %s failed: %s; again in %.1f s", node_id, running.error, delay_s)

    def _restart(self, node_id: str, running: _Running) -> None:
        running.process.join(1.0)
        running.pipe.close()
        for path in self._run_dir.glob(f"{node_id}.*"):
            path.unlink(missing_ok=True)
        fresh = self._start(node_id)
        fresh.state = "restarting"
        fresh.restarts, fresh.n_restarts = running.restarts, running.n_restarts + 1
        self._nodes[node_id] = fresh

    # --- requests -------------------------------------------------------------------------------

    def _answer(self) -> None:
        raw = self._control.recv()
        try:
            request = msgspec.msgpack.decode(raw, type=c.Request)
        except msgspec.DecodeError as error:
            self._control.send(msgspec.msgpack.encode(c.Refused(f"not a request: {error}")))
            return
        try:
            answer = self._carry_out(request)
        except DeixisError as error:
            answer = c.Refused(str(error))
        self._control.send(msgspec.msgpack.encode(answer))

    def _carry_out(self, request: c.Request) -> c.Status | c.Accepted | c.Refused:
        now_ns = time.monotonic_ns()
        if isinstance(request, c.StatusRequest):
            return self._status(now_ns)
        if isinstance(request, c.PlayRequest):
            if not any(link.output == "playback" for link in self._graph.links):
                return c.Refused(f"graph {self._graph.spec.name!r} has no input for playback")
            start_ns = now_ns + int(request.delay_ms * NS_PER_MS)
            header = self._header("playback", now_ns)
            self._send(
                "playback",
                m.Playback(header, request.audio_path, request.video_path, start_ns, request.reset),
            )
            return c.Accepted(start_ns)
        if isinstance(request, c.TypeRequest):
            if not any(link.output == "typed" for link in self._graph.links):
                return c.Refused(f"graph {self._graph.spec.name!r} has no input for typed commands")
            header = self._header("typed", now_ns)
            self._send("typed", m.TypedCommand(header, request.text, request.points_base_m))
            return c.Accepted()
        self._stop_signal = signal.SIGTERM
        return c.Accepted()

    def _status(self, now_ns: int) -> c.Status:
        nodes = []
        for node_id in self._graph.order:
            if (running := self._nodes.get(node_id)) is None:
                continue
            entry = self._graph.node(node_id)
            state = running.state
            if state == "failed" and running.restart_at_ns:
                state = "restarting"
            nodes.append(
                c.NodeStatus(
                    node_id=node_id,
                    node=entry.node,
                    state=state,
                    restarts=running.n_restarts,
                    error=running.error,
                    age_ms=(now_ns - running.heard_ns) / NS_PER_MS if running.telemetry else None,
                    budget_ms=entry.budget_ms,
                    outputs={n: t.name for n, t in self._graph.classes[node_id].outputs.items()},
                    telemetry=running.telemetry,
                )
            )
        return c.Status(
            state=self._state,
            graph=str(self._graph.path),
            bundle=str(self._bundle.root) if self._bundle else None,
            pid=os.getpid(),
            uptime_s=(now_ns - self._start_ns) / NS_PER_S,
            start_s=(self._ready_ns - self._start_ns) / NS_PER_S if self._ready_ns else None,
            nodes=nodes,
        )
