"""One pool of connections to PostgreSQL, migrated on opening, honest when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from time import perf_counter
from typing import Any, cast

import asyncpg
import msgspec

from tocsin.store import migrate
from tocsin.store.connection import Connection
from tocsin.store.unavailable import Unavailable, translated

__all__ = ["Database", "Unavailable"]

_CONNECT_S_MAX = 5.0
_ACQUIRE_S_MAX = 10.0
_COMMAND_S_MAX = 30.0
# The server's own limits are the tighter ones, so that its words reach us rather than a timeout.
_SESSION = {
    "application_name": "tocsin",
    "timezone": "UTC",
    "jit": "off",
    "statement_timeout": "25s",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "60s",
}


class Connections(msgspec.Struct, frozen=True):
    """How many connections of a pool are lent, open and not lent, and may be open at most."""

    in_use: int
    idle: int
    most: int


class Database:
    """A PostgreSQL with Tocsin's tables in it."""

    def __init__(self, url: str, pool: Any) -> None:
        self.url = url
        self.on_commit: Callable[[float], None] = lambda _: None
        self._pool = pool

    def __repr__(self) -> str:
        """Say nothing of the URL: it holds a password."""
        return "Database(***)"

    @classmethod
    async def open(cls, url: str, *, pool_size: int = 8) -> Database:
        """Connect, and bring the tables up to date, once, whoever else is doing the same.

        Raises Unavailable where nobody answers, MigrationError where the tables cannot be made or
        were written by a newer Tocsin. The pool mends itself later; only this first connection
        must succeed.
        """
        with translated(None):
            try:
                first = await asyncpg.connect(url, timeout=_CONNECT_S_MAX)
            except ValueError as error:
                # Not with what was wrong: that may be a part of the password.
                raise Unavailable(
                    "The database's address cannot be read; it looks like "
                    "postgresql://user:password@host:5432/name."
                ) from error
            try:
                with translated(first):
                    await migrate.apply(first)
            finally:
                await first.close(timeout=_CONNECT_S_MAX)
            pool = await asyncpg.create_pool(
                url,
                # None is kept open for its own sake: while the database is away, the driver would
                # try to, and log a trace, again and again.
                min_size=0,
                max_size=pool_size,
                timeout=_CONNECT_S_MAX,
                command_timeout=_COMMAND_S_MAX,
                server_settings=_SESSION,
                # Storms come and go; connections of a quiet night cost the server memory.
                max_inactive_connection_lifetime=300.0,
            )
        return cls(url, pool)

    async def close(self) -> None:
        """Give all connections back. Waits a few seconds for those in use, then ends them."""
        try:
            async with asyncio.timeout(5.0):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @property
    def connections(self) -> Connections:
        """Return how the pool stands now."""
        idle = self._pool.get_idle_size()
        return Connections(self._pool.get_size() - idle, idle, self._pool.get_max_size())

    def transaction(self) -> AbstractAsyncContextManager[Connection]:
        """Return one transaction: committed on leaving, rolled back on an exception.

        Durable once it is left. Raises Unavailable where the database does not answer, also when
        it is lost in the middle; whether a commit that was under way took place is then unknown.
        """
        return self._lent(in_transaction=True)

    def reading(self) -> AbstractAsyncContextManager[Connection]:
        """Return a connection for reads, where each statement stands alone."""
        return self._lent(in_transaction=False)

    async def now(self, connection: Connection | None = None) -> datetime:
        """Return the time by the clock of the database, which is the clock of all timers (UTC).

        With ``connection`` it is asked there, inside the transaction that is going to use it.
        """
        if connection is not None:
            return cast("datetime", await connection.fetchval("SELECT clock_timestamp()"))
        async with self.reading() as c:
            return cast("datetime", await c.fetchval("SELECT clock_timestamp()"))

    @contextlib.asynccontextmanager
    async def _lent(self, *, in_transaction: bool) -> AsyncIterator[Connection]:
        with translated(None):
            connection = await self._pool.acquire(timeout=_ACQUIRE_S_MAX)
        try:
            with translated(connection):
                if in_transaction:
                    async with connection.transaction():
                        yield connection
                        began = perf_counter()
                    self.on_commit(perf_counter() - began)
                else:
                    yield connection
        finally:
            with translated(connection):
                await self._pool.release(connection, timeout=_ACQUIRE_S_MAX)
