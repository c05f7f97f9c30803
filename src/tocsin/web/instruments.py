"""What we count about ourselves, for ``/metrics``.

What passes through this process is counted as it passes; what stands in the database is asked for
when somebody looks, so that several replicas agree about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from fastapi import Request
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

if TYPE_CHECKING:
    from tocsin.integrations.signals import Received
    from tocsin.store.counts import Standing


class Instruments:
    """The counters of one application."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        self._signals = Counter(
            "tocsin_signals_received",
            "Signals accepted by this process, repeats included.",
            ("source",),
            registry=self._registry,
        )
        self._rejected = Counter(
            "tocsin_signals_rejected",
            "Members that this process could not read and set aside.",
            ("source",),
            registry=self._registry,
        )
        Gauge("tocsin_info", "1.", ("version",), registry=self._registry).labels(version).set(1)

    def received(self, batch: Received) -> None:
        """Count what one request brought."""
        if batch.signals:
            self._signals.labels(batch.source).inc(len(batch.signals))
        if batch.rejected:
            self._rejected.labels(batch.source).inc(len(batch.rejected))

    def exposition(self, standing: Standing) -> bytes:
        """Return everything in Prometheus' text format."""
        registry = CollectorRegistry()
        registry.register(_Shown(standing))
        return generate_latest(self._registry) + generate_latest(registry)


class _Shown:
    def __init__(self, standing: Standing) -> None:
        self._standing = standing

    def collect(self) -> Iterable[Metric]:
        standing = self._standing
        yield _gauge("tocsin_alerts_firing", "Alerts that fire.", standing.alerts_firing)
        yield _gauge(
            "tocsin_quarantined", "Members set aside with their bytes.", standing.quarantined
        )
        yield _gauge("tocsin_inbox_waiting", "Inputs not yet decided.", standing.inbox_waiting)
        yield _gauge(
            "tocsin_timer_oldest_due_seconds",
            "How long the oldest overdue timer has been due; 0 when none is.",
            standing.oldest_due_s,
        )
        yield _gauges(
            "tocsin_incidents_open",
            "Open incidents.",
            "severity",
            standing.incidents_by_severity,
        )
        yield _gauges(
            "tocsin_deliveries", "Pages and notices.", "state", standing.deliveries_by_state
        )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=value)


def _gauges(name: str, about: str, label: str, values: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family


def instruments_of(request: Request) -> Instruments:
    """Return the counters of the application that a request reached."""
    instruments: Instruments = request.app.state.instruments
    return instruments
