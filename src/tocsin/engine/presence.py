"""Presence: this process among the others on its database, from its entry to its leaving.

It shows life every two seconds, on a connection of its own, so that a rush on the pool cannot make
it look dead; and in the same breath it renews the leases of what it has in hand. Whoever is frozen
does neither, and after eight seconds its work is anybody's. Waking up it is told so: by the leases
that cannot be renewed, or by its row that is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import structlog

from tocsin.store import processes
from tocsin.store.database import Unavailable
from tocsin.store.processes import BEAT_EVERY_S, SILENT_S_MAX
from tocsin.store.route import Use

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tocsin.engine.watchdog import Watchdog
    from tocsin.store import Connection, Database
    from tocsin.store.processes import ProcessRow

_log = structlog.get_logger("tocsin.presence")

_COMMAND_S_MAX = 3.0
_LEAVE_S_MAX = 3.0
# Replicas are not restarted in one instant, nor are their files changed in one.
_DIFFERENT_S_MAX = 120.0
_ALONE_S_MAX = 30.0
_DECIDES = ("all", "worker")
_TAKES_IN = ("all", "web")


class Presence:
    """One process as the others see it. ``process`` is its id, None before it could enter."""

    def __init__(
        self,
        database: Database,
        watchdog: Watchdog,
        *,
        role: str,
        version: str,
        step: int,
        revision: Callable[[], str],
    ) -> None:
        """Take the parts. ``revision`` returns that of the runbook in force here."""
        self.process: int | None = None
        self.alive: tuple[ProcessRow, ...] = ()
        self._database = database
        self._watchdog = watchdog
        self._role = role
        self._version = version
        self._step = step
        self._revision = revision
        self._entered: list[Callable[[int], None]] = []
        self._renewals: list[Callable[[Connection], Awaitable[None]]] = []
        self._since: dict[str, float] = {}

    def on_entry(self, entered: Callable[[int], None]) -> None:
        """Call ``entered`` with our id, now and whenever we get another."""
        self._entered.append(entered)

    def renews(self, renew: Callable[[Connection], Awaitable[None]]) -> None:
        """Call ``renew`` with a connection at each sign of life."""
        self._renewals.append(renew)

    async def run(self, stop: asyncio.Event) -> None:
        """Show life until ``stop`` is set."""
        beat = self._watchdog.watch("the database", SILENT_S_MAX)
        while not stop.is_set():
            try:
                # With a way of its own; the pool may be in use to the last connection.
                async with self._database.direct.dedicated(
                    "tocsin presence", Use.LOOP, command_s_max=_COMMAND_S_MAX
                ) as connection:
                    while not stop.is_set():
                        await self.show(connection)
                        beat()
                        await _first(stop, BEAT_EVERY_S)
            except Unavailable as error:
                _log.debug("no sign of life", why=str(error))
                await _first(stop, BEAT_EVERY_S / 4)
        self._watchdog.release("the database")

    async def show(self, connection: Any) -> None:
        """Show life once, entering where that is due, and renew what is in hand."""
        # The driver's transactions keep a statement and its arguments in one session, whatever
        # stands in between.
        async with connection.transaction():
            if self.process is not None and not await processes.beat(
                connection, self.process, self._revision()
            ):
                _log.warning("this process was given up for lost; it enters anew")
                self.process = None
            if self.process is None:
                process = await processes.enter(
                    connection, self._role, self._version, self._step, self._revision()
                )
                entered = True
            else:
                process, entered = self.process, False
            self.alive = tuple(await processes.alive(connection))
        if entered:
            self.process = process
            _log.info("entered", process=process, role=self._role)
            for tell in self._entered:
                tell(process)
        for renew in self._renewals:
            async with connection.transaction():
                await renew(connection)
        self.judge(self.alive, asyncio.get_running_loop().time())

    async def leave(self) -> None:
        """Say that we end; where that cannot be said, silence will."""
        if self.process is None:
            return
        with contextlib.suppress(Unavailable, TimeoutError):
            async with asyncio.timeout(_LEAVE_S_MAX), self._database.transaction() as connection:
                await processes.leave(connection, self.process)
        self.process = None

    def judge(self, alive: Sequence[ProcessRow], at: float) -> None:
        """Say what is wrong with the company we keep, once it lasts."""
        roles = {row.role for row in alive}
        self._lasting(
            "the workers",
            ""
            if roles & set(_DECIDES)
            else "no process with the role worker or all is running,"
            " so nothing is decided and nobody is paged.",
            at,
            _ALONE_S_MAX,
        )
        self._lasting(
            "the front door",
            ""
            if roles & set(_TAKES_IN)
            else "no process with the role web or all is running, so no alert is taken in.",
            at,
            _ALONE_S_MAX,
        )
        revisions = {row.revision for row in alive if row.revision}
        self._lasting(
            "the runbooks",
            ""
            if len(revisions) < 2
            else f"{len(revisions)} different runbooks are in force on"
            f" {len(alive)} processes; give each of them the same files.",
            at,
            _DIFFERENT_S_MAX,
        )

    def _lasting(self, name: str, detail: str, at: float, for_s: float) -> None:
        if not detail:
            self._since.pop(name, None)
            self._watchdog.mended(name)
        elif at - self._since.setdefault(name, at) >= for_s:
            self._watchdog.fault(name, detail)


async def _first(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
