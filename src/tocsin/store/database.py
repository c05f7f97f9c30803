"""One pool of connections to PostgreSQL, migrated on opening, honest when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from time import perf_counter
from typing import Any, NamedTuple, cast

import asyncpg

from tocsin.store import migrate
from tocsin.store.connection import Connection
from tocsin.store.migrate import Migration, MigrationError, OutdatedError
from tocsin.store.route import CONNECT_S_MAX, Route, Use
from tocsin.store.statements import statements
from tocsin.store.unavailable import FAILURES, Unavailable, is_lasting, only_reads, translated

__all__ = ["Database", "Facts", "Unavailable"]

_SQL = statements("database")
_LOG = logging.getLogger(__name__)
# A request that waits longer for its turn is told 503 instead, and its sender tries again.
_ACQUIRE_S_MAX = 5.0
_STATEMENT_S_MAX = 25
# Whoever posts alerts waits ten seconds at most; 503 must reach them before.
_LOCK_S_MAX = 4
# A process that is frozen in the middle of a transaction holds a stream; not for longer than this.
_IDLE_S_MAX = 5
# The server's own limits are the tighter ones, so that its words reach us rather than a timeout.
_SESSION = {
    "jit": "off",
    # Nothing is known of a queue that was empty when it was last analyzed, and the planner then takes
    # a million waiting rows for ten, fetches them all and sorts them. Every query here has an index
    # that is already in its order.
    "enable_bitmapscan": "off",
    "statement_timeout": f"{_STATEMENT_S_MAX}s",
    "lock_timeout": f"{_LOCK_S_MAX}s",
    "idle_in_transaction_session_timeout": f"{_IDLE_S_MAX}s",
}
_AGAIN_S = 1.0
_TABLES_AGAIN_S = 15.0


class Connections(NamedTuple):
    """How many connections of a pool are lent, open and not lent, and may be open at most."""

    in_use: int
    idle: int
    most: int


class Facts(NamedTuple):
    """How the database is, for the doctor. ``listens`` is False where changes are polled for."""

    version: str
    connections: int
    connections_max: int
    is_durable: bool
    synchronous_commit: str
    is_pooled: bool
    listens: bool
    steps_left: tuple[str, ...]


class Database:
    """A PostgreSQL with Tocsin's tables in it.

    ``direct`` is the way for what needs a session of its own: listening, and the job queue. It is
    the same way, unless a pooler stands in the ordinary one.
    """

    def __init__(
        self, route: Route, direct: Route, pool: Any, steps: Sequence[Migration] | None = None
    ) -> None:
        self.direct = direct
        self.on_commit: Callable[[float], None] = lambda _: None
        self._route = route
        self._pool = pool
        self._steps = steps
        self._left: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Say nothing of the URL: it holds a password."""
        return "Database(***)"

    @property
    def connections(self) -> Connections:
        """Return how the pool stands now."""
        idle = self._pool.get_idle_size()
        return Connections(self._pool.get_size() - idle, idle, self._pool.get_max_size())

    @property
    def url(self) -> str:
        """Return the address, which holds the password."""
        return self._route.url

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        direct_url: str = "",
        pool_size: int = 8,
        wait_s: float = 0.0,
        steps: Sequence[Migration] | None = None,
    ) -> Database:
        """Connect, and bring the tables up to date, once, whoever else is doing the same.

        ``direct_url`` leads past a pooler that ``url`` leads through. ``wait_s`` is for how long a
        database that is not there yet is waited for. ``steps`` are those of this release.

        Raises Unavailable where nobody answers, MigrationError where the tables cannot be made or
        are not for this Tocsin. The pool mends itself later; only this first time must succeed.
        """
        route = Route(url)
        direct = Route(direct_url) if direct_url and direct_url != url else route
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait_s
        said_to_wait = False
        while True:
            try:
                left = await _prepare(route, direct, steps)
                break
            except Unavailable as error:
                if is_lasting(error.__cause__ or error) or loop.time() >= ends:
                    raise
                if not said_to_wait:
                    _LOG.warning("%s Waiting for it, up to %.0f s.", error, ends - loop.time())
                    said_to_wait = True
                await asyncio.sleep(_AGAIN_S)
        if said_to_wait:
            _LOG.warning("The database is there now.")
        _say_what_lies_between(route, direct)

        async def connect(*_: object, **__: object) -> Any:
            return await route.connect("tocsin", Use.POOL, settings=_SESSION)

        async def keep(_: object) -> None:
            """Reset nothing: no session of the pool is ever given anything to keep."""

        pool = await asyncpg.create_pool(
            connect=connect,
            reset=keep,
            # None is kept open for its own sake: while the database is away, the driver would
            # try to, and log a trace, again and again.
            min_size=0,
            max_size=pool_size,
            # Storms come and go; connections of a quiet night cost the server memory.
            max_inactive_connection_lifetime=300.0,
        )
        database = cls(route, direct, pool, steps)
        database._left = left
        return database

    async def close(self) -> None:
        """Give all connections back. Waits a few seconds for those in use, then ends them."""
        try:
            async with asyncio.timeout(5.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()
        self._route.cut()
        self.direct.cut()

    async def watch(self, stop: asyncio.Event, answered: Callable[[], None] | None = None) -> None:
        """Notice within seconds that the database is gone, and that it is back, until ``stop``.

        ``answered`` is called about once a second while it is there. Without this running, all
        works, but whoever asks a silent network waits for the time limit of a statement.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._route.watch(stop, answered))
            if self.direct is not self._route:
                tasks.create_task(self.direct.watch(stop))
            tasks.create_task(self._keep_looking_at_tables(stop))

    def transaction(
        self, *, patience_s: float | None = None
    ) -> AbstractAsyncContextManager[Connection]:
        """Return one transaction: committed on leaving, rolled back on an exception.

        Durable once it is left. Raises Unavailable where the database does not answer, also when
        it is lost in the middle; whether a commit that was under way took place is then unknown.

        The server ends one whose holder says nothing for five seconds, so that a process that is
        frozen holds up nobody. With ``patience_s`` both that and the time for a statement are as
        long as given, on a connection of its own: for a backup or a restore.
        """
        if patience_s is not None:
            return self._lent_for_long(patience_s)
        return self._lent(in_transaction=True)

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection for reads, where each statement stands alone."""
        return self._lent(in_transaction=False)

    async def now(self, connection: Connection | None = None) -> datetime:
        """Return the time by the clock of the database, which is the clock of all timers (UTC).

        With ``connection`` it is asked there, inside the transaction that is going to use it.
        """
        if connection is not None:
            return cast("datetime", await connection.fetchval(_SQL["now"]))
        async with self.reading() as c:
            return cast("datetime", await c.fetchval(_SQL["now"]))

    async def facts(self) -> Facts:
        """Ask the server about itself."""
        async with self.reading() as c:
            row = await c.fetchrow(_SQL["facts"])
        assert row is not None
        return Facts(
            version=row["version"],
            connections=row["connections"],
            connections_max=row["connections_max"],
            is_durable=row["is_durable"],
            synchronous_commit=row["synchronous_commit"],
            is_pooled=self._route.is_pooled,
            listens=not self.direct.switches,
            steps_left=self._left,
        )

    @contextlib.asynccontextmanager
    async def _lent(self, *, in_transaction: bool) -> AsyncIterator[Connection]:
        route = self._route
        route.must_be_open()
        try:
            with translated(None):
                connection = await self._pool.acquire(timeout=_ACQUIRE_S_MAX)
        except Unavailable:
            route.look_now()
            raise
        # The pool lends a proxy, which is empty as soon as it is given back or lost.
        whole = _whole(connection)
        route.lend(whole)
        try:
            with translated(connection):
                try:
                    if in_transaction or route.switches:
                        async with connection.transaction():
                            if route.is_pooled:
                                await _limit(connection)
                            yield connection
                            began = perf_counter()
                        self.on_commit(perf_counter() - began)
                    else:
                        yield connection
                except asyncpg.PostgresError as error:
                    if only_reads(error):
                        # Another server takes the writes by now: look for it.
                        route.cut()
                        route.look_now()
                    raise
        except Unavailable:
            route.look_now()
            raise
        finally:
            route.give_back(whole)
            # What was committed stays so, however giving back goes; a lost one is taken back anyway.
            with contextlib.suppress(*FAILURES):
                await self._pool.release(connection, timeout=_ACQUIRE_S_MAX)

    @contextlib.asynccontextmanager
    async def _lent_for_long(self, patience_s: float) -> AsyncIterator[Connection]:
        limit = f"{patience_s:.0f}s"
        session = {
            **_SESSION,
            "statement_timeout": limit,
            "idle_in_transaction_session_timeout": limit,
        }
        async with (
            self._route.dedicated(
                "tocsin", Use.LONG, settings=session, command_s_max=patience_s + 5
            ) as connection,
            connection.transaction(),
        ):
            if self._route.is_pooled:
                await _limit(connection, statement=limit, idle=limit)
            yield connection

    async def look_at_tables(self) -> None:
        """Apply what had to wait for older processes to leave.

        Where we are the older one, and a newer took away what we need, from now on nothing is read
        or written: everything raises Unavailable.
        """
        try:
            async with self.reading() as c:
                await migrate.must_be_ours(c, self._steps)
            if self._left:
                async with _migrating(self.direct) as connection:
                    self._left = await migrate.apply(
                        connection, self._steps, has_session=not self.direct.switches
                    )
        except OutdatedError as error:
            _LOG.error("%s Nothing is read or written any more.", error)
            self._route.forbid(str(error))
            self.direct.forbid(str(error))
        except MigrationError as error:
            _LOG.warning("%s What newer tables need less stays until then.", error)

    async def _keep_looking_at_tables(self, stop: asyncio.Event) -> None:
        # Also at once: between our own start and now, a newer Tocsin may have thought itself alone.
        while not stop.is_set():
            # While nobody answers it is looked at later; the log says elsewhere what is wrong.
            with contextlib.suppress(Unavailable):
                await self.look_at_tables()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TABLES_AGAIN_S):
                    await stop.wait()


def _migrating(direct: Route) -> AbstractAsyncContextManager[Any]:
    return direct.dedicated("tocsin migrating", Use.LONG, command_s_max=None)


async def _prepare(
    route: Route, direct: Route, steps: Sequence[Migration] | None
) -> tuple[str, ...]:
    """See what lies between, bring the tables up to date, and return the steps left for later."""
    await direct.examine()
    async with _migrating(direct) as first:
        left = await migrate.apply(first, steps, has_session=not direct.switches)
        identity = await direct.fetchval(first, _SQL["identity"])
    if route is not direct:
        await route.examine()
        async with route.dedicated("tocsin", Use.LOOP, command_s_max=CONNECT_S_MAX) as c:
            if not await _is_there(route, c, identity):
                raise MigrationError(
                    "DATABASE_URL and DATABASE_DIRECT_URL lead to two different databases: "
                    "they must be two ways to one."
                )
    return left


async def _is_there(route: Route, connection: Any, identity: str) -> bool:
    try:
        return bool(await route.fetchval(connection, _SQL["identity"]) == identity)
    except asyncpg.UndefinedTableError:
        return False


async def _limit(
    connection: Any,
    statement: str = _SESSION["statement_timeout"],
    idle: str = _SESSION["idle_in_transaction_session_timeout"],
) -> None:
    await connection.execute(_SQL["limit"], statement, _SESSION["lock_timeout"], idle)


def _say_what_lies_between(route: Route, direct: Route) -> None:
    if direct.switches:
        _LOG.warning(
            "The database is reached through a pooler that gives each transaction another session, "
            "so Tocsin cannot be told of changes and looks for them every second. Set "
            "DATABASE_DIRECT_URL to an address that leads past the pooler."
        )
    elif route.is_pooled:
        _LOG.warning(
            "The database is reached through a pooler%s.",
            "; notifications and the job queue go past it" if route is not direct else "",
        )


def _whole(proxy: Any) -> Any:
    """Return the connection that the pool's proxy stands for."""
    return proxy._con  # noqa: SLF001 - the pool has no public name for it
