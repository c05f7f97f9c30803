"""The audit trail as the web room writes it: an act before it is done, its end, and who tried.

An act is durable before its handler runs; where it cannot be written, nothing is done (503). Its
status follows before the answer leaves. What was refused is gathered and written in batches: the
first of a minute one by one, the rest as a number, so that nobody fills a disk by knocking.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import structlog

from tocsin.store import audit
from tocsin.store.audit import Entry
from tocsin.store.database import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from tocsin.store.database import Database

REFUSED_A_MINUTE_MAX: Final = 60
_MINUTE = timedelta(minutes=1)
_FINISHED_WITHIN_S = 2.0
_log = structlog.get_logger("tocsin.audit")


@dataclass
class Act:
    """An act that is written down already. A handler may add ``detail``; never a secret."""

    number: int
    detail: str = ""


class Trail:
    """Writes acts and refusals."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refused: list[tuple[datetime, Entry, int | None]] = []
        self._minute: datetime | None = None
        self._in_minute = 0
        self._uncounted = 0

    async def begin(self, entry: Entry) -> Act:
        """Write down what is about to be done. Raises store.Unavailable: then do not do it."""
        async with self._database.transaction() as connection:
            return Act(await audit.begin(connection, entry))

    async def finish(self, act: Act, status: int) -> None:
        """Write down how it ended. Failing that it stays without an end, which is the truth."""
        try:
            async with asyncio.timeout(_FINISHED_WITHIN_S), self._database.transaction() as c:
                await audit.finish(c, act.number, status, act.detail)
        except (Unavailable, TimeoutError) as error:
            _log.warning("the end of an act was not written", act=act.number, why=str(error))

    def refused(self, at: datetime, entry: Entry, status: int) -> None:
        """Note a refusal; nothing waits for it."""
        if self._minute is None or not self._minute <= at < self._minute + _MINUTE:
            self._close_minute(at)
        self._in_minute += 1
        if self._in_minute <= REFUSED_A_MINUTE_MAX:
            self._refused.append((at, entry, status))
        else:
            self._uncounted += 1

    async def flush(self, at: datetime) -> None:
        """Write refusals down. Raises store.Unavailable; then they wait, as many as one minute's."""
        if self._minute is not None and at >= self._minute + _MINUTE:
            self._close_minute(None)
        gathered = list(self._refused)
        if not gathered:
            return
        async with self._database.transaction() as connection:
            await audit.add(connection, gathered)
        del self._refused[: len(gathered)]

    def _close_minute(self, fresh: datetime | None) -> None:
        if self._uncounted and self._minute is not None:
            more = Entry("", "anonymous", "refused", detail=f"{self._uncounted:,} more in a minute")
            self._refused.append((self._minute + _MINUTE, more, None))
        # While the database is away minutes go by; the newest refusals are the ones that are kept.
        del self._refused[: -2 * REFUSED_A_MINUTE_MAX]
        self._minute, self._in_minute, self._uncounted = fresh, 0, 0


class Audited:
    """Writes the status of an act before its answer leaves."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever the guard wrote down is finished here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        finished = False

        async def watched(message: Message) -> None:
            nonlocal finished
            if message["type"] == "http.response.start" and not finished:
                finished = True
                await _finish(state, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            if not finished:
                with contextlib.suppress(Exception):
                    await _finish(state, 500)
            raise


async def _finish(state: Mapping[str, object], status: int) -> None:
    act, trail = state.get("act"), state.get("trail")
    if isinstance(act, Act) and isinstance(trail, Trail):
        await trail.finish(act, status)
