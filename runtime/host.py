"""Runs one node in a process of its own: its loop, its reports, its end.

The daemon forks this process and holds the other end of a pipe. Over the pipe the node says that it
is ready or why it failed, and the daemon says go and close; when the daemon is gone, the pipe
breaks and the node ends by itself.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import psutil

from deixis.runtime import messages as m
from deixis.runtime.bundle import Bundle
from deixis.runtime.bus import TELEMETRY, Bus
from deixis.runtime.clock import NS_PER_MS, SystemClock
from deixis.runtime.errors import DeixisError
from deixis.runtime.graph import Link
from deixis.runtime.metrics import RollingTimings
from deixis.runtime.node import Node, NodeContext
from deixis.runtime.registry import node_class

GO = b"go"
CLOSE = b"close"
TELEMETRY_PERIOD_MS = 500.0
_IDLE_MS = 100.0


@dataclass(frozen=True)
class HostSpec:
    """All that a node process needs to know.

    Attributes:
        node_id: Id in the graph.
        node: Installed node, or ``module:Class``.
        params: Typed parameters, encoded as msgpack.
        links: All connections of the graph.
        run_dir: Folder of the sockets.
        base_dir: Where relative paths in parameters start.
        bundle: Folder of the bundle, if there is one.
        log_level: Level of the log.
    """

    node_id: str
    node: str
    params: bytes
    links: Sequence[Link]
    run_dir: Path
    base_dir: Path
    bundle: Path | None
    log_level: int


def main(pipe: Connection, spec: HostSpec) -> None:
    """Run a node until the daemon says close (entry point of the process)."""
    # Ctrl-C reaches the whole process group; only the daemon acts on it, and ends nodes in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(
        level=spec.log_level, format=f"%(asctime)s {spec.node_id:<10} %(levelname)s %(message)s"
    )
    _limit_threads()
    kind = node_class(spec.node)
    params = msgspec.msgpack.decode(spec.params, type=kind.Params)
    try:
        with Bus(spec.run_dir, spec.node_id, kind.outputs, spec.links, kind.priority) as bus:
            context = NodeContext(
                node_id=spec.node_id,
                clock=SystemClock(),
                send=bus.send,
                bundle=Bundle.open(spec.bundle) if spec.bundle else None,
                base_dir=spec.base_dir,
            )
            node = kind(context, params)
            try:
                node.setup()
                _say(pipe, "ready", "")
                if pipe.recv_bytes() == GO:
                    NodeLoop(node, bus, pipe).run()
            finally:
                node.close()
    except DeixisError as error:
        logging.getLogger("deixis").error("%s", error)
        _say(pipe, "failed", str(error))
        raise SystemExit(1) from None
    except (EOFError, BrokenPipeError):
        # The daemon is gone: there is nobody left to serve.
        raise SystemExit(1) from None
    except Exception as error:
        logging.getLogger("deixis").exception("the node broke")
        _say(pipe, "failed", f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None


def _say(pipe: Connection, state: str, text: str) -> None:
    try:
        pipe.send_bytes(f"{state}\0{text}".encode())
    except OSError:
        logging.getLogger("deixis").debug("the daemon is gone")


def _limit_threads() -> None:
    """One thread a node: on a few cores, pools of several processes take time from each other."""
    import cv2

    cv2.setNumThreads(1)


class NodeLoop:
    """Serves a node's inputs by urgency, ticks it when due, and reports.

    Args:
        node: A node that is set up.
        bus: Its sockets.
        pipe: To the daemon.
    """

    def __init__(self, node: Node[Any], bus: Bus, pipe: Connection) -> None:
        self._node = node
        self._bus = bus
        self._pipe = pipe
        self._process = psutil.Process()
        self._process.cpu_percent()
        self._timings: dict[str, RollingTimings] = {}
        self._telemetry_seq = 0
        self._next_telemetry_ns = 0

    def run(self) -> None:
        """Serve until the daemon says close."""
        self._bus.watch(self._pipe.fileno())
        while not (self._pipe.poll() and self._pipe.recv_bytes() == CLOSE):
            now_ns = time.monotonic_ns()
            if now_ns >= self._next_telemetry_ns:
                self._report(now_ns)
            self._bus.poll(self._wait_ms(now_ns))
            # One message at a time, looking for more urgent ones in between.
            while (item := self._bus.next()) is not None:
                self._timed(item[0], lambda item=item: self._node.handle(*item))
                self._tick_if_due()
                self._bus.poll(0)
                if time.monotonic_ns() >= self._next_telemetry_ns:
                    break
            self._tick_if_due()

    def _wait_ms(self, now_ns: int) -> float:
        due_ns = self._node.next_tick_ns()
        until_ns = (
            self._next_telemetry_ns if due_ns is None else min(due_ns, self._next_telemetry_ns)
        )
        return min(_IDLE_MS, max(0.0, (until_ns - now_ns) / NS_PER_MS))

    def _tick_if_due(self) -> None:
        due_ns = self._node.next_tick_ns()
        if due_ns is not None and time.monotonic_ns() >= due_ns:
            self._timed("tick", self._node.tick)

    def _timed(self, name: str, call: Any) -> None:
        start_ns = time.perf_counter_ns()
        call()
        timings = self._timings.setdefault(name, RollingTimings())
        timings.add((time.perf_counter_ns() - start_ns) / NS_PER_MS)

    def _report(self, now_ns: int) -> None:
        self._next_telemetry_ns = now_ns + int(TELEMETRY_PERIOD_MS * NS_PER_MS)
        notes = list(self._node.context.notes.values())
        if self._bus.undelivered:
            notes.append(f"{self._bus.undelivered} commands were never acknowledged")
        header = m.Header(now_ns, self._telemetry_seq, self._node.context.node_id)
        self._telemetry_seq += 1
        self._bus.send(
            TELEMETRY,
            m.Telemetry(
                header,
                state="ready",
                pid=os.getpid(),
                inputs=self._bus.input_stats(),
                timings={name: t.stats() for name, t in self._timings.items()},
                published=dict(self._bus.published),
                cpu_percent=self._process.cpu_percent(),
                rss_mb=self._process.memory_info().rss / 2**20,
                notes=tuple(notes),
            ),
        )
