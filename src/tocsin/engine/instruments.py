"""What one process counts about itself, for whoever watches it.

The rooms that do the work are handed one of these and say what they did; the web room shows it at
``/metrics``. Counting costs a microsecond and never waits, so that it may stand on the hot paths.
What stands in the database is not counted here: it is asked for when somebody looks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

# When a counter began is known from the process; a series of its own for each doubles a scrape.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library says nothing of types

if TYPE_CHECKING:
    from datetime import datetime

    from tocsin.integrations.signals import Received

_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LONG_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
_INPUTS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
# Names of senders are the operator's, and few; whoever makes thousands of tokens gets one series
# for the rest of them rather than a scrape without end.
_SENDERS_MAX: Final = 200
_OTHERS: Final = "(others)"
_LAG_EVERY_S: Final = 0.25
_LAGS_KEPT: Final = 240  # a minute of them


class Instruments:
    """The counters of one process. Every process that runs has exactly one of these."""

    def __init__(self, version: str = "", role: str = "all") -> None:
        """Begin at nought."""
        self.registry = registry = CollectorRegistry()
        # What any program says of itself: memory, processor time, open files.
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        info = Gauge(
            "tocsin_info",
            "1, for the version and the role.",
            ("version", "role"),
            registry=registry,
        )
        info.labels(version, role).set(1)
        self._signals = Counter(
            "tocsin_signals",
            "Signals that this process took in: accepted (new or changed), repeated (known to be"
            " so already) or quarantined (could not be read).",
            ("source", "sender", "outcome"),
            registry=registry,
        )
        self._refused = Counter(
            "tocsin_signals_refused",
            "Requests with signals that were told to come again later: their sender had too many at"
            " once (busy), or too much waiting (full).",
            ("sender", "why"),
            registry=registry,
        )
        self._quarantine_dropped = Counter(
            "tocsin_quarantine_dropped",
            "Members that were dropped from quarantine to keep it within its bounds.",
            ("sender",),
            registry=registry,
        )
        self._requests = Histogram(
            "tocsin_http_request_seconds",
            "How long requests took, by what they were about and how they were answered.",
            ("area", "status"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._turns = Histogram(
            "tocsin_turn_seconds",
            "How long a turn took, from the claim of its stream to the commit.",
            ("stream",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._turn_inputs = Histogram(
            "tocsin_turn_inputs",
            "How many inputs a turn decided.",
            ("stream",),
            buckets=_INPUTS,
            registry=registry,
        )
        self._turns_failed = Counter(
            "tocsin_turns_failed",
            "Turns that a defect ended; the input that caused it is found and put aside.",
            ("stream",),
            registry=registry,
        )
        self._timers = Histogram(
            "tocsin_timer_late_seconds",
            "How long after its time a timer fired.",
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self._attempts = Counter(
            "tocsin_delivery_attempts",
            "Attempts at deliveries: delivered, retry (not now) or refused (not like this).",
            ("kind", "outcome"),
            registry=registry,
        )
        self._deliveries = Counter(
            "tocsin_deliveries",
            "Deliveries that came to an end: delivered or failed.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._delivery_seconds = Histogram(
            "tocsin_delivery_seconds",
            "How long from being asked for to the channel's taking it.",
            ("kind",),
            buckets=_LONG_SECONDS,
            registry=registry,
        )
        self._commits = Histogram(
            "tocsin_commit_seconds",
            "How long the database took to make a transaction durable.",
            buckets=_SECONDS,
            registry=registry,
        )
        self._pruned = Gauge(
            "tocsin_retention_last_run_timestamp_seconds",
            "When this process last looked for what is too old; missing before it first did.",
            # Without a label it would be nought until then, and look like 1970.
            ("what",),
            registry=registry,
        )
        self._lags: deque[float] = deque(maxlen=_LAGS_KEPT)
        Gauge(
            "tocsin_event_loop_lag_seconds",
            "The longest that this process could not attend to anything, in the last minute.",
            registry=registry,
        ).set_function(lambda: max(self._lags, default=0.0))
        self._senders: set[str] = set()
        # A counter that first appears when something happened hides that it did from a rate.
        for area in ("alerts", "reports"):
            self._requests.labels(area, "503")
        for kind in ("desk", "incident"):
            self._turns_failed.labels(kind)

    # -- Taking in ---------------------------------------------------------------------------------

    def received(self, batch: Received, accepted: int) -> None:
        """Count what one request brought; ``accepted`` of its signals were new or changed."""
        sender = self._sender(batch.key)
        for outcome, number in (
            ("accepted", accepted),
            ("repeated", len(batch.signals) - accepted),
            ("quarantined", len(batch.rejected)),
        ):
            if number:
                self._signals.labels(batch.source, sender, outcome).inc(number)

    def refused(self, sender: str, why: str) -> None:
        """Count one request that was told to come again later; ``why`` is "busy" or "full"."""
        self._refused.labels(self._sender(sender), why).inc()

    def quarantine_dropped(self, sender: str, members: int) -> None:
        """Count members that were dropped to keep quarantine within its bounds."""
        self._quarantine_dropped.labels(self._sender(sender)).inc(members)

    def answered(self, area: str, status: int, took_s: float) -> None:
        """Count one request. ``area`` is one of a handful of words, never a path."""
        self._requests.labels(area, str(status)).observe(took_s)

    # -- Deciding ----------------------------------------------------------------------------------

    def turned(self, stream: str, inputs: int, took_s: float) -> None:
        """Count one turn of a stream that had something to decide."""
        kind = stream.partition("/")[0]
        self._turns.labels(kind).observe(took_s)
        self._turn_inputs.labels(kind).observe(inputs)

    def turn_failed(self, stream: str) -> None:
        """Count one turn that a defect ended."""
        self._turns_failed.labels(stream.partition("/")[0]).inc()

    def fired(self, late_s: float) -> None:
        """Count one timer. A clock that is behind the database's makes no timer early."""
        self._timers.observe(max(late_s, 0.0))

    # -- Delivering --------------------------------------------------------------------------------

    def attempted(self, kind: str, outcome: str) -> None:
        """Count one attempt; ``kind`` is the contact's, "in_app" where there is none."""
        self._attempts.labels(kind, outcome).inc()

    def settled(self, kind: str, *, delivered: bool, after_s: float | None) -> None:
        """Count one delivery that came to its end, so many seconds after it was asked for."""
        self._deliveries.labels(kind, "delivered" if delivered else "failed").inc()
        if delivered and after_s is not None:
            self._delivery_seconds.labels(kind).observe(max(after_s, 0.0))

    def pruned(self, at: datetime) -> None:
        """Note that what is too old was looked for, and deleted as far as it got."""
        self._pruned.labels("all").set(at.timestamp())

    # -- The process itself ------------------------------------------------------------------------

    def committed(self, took_s: float) -> None:
        """Count one commit."""
        self._commits.observe(took_s)

    async def watch_loop(self, stop: asyncio.Event) -> None:
        """Notice how late this loop wakes whoever asked to be woken, until ``stop`` is set."""
        loop = asyncio.get_running_loop()
        while not stop.is_set():
            due = loop.time() + _LAG_EVERY_S
            await asyncio.sleep(_LAG_EVERY_S)
            self._lags.append(max(loop.time() - due, 0.0))

    def _sender(self, name: str) -> str:
        if name not in self._senders:
            if len(self._senders) >= _SENDERS_MAX:
                return _OTHERS
            self._senders.add(name)
        return name
