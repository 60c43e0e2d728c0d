"""Starts one process a node, watches them, starts them again, and ends them in order.

Nodes are forked from a server process that has their modules loaded already, so that a graph (and
a node that is started again) is ready quickly. Start-up: all nodes open their sockets and load
their models at once; when every one is ready, all are told to go. A node that fails or falls silent
is started again with growing delays, as its ``restart`` says.

    supervisor = Supervisor(graph, bundle, run_dir, logging.INFO)
    supervisor.start_all(lambda: False)
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import msgspec

from deixis.runtime import messages as m
from deixis.runtime.bundle import Bundle
from deixis.runtime.bus import ring_prefix
from deixis.runtime.clock import NS_PER_MS, NS_PER_S
from deixis.runtime.control import NodeStatus
from deixis.runtime.errors import NodeError
from deixis.runtime.frames import SHM_DIR
from deixis.runtime.graph import Graph
from deixis.runtime.host import CLOSE, GO, HostSpec
from deixis.runtime.host import main as host_main

START_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 2.0
SILENT_MS = 5000.0
RESTART_WINDOW_S = 60.0
_log = logging.getLogger("deixis.daemon")


@dataclass
class _Running:
    """A node's process."""

    process: BaseProcess
    pipe: Connection
    heard_ns: int
    state: str = "starting"
    error: str = ""
    restarts: list[float] = field(default_factory=list)
    n_restarts: int = 0
    restart_at_ns: int = 0
    telemetry: m.Telemetry | None = None


class Supervisor:
    """The processes of a graph's nodes.

    Args:
        graph: A checked graph.
        bundle: The models, if the graph needs some.
        run_dir: Folder of the sockets.
        log_level: Level of the nodes' logs.
    """

    def __init__(self, graph: Graph, bundle: Bundle | None, run_dir: Path, log_level: int) -> None:
        self._graph = graph
        self._bundle = bundle
        self._run_dir = run_dir
        self._log_level = log_level
        self._nodes: dict[str, _Running] = {}
        # BLAS pools of several processes take the cores from each other; read when numpy loads.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self._fork = multiprocessing.get_context("forkserver")
        self._fork.set_forkserver_preload(
            [
                *("deixis.runtime.host", "onnxruntime", "cv2"),
                *sorted({k.__module__ for k in graph.classes.values()}),
            ]
        )

    @property
    def failed(self) -> bool:
        """Whether a node has failed for good."""
        return any(r.state == "failed" and not r.restart_at_ns for r in self._nodes.values())

    def start_all(self, given_up: Callable[[], bool]) -> bool:
        """Start all nodes and let them go when every one is ready.

        Args:
            given_up: Says whether somebody wants to end it meanwhile (Ctrl-C).

        Returns:
            False if it was given up.

        Raises:
            NodeError: A node failed, or was not ready in time.
        """
        for node_id in self._graph.order:
            self._nodes[node_id] = self._start(node_id)
        deadline = time.monotonic() + START_TIMEOUT_S
        while any(r.state == "starting" for r in self._nodes.values()):
            for node_id, running in self._nodes.items():
                self._hear(running)
                if running.state == "failed":
                    raise NodeError(f"node {node_id!r} did not start: {running.error}")
            if given_up():
                return False
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
        return True

    def close_all(self) -> None:
        """End all nodes, sources first, so that nobody waits for what no longer comes."""
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

    def on_telemetry(self, node_id: str, telemetry: m.Telemetry) -> None:
        """A node has reported: it lives."""
        running = self._nodes[node_id]
        running.telemetry = telemetry
        running.heard_ns = time.monotonic_ns()

    def watch(self) -> None:
        """Notice nodes that ended or fell silent, and start them again when it is time."""
        now_ns = time.monotonic_ns()
        for node_id, running in list(self._nodes.items()):
            if running.state != "failed":
                self._look_after(node_id, running, now_ns)
            elif running.restart_at_ns and now_ns >= running.restart_at_ns:
                self._restart(node_id, running)

    def status(self, now_ns: int) -> list[NodeStatus]:
        """State of every node, in the order of the graph."""
        return [
            NodeStatus(
                node_id=node_id,
                node=self._graph.node(node_id).node,
                state=(
                    "restarting"
                    if running.state == "failed" and running.restart_at_ns
                    else running.state
                ),
                restarts=running.n_restarts,
                error=running.error,
                age_ms=(now_ns - running.heard_ns) / NS_PER_MS if running.telemetry else None,
                budget_ms=self._graph.node(node_id).budget_ms,
                outputs={n: t.name for n, t in self._graph.classes[node_id].outputs.items()},
                telemetry=running.telemetry,
            )
            for node_id in self._graph.order
            if (running := self._nodes.get(node_id)) is not None
        ]

    def _start(self, node_id: str) -> _Running:
        spec = HostSpec(
            node_id=node_id,
            node=self._graph.node(node_id).node,
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
        return _Running(process, ours, time.monotonic_ns())

    @staticmethod
    def _hear(running: _Running) -> None:
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

    def _look_after(self, node_id: str, running: _Running, now_ns: int) -> None:
        before = running.state
        self._hear(running)
        if running.state == "ready" and before == "restarting":
            running.pipe.send_bytes(GO)
            _log.info("node %s runs again", node_id)
        silent_ms = (now_ns - running.heard_ns) / NS_PER_MS
        if running.state == "ready" and silent_ms > SILENT_MS:
            running.state, running.error = "failed", f"silent for {silent_ms:.0f} ms"
            running.process.kill()
        if running.state == "failed":
            self._plan_restart(node_id, running, now_ns)

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
        leftovers = [
            *self._run_dir.glob(f"{node_id}.*"),
            *SHM_DIR.glob(f"{ring_prefix(self._run_dir)}{node_id}-*"),
        ]
        for path in leftovers:
            path.unlink(missing_ok=True)
        fresh = self._start(node_id)
        fresh.state = "restarting"
        fresh.restarts, fresh.n_restarts = running.restarts, running.n_restarts + 1
        self._nodes[node_id] = fresh
