"""The daemon with real processes and sockets, on small nodes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deixis.runtime import messages as m
from deixis.runtime import topics
from deixis.runtime.bus import ring_prefix
from deixis.runtime.control import Client, Tap
from deixis.runtime.errors import DaemonError
from deixis.runtime.frames import SHM_DIR

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
NODES = "tests.faults.nodes"

CHAIN = f"""
name: chain
nodes:
  - {{id: ticker, node: "{NODES}:Ticker"}}
  - id: commander
    node: "{NODES}:Commander"
    inputs: {{scene: {{from: ticker/scene, queue: all}}}}
  - id: executor
    node: "{NODES}:Executor"
    inputs:
      command: commander/command
      stop: commander/stop
      frame: ticker/frame
      heartbeat: daemon/heartbeat
"""


def single(kind: str, **more: object) -> str:
    extra = "".join(f", {k}: {v}" for k, v in more.items())
    return f'name: one\nnodes:\n  - {{id: it, node: "{NODES}:{kind}"{extra}}}\n'


RUNNER = """
import logging, sys
from pathlib import Path
from deixis.runtime.daemon import Daemon
from deixis.runtime.errors import DeixisError
from deixis.runtime.graph import load_graph
if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    try:
        sys.exit(Daemon(load_graph(Path(sys.argv[1])), None, Path(sys.argv[2])).run())
    except DeixisError as error:
        print(error, file=sys.stderr)
        sys.exit(error.exit_code)
"""


@contextmanager
def daemon(tmp_path: Path, graph: str) -> Iterator[tuple[subprocess.Popen[str], Client]]:
    path = tmp_path / "graph.yaml"
    path.write_text(graph)
    runner = tmp_path / "runner.py"
    runner.write_text(RUNNER)
    run_dir = tmp_path / "run"
    process = subprocess.Popen(
        [sys.executable, str(runner), str(path), str(run_dir)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, Client(run_dir)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_until(client: Client, process: subprocess.Popen[str], state: str) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stderr is not None
            pytest.fail(f"the daemon ended: {process.stderr.read()}")
        try:
            if client.status().state == state:
                return
        except DaemonError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the daemon did not become {state}")


def test_messages_commands_stops_and_frames_arrive(tmp_path: Path) -> None:
    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        status = client.status()
        done: set[str] = set()
        stopped: set[str] = set()
        pixels: list[float] = []
        with Tap(client.run_dir, status.outputs_of(topics.FEEDBACK)) as tap:
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline and (len(done) < 30 or len(stopped) < 2):
                item = tap.next(200)
                if item is None:
                    continue
                feedback = item[1]
                assert isinstance(feedback, m.Feedback)
                if feedback.intent == "frame":
                    pixels.append(feedback.progress)
                elif feedback.state == "done":
                    # Delivered exactly once.
                    assert feedback.header.command_id not in done
                    done.add(feedback.header.command_id or "")
                else:
                    stopped.add(feedback.header.command_id or "")
        assert len(done) >= 30
        assert len(stopped) >= 2
        assert len(set(pixels)) > 10
        time.sleep(0.6)
        executor = next(n for n in client.status().nodes if n.node_id == "executor")
        assert executor.telemetry is not None
        assert executor.telemetry.inputs["command"].received >= 30
        assert executor.telemetry.inputs["command"].dropped == 0
        assert executor.telemetry.notes == ("the daemon lives",)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert not list(SHM_DIR.glob(f"{ring_prefix(client.run_dir)}*"))
        assert not [p for p in client.run_dir.iterdir() if p.is_socket()]


def test_second_daemon_is_refused(tmp_path: Path) -> None:
    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        second = subprocess.run(
            [sys.executable, str(tmp_path / "runner.py"), str(tmp_path / "graph.yaml"),
             str(client.run_dir)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert second.returncode == 1
        assert f"already runs in {client.run_dir} (pid {process.pid})" in second.stderr


def test_failed_setup_ends_the_start_with_its_reason(tmp_path: Path) -> None:
    with daemon(tmp_path, single("NoDevice")) as (process, _):
        _, errors = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "node 'it' did not start: there is no camera 7" in errors
        assert "plug one in" in errors


@pytest.mark.parametrize("kind", ["Crash", "Killed"])
def test_a_node_that_dies_is_started_again_and_then_given_up(tmp_path: Path, kind: str) -> None:
    with daemon(tmp_path, single(kind, max_restarts=2)) as (process, client):
        wait_until(client, process, "degraded")
        node = client.status().nodes[0]
        assert node.state == "failed"
        assert node.restarts == 2
        assert node.error
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 1


def test_a_node_that_does_not_close_is_killed(tmp_path: Path) -> None:
    with daemon(tmp_path, single("Deaf")) as (process, client):
        wait_until(client, process, "ready")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)
        assert process.returncode == 0
        assert "does not close: killing it" in errors


def test_nodes_end_when_the_daemon_is_killed(tmp_path: Path) -> None:
    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        time.sleep(0.7)
        pids = [n.telemetry.pid for n in client.status().nodes if n.telemetry]
        assert len(pids) == 3
        process.kill()
        process.wait(5)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and any(Path(f"/proc/{p}").exists() for p in pids):
            time.sleep(0.05)
        assert not any(Path(f"/proc/{p}").exists() for p in pids)


def test_a_request_that_is_none_is_refused(tmp_path: Path) -> None:
    import msgspec
    import zmq

    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        socket = context.socket(zmq.REQ)
        socket.connect(f"ipc://{client.run_dir}/daemon.ctl")
        socket.send(b"\x81\xa4evil\x01")
        answer = msgspec.msgpack.decode(socket.recv())
        context.destroy(linger=0)
        assert "not a request" in str(answer)
        assert client.status().state == "ready"
        with pytest.raises(DaemonError, match="no input for typed"):
            client.type_command("stop")
        with pytest.raises(DaemonError, match="no input for push-to-talk"):
            client.talk(1.0)


def test_the_graph_goes_on_when_a_killed_node_is_back(tmp_path: Path) -> None:
    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        time.sleep(0.7)
        before = {n.node_id: n for n in client.status().nodes}
        victim = before["ticker"].telemetry
        assert victim is not None
        os.kill(victim.pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            node = next(n for n in client.status().nodes if n.node_id == "ticker")
            if node.restarts == 1 and node.state == "ready":
                break
            time.sleep(0.05)
        else:
            pytest.fail("the ticker was not started again")
        since_ns = time.monotonic_ns()
        fresh = 0
        with Tap(client.run_dir, client.status().outputs_of(topics.FEEDBACK)) as tap:
            while fresh < 20 and time.monotonic() < deadline + 5:
                item = tap.next(200)
                if item is not None and item[1].header.stamp_ns > since_ns:
                    assert isinstance(item[1], m.Feedback)
                    fresh += item[1].intent == "frame"
        assert fresh == 20
        assert {n.state for n in client.status().nodes} == {"ready"}


def test_prometheus_metrics_and_a_busy_port(tmp_path: Path) -> None:
    import socket
    import urllib.request

    from deixis.runtime.errors import BusError
    from deixis.runtime.prometheus import serve

    with daemon(tmp_path, CHAIN) as (process, client):
        wait_until(client, process, "ready")
        time.sleep(0.7)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            probe.listen()
            with pytest.raises(BusError, match=rf"127\.0\.0\.1:{port}"):
                serve(port, client.status)
        close = serve(port, client.status)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                text = page.read().decode()
        finally:
            close()
        assert 'deixis_node_up{node="ticker"} 1.0' in text
        assert 'deixis_input_received_total{input="command",node="executor"}' in text
