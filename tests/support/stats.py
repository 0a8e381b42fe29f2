"""What Airflow's Stats sends: kept in memory, or received by a statsd sink on loopback."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Self

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from airflow_provider_videodb import metrics
from dev.airflow.processes import until
from tests.support.compat import SafeOtelLogger

if TYPE_CHECKING:
    from collections.abc import Iterator

HAS_STATSD = find_spec("statsd") is not None
needs_statsd = pytest.mark.skipif(not HAS_STATSD, reason="statsd is not installed beside this Airflow")


class SentMetrics:
    """The metrics that Airflow's OpenTelemetry logger has got, by name and the values of their tags."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self._values: dict[tuple[str, ...], float] = {}
        self.logger = SafeOtelLogger(MeterProvider(metric_readers=[self._reader], shutdown_on_exit=False))

    def all(self) -> dict[tuple[str, ...], float]:
        assert metrics.wait_until_sent(10)
        data = self._reader.get_metrics_data()
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics] if data else []
        # The OpenTelemetry beside Airflow 3.1 and 3.2 reads the value of a gauge once.
        self._values |= {
            (metric.name.removeprefix("airflow."), *point.attributes.values()): point.value
            for scope in scopes
            for metric in scope.metrics
            for point in metric.data.data_points
        }
        return dict(self._values)

    def of(self, metric: metrics.Metric) -> dict[tuple[str, ...], float]:
        return {
            tags: value
            for (name, *tags_), value in self.all().items()
            if name == metric.name
            for tags in [tuple(tags_)]
        }


@contextmanager
def kept_metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[SentMetrics]:
    """Turn Airflow's metrics on, and keep them in memory."""
    sent = SentMetrics()
    with metrics_on(monkeypatch, "otel_on"):
        monkeypatch.setattr(metrics, "_stats", lambda: sent.logger)
        yield sent


@contextmanager
def metrics_on(monkeypatch: pytest.MonkeyPatch, *options: str) -> Iterator[None]:
    for option in options:
        monkeypatch.setenv(f"AIRFLOW__METRICS__{option.upper()}", "True")
    metrics._has_tags.cache_clear()
    metrics._warn_once.cache_clear()
    try:
        yield
    finally:
        metrics._has_tags.cache_clear()


class StatsdSink:
    """Receives what a statsd client sends."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._lines: list[str] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # An empty datagram ends the thread.
        self._socket.sendto(b"", self._socket.getsockname())

    @property
    def settings(self) -> dict[str, str]:
        """The environment of an Airflow that sends here."""
        host, port = self._socket.getsockname()
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": host,
            "AIRFLOW__METRICS__STATSD_PORT": str(port),
        }

    def clear(self) -> None:
        self._lines.clear()

    def lines(self) -> list[str]:
        """Return what this package has sent."""
        return [line for line in list(self._lines) if line.startswith("airflow.videodb.")]

    def wait_for(self, *lines: str, timeout: float = 30) -> None:
        """Wait until all of these have arrived."""
        until(lambda: {*lines} <= {*self._lines}, timeout=timeout, what=f"the metrics {', '.join(lines)}")

    def _listen(self) -> None:
        with self._socket:
            while datagram := self._socket.recv(65535):
                self._lines += datagram.decode().splitlines()
