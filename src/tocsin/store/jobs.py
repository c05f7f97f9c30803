r"""PgQueuer makes things happen promptly; our rows say what must happen.

A job only names a row: ``timer`` with "<stream>\n<name>", ``delivery`` with "<id>". It is enqueued
in the transaction that writes the row. A job that is lost is found by the auditor, one that comes
twice finds the row taken, and one that comes late finds no row.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import timedelta
from importlib import metadata
from typing import Any

from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence import qb
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.core.qm import QueueManager
from pgqueuer.domain.errors import PgqException, RetryRequested
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import Channel
from pgqueuer.ports.driver import NotifyCallback
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from tocsin.store.connection import Connection
from tocsin.store.route import Route, Use
from tocsin.store.statements import statements
from tocsin.store.unavailable import FAILURES, Unavailable

Handler = Callable[[str], Awaitable[None]]

_SQL = statements("jobs")
_LOG = logging.getLogger(__name__)
# How often to look without being told. Telling is by NOTIFY; this bounds the harm of a deaf ear.
_DEQUEUE_TIMEOUT = timedelta(seconds=1)
# A worker that has not shown life for so long is dead, and its jobs go to others.
_HEARTBEAT_TIMEOUT = timedelta(seconds=3)
# Work that a dequeue narrowly missed is looked for again after this.
_POLL_AGAIN = timedelta(milliseconds=5)
_BATCH_SIZE = 10
_CONCURRENT_JOBS_MAX = 40
_COMMAND_S_MAX = 10.0
_REBUILD_AFTER_S = (0.1, 0.25, 0.5, 1.0, 2.0)
_STEADY_AFTER_S = 10.0
_RETRY_AFTER = timedelta(seconds=1)
_STOP_S_MAX = 3.0
_PRUNE_EVERY_S = 60.0


class _Names(DBSettings):
    """The names of the library's tables, from here only.

    By itself it also reads the environment, where a variable as common as CHANNEL, FUNCTION or
    TRIGGER would rename what it listens to or reads.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the code says, and nothing else."""
        return (init_settings,)


@functools.cache
def _names() -> DBSettings:
    return _Names(prefix="tocsin_", channel=Channel("tocsin_jobs"))


@functools.cache
def _builders() -> dict[str, Any]:
    names = _names()
    return {
        "qbe": qb.QueryBuilderEnvironment(names),
        "qbq": qb.QueryQueueBuilder(names),
        "qbs": qb.QuerySchedulerBuilder(names),
    }


class _Driver(AsyncpgDriver):
    """The library's driver, for a connection whose every transaction may be another session."""

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Return rows. The transaction keeps a statement and its arguments together."""
        async with self._lock, self._connection.transaction():
            return [dict(row) for row in await self._connection.fetch(query, *args)]

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""
        async with self._lock, self._connection.transaction():
            return str(await self._connection.execute(query, *args))

    async def notify(self, channel: str, payload: str) -> None:
        """Tell only ourselves: it is the library asking whether it hears."""
        for callback in self._callbacks:
            callback(payload)

    async def add_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Listen to nobody: a pooler keeps what others say to itself."""
        self._callbacks.append(callback)

    async def remove_listener(self, channel: str, callback: NotifyCallback) -> None:
        """Stop listening."""
        self._callbacks.remove(callback)

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        self._callbacks: list[NotifyCallback] = []


def _queries(connection: Any, *, switches: bool = False) -> Queries:
    driver = _Driver(connection) if switches else AsyncpgDriver(connection)
    return Queries(driver, **_builders())


async def install(connection: Any) -> None:
    """Make the library's tables where there are none.

    Part of migrating: the caller holds that lock, and a transaction.
    """
    if await connection.fetchval(_SQL["installed_version"]) is None:
        await _queries(connection).install()
        await connection.execute(_SQL["remember_version"], metadata.version("pgqueuer"))


async def upgrade(connection: Any, *, has_session: bool) -> None:
    """Bring the library's tables to its installed release, unless a newer one has seen to them.

    Outside of a transaction, which the library's own upgrades cannot run in; and they hold a lock
    by their session, so that without one they have to wait until there is.
    """
    async with connection.transaction():
        installed = str(await connection.fetchval(_SQL["installed_version"]))
    release = metadata.version("pgqueuer")
    if _numbers(installed) >= _numbers(release):
        return
    if not has_session:
        _LOG.warning(
            "The job queue's tables are at %s instead of %s; bringing them there needs a direct "
            "connection. Set DATABASE_DIRECT_URL once.",
            *(installed, release),
        )
        return
    await _queries(connection).apply_upgrade()
    await connection.execute(_SQL["remember_version"], release)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", release))


async def enqueue(c: Connection, items: Sequence[tuple[str, str, timedelta]]) -> None:
    """Enqueue jobs (kind, payload, how long after this transaction's time) on our connection.

    They exist when the transaction is committed, and not otherwise.
    """
    if items:
        await _queries(c).enqueue(
            [kind for kind, _, _ in items],
            [payload.encode() for _, payload, _ in items],
            [0] * len(items),
            [after for _, _, after in items],
        )


async def run(route: Route, handlers: Mapping[str, Handler], stop: asyncio.Event) -> None:
    """Hand every job to the handler of its kind until ``stop`` is set.

    A lost database is looked for again, forever: this returns only when told to, and then within
    seconds, however long a handler takes. A handler that raises has its job held (and logged), and
    the row it named is the auditor's to find.
    """
    failures = 0
    while not stop.is_set():
        started = asyncio.get_running_loop().time()
        try:
            await _work(route, handlers, stop)
        except* (Unavailable, PgqException, *FAILURES) as errors:
            if asyncio.get_running_loop().time() - started > _STEADY_AFTER_S:
                failures = 0
            after_s = _REBUILD_AFTER_S[min(failures, len(_REBUILD_AFTER_S) - 1)]
            failures += 1
            _LOG.warning("The job queue stopped (%s); again in %s s.", _said(errors), after_s)
            await _first_of(stop.wait(), route.rest(after_s))


async def _first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


def _said(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(_said(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


async def _work(route: Route, handlers: Mapping[str, Handler], stop: asyncio.Event) -> None:
    """Work off one connection until it is lost, which raises, or ``stop`` is set."""
    async with (
        route.dedicated(
            "tocsin jobs", Use.LOOP, settings={"jit": "off"}, command_s_max=_COMMAND_S_MAX
        ) as connection,
        asyncio.TaskGroup() as tasks,
    ):
        queries = _queries(connection, switches=route.switches)
        manager = QueueManager(queries, channel=_names().channel)
        # One connection for asking and for listening: when it is lost both are, at once and
        # loudly. A pool would mend the asking and leave the listener deaf for half a minute.
        connection.add_termination_listener(lambda _: manager.shutdown.set())
        manager.min_dequeue_poll_interval = _POLL_AGAIN
        for kind, handler in handlers.items():
            manager.entrypoint(kind, accepts_context=False, on_failure="hold")(_look_at(handler))
        running = tasks.create_task(_run(manager, connection))
        pruning = tasks.create_task(_prune(queries.driver))
        stopping = tasks.create_task(stop.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            manager.shutdown.set()
            # Handlers that are under way may finish; their rows are leased, so cutting them off
            # is what a crash would do, and no worse.
            await asyncio.wait((running,), timeout=_STOP_S_MAX)
            for task in (running, pruning, stopping):
                task.cancel()


async def _run(manager: QueueManager, connection: Any) -> None:
    await manager.run(
        dequeue_timeout=_DEQUEUE_TIMEOUT,
        batch_size=_BATCH_SIZE,
        max_concurrent_tasks=_CONCURRENT_JOBS_MAX,
        shutdown_on_listener_failure=True,
        heartbeat_timeout=_HEARTBEAT_TIMEOUT,
        # Its statistics are nobody's business here, and folding them costs writes.
        log_aggregation_interval=timedelta(0),
    )
    if connection.is_closed():
        raise ConnectionResetError("the connection was closed")


def _look_at(handler: Handler) -> Callable[[Job], Awaitable[None]]:
    async def look(job: Job) -> None:
        try:
            await handler((job.payload or b"").decode())
        except Unavailable as error:
            # Nothing is wrong with the job, so it is not held: it comes again.
            raise RetryRequested(_RETRY_AFTER, str(error)) from error

    return look


async def _prune(driver: Any) -> None:
    """Prune through the library's own driver, which takes turns on the one connection."""
    while True:
        await driver.execute(_SQL["prune_log"])
        await driver.execute(_SQL["prune_held"])
        await asyncio.sleep(_PRUNE_EVERY_S)
