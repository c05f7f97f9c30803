"""What ``/metrics`` shows: what this process counted, and what stands in the database.

What stands is asked for when somebody looks, at most every few seconds, so that several replicas
agree about it and several scrapers cost no more than one. While the database is away the process
still says what it knows by itself: that is when somebody will want to know.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Final

import msgspec
import structlog
from fastapi import Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from tocsin.engine.reach import ways
from tocsin.store import contacts, counts
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tocsin.store.contacts import ContactRow
    from tocsin.store.counts import Standing
    from tocsin.web.context import Context

STANDING_KEPT_S: Final = 5.0
_ANSWERS_WITHIN_S: Final = 4.0
_AREA_BY_START: Final = (
    ("/api/v2/alerts", "alerts"),
    ("/api/v2/", "alertmanager"),
    ("/-/", "health"),
    ("/api/v1/reports", "reports"),
    ("/api/", "api"),
    ("/healthz", "health"),
    ("/readyz", "health"),
    ("/metrics", "health"),
    ("/static/", "static"),
    ("/live", "live"),
)
_log = structlog.get_logger("tocsin.web")


class Looked(msgspec.Struct, frozen=True):
    """What was found in the database, and how far our own clock was from its."""

    standing: Standing
    contacts: dict[str, ContactRow]
    clock_offset_s: float


class Lookout:
    """Asks the database how things stand, for everybody who wants to know at about the same time."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._looked: Looked | None = None
        self._looked_at = float("-inf")

    async def look(self, context: Context) -> Looked | None:
        """Return how things stand, at most five seconds old; None while the database is away."""
        async with self._turn:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at > STANDING_KEPT_S:
                self._looked = await self._ask(context)
                self._looked_at = asyncio.get_running_loop().time()
            return self._looked

    async def _ask(self, context: Context) -> Looked | None:
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN_S):
                before = context.clock.now()
                standing = await counts.standing(context.database)
                between = before + (context.clock.now() - before) / 2
                async with context.database.reading() as connection:
                    known = await contacts.known(connection)
        except (Unavailable, TimeoutError) as error:
            _log.warning("metrics without the database", why=str(error) or "it took too long")
            return None
        return Looked(standing, known, (between - standing.at).total_seconds())


class Counted:
    """Counts every request: what it was about, how it was answered, how long it took."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._instruments = context.instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and count it, also when it breaks."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = perf_counter()
        status = 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            took_s = perf_counter() - began
            self._instruments.answered(area_of(scope["path"]), status, took_s)


def area_of(path: str) -> str:
    """Return what a request is about, in one of a handful of words."""
    if path.startswith("/in/"):
        path = "/" + path.split("/", 3)[-1]
    return next((area for start, area in _AREA_BY_START if path.startswith(start)), "pages")


async def exposition(request: Request) -> bytes:
    """Return everything in Prometheus' text format."""
    context: Context = request.app.state.context
    lookout: Lookout = request.app.state.lookout
    looked = await lookout.look(context)
    registry = CollectorRegistry()
    registry.register(_Shown(context, looked))
    return generate_latest(context.instruments.registry) + generate_latest(registry)


class _Shown:
    def __init__(self, context: Context, looked: Looked | None) -> None:
        self._context = context
        self._looked = looked

    def collect(self) -> Iterable[Metric]:
        yield _gauge(
            "tocsin_database_up",
            "1 while the database answers this process in time.",
            self._looked is not None,
        )
        yield from _process(self._context)
        if self._looked is not None:
            yield _gauge(
                "tocsin_clock_offset_seconds",
                "How far the clock of this machine is ahead of the database's.",
                self._looked.clock_offset_s,
            )
            yield from _standing(self._looked.standing)
            yield from _contacts(self._context, self._looked.contacts)


def _process(context: Context) -> Iterator[Metric]:
    """Yield what this process knows by itself."""
    about = context.about
    pool = context.database.connections
    yield _gauges(
        "tocsin_database_connections",
        "Connections of this process to the database.",
        "state",
        {"in_use": pool.in_use, "idle": pool.idle},
    )
    yield _gauge(
        "tocsin_database_connections_max",
        "The most connections that this process lends at once.",
        pool.most,
    )
    disk = about.disk()
    if disk is not None:
        yield _gauge(
            "tocsin_disk_free_bytes", "Room left on the disk of the data folder.", disk.free
        )
        yield _gauge("tocsin_disk_size_bytes", "Size of the disk of the data folder.", disk.total)
    now = context.clock.now()
    age = GaugeMetricFamily(
        "tocsin_loop_silent_seconds",
        "How long ago each loop of this process last showed life.",
        labels=("loop",),
    )
    late = GaugeMetricFamily(
        "tocsin_loop_late",
        "1 for a loop that is silent for too long, or that something is wrong with. While a vital"
        " one is late, alerts cannot be taken in and handled.",
        labels=("loop", "vital"),
    )
    for beat in about.beats():
        if beat.last_at is not None:
            age.add_metric((beat.name,), max((now - beat.last_at).total_seconds(), 0.0))
        vital = "yes" if beat.is_vital else "no"
        late.add_metric((beat.name, vital), float(beat.is_late))
    yield age
    yield late
    yield _gauge(
        "tocsin_heartbeat_configured",
        "1 where a heartbeat is sent to somebody outside.",
        about.has_heartbeat,
    )
    findings = Counter(str(finding.level) for finding in context.book.findings)
    yield _gauges(
        "tocsin_runbook_findings", "What is to be said of the runbook.", "level", findings
    )
    yield _gauge(
        "tocsin_runbook_refused",
        "1 while an edit of the runbook is refused for its errors.",
        context.book.refused is not None,
    )


def _standing(standing: Standing) -> Iterator[Metric]:
    """Yield what stands in the database: the same, whichever process is asked."""
    inputs = {kind: standing.inputs.get(kind, counts.Waiting()) for kind in ("people", "others")}
    yield _gauges(
        "tocsin_inputs_waiting",
        "Inputs not yet decided.",
        "priority",
        {kind: waiting.number for kind, waiting in inputs.items()},
    )
    yield _gauges(
        "tocsin_input_oldest_waiting_seconds",
        "How long the oldest input has waited to be decided; 0 when none does.",
        "priority",
        {kind: waiting.oldest_s for kind, waiting in inputs.items()},
    )
    yield _gauge("tocsin_timers", "Timers that are set: an estimate.", standing.timers_about)
    yield _gauge("tocsin_timers_due", "Timers whose time has come.", standing.timers_due)
    yield _gauge(
        "tocsin_timer_oldest_due_seconds",
        "How long the oldest overdue timer has been due; 0 when none is.",
        standing.timer_oldest_due_s,
    )
    states = ("waiting", "due", "leased", "stranded")
    deliveries = {state: standing.deliveries.get(state, counts.Waiting()) for state in states}
    yield _gauges(
        "tocsin_deliveries_pending",
        "Pages and notices under way: waiting for their time, due, leased by a courier, or"
        " stranded (due, and nobody is at them).",
        "state",
        {state: waiting.number for state, waiting in deliveries.items()},
    )
    yield _gauge(
        "tocsin_delivery_oldest_due_seconds",
        "How long the oldest delivery has been due; 0 when none is.",
        max((w.oldest_s for w in deliveries.values()), default=0.0, key=lambda s: max(s, 0.0)),
    )
    yield _gauge(
        "tocsin_deliveries_failed_lately",
        "Pages and notices that were given up in the last hour.",
        standing.failed_lately,
    )
    yield _gauge("tocsin_alerts_firing", "Alerts that fire.", standing.alerts_firing)
    yield _gauges("tocsin_incidents_open", "Open incidents.", "severity", standing.incidents)
    yield _gauge("tocsin_quarantined", "What was put aside, with its bytes.", standing.quarantined)
    yield _gauges(
        "tocsin_jobs_waiting",
        "Jobs whose time has come and that no worker has finished.",
        "kind",
        {kind: jobs.waiting for kind, jobs in standing.jobs.items()},
    )
    yield _gauges(
        "tocsin_jobs_held",
        "Jobs that failed and are held for a person to look at.",
        "kind",
        {kind: jobs.held for kind, jobs in standing.jobs.items()},
    )
    yield _gauge("tocsin_journal_events", "Events kept: an estimate.", standing.journal_about)
    yield _gauge("tocsin_journal_bytes", "Room that they take.", standing.journal_bytes)
    yield _gauge("tocsin_database_bytes", "Room of the whole database.", standing.database_bytes)
    alive = [process for process in standing.processes if process.is_alive]
    roles = Counter(dict.fromkeys(("all", "web", "worker"), 0))
    roles.update(process.role for process in alive)
    yield _gauges("tocsin_processes", "Processes that are alive.", "role", roles)
    yield _gauge(
        "tocsin_processes_lost",
        "Processes that fell silent without saying goodbye, in the last day.",
        len(standing.processes) - len(alive),
    )
    yield _gauge(
        "tocsin_versions",
        "How many versions run side by side; more than one is a rolling upgrade.",
        len({process.version for process in alive}),
    )
    silent = GaugeMetricFamily(
        "tocsin_sender_silent_seconds",
        "How long ago each sender last sent anything.",
        labels=("sender", "source"),
    )
    sent = CounterMetricFamily(
        "tocsin_sender_signals",
        "Signals that each sender ever sent, to any process.",
        labels=("sender", "source"),
    )
    for sender in standing.senders:
        silent.add_metric((sender.name, sender.source), max(sender.silent_s, 0.0))
        sent.add_metric((sender.name, sender.source), sender.signals)
    yield silent
    yield sent


def _contacts(context: Context, known: Mapping[str, ContactRow]) -> Iterator[Metric]:
    states = Counter(dict.fromkeys(("delivered", "failing", "untested"), 0))
    found = ways(context.directory, context.about.watchdog_contacts)
    states.update(way.state(known) for way in found)
    yield _gauges(
        "tocsin_contacts",
        "Contacts of the settings by how their last delivery went.",
        "state",
        states,
    )


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(name, about, value=float(value))


def _gauges(name: str, about: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=(label,))
    for key, value in sorted(values.items()):
        family.add_metric((key,), value)
    return family
