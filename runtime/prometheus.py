"""Serves the daemon's state as Prometheus metrics.

deixis run demo --metrics-port 9464 &
curl http://127.0.0.1:9464/metrics
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from deixis.runtime.control import Status
from deixis.runtime.errors import BusError


class StatusCollector(Collector):
    """Turns a :class:`Status` into metric families at each scrape.

    Args:
        status: Gives the current state.
    """

    def __init__(self, status: Callable[[], Status]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """The metric families."""
        up = GaugeMetricFamily("deixis_node_up", "1 while the node is ready", labels=["node"])
        restarts = CounterMetricFamily("deixis_node_restarts", "Restarts", labels=["node"])
        cpu = GaugeMetricFamily("deixis_node_cpu_percent", "CPU, 100 = a core", labels=["node"])
        rss = GaugeMetricFamily("deixis_node_rss_bytes", "Resident memory", labels=["node"])
        by_input = ["node", "input"]
        received = CounterMetricFamily("deixis_input_received", "Messages", labels=by_input)
        dropped = CounterMetricFamily("deixis_input_dropped", "Messages dropped", labels=by_input)
        refused = CounterMetricFamily("deixis_input_refused", "Messages refused", labels=by_input)
        p99 = GaugeMetricFamily("deixis_handler_p99_seconds", "Recent p99", labels=by_input)
        for node in self._status().nodes:
            up.add_metric([node.node_id], float(node.state == "ready"))
            restarts.add_metric([node.node_id], node.restarts)
            if node.telemetry is None:
                continue
            cpu.add_metric([node.node_id], node.telemetry.cpu_percent)
            rss.add_metric([node.node_id], node.telemetry.rss_mb * 2**20)
            for name, stats in node.telemetry.inputs.items():
                received.add_metric([node.node_id, name], stats.received)
                dropped.add_metric([node.node_id, name], stats.dropped)
                refused.add_metric([node.node_id, name], stats.refused)
            for name, timing in node.telemetry.timings.items():
                p99.add_metric([node.node_id, name], timing.p99_ms / 1000)
        yield from (up, restarts, cpu, rss, received, dropped, refused, p99)


def serve(port: int, status: Callable[[], Status]) -> Callable[[], None]:
    """Serve metrics on this machine only.

    Returns:
        A function that ends the server.

    Raises:
        BusError: The port is busy or not allowed.
    """
    registry = CollectorRegistry()
    registry.register(StatusCollector(status))
    try:
        server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    except (OSError, OverflowError) as cause:
        raise BusError(
            f"cannot serve metrics on 127.0.0.1:{port}: {cause}",
            hint="the port is busy or not allowed; choose another --metrics-port",
        ) from cause

    def close() -> None:
        server.shutdown()
        server.server_close()
        thread.join(1.0)

    return close
