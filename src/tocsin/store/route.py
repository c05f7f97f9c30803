"""The way to a database: which of its hosts answers, what lies between, and whether it is shut.

Every connection to a database is opened here and known here, so that all of them can be ended at
once. That matters where a network swallows packets: nobody says that the other end is gone, and
each statement would wait for its own time limit. One connection asks a small question every second
instead; when there is no answer the route is shut, whoever waits is told so, and the question is
asked again on new connections until there is one.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tocsin.store.statements import statements
from tocsin.store.unavailable import FAILURES, Unavailable, is_an_answer, said, translated

_SQL = statements("route")
_LOG = logging.getLogger(__name__)
CONNECT_S_MAX = 5.0
COMMAND_S_MAX = 30.0
# With several hosts, one that swallows packets must not keep us from trying the next in time.
_HOST_S_MAX = 2.0
_ASK_EVERY_S = 1.0
_ASK_AGAIN_S = 0.25
# As long as this a healthy server may need, on a busy machine, to say "yes".
_SILENCE_S_MAX = 2.5
# After our own process was held up, answers lie there that only have to be read.
_GRACE_S = 0.1
# What began before a silence, and is not done so long after it, waits for a lost answer.
_SUSPICION_S = 4.0
_HEAR_S_MAX = 1.0
_STATEMENTS_KEPT = 100
_SILENT = "it is silent"
# The server finds out that we are gone, and lets go of what we held, in half a minute.
_KEEPALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# A loop that is frozen with its process holds no lock for longer than this.
_UNFROZEN = {"idle_in_transaction_session_timeout": "10s"}


class Use(enum.Enum):
    """What a connection is for, which says how lightly it may be ended."""

    POOL = enum.auto()
    LOOP = enum.auto()  # One that a loop of ours makes anew at once.
    LONG = enum.auto()  # One with a long piece of work, which is ended only with the route.


class Route:
    """One address of a database, and all our connections to it.

    ``is_pooled`` says that something answers in the place of the server. ``switches`` says that it
    gives each transaction another session: what one sets, prepares or listens to is lost.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_pooled = False
        self.switches = False
        self._hosts = _hosts_of(url)
        self._best = self._hosts[0]
        self._connections: dict[Any, Use] = {}
        self._busy: dict[Any, float] = {}
        self._why_shut = ""
        self._shut_at = 0.0
        self._forbidden = ""
        self._open = asyncio.Event()
        self._open.set()
        self._look = asyncio.Event()

    def __repr__(self) -> str:
        """Say nothing of the URL: it holds a password."""
        return "Route(***)"

    @property
    def why_shut(self) -> str:
        """Return why nobody need try now, or "". Known only while ``watch`` runs."""
        return self._why_shut

    def must_be_open(self) -> None:
        """Raise Unavailable at once where it is known that nobody answers, or that we must not ask."""
        if self._forbidden:
            raise Unavailable(self._forbidden)
        if self._why_shut:
            raise Unavailable(f"The database does not answer: {self._why_shut}.")

    def forbid(self, why: str) -> None:
        """Let nobody pass from now on, for this reason, a sentence."""
        self._forbidden = why
        self.cut()

    async def rest(self, seconds: float) -> None:
        """Wait so long, or less: until a route that was shut is open again."""
        if self._open.is_set():
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._open.wait()

    # -- Connections -------------------------------------------------------------------------------

    async def connect(
        self,
        purpose: str,
        use: Use,
        *,
        settings: Mapping[str, str] | None = None,
        timeout_s: float = CONNECT_S_MAX,
        command_s_max: float | None = COMMAND_S_MAX,
    ) -> Any:
        """Open a connection to the first host that takes us, the last good one before the others.

        ``settings`` hold for the session. A pooler refuses those it does not know, so none are
        asked for through one. Raises what the driver raises, one of ``unavailable.FAILURES``, or
        Unavailable where the address cannot be read.
        """
        asked = {"application_name": purpose, "timezone": "UTC"}
        if settings is not None and not self.is_pooled:
            asked |= {**_KEEPALIVE, **settings}
        several = len(self._hosts) > 1
        failure: BaseException | None = None
        for host in sorted(self._hosts, key=lambda host: host != self._best):
            # Of several hosts, only one takes writes; which, is not for ever.
            choosing = several and "target_session_attrs" not in host
            try:
                connection = await asyncpg.connect(
                    host,
                    timeout=min(timeout_s, _HOST_S_MAX) if several else timeout_s,
                    command_timeout=command_s_max,
                    statement_cache_size=0 if self.switches else _STATEMENTS_KEPT,
                    server_settings=asked,
                    target_session_attrs="read-write" if choosing else None,
                )
            except ValueError as error:
                # Not with what was wrong: that may be a part of the password.
                raise Unavailable(
                    "The database's address cannot be read; it looks like "
                    "postgresql://user:password@host:5432/name."
                ) from error
            except FAILURES as error:
                failure = error
                continue
            self._best = host
            self._know(connection, use)
            return connection
        assert failure is not None, "there is a host, and it was tried"
        raise failure

    @contextlib.asynccontextmanager
    async def dedicated(
        self,
        purpose: str,
        use: Use,
        *,
        settings: Mapping[str, str] | None = None,
        command_s_max: float | None = COMMAND_S_MAX,
    ) -> AsyncIterator[Any]:
        """Lend a connection that nobody else uses, and close it afterwards.

        Raises Unavailable where nobody answers, also when the connection is lost in between.
        """
        self.must_be_open()
        if use is Use.LOOP:
            settings = {**_UNFROZEN, **(settings or {})}
        with translated(None):
            connection = await self.connect(
                purpose, use, settings=settings, command_s_max=command_s_max
            )
        try:
            with translated(connection):
                yield connection
        finally:
            with contextlib.suppress(*FAILURES):
                await connection.close(timeout=2.0)
            connection.terminate()

    async def fetchval(self, connection: Any, query: str, *arguments: object) -> Any:
        """Ask for one value, whatever lies between.

        The driver sends a statement and its arguments one after the other, and a pooler may give
        them to different sessions, unless a transaction holds them together.
        """
        if not self.switches:
            return await connection.fetchval(query, *arguments)
        async with connection.transaction():
            return await connection.fetchval(query, *arguments)

    def lend(self, connection: Any) -> None:
        """Note that a pooled connection is in use from now on."""
        self._busy[connection] = asyncio.get_running_loop().time()

    def give_back(self, connection: Any) -> None:
        """Note that a pooled connection is no longer in use."""
        self._busy.pop(connection, None)

    def cut(self) -> None:
        """End every connection: whoever waits for an answer hears at once that there is none."""
        for connection in list(self._connections):
            connection.terminate()

    def _know(self, connection: Any, use: Use) -> None:
        self._connections[connection] = use
        connection.add_termination_listener(lambda _: self._connections.pop(connection, None))

    # -- What lies between -------------------------------------------------------------------------

    async def examine(self) -> None:
        """Find out whether a pooler answers, and whether notifications pass it.

        A server announces the number of the session that serves us; a pooler has to make one up.
        """
        # Until it is known, nothing is prepared for later, and each question is a transaction.
        self.is_pooled = self.switches = True
        async with self.dedicated("tocsin", Use.LOOP, command_s_max=CONNECT_S_MAX) as ours:
            promised = ours.get_server_pid()
            serving = await self.fetchval(ours, _SQL["session"])
            if promised == serving:
                self.is_pooled = self.switches = False
                return
            async with self.dedicated("tocsin", Use.LOOP, command_s_max=CONNECT_S_MAX) as other:
                self.switches = not await self._is_heard(ours, other)

    async def _is_heard(self, listening: Any, calling: Any) -> bool:
        heard = asyncio.Event()
        channel = f"tocsin_{secrets.token_hex(8)}"
        await listening.add_listener(channel, lambda *_: heard.set())
        await self.fetchval(calling, _SQL["call"], channel, "")
        try:
            async with asyncio.timeout(_HEAR_S_MAX):
                await heard.wait()
        except TimeoutError:
            return False
        return True

    # -- Watching ----------------------------------------------------------------------------------

    def look_now(self) -> None:
        """Ask at once instead of within a second: somebody just met a failure."""
        self._look.set()

    async def watch(self, stop: asyncio.Event, answered: Callable[[], None] | None = None) -> None:
        """Ask the database every second whether it is there, until ``stop`` is set.

        ``answered`` is called after each answer. While there is none the route is shut.
        """
        asking: Any = None
        try:
            while not stop.is_set():
                asking, trouble = await self._ask_somehow(asking)
                if trouble:
                    self._shut(trouble)
                else:
                    self._reopen()
                    if answered is not None:
                        answered()
                await self._pause(stop, _ASK_AGAIN_S if trouble else _ASK_EVERY_S)
        finally:
            if asking is not None:
                asking.terminate()

    async def _pause(self, stop: asyncio.Event, seconds: float) -> None:
        self._look.clear()
        waits = [asyncio.ensure_future(stop.wait()), asyncio.ensure_future(self._look.wait())]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _ask_somehow(self, asking: Any) -> tuple[Any, str]:
        """Ask on the connection of last time, or else on a new one.

        Returns the connection to ask on next time, None if there is none, and what is wrong, "" if
        nothing is.
        """
        silent_since = None
        if asking is not None:
            began = asyncio.get_running_loop().time()
            trouble = await self._ask(asking)
            if not trouble:
                return asking, ""
            asking.terminate()
            if trouble == _SILENT:
                silent_since = began
        fresh, trouble = await self._ask_anew()
        if not trouble and silent_since is not None:
            await self._end_the_deaf(silent_since, fresh)
        return fresh, trouble

    async def _ask_anew(self) -> tuple[Any, str]:
        fresh: Any = None
        try:
            fresh = await self.connect("tocsin watch", Use.LOOP, timeout_s=_SILENCE_S_MAX)
            trouble = await self._ask(fresh)
        except Unavailable as error:
            return None, str(error).rstrip(".")
        except FAILURES as error:
            # A server that is full answers, only not us: those who have connections may go on.
            return None, "" if is_an_answer(error) else said(error)
        except asyncio.CancelledError:
            if fresh is not None:
                fresh.terminate()
            raise
        if trouble:
            fresh.terminate()
            return None, trouble
        return fresh, ""

    async def _ask(self, connection: Any) -> str:
        """Return "" if the database answers and takes writes, else what is wrong."""
        asked = asyncio.ensure_future(self.fetchval(connection, _SQL["only_reads"]))
        try:
            await asyncio.wait((asked,), timeout=_SILENCE_S_MAX)
            if not asked.done():
                await asyncio.sleep(_GRACE_S)
        finally:
            if not asked.done():
                # Ends the asking too: the driver fails what waits on an ended connection.
                connection.terminate()
                asked.cancel()
        if not asked.done():
            await asyncio.wait((asked,))
            if not asked.cancelled():
                asked.exception()
            return _SILENT
        try:
            return "it only reads, as a standby does" if asked.result() else ""
        except FAILURES as error:
            return "" if is_an_answer(error) else said(error)

    async def _end_the_deaf(self, silent_since: float, fresh: Any) -> None:
        """A new connection answers and an old one did not: end the others that wait in vain.

        An address that moved to another server is like this. What is idle or soon made anew is
        ended at once; a statement may just be slow, and is given a while.
        """
        waiting = {
            connection: since for connection, since in self._busy.items() if since <= silent_since
        }
        for connection, use in list(self._connections.items()):
            idle = use is Use.POOL and connection not in self._busy
            if connection is not fresh and (idle or use is Use.LOOP):
                connection.terminate()
        if waiting:
            silent_s = asyncio.get_running_loop().time() - silent_since
            await asyncio.sleep(max(0.0, _SUSPICION_S - silent_s))
        for connection, since in waiting.items():
            if self._busy.get(connection) == since:
                connection.terminate()

    def _shut(self, why: str) -> None:
        if not self._why_shut:
            self._shut_at = asyncio.get_running_loop().time()
            _LOG.warning(
                "The database does not answer: %s. Senders hear 503 until it does, and send again.",
                why,
            )
        self._why_shut = why
        self._open.clear()
        self.cut()

    def _reopen(self) -> None:
        if self._why_shut:
            away_s = asyncio.get_running_loop().time() - self._shut_at
            _LOG.warning("The database answers again, after %.1f s.", away_s)
        self._why_shut = ""
        self._open.set()


def _hosts_of(url: str) -> list[str]:
    """Return an address for each host that a URL names, so that each has time limits of its own."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    identity, at, hosts = parts.netloc.rpartition("@")
    if "," not in hosts:
        return [url]
    return [urlunsplit(parts._replace(netloc=f"{identity}{at}{host}")) for host in hosts.split(",")]
